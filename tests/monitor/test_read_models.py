"""What people read is what the snapshots hold."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from synthetic import FIRST, accept, synthetic_history, write_config

from segmentation.config import Config, load
from segmentation.errors import ConfigError, SegmentationError
from segmentation.monitor import decisions, read_models
from segmentation.store.store import Store, open_store

LAST = FIRST + timedelta(days=11)
CAUSES = ("behaviour", "ageing", "model")


@pytest.fixture(scope="module")
def store(made_up: Config) -> Store:
    return open_store(made_up)


@pytest.fixture
def copied(made_up: Config, tmp_path: Path) -> Store:
    """The same history in a store of its own, to be changed."""
    shutil.copytree(made_up.root, tmp_path / "copy")
    return open_store(load(tmp_path / "copy" / "segmentation.toml", {}))


def members(store: Store, day: date) -> dict[str, dict[str, Any]]:
    table = store.objects.table(f"{store.state().published[day].folder}/memberships.parquet")
    return {row["user_id"]: row for row in table.to_pylist() if row["segment_id"] is not None}


def test_the_made_up_history_is_whole(store: Store) -> None:
    from segmentation.store.verify import verify

    assert verify(store) == []


def test_a_span_counts_each_user_once_by_both_ends_and_by_the_cause_of_the_last_move(store: Store) -> None:
    first = FIRST + timedelta(days=3)
    before, after = members(store, first), members(store, LAST)
    users: Counter[tuple[str, str]] = Counter()
    causes: Counter[tuple[str, str, str]] = Counter()
    moved_since_they_came = 0
    for user in before.keys() | after.keys():
        origin = before[user]["segment_id"] if user in before else "NEW"
        target = after[user]["segment_id"] if user in after else "LAPSED"
        users[origin, target] += 1
        if origin != target:
            causes[origin, target, after[user]["cause"] if user in after else "ageing"] += 1
        moved_since_they_came += (
            origin == "NEW" and after[user]["status"] == "stayed" and bool(after[user]["previous_segment_id"])
        )
    cells = read_models.migrations(store, first, LAST)["cells"]
    assert {(cell["from_segment_id"], cell["to_segment_id"]): cell["users"] for cell in cells} == users
    assert {
        (cell["from_segment_id"], cell["to_segment_id"], cause): cell[cause]
        for cell in cells
        for cause in CAUSES
        if cell[cause]
    } == causes
    assert {"NEW", "LAPSED"} < {end for pair in users for end in pair}
    assert moved_since_they_came, "the example must hold a user who came in the span and has moved since"


def test_the_rows_and_columns_of_a_span_add_up_to_both_populations(store: Store) -> None:
    cells = read_models.migrations(store, FIRST, LAST)["cells"]
    rows = sum(cell["users"] for cell in cells if cell["from_segment_id"] != "NEW")
    columns = sum(cell["users"] for cell in cells if cell["to_segment_id"] != "LAPSED")
    assert (rows, columns) == (len(members(store, FIRST)), len(members(store, LAST)))
    for cell in cells:
        stayed = cell["from_segment_id"] == cell["to_segment_id"]
        assert sum(cell[cause] for cause in CAUSES) == (0 if stayed else cell["users"])


def test_the_span_of_a_day_and_its_parent_is_that_days_migrations_table(store: Store) -> None:
    published = store.state().published[LAST]
    assert published.parent is not None
    expected = store.objects.table(f"{published.folder}/migrations.parquet").to_pylist()
    for row in expected:
        row["revenue"] = float(row["revenue"])
    assert read_models.migrations(store, published.parent, LAST)["cells"] == expected


def test_the_revenue_of_a_span_is_that_of_its_last_day(store: Store) -> None:
    cells = read_models.migrations(store, FIRST, LAST)["cells"]
    segments = read_models.segments(store, LAST)
    assert sum(cell["revenue"] for cell in cells) == pytest.approx(sum(row["revenue"] for row in segments), abs=1e-4)
    assert {cell["revenue"] for cell in cells if cell["to_segment_id"] == "LAPSED"} == {0.0}


def test_the_revenue_of_a_span_is_unknown_where_features_are_not_kept_any_more(copied: Store) -> None:
    copied.objects.delete([f"{copied.state().published[LAST].folder}/features.parquet"])
    assert {cell["revenue"] for cell in read_models.migrations(copied, FIRST, LAST)["cells"]} == {None}


@pytest.mark.parametrize("read", [read_models.segments, decisions.decision, read_models.profile])
def test_a_day_that_is_not_published_is_an_error_that_names_the_nearest(
    store: Store, read: Callable[[Store, date], Any]
) -> None:
    with pytest.raises(SegmentationError, match=f"{LAST + timedelta(days=3)} has no .*published day is {LAST}$"):
        read(store, LAST + timedelta(days=3))


def test_a_day_in_a_gap_has_two_nearest_days(tmp_path: Path) -> None:
    store = open_store(synthetic_history(tmp_path, days=[FIRST, FIRST + timedelta(days=4)], users=30))
    with pytest.raises(SegmentationError, match="days are 2024-02-20 and 2024-02-24"):
        read_models.migrations(store, FIRST, FIRST + timedelta(days=2))


def test_an_empty_history_says_how_to_begin(tmp_path: Path) -> None:
    store = open_store(write_config(tmp_path))
    assert read_models.history(store) == []
    for read in (lambda: read_models.latest(store.state()), lambda: read_models.segments(store, FIRST)):
        with pytest.raises(SegmentationError, match="segmentation run --date"):
            read()


@pytest.mark.parametrize("last", [FIRST, FIRST - timedelta(days=1)])
def test_a_span_that_does_not_go_forward_is_bad_usage(store: Store, last: date) -> None:
    with pytest.raises(ConfigError, match="earlier to a later day"):
        read_models.migrations(store, FIRST, last)


def test_history_has_a_record_per_day_that_links_to_the_one_before(store: Store) -> None:
    days = read_models.history(store)
    assert [day["date"] for day in days] == [str(FIRST + timedelta(days=offset)) for offset in range(12)]
    assert [day["parent_id"] for day in days] == [None, *(day["snapshot_id"] for day in days[:-1])]
    assert days[-1]["users"] == len(members(store, LAST))
    assert [day["decision"] for day in days] == ["baseline", *["hold"] * 11]
    assert all(store.objects.exists(f"{day['path']}/manifest.json") for day in days)


def test_history_calls_the_day_whose_rows_changed_stale_and_the_days_before_it_current(copied: Store) -> None:
    changed = FIRST + timedelta(days=5)
    accept(copied, changed, "other rows")
    stale = [day["date"] for day in read_models.history(copied) if day["status"] == "stale"]
    assert stale == [str(changed)]


def test_segments_come_largest_first_with_their_means(store: Store) -> None:
    rows = read_models.segments(store, LAST)
    counts = Counter(row["segment_id"] for row in members(store, LAST).values())
    assert [(row["segment_id"], row["users"]) for row in rows] == counts.most_common()
    assert all(row["name"] == row["segment_id"] and row["mean_recency"] > 0 for row in rows)


def test_a_users_days_end_with_the_day_on_which_he_lapsed(store: Store) -> None:
    table = store.objects.table(f"{store.state().published[LAST].folder}/memberships.parquet")
    gone = table.filter(pc.equal(table["status"], "lapsed"))["user_id"][0].as_py()
    record = read_models.user(store, gone)
    assert record["user_id"] == gone
    last, before = record["days"][-1], record["days"][-2]
    assert (last["date"], last["segment_id"], last["status"], last["cause"]) == (str(LAST), None, "lapsed", "ageing")
    assert before["segment_id"] == last["previous_segment_id"]


def test_a_user_whom_nobody_knows_is_an_error(store: Store) -> None:
    with pytest.raises(SegmentationError, match="no published day has a user 'nobody'"):
        read_models.user(store, "nobody")


def test_moves_per_day_are_the_statuses_of_the_memberships(store: Store) -> None:
    records = read_models.moves(store, LAST)
    assert [record["date"] for record in records] == [str(FIRST + timedelta(days=offset)) for offset in range(1, 12)]
    for record in records:
        published = store.state().published[date.fromisoformat(record["date"])]
        table = store.objects.table(f"{published.folder}/memberships.parquet").to_pylist()
        statuses = Counter(row["status"] for row in table)
        assert record["moved"] == statuses["moved"] + statuses["reassigned"] == sum(record[cause] for cause in CAUSES)
        assert record["model"] == statuses["reassigned"]
        assert record["new"] == statuses["entered"] + statuses["reactivated"]
        assert record["lapsed"] == statuses["lapsed"]
    assert sum(record["moved"] for record in records) > 0


@pytest.mark.parametrize("read", [read_models.sizes, read_models.moves])
def test_what_is_shown_as_of_a_day_holds_no_later_day(
    store: Store, read: Callable[[Store, date], list[dict[str, Any]]]
) -> None:
    until = FIRST + timedelta(days=6)
    assert max(record["date"] for record in read(store, until)) == str(until)


def test_sizes_add_up_to_the_population_of_each_day(store: Store) -> None:
    totals: Counter[str] = Counter()
    for record in read_models.sizes(store, LAST):
        totals[record["date"]] += record["users"]
    assert totals == {day["date"]: day["users"] for day in read_models.history(store)}


def test_the_profile_compares_each_segment_with_the_mean_of_all_users(store: Store) -> None:
    records = {record["feature"]: record for record in read_models.profile(store, LAST)}
    everyone = store.objects.table(f"{store.state().published[LAST].folder}/features.parquet")
    assert records["recency"]["shop"] == pytest.approx(pc.mean(everyone["recency"]).as_py())
    assert 0 < everyone["order_gap"].null_count < everyone.num_rows
    assert records["order_gap"]["shop"] == pytest.approx(pc.mean(everyone["order_gap"].drop_null()).as_py())
    assert [name for name, record in records.items() if record["in_model"]] == [
        "recency",
        "frequency",
        "average_order_value",
    ]
    assert "revenue" not in records


def test_the_profile_outlives_the_features(copied: Store) -> None:
    before = {record["feature"]: record["shop"] for record in read_models.profile(copied, LAST)}
    copied.objects.delete([f"{copied.state().published[LAST].folder}/features.parquet"])
    after = {record["feature"]: record["shop"] for record in read_models.profile(copied, LAST)}
    assert after["monetary"] == pytest.approx(before["monetary"], rel=1e-6)


@pytest.mark.parametrize(
    ("offsets", "day", "expected"),
    [
        ([0, 1, 2, 7, 8], 8, 1),
        ([0, 1, 8], 7, 0),
        ([0, 5, 8], 8, 0),  # the 1st is missing: the latest day that is at least a week back
        ([2, 5, 8], 8, 2),  # less than a week of history: from its first day
        ([8], 8, None),
    ],
)
def test_the_week_before_a_day(made_up: Config, offsets: list[int], day: int, expected: int | None) -> None:
    state = open_store(made_up).state()
    state.published = {FIRST + timedelta(days=offset): state.published[FIRST] for offset in offsets}
    found = read_models.week_before(state, FIRST + timedelta(days=day))
    assert found == (None if expected is None else FIRST + timedelta(days=expected))


def test_quality_of_a_day_that_only_feeds_windows_is_that_of_its_accepted_rows(copied: Store) -> None:
    early = FIRST - timedelta(days=20)
    accept(copied, early, "early rows", rows=77)
    assert read_models.quality(copied, early)["tables"]["orders"]["rows"] == 77
    with pytest.raises(
        SegmentationError, match=f"has no accepted rows; the nearest accepted days are {early} and {FIRST}"
    ):
        read_models.quality(copied, early + timedelta(days=1))


def test_rows_per_day_end_with_the_day_and_go_back_as_far_as_asked(store: Store) -> None:
    records = read_models.rows_per_day(store, LAST - timedelta(days=1), days=3)
    assert [record["date"] for record in records] == [str(LAST - timedelta(days=back)) for back in (3, 2, 1)]
    assert all(record["accepted"] + record["quarantined"] == record["rows"] for record in records)


def test_the_log_says_what_each_record_is_about(store: Store) -> None:
    records = read_models.log(store)
    assert [record["number"] for record in records] == list(range(1, 26))
    assert [record["kind"] for record in records[:3]] == ["recipe", "accept", "publish"]
    assert records[2]["what"] == f"snapshot {store.state().published[FIRST].snapshot_id}"


def test_everything_that_is_read_is_json(store: Store) -> None:
    for value in (
        read_models.history(store),
        read_models.log(store),
        read_models.segments(store, LAST),
        read_models.migrations(store, FIRST, LAST),
        decisions.decisions(store),
        read_models.quality(store, LAST),
        read_models.user(store, "user-00001"),
        read_models.features(),
        read_models.digest(store),
        read_models.sizes(store, LAST),
        read_models.moves(store, LAST),
        read_models.profile(store, LAST),
        read_models.rows_per_day(store, LAST, 28),
    ):
        assert json.loads(json.dumps(value, allow_nan=False)) == value
