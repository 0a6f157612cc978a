"""Mobility as people read it: the statistics of the users themselves, and revenue that adds up."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from synthetic import FIRST, synthetic_history

from segmentation.cli import main
from segmentation.config import Config, load
from segmentation.errors import ConfigError, SegmentationError
from segmentation.monitor import read_models
from segmentation.monitor.mobility import mobility
from segmentation.store.store import Store, open_store

LAST = FIRST + timedelta(days=11)

Day = dict[str, tuple[str, float]]  # user → segment, revenue


@pytest.fixture(scope="module")
def store(made_up: Config) -> Store:
    return open_store(made_up)


@pytest.fixture(scope="module")
def record(store: Store) -> dict[str, Any]:
    return mobility(store, FIRST, LAST)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def command(root: Path, *arguments: str) -> str:
        with pytest.raises(SystemExit) as exited:
            main(["--config", str(root / "segmentation.toml"), "mobility", *arguments])
        assert exited.value.code == 0
        return capsys.readouterr().out

    return command


def people(store: Store, day: date) -> Day:
    """Everyone in the day's population, straight from its files."""
    folder = store.state().published[day].folder
    revenue = {
        row["user_id"]: float(row["revenue"]) for row in store.objects.table(f"{folder}/features.parquet").to_pylist()
    }
    members = store.objects.table(f"{folder}/memberships.parquet").to_pylist()
    return {row["user_id"]: (row["segment_id"], revenue[row["user_id"]]) for row in members if row["segment_id"]}


def test_the_statistics_are_those_of_the_users(store: Store, record: dict[str, Any]) -> None:
    before, after = people(store, FIRST), people(store, LAST)
    ladder = [state["segment_id"] for state in record["states"]]
    per_user = {
        name: sum(revenue for segment, revenue in before.values() if segment == name)
        / sum(segment == name for segment, _ in before.values())
        for name in ladder
    }
    assert ladder == sorted(per_user, key=lambda name: -per_user[name])
    assert [state["rank"] for state in record["states"]] == [1, 2, 3, 4, 5]
    assert [state["revenue_per_user"] for state in record["states"]] == pytest.approx(
        [per_user[name] for name in ladder], abs=1e-3
    )
    moves = [(ladder.index(before[user][0]), ladder.index(after[user][0])) for user in before.keys() & after.keys()]
    expected = {
        "stayer_ratio": sum(start == end for start, end in moves) / len(moves),
        "upgraded": sum(end < start for start, end in moves) / len(moves),
        "downgraded": sum(end > start for start, end in moves) / len(moves),
        "bartholomew": sum(abs(end - start) for start, end in moves) / len(moves),
        "prais": sum(
            1 - sum(end == rank for start, end in moves if start == rank) / sum(start == rank for start, _ in moves)
            for rank in range(5)
        )
        / 4,
    }
    for name, value in expected.items():
        assert record[name]["value"] == pytest.approx(value, abs=1e-6)
        assert record[name]["low"] < value < record[name]["high"]
    assert 0 < expected["upgraded"] != expected["downgraded"] > 0


def test_the_transitions_of_a_segment_add_up_to_its_users(store: Store, record: dict[str, Any]) -> None:
    before, after = people(store, FIRST), people(store, LAST)
    pairs = Counter((segment, after[user][0] if user in after else "LAPSED") for user, (segment, _) in before.items())
    assert {(cell["from_segment_id"], cell["to_segment_id"]): cell["users"] for cell in record["transitions"]} == pairs
    for state in record["states"]:
        cells = [cell for cell in record["transitions"] if cell["from_segment_id"] == state["segment_id"]]
        assert sum(cell["users"] for cell in cells) == state["users"]
        assert sum(cell["probability"] for cell in cells) == pytest.approx(1, abs=1e-5)


