"""The gate: one Great Expectations suite over a day's accepted rows, and one over the day's figures."""

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa

from segmentation.config import Validation
from segmentation.contracts.declarations import declaration

# No sample values: they are personal data.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}
WEEKDAYS_NEEDED = 2


@dataclass(frozen=True)
class Figures:
    """A day in numbers; weekday_rows: raw rows of the four same weekdays before, of those that have rows."""

    rows: int
    accepted: int
    quarantined: int
    weekday_rows: tuple[int, ...]

    def values(self) -> dict[str, float | None]:
        """The figures that the declaration is about; None where there is nothing to compare with."""
        usual = sum(self.weekday_rows) / max(len(self.weekday_rows), 1)
        return {
            "quarantined_share": self.quarantined / self.rows if self.rows else 0.0,
            "volume_ratio": self.rows / usual if len(self.weekday_rows) >= WEEKDAYS_NEEDED and usual else None,
        }


@dataclass(frozen=True)
class Finding:
    """An expectation that failed. `observed`: figures by name, never a value of the data."""

    expectation: str
    reason: str
    observed: dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    critical: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def gate(accepted: pa.Table, figures: Figures, validation: Validation, table: str = "orders") -> Verdict:
    """Check a day's accepted rows and figures. An expectation that could not be evaluated is critical."""
    rules = declaration(table)
    rows = rules.rows_about(accepted.column_names)
    used = sorted({rule["kwargs"]["column"] for rule in rows})
    # Whole numbers instead of times: Great Expectations compares times row by row.
    columns = {name: accepted[name] for name in used}
    columns = {
        name: column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for name, column in columns.items()
    }
    values = figures.values()
    day = pa.table({name: pa.array([value], pa.float64()) for name, value in values.items()})
    low, high = validation.volume_ratio
    parameters = {
        "max_quarantined_share": validation.max_quarantined_share,
        "volume_ratio_min": low,
        "volume_ratio_max": high,
    }
    found = [
        *_findings(rows, pa.table(columns), {}, values),
        *_findings(list(rules.day), day, parameters, values),
    ]
    return Verdict(
        tuple(finding for severity, finding in found if severity != "warning"),
        tuple(finding for severity, finding in found if severity == "warning"),
    )


def _findings(
    rules: list[dict[str, Any]], table: pa.Table, parameters: dict[str, float], figures: dict[str, float | None]
) -> Iterator[tuple[str, Finding]]:
    """(severity, finding) of each expectation that failed or could not be evaluated, in the order of the declaration."""
    result = _validate(rules, table, parameters)
    # Results are not in the order of the suite: they are told apart by their reasons.
    outcomes = {outcome.expectation_config.meta["reason"]: outcome for outcome in result.results}
    for rule in rules:
        reason = rule["meta"]["reason"]
        outcome = outcomes.get(reason)
        if outcome is not None and outcome.success and not _raised(outcome.exception_info):
            continue
        column = rule["kwargs"]["column"]
        if outcome is None or _raised(outcome.exception_info):
            yield "critical", Finding(rule["type"], f"could not be checked: {reason}", {})
        elif column in figures:
            yield rule["severity"], Finding(rule["type"], reason, {column: round(figures[column] or 0.0, 6)})
        else:
            count = int(outcome.result.get("unexpected_count") or 0)
            yield rule["severity"], Finding(rule["type"], reason, {"rows": count})


def _raised(info: Any) -> bool:
    """Whether an expectation's `exception_info`, flat or by metric, tells of an exception: bad data raises none."""
    if not isinstance(info, dict):
        return False
    return bool(info.get("raised_exception")) or any(_raised(inner) for inner in info.values())


def _validate(rules: list[dict[str, Any]], table: pa.Table, parameters: dict[str, float]) -> Any:
    frame = table.to_pandas()
    with _quiet():
        batch = _batches().get_batch(batch_parameters={"dataframe": frame})
        return batch.validate(_suite(json.dumps(rules)), result_format=RESULT_FORMAT, expectation_parameters=parameters)


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
