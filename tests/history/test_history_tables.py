"""Several tables: what a day is made of, users whom the team leaves out, days that are not complete, one currency."""

from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from shop import FIRST, Shop, shop_config

from segmentation import history, stages
from segmentation.config import Config
from segmentation.errors import DataContractError, NotYetError
from segmentation.monitor import read_models
from segmentation.monitor.leavers import left_by_model
from segmentation.store.content import parquet_bytes
from segmentation.store.store import open_store
from segmentation.store.verify import verify

DAYS = [FIRST + timedelta(days=offset) for offset in range(12)]
USERS = [f"u{number}" for number in range(8)]


def shop_of(root: Path) -> Shop:
    """Orders of u0 … u5 and, from them and from u6 and u7 who never buy, events on every day; reviews on some."""
    shop = Shop(root)
    for place, day in enumerate(DAYS):
        for number, user in enumerate(USERS[:6]):
            if (place + number) % 3:
                shop.buy(day, user, 5.0 * (number + 1))
        write(root, "events", day, ["user_id,event_at,event_type"], [f"{user},{day} 12:00:00,view" for user in USERS])
        reviews = [f"u{place % 6},{day} 20:00:00,{1 + place % 5}"] if place % 2 else []
        write(root, "reviews", day, ["user_id,reviewed_at,rating"], reviews)
    shop.write()
    write_users(root, ())
    return shop


def write(root: Path, table: str, day: date, header: list[str], rows: list[str]) -> None:
    (root / table).mkdir(exist_ok=True)
    (root / table / f"{day}.csv").write_text("\n".join([*header, *rows]) + "\n")


def write_users(root: Path, excluded: tuple[str, ...]) -> None:
    rows = [f"{user},{'yes' if user in excluded else 'no'},{FIRST}" for user in USERS]
    (root / "users.csv").write_text("\n".join(["user_id,excluded,signed_up_at", *rows]) + "\n")


def config_of(root: Path, store: str = "store", **orders: Any) -> Config:
    options = {"lookback_days": 2}
    sources = {
        "orders": {"path": "orders/*.csv", "options": options, **orders},
        "events": {"path": "events/{date}.csv", "options": options},
        "reviews": {"path": "reviews/{date}.csv", "options": options},
        "users": {"path": "users.csv"},
    }
    return shop_config(root, store, sources=sources)


def members(config: Config, day: date) -> dict[str, dict[str, Any]]:
    store = open_store(config)
    table = store.objects.table(f"{store.state().published[day].folder}/memberships.parquet")
    return {row["user_id"]: row for row in table.to_pylist()}