def test_the_flows_account_for_every_user_and_all_revenue_of_both_days(store: Store, record: dict[str, Any]) -> None:
    before, after = people(store, FIRST), people(store, LAST)
    rank = {state["segment_id"]: state["rank"] for state in record["states"]}
    expected: dict[str, list[float]] = {}
    for user in before.keys() | after.keys():
        if user not in after:
            kind = "lapsed"
        elif user not in before:
            kind = "came"
        else:
            step = rank[after[user][0]] - rank[before[user][0]]
            kind = "stayed" if step == 0 else "upgraded" if step < 0 else "downgraded"
        flow = expected.setdefault(kind, [0, 0, 0])
        flow[0] += 1
        flow[1] += before[user][1] if user in before else 0
        flow[2] += after[user][1] if user in after else 0
    found = {flow["flow"]: [flow["users"], flow["revenue_before"], flow["revenue_after"]] for flow in record["flows"]}
    assert found.keys() == expected.keys() == {"stayed", "upgraded", "downgraded", "came", "lapsed"}
    for kind, numbers in expected.items():
        assert found[kind] == pytest.approx(numbers, abs=1e-3)
    for place, day in ((1, FIRST), (2, LAST)):
        revenue = sum(row["revenue"] for row in read_models.segments(store, day))
        assert sum(numbers[place] for numbers in found.values()) == pytest.approx(revenue, abs=1e-3)


def test_who_was_only_reassigned_by_a_model_is_counted_apart(tmp_path: Path, run: Callable[..., str]) -> None:
    store = open_store(synthetic_history(tmp_path, users=1500))
    before = people(store, FIRST)
    members = store.objects.table(f"{store.state().published[LAST].folder}/memberships.parquet").to_pylist()
    reassigned = sum(
        row["cause"] == "model" and row["segment_id"] is not None and before[row["user_id"]][0] != row["segment_id"]
        for row in members
        if row["user_id"] in before
    )
    assert mobility(store, FIRST, LAST)["by_model"] == reassigned > 0
    shown = run(tmp_path, "--from", str(FIRST))
    assert f"{reassigned} user{'s' * (reassigned > 1)} changed segment only because the model was redrawn" in shown


def test_where_features_are_not_kept_any_more_the_revenue_of_the_flows_is_not_known(
    made_up: Config, tmp_path: Path
) -> None:
    shutil.copytree(made_up.root, tmp_path / "copy")
    store = open_store(load(tmp_path / "copy" / "segmentation.toml", {}))
    Path(store.objects.path(f"{store.state().published[FIRST].folder}/features.parquet")).unlink()
    record = mobility(store, FIRST, LAST)
    assert {flow["revenue_before"] for flow in record["flows"]} == {None}
    assert all(flow["revenue_after"] is not None for flow in record["flows"])
    assert record["upgraded"] == mobility(open_store(made_up), FIRST, LAST)["upgraded"]


def test_a_shop_without_amounts_has_no_ranks(tmp_path: Path, run: Callable[..., str]) -> None:
    store = open_store(synthetic_history(tmp_path, amounts=False))
    record = mobility(store, FIRST, LAST)
    nothing = {"value": None, "low": None, "high": None}
    assert [record[name] for name in ("bartholomew", "upgraded", "downgraded")] == [nothing] * 3
    assert record["stayer_ratio"]["value"] is not None
    assert {state["rank"] for state in record["states"]} == {None}
    assert {flow["flow"] for flow in record["flows"]} == {"stayed", "moved", "came", "lapsed"}
    out = run(tmp_path)
    assert "Upgraded" not in out
    assert "Moved" in out


def test_a_span_that_is_none_is_refused(store: Store) -> None:
    with pytest.raises(ConfigError, match="from an earlier to a later day"):
        mobility(store, LAST, FIRST)
    with pytest.raises(SegmentationError, match="has no published snapshot"):
        mobility(store, FIRST, LAST + timedelta(days=3))


def test_the_command_is_of_the_last_week_unless_days_are_given(
    made_up: Config, store: Store, run: Callable[..., str], record: dict[str, Any]
) -> None:
    week = LAST - timedelta(days=7)
    assert json.loads(run(made_up.root, "--json")) == mobility(store, week, LAST)
    assert json.loads(run(made_up.root, "--from", str(FIRST), "--to", str(LAST), "--json")) == record
    shown = run(made_up.root)
    for words in (f"From {week} to {LAST}", "Stayer ratio", "Bartholomew", "Upgraded", "window before"):
        assert words in shown


@pytest.mark.parametrize("count", [2, 12])
def test_no_segment_id_is_cut_in_a_narrow_terminal(
    tmp_path: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    ids = [f"{number:08x}" for number in range(0x3F0C9A1E, 0x3F0C9A1E + count)]
    synthetic_history(tmp_path, segment_ids=ids, users=400)
    monkeypatch.setattr("segmentation.cli.app.PIPE_WIDTH", 80)
    shown = run(tmp_path)
    assert [name for name in ids if name not in shown] == []
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
