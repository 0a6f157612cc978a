"""The gate: one Great Expectations suite over a day's accepted rows, and one over the day's figures."""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe, Validation
from segmentation.contracts.declarations import declaration
from segmentation.contracts.expectations import Rule, contract, filled
from segmentation.contracts.rows import Split

# No sample values: they are personal data.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
WEEKDAYS_NEEDED = 2
NULLS = ("expect_column_values_to_not_be_null", "expect_column_values_to_be_null")


@dataclass(frozen=True)
class Figures:
    """A day in numbers; weekday_rows: raw rows of the four same weekdays before, of those that have rows.

    unknown_events: accepted events of types that are not known; currencies: how many the accepted orders are in.
    """

    rows: int
    accepted: int
    quarantined: int
    weekday_rows: tuple[int, ...]
    unknown_events: int = 0
    currencies: int = 0

    @classmethod
    def of(cls, parts: Split, weekday_rows: Iterable[int]) -> "Figures":
        """The figures of a day's rows once they are split."""
        accepted, quarantined = parts.accepted.num_rows, parts.quarantined.num_rows
        unknown = parts.facts.get("unknown_event_type", 0)
        currencies = len(parts.facts.get("currencies", ()))
        return cls(accepted + quarantined, accepted, quarantined, tuple(weekday_rows), unknown, currencies)

    def values(self) -> dict[str, float | None]:
        """The figures that the declaration is about; None where there is nothing to compare with."""
        usual = sum(self.weekday_rows) / max(len(self.weekday_rows), 1)
        return {
            "quarantined_share": self.quarantined / self.rows if self.rows else 0.0,
            "volume_ratio": self.rows / usual if len(self.weekday_rows) >= WEEKDAYS_NEEDED and usual else None,
            "unknown_event_share": self.unknown_events / self.accepted if self.accepted else 0.0,
            "currencies": self.currencies,
        }


@dataclass(frozen=True)
class Finding:
    """An expectation that failed. `observed`: figures by name, never a value of the data."""

    expectation: str
    reason: str
    observed: dict[str, Any]

    @property
    def said(self) -> str:
        """The reason with its figures."""
        figures = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.observed.items())
        return f"{self.reason} ({figures})" if figures else self.reason


@dataclass(frozen=True)
class Verdict:
    critical: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def gate(
    accepted: pa.Table,
    figures: Figures,
    validation: Validation,
    table: str = "orders",
    recipe: Recipe | None = None,
) -> Verdict:
    """Check a day's accepted rows and figures. An expectation that could not be evaluated is critical.

    The rows are held to the table's declaration and, with a recipe, to the team's own expectations in it; those of them
    that are about columns are left out on a day without accepted rows.

    Raises ConfigError when one of the own expectations is wrong.
    """
    declared = declaration(table)
    there = set(accepted.column_names)
    number = len(declared.rows)
    rules = contract(declared.rows, recipe, table)
    own = [rule for rule in rules[number:] if accepted.num_rows or not rule.columns]
    rows = [rule for rule in (*rules[:number], *own) if there.issuperset(rule.columns)]
    values = figures.values()
    day = pa.table({name: pa.array([value], pa.float64()) for name, value in values.items()})
    low, high = validation.volume_ratio
    parameters = {
        "max_quarantined_share": validation.max_quarantined_share,
        "max_unknown_event_share": validation.max_unknown_event_share,
        "volume_ratio_min": low,
        "volume_ratio_max": high,
    }
    found = [
        *_findings(rows, _as_checked(accepted, rows), values),
        *_findings(filled(declared.day, parameters), day, values),
    ]
    return Verdict(
        tuple(finding for severity, finding in found if severity != "warning"),
        tuple(finding for severity, finding in found if severity == "warning"),
    )


def _as_checked(accepted: pa.Table, rules: Sequence[Rule]) -> pa.Table:
    """The columns that the rules are about (user_id always, so that rows can be counted), in types that are fast to check.

    Times are whole numbers: Great Expectations compares times row by row. Of a text that must only be there, or not, it is
    only told where it is: the first thing that it does with a frame is to hash it.
    """
    read = {column for rule in rules if rule.type not in NULLS for column in rule.columns}
    columns = {}
    for name in sorted({"user_id", *(column for rule in rules for column in rule.columns)}):
        if name not in accepted.column_names:
            continue
        column = accepted[name]
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        elif name not in read:
            column = pc.if_else(pc.is_valid(column), 1.0, None)
        columns[name] = column
    return pa.table(columns)


def _findings(
    rules: Sequence[Rule], table: pa.Table, figures: Mapping[str, float | None]
) -> Iterator[tuple[str, Finding]]:
    """(severity, finding) of each expectation that failed or could not be evaluated, in the order of the rules."""
    result = _validate(rules, table)
    # Results are not in the order of the suite: they are told apart by their numbers.
    outcomes = {outcome.expectation_config.meta["number"]: outcome for outcome in result.results}
    for number, rule in enumerate(rules):
        outcome = outcomes.get(number)
        if outcome is None or _raised(outcome.exception_info):
            yield "critical", Finding(rule.type, f"could not be checked: {rule.reason}", {})
        elif not outcome.success:
            yield rule.severity, Finding(rule.type, rule.reason, _observed(rule, outcome.result, figures))


def _observed(rule: Rule, result: Mapping[str, Any], figures: Mapping[str, float | None]) -> dict[str, Any]:
    column = rule.kwargs.get("column", "")
    if column in figures:
        return {column: round(figures[column] or 0.0, 6)}
    if rule.observed:
        value = result["observed_value"]
        whole = isinstance(value, Integral) and rule.scale == 1
        return {rule.observed: int(value) if whole else round(float(value) / rule.scale, 6)}
    # Of the others some count values, and some tell them.
    return {"rows": int(result.get("unexpected_count") or 0)} if rule.is_of_rows else {}


def _raised(info: Any) -> bool:
    """Whether an expectation's `exception_info`, flat or by metric, tells of an exception: bad data raises none."""
    if not isinstance(info, dict):
        return False
    return bool(info.get("raised_exception")) or any(_raised(inner) for inner in info.values())


def _validate(rules: Sequence[Rule], table: pa.Table) -> Any:
    frame = table.to_pandas()
    suite = [
        {"type": rule.type, "kwargs": rule.kwargs, "severity": rule.severity, "meta": {"number": number}}
        for number, rule in enumerate(rules)
    ]
    with _quiet():
        batch = _batches().get_batch(batch_parameters={"dataframe": frame})
        return batch.validate(_suite(json.dumps(suite)), result_format=RESULT_FORMAT)


@cache
def _batches() -> Any:
    """Where Great Expectations takes whole data frames from, in a context in memory. Importing it takes seconds."""
    with _quiet():
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        context.enable_analytics(False)
        asset = context.data_sources.add_pandas("rows").add_dataframe_asset("day")
        return asset.add_batch_definition_whole_dataframe("all")


@cache
def _suite(rules: str) -> Any:
    _batches()  # a suite belongs to the context that is current
    with _quiet():
        import great_expectations as gx
        from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

        suite = gx.ExpectationSuite("contract")
        for rule in json.loads(rules):
            suite.add_expectation(ExpectationConfiguration(**rule).to_domain_obj())
        return suite


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Great Expectations warns of its own use of pandas, and logs what the result says anyway."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