def test_a_population_is_everyone_with_a_row_in_any_table(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = config_of(tmp_path)
    history.backfill(config, DAYS[5], DAYS[8], order="backward")
    assert sorted(members(config, DAYS[8])) == USERS
    accepted = open_store(config).state().accepted[DAYS[7]].tables
    assert {name: table.rows for name, table in accepted.items()} == {
        "orders": 4,
        "events": 8,
        "reviews": 1,
        "users": 8,
    }
    other = config_of(tmp_path, "other")
    for day in DAYS[5:9]:
        history.run(other, day)
    assert open_store(other).state().digest() == open_store(config).state().digest()
    assert verify(open_store(config)) == []


def test_an_event_that_is_added_makes_its_day_stale(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = config_of(tmp_path)
    history.backfill(config, DAYS[5], DAYS[8])
    file = tmp_path / "events" / f"{DAYS[7]}.csv"
    file.write_text(file.read_text() + f"u1,{DAYS[7]} 13:00:00,cart\n")
    history.run(config, DAYS[9])
    assert history.stale(config)[0] == DAYS[7]
    history.reconcile(config)
    clean = config_of(tmp_path, "clean")
    for day in DAYS[5:10]:
        history.run(clean, day)
    assert open_store(clean).state().digest() == open_store(config).state().digest()


def test_who_is_excluded_leaves_by_the_model_and_comes_back_by_it(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = config_of(tmp_path)
    history.run(config, DAYS[5])
    write_users(tmp_path, ("u6", "u7"))
    history.run(config, DAYS[6])
    day = members(config, DAYS[6])
    assert {user: (day[user]["status"], day[user]["cause"]) for user in ("u6", "u7")} == dict.fromkeys(
        ("u6", "u7"), ("lapsed", "model")
    )
    assert open_store(config).state().published[DAYS[6]].summary["users"] == 6
    write_users(tmp_path, ("u7",))
    history.run(config, DAYS[7])
    day = members(config, DAYS[7])
    assert (day["u6"]["status"], day["u6"]["cause"]) == ("reactivated", "model")
    assert "u7" not in day
    store = open_store(config)
    cells = store.objects.table(f"{store.state().published[DAYS[7]].folder}/migrations.parquet")
    changed = cells.filter(pc.not_equal(cells["from_segment_id"], cells["to_segment_id"]))
    for cell in changed.to_pylist():
        assert cell["behaviour"] + cell["ageing"] + cell["model"] == cell["users"]
    assert verify(store) == []
    # Over a span it is as on the day.
    for last, gone in ((DAYS[6], 2), (DAYS[7], 1)):
        span = read_models.migrations(store, DAYS[5], last)["cells"]
        lapsed = [cell for cell in span if cell["to_segment_id"] == "LAPSED"]
        assert [sum(cell[name] for cell in lapsed) for name in ("users", "ageing", "model")] == [gone, 0, gone]


def test_who_left_by_the_model_came_back_and_left_by_ageing_left_by_ageing(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = config_of(tmp_path)
    store = open_store(config)
    rows = {
        0: [("a", "stayed", "behaviour"), ("b", "stayed", "behaviour")],
        1: [("a", "lapsed", "model"), ("b", "lapsed", "model")],
        2: [("a", "reactivated", "model")],
        3: [("a", "lapsed", "ageing")],
    }
    published = {}
    for number, members in rows.items():
        users, status, cause = (pa.array(column) for column in zip(*members, strict=True))
        by_model = sum(one == "lapsed" and why == "model" for _, one, why in members)
        folder = f"snapshots/{number}"
        tables = {
            "memberships": pa.table({"user_id": users, "status": status, "cause": cause}),
            "migrations": pa.table({"to_segment_id": ["LAPSED"], "model": [by_model]}),
        }
        for name, table in tables.items():
            store.objects.put(f"{folder}/{name}.parquet", parquet_bytes(table))
        published[DAYS[number]] = SimpleNamespace(folder=folder)
    fake: Any = SimpleNamespace(objects=store.objects, state=lambda: SimpleNamespace(published=published))
    found = {
        (first, last): left_by_model(fake, DAYS[first], DAYS[last]).to_pylist()
        for first, last in ((0, 1), (0, 2), (0, 3), (1, 3))
    }
    assert found == {(0, 1): ["a", "b"], (0, 2): ["a", "b"], (0, 3): ["b"], (1, 3): []}


def test_the_users_of_a_day_are_those_that_it_was_first_accepted_with(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = config_of(tmp_path)
    history.backfill(config, DAYS[5], DAYS[7])
    before = open_store(config).state()
    write_users(tmp_path, ("u0",))
    history.run(config, DAYS[7])
    assert open_store(config).state().published == before.published
    assert history.stale(config) == []


def test_a_table_that_is_added_later_counts_from_its_day_on(tmp_path: Path) -> None:
    shop_of(tmp_path)
    config = shop_config(tmp_path)
    history.backfill(config, DAYS[5], DAYS[6])
    more = config_of(tmp_path)
    history.run(more, DAYS[7])
    assert history.stale(more) == []
    state = open_store(more).state()
    assert sorted(state.accepted[DAYS[6]].tables) == ["orders"]
    assert sorted(state.accepted[DAYS[7]].tables) == ["events", "orders", "reviews", "users"]


def test_orders_in_several_currencies_are_refused(tmp_path: Path) -> None:
    shop = shop_of(tmp_path)
    for day in DAYS:
        file = tmp_path / "orders" / f"{day}.csv"
        header, *rows = file.read_text().splitlines()
        currency = "EUR" if day < DAYS[7] else "USD"
        file.write_text("\n".join([f"{header},currency", *(f"{row},{currency}" for row in rows)]) + "\n")
    config = config_of(tmp_path)
    history.run(config, DAYS[6])
    with pytest.raises(DataContractError, match=rf"EUR \(first on {DAYS[3]}\), USD \(first on {DAYS[7]}\)"):
        history.run(config, DAYS[7])
    assert sorted(open_store(config).state().published) == [DAYS[6]]
    assert shop.rows


@pytest.mark.parametrize(
    ("complete", "lacks"),
    [
        ({"marker": "done/{date}"}, "the marker"),
        ({"rows_after": "18:00"}, "no row at or after 18:00 yet (its latest is at 10:00:00)"),
        ({"share_of_weekday": 0.5}, "1 rows, less than 50% of the 4 that the same weekdays before had on average"),
    ],
)
def test_a_day_that_is_not_complete_is_not_published(tmp_path: Path, complete: dict[str, Any], lacks: str) -> None:
    shop = Shop(tmp_path)
    days = [FIRST + timedelta(days=offset) for offset in range(30)]
    for day in days:
        for number in range(4):
            shop.buy(day, f"u{number}", 5.0 + number)
    day = days[28]
    whole = shop.rows[day]
    shop.rows[day] = whole[:1]
    shop.write()
    config = shop_config(tmp_path, sources={"orders": {"path": "orders/*.csv", "complete": complete}})
    with pytest.raises(NotYetError) as error:
        history.run(config, day)
    assert str(error.value).startswith(f"{day} is not complete yet: orders: ")
    assert lacks in str(error.value)
    assert stages.waiting_for(config, day) in str(error.value)
    result = history.backfill(config, day, day)
    assert result["skipped"] == [str(day)]
    assert any("is not complete yet" in warning for warning in result["warnings"])
    assert open_store(config).state().published == {}
    shop.rows[day] = [*whole, f"evening,u1,{day} 18:00:00,1,5.0"]
    shop.write(day)
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / str(day)).touch()
    assert stages.waiting_for(config, day) == ""
    assert history.run(config, day)["outcome"] == "published"
    shop.rows[day] = whole[:1]  # a day that is published is asked no more
    shop.write(day)
    assert history.run(config, day)["outcome"] == "published"


def test_rows_of_another_day_than_the_files_name_says_do_not_count_and_are_told(tmp_path: Path) -> None:
    """Whether they count must not depend on which files were looked at: of days before and after, or of one alone."""
    shop_of(tmp_path)
    file = tmp_path / "events" / f"{DAYS[7]}.csv"
    file.write_text(file.read_text() + f"u1,{DAYS[6]} 23:00:00,view\nu2,{DAYS[6]} 23:00:00,view\n")
    config = config_of(tmp_path)
    warnings = history.backfill(config, DAYS[5], DAYS[8])["warnings"]
    said = f"2 rows in 1 files (the first is events/{DAYS[7]}.csv) are of another day than the file's name says"
    assert [warning for warning in warnings if warning.startswith(said)]
    one = config_of(tmp_path, "one")
    for day in DAYS[5:9]:
        history.run(one, day)
    assert open_store(one).state().digest() == open_store(config).state().digest()
    assert open_store(one).state().accepted[DAYS[6]].tables["events"].rows == 8
    [counts] = [row for row in read_models.files(open_store(one), DAYS[7]) if row["table"] == "events"]
    assert (counts["rows"], counts["of_accepted_days"], counts["waiting"], counts["elsewhere"]) == (10, 8, 0, 2)


def test_two_files_of_the_same_bytes_count_each_for_the_day_that_its_name_says(tmp_path: Path) -> None:
    shop_of(tmp_path)
    one, other = (tmp_path / "events" / f"{day}.csv" for day in DAYS[6:8])
    one.write_text(one.read_text() + f"u1,{DAYS[7]} 13:00:00,cart\n")
    other.write_text(one.read_text())
    config = config_of(tmp_path)
    history.backfill(config, DAYS[5], DAYS[8], workers=2)
    accepted = open_store(config).state().accepted
    assert [accepted[day].tables["events"].rows for day in DAYS[6:8]] == [8, 1]
    alone = config_of(tmp_path, "alone")
    for day in DAYS[5:9]:
        history.run(alone, day)
    assert open_store(alone).state().digest() == open_store(config).state().digest()


def test_excluded_users_whom_nobody_knows_are_told(tmp_path: Path) -> None:
    """Ids that are written otherwise than in the orders leave nobody out; the quality of the day must not hide that."""
    shop_of(tmp_path)
    config = config_of(tmp_path)

    def quality(day: date) -> dict[str, Any]:
        history.run(config, day)
        store = open_store(config)
        found = store.json(f"{store.state().published[day].folder}/quality.json")["tables"]["users"]
        return {"there": found["excluded_there"], "warned": [warning["expectation"] for warning in found["warnings"]]}

    assert quality(DAYS[5]) == {"there": 0, "warned": []}
    write_users(tmp_path, ("u1", "u2"))
    assert quality(DAYS[6]) == {"there": 2, "warned": []}
    rows = [f"{user.upper()},yes,{FIRST}" for user in USERS]
    (tmp_path / "users.csv").write_text("\n".join(["user_id,excluded,signed_up_at", *rows]) + "\n")
    assert quality(DAYS[7]) == {"there": 0, "warned": ["excluded"]}
