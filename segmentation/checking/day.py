"""A day's rows held to the contract."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import pyarrow as pa

from segmentation.checking.look import Look
from segmentation.checking.report import FAULT, OK, SKIPPED, WARNING, Line, fault_lines
from segmentation.checking.rows import rows_said
from segmentation.config import Config, Recipe
from segmentation.contracts.gate import Figures, gate
from segmentation.contracts.rows import Split, split
from segmentation.errors import ConfigError, SegmentationError
from segmentation.features.catalogue import model_features
from segmentation.features.engine import EPOCH
from segmentation.sources.completeness import waiting_for
from segmentation.sources.listing import weekdays_before
from segmentation.tables import ACTIVITY, USERS
from segmentation.texts import counted


def day_lines(config: Config, recipe: Recipe, looks: Mapping[str, Look], day: date | None) -> Iterator[Line]:
    if day is None:
        yield Line("day", SKIPPED, "not tried: no day with rows was found; give one with --date")
        return
    name = f"day {day}"
    there = 0
    broken = False
    for table, look in looks.items():
        raw = look.raw(EPOCH if table == USERS else day)
        if raw is None:
            continue
        there += raw.num_rows if table in ACTIVITY else 0
        try:
            yield from _table(config, recipe, table, look, day, raw)
        except ConfigError as error:
            broken = True
            yield from fault_lines(name, error)
    if not there:
        yield _without_rows(config, looks, name)
        return
    if not broken:
        yield _features(recipe, looks, name)


def _table(config: Config, recipe: Recipe, table: str, look: Look, day: date, raw: pa.Table) -> Iterator[Line]:
    name = f"{table} of {day}" if table != USERS else table
    parts = split(raw, recipe, table)
    weekdays = [look.rows(other) for other in weekdays_before(day)]
    before = [count for count in weekdays if count] if look.whole or look.files > 1 else []
    verdict = gate(parts.accepted, Figures.of(parts, before), config.validation, table, recipe)
    for finding in (*verdict.critical, *verdict.warnings):
        status = FAULT if finding in verdict.critical else WARNING
        yield Line(name, status, f"{finding.said}{_gate_advice(finding.observed)}")
    yield from (Line(name, WARNING, said) for said in _quarantined(parts, table, raw.num_rows, recipe))
    source = config.sources.tables()[table]
    for waiting in waiting_for(source, table, config, day, raw["at"], before) if table in ACTIVITY else ():
        yield Line(name, WARNING, f"not complete yet: {waiting}")
    if not verdict.critical:
        accepted = parts.accepted.num_rows
        yield Line(
            name,
            OK,
            f"{counted(raw.num_rows, 'row')}: {accepted:,} accepted, {raw.num_rows - accepted:,} in quarantine",
        )


def _quarantined(parts: Split, table: str, rows: int, recipe: Recipe) -> Iterator[str]:
    found = parts.quarantined
    reasons = found["reason"].to_pylist()
    for reason, count in sorted(parts.reasons.items(), key=lambda pair: -pair[1]):
        example = found.slice(reasons.index(reason), 1).to_pylist()[0]
        yield rows_said(table, reason, count, rows, example["file"], example, recipe)


def _gate_advice(observed: Iterable[str]) -> str:
    settings = {
        "quarantined_share": "; correct the rows named here, or raise [validation] max_quarantined_share",
        "unknown_event_share": "; name them in [sources.events.options.event_types]",
        "volume_ratio": "; is the day complete? [validation] volume_ratio says what is usual",
        "currencies": "; take one currency per configuration, or convert them in a query (sql)",
    }
    return next((settings[name] for name in observed if name in settings), "")


def _without_rows(config: Config, looks: Mapping[str, Look], name: str) -> Line:
    if config.validation.empty_days == "allow":
        return Line(name, OK, "no rows, which is allowed")
    if all(look.whole for table, look in looks.items() if table in ACTIVITY):
        return Line(name, FAULT, 'no rows; give a day that has some, or set [validation] empty_days = "allow"')
    return Line(name, WARNING, "no rows in the part of the files that was looked at")


def _features(recipe: Recipe, looks: Mapping[str, Look], name: str) -> Line:
    columns: set[str] = set()
    for table, look in looks.items():
        found = {column for _, part in look.reads for column in part.columns}
        if {"quantity", "unit_price"} <= found:
            found.add("amount")  # it is made of them
        columns |= {f"{table}.{column}" for column in found - {"unit_price"}} if table in ACTIVITY else set()
    try:
        names = model_features(recipe.clustering, columns)
    except SegmentationError as error:
        return fault_lines(name, error)[0]
    if not names:
        return Line(
            name, FAULT, f"no feature can be computed from {', '.join(sorted(columns))}; see `segmentation features`"
        )
    return Line(name, OK, f"segments are made by {', '.join(names)}")
