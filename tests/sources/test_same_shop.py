"""The same shop from CSV files, JSON lines and a database has the same history; a database is asked for each day once."""

import csv
import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres import Database
from shop import FIRST, Shop, random_shop

from segmentation import history
from segmentation.config import Config
from segmentation.sources import databases
from segmentation.store.store import open_store

DAYS = 8
LAST = FIRST + timedelta(days=DAYS - 1)
SQL = "SELECT * FROM orders WHERE ordered_at::date = :date"


def lines(shop: Shop) -> list[dict[str, Any]]:
    names = (shop.root / "orders" / "none.csv").read_text().strip().split(",")
    return [dict(zip(names, row, strict=True)) for rows in shop.rows.values() for row in csv.reader(rows)]


def fill(database: Database, shop: Shop) -> None:
    database.execute(
        "CREATE TABLE orders (order_id text, user_id text, ordered_at timestamp, quantity int, amount numeric(18, 2))"
    )
    for line in lines(shop):
        values = ", ".join(f"'{value}'" for value in line.values())
        database.execute(f"INSERT INTO orders VALUES ({values})")


def config(shop: Shop, store: str, **orders: Any) -> Config:
    return Config(
        root=shop.root,
        store={"url": f"file:{store}"},
        sources={"orders": {"options": {"lookback_days": 2}, **orders}},
        features={"window_days": 5},
        clustering={"segments": 2},
        validation={"empty_days": "allow"},
    )


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return random_shop(tmp_path, seed=5, days=DAYS, users=6)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[date]:
    """How often the database was asked for each day."""
    counted: Counter[date] = Counter()
    records = databases.records

    def counting(session: Any, file: Any, *rest: Any) -> Any:
        counted[file.day] += 1
        return records(session, file, *rest)

    monkeypatch.setattr(databases, "records", counting)
    return counted


def test_the_same_shop_from_everywhere_has_the_same_history(
    database: Database, shop: Shop, asked: Counter[date]
) -> None:
    fill(database, shop)
    for day in {line["ordered_at"][:10] for line in lines(shop)}:
        rows = [line for line in lines(shop) if line["ordered_at"].startswith(day)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (shop.root / f"{day}.jsonl").write_text(text)
    sources: dict[str, dict[str, Any]] = {
        "csv": {"path": "orders/*.csv"},
        "json": {"path": "{date}.jsonl"},
        "query": {"sql": "FROM read_csv('orders/*.csv', all_varchar = true)"},
        "database": {"sql": SQL, "connection": "shop"},
    }
    digests = {}
    for name, source in sources.items():
        project = config(shop, name, **source)
        done = history.backfill(project, FIRST, LAST, order="random")
        assert len(done["published"]) == DAYS
        digests[name] = open_store(project).state().digest()
    assert len(set(digests.values())) == 1, digests
    # Every day of the windows, and the days to compare with: once each.
    window = {FIRST + timedelta(days=offset) for offset in range(-4, DAYS)}
    assert window <= asked.keys()
    assert set(asked.values()) == {1}


def test_a_corrected_row_within_the_look_back_makes_its_day_stale(
    database: Database, shop: Shop, asked: Counter[date]
) -> None:
    fill(database, shop)
    project = config(shop, "database", sql=SQL, connection="shop")
    history.backfill(project, FIRST, LAST - timedelta(days=1))
    corrected = LAST - timedelta(days=2)
    database.execute(f"INSERT INTO orders VALUES ('late', 'u0', '{corrected} 12:00', 3, 999.99)")
    asked.clear()
    history.run(project, LAST)
    before = {LAST - timedelta(days=back, weeks=weeks) for back in range(3) for weeks in range(1, 5)}
    assert {LAST - timedelta(days=back) for back in range(3)} <= asked.keys() - before  # and those to compare with
    assert set(asked.values()) == {1}
    assert history.stale(project) == [LAST - timedelta(days=2), LAST - timedelta(days=1)]
    history.reconcile(project)
    assert history.stale(project) == []
    again = config(shop, "again", sql=SQL, connection="shop")
    history.backfill(again, FIRST, LAST)
    assert open_store(again).state().digest() == open_store(project).state().digest()


def test_users_of_a_database_are_asked_for_with_their_day(database: Database, shop: Shop) -> None:
    fill(database, shop)
    database.execute("CREATE TABLE users AS SELECT DISTINCT user_id, user_id = 'u1' AS excluded FROM orders")
    project = config(shop, "database", sql=SQL, connection="shop")
    users = {"sql": "SELECT * FROM users WHERE :date IS NOT NULL", "connection": "shop"}
    sources = project.sources.model_dump(exclude_none=True) | {"users": users}
    project = Config(root=shop.root, **(project.model_dump(exclude_none=True) | {"sources": sources}))
    done = history.backfill(project, FIRST, FIRST + timedelta(days=2))
    everyone = {line["user_id"] for line in lines(shop) if line["ordered_at"] < str(FIRST + timedelta(days=3))}
    assert done["published"][-1]["users"] == len(everyone - {"u1"})
