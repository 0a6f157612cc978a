"""The gate stops a day that is not what was declared, and only that."""

import json
import logging
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from segmentation.config import Validation
from segmentation.contracts import gate as gate_module
from segmentation.contracts.declarations import Declaration, declaration
from segmentation.contracts.gate import Figures, Finding, Verdict, gate

NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"


def accepted(**columns: list[Any]) -> pa.Table:
    schema = {"user_id": pa.string(), "quantity": pa.int64(), "amount": pa.int64()}
    size = len(next(iter(columns.values())))
    times = pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * size, pa.timestamp("us", tz="UTC"))
    columns = {"user_id": ["u"] * size} | columns
    return pa.table({"ordered_at": times, **{name: pa.array(part, schema[name]) for name, part in columns.items()}})


def figures(rows: int = 100, quarantined: int = 0, weekday_rows: tuple[int, ...] = ()) -> Figures:
    return Figures(rows, rows - quarantined, quarantined, weekday_rows)


def test_a_day_as_declared_passes() -> None:
    table = accepted(quantity=[0, -10_000], amount=[0, 5])
    assert gate(table, figures(weekday_rows=(90, 110)), Validation()) == Verdict((), ())


def test_a_day_without_rows_passes() -> None:
    assert gate(accepted(user_id=[]), figures(rows=0), Validation()) == Verdict((), ())
    assert gate(accepted(quantity=[], amount=[]), figures(rows=0), Validation()).critical == ()


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"user_id": ["u", None]}, "user_id is missing"),
        ({"quantity": [1, None]}, "quantity is missing"),
        ({"amount": [None, 1]}, "amount (or unit_price) is missing"),
    ],
)
def test_a_row_that_should_not_have_been_accepted_is_critical(columns: dict[str, list[Any]], reason: str) -> None:
    verdict = gate(accepted(**columns), figures(), Validation())
    assert verdict == Verdict((Finding(NOT_NULL, reason, {"rows": 1}),), ())


@pytest.mark.parametrize(("quarantined", "stops"), [(90, False), (91, True), (100, True)])
def test_too_large_a_share_in_quarantine_is_critical(quarantined: int, stops: bool) -> None:
    verdict = gate(accepted(user_id=["u"]), figures(quarantined=quarantined), Validation(max_quarantined_share=0.9))
    reason = "too large a share of the rows is quarantined"
    expected = (Finding(BETWEEN, reason, {"quarantined_share": quarantined / 100}),) if stops else ()
    assert verdict == Verdict(expected, ())


@pytest.mark.parametrize(
    ("weekday_rows", "ratio"),
    [
        ((500, 500), None),
        ((501, 501), 0.199601),
        ((20, 20, 20, 20), None),
        ((19, 19, 19, 19), 5.263158),
        ((10_000,), None),
        ((), None),
    ],
)
def test_an_unusual_volume_is_a_warning_if_there_are_two_days_to_compare(
    weekday_rows: tuple[int, ...], ratio: float | None
) -> None:
    verdict = gate(
        accepted(user_id=["u"]), figures(100, weekday_rows=weekday_rows), Validation(volume_ratio=(0.2, 5.0))
    )
    reason = "unusually few or many rows, against the same weekdays before"
    assert verdict == Verdict((), () if ratio is None else (Finding(BETWEEN, reason, {"volume_ratio": ratio}),))


@pytest.mark.parametrize(
    "rule",
    [
        {
            "type": BETWEEN,
            "kwargs": {"column": "user_id", "min_value": 0},
            "severity": "warning",
            "meta": {"reason": "r"},
        },
        {
            "type": "expect_column_values_to_match_regex",
            "kwargs": {"column": "user_id", "regex": "("},
            "severity": "warning",
            "meta": {"reason": "r"},
        },
    ],
)
def test_an_expectation_that_cannot_be_evaluated_is_critical(
    monkeypatch: pytest.MonkeyPatch, rule: dict[str, Any]
) -> None:
    monkeypatch.setattr(gate_module, "declaration", lambda table: Declaration((rule,), ()))
    verdict = gate(accepted(user_id=["u"]), figures(), Validation())
    assert verdict == Verdict((Finding(rule["type"], "could not be checked: r", {}),), ())


def test_findings_hold_no_values_of_the_data() -> None:
    verdict = gate(accepted(user_id=["secret", None], quantity=[424_242, None]), figures(), Validation())
    assert len(verdict.critical) == 2
    assert "secret" not in repr(verdict)
    assert "424242" not in repr(verdict)
    json.dumps([finding.observed for finding in verdict.critical])


def test_great_expectations_is_quiet(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        gate(accepted(user_id=["u", None], quantity=[1, None]), figures(weekday_rows=(1, 1)), Validation())
    assert (warned, caplog.records, *capfd.readouterr()) == ([], [], "", "")


def test_the_declaration_is_in_the_form_of_great_expectations() -> None:
    """Every entry has exactly the keys of its own configuration, a known severity, and a reason of its own."""
    found = [*declaration("orders").rows, *declaration("orders").day]
    assert {tuple(rule) for rule in found} == {("type", "kwargs", "severity", "meta")}
    assert {rule["severity"] for rule in found} == {"critical", "warning"}
    assert len({rule["meta"]["reason"] for rule in found}) == len(found)


def test_importing_the_contracts_does_not_import_great_expectations() -> None:
    code = "import sys, segmentation.contracts.gate, segmentation.contracts.rows, segmentation.sources.slices; "
    code += "print([name for name in ('great_expectations', 'pandas', 'sklearn', 'airflow') if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
