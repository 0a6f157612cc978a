"""Cells and window sums: what a purchase, a return and an order are, by hand and against plain loops on random rows."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from real_shops import write_cells

from segmentation.config import Features
from segmentation.contracts.acceptance import with_cells
from segmentation.errors import ConfigError, StoreError
from segmentation.features.cells import PARTS, cells
from segmentation.features.engine import connect, day_number
from segmentation.features.orders import MEASURES
from segmentation.features.windows import SCHEMA as SUMS
from segmentation.features.windows import window_sums
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable
from segmentation.tables import ORDERS

TYPES = {
    "user_id": pa.string(),
    "ordered_at": pa.timestamp("us", "UTC"),
    "order_id": pa.string(),
    "item_id": pa.string(),
    "category": pa.string(),
    "quantity": pa.int64(),
    "amount": pa.int64(),
    "discount": pa.int64(),
}
DAY = date(2024, 2, 29)


def write(path, rows, columns=tuple(TYPES)):
    """rows: dicts; the file has these canonical columns."""
    schema = pa.schema([(name, TYPES[name]) for name in columns])
    table = pa.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows], schema)
    pq.write_table(table, path, row_group_size=5)
    return str(path)


def row(user, hour, order=None, quantity=None, amount=None, **others):
    at = datetime(2024, 2, 29, hour, tzinfo=UTC)
    return {"user_id": user, "ordered_at": at, "order_id": order, "quantity": quantity, "amount": amount, **others}


def cell(user, **measures):
    return {"user_id": user, "day": day_number(DAY), **dict.fromkeys(MEASURES, 0), **measures}


def made(tmp_path, rows, columns=tuple(TYPES)):
    return cells(ORDERS, [(DAY, write(tmp_path / "day.parquet", rows, columns))])[DAY].to_pylist()


def test_one_day_by_hand(tmp_path):
    rows = [
        row("b", 9, "o1", 20_000, 50_000, category="tea", discount=5_000),
        row("b", 9, "o1", 10_000, 30_000, category="tea", discount=0),
        row("b", 9, "o1", 10_000, 20_000, category="cups"),
        row("b", 9, "o1", 0, 7_000, category="fees"),  # neither purchase nor return: its money counts
        row("b", 12, "o2", -10_000, -25_000, category="pots", discount=1_000),  # a return makes no order
        row("b", 15, "o3", 10_000, 0),  # a gift is a purchase; its category is not known
        row("a", 15, "o3", 10_000, -40_000),  # of negative value: a return, of another user's o3
    ]
    assert made(tmp_path, rows) == [
        cell("a", lines=1, return_lines=1, quantity=10_000, amount=-40_000, returned_amount=40_000),
        cell(
            "b",
            lines=6,
            purchase_lines=4,
            return_lines=1,
            quantity=40_000,
            amount=82_000,
            returned_amount=25_000,
            discount=5_000,
            orders=2,
            order_categories=2,
        ),
    ]


def test_lines_without_an_order_id_are_one_order_per_time(tmp_path):
    rows = [row("a", 9, None, 1, 1), row("a", 9, None, 1, 1), row("a", 10, None, 1, 1), row("a", 9, "o1", 1, 1)]
    assert made(tmp_path, rows)[0]["orders"] == 3
    columns = ("user_id", "ordered_at", "amount")
    assert made(tmp_path, rows, columns)[0]["orders"] == 2


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("user_id", "ordered_at"), {"lines": 4, "purchase_lines": 4, "orders": 2}),
        (
            ("user_id", "ordered_at", "amount"),
            {
                "lines": 4,
                "purchase_lines": 1,
                "return_lines": 1,
                "amount": 30_000,
                "returned_amount": 20_000,
                "orders": 1,
            },
        ),
        (
            ("user_id", "ordered_at", "quantity"),
            {"lines": 4, "purchase_lines": 2, "return_lines": 1, "quantity": 10_000, "orders": 2},
        ),
    ],
)
def test_with_fewer_columns_a_purchase_is_told_by_those_that_are_there(tmp_path, columns, expected):
    rows = [
        row("a", 9, quantity=10_000, amount=50_000),
        row("a", 9, quantity=0, amount=0),
        row("a", 10, quantity=20_000, amount=0),
        row("a", 10, quantity=-20_000, amount=-20_000),
    ]
    assert made(tmp_path, rows, columns) == [cell("a", **expected)]


def test_an_order_over_midnight_belongs_to_both_days_and_a_day_without_rows_has_no_cells(tmp_path):
    paths = [
        (date(2024, 2, 29), write(tmp_path / "1.parquet", [row("a", 23, "o1", 1, 1)])),
        (date(2024, 3, 1), write(tmp_path / "2.parquet", [row("a", 0, "o1", 1, 1)])),
        (date(2024, 3, 2), write(tmp_path / "3.parquet", [])),
    ]
    made = cells(ORDERS, paths)
    assert [made[day].column("orders").to_pylist() for day, _ in paths] == [[1], [1], []]
    assert all(table.schema == PARTS[ORDERS].schema for table in made.values())


def test_days_with_different_columns_give_what_each_gives_alone(tmp_path):
    rows = [row("a", 9, "o1", 10_000, -5), row("b", 9, "o1", -10_000, 5, category="x"), row("b", 10, "o2", 0, 5)]
    sets = [
        tuple(TYPES),
        ("user_id", "ordered_at"),
        ("user_id", "ordered_at", "amount"),
        ("user_id", "ordered_at", "quantity"),
    ]
    paths = [
        (DAY + timedelta(days=n), write(tmp_path / f"{n}.parquet", rows, columns)) for n, columns in enumerate(sets)
    ]
    together = cells(ORDERS, paths)
    assert {day: table.to_pylist() for day, table in together.items()} == {
        day: cells(ORDERS, [(day, path)])[day].to_pylist() for day, path in paths
    }


@pytest.mark.parametrize("second", [("user_id", "ordered_at", "amount"), tuple(TYPES), ("user_id", "ordered_at")])
def test_kept_cells_are_those_of_each_day_whether_columns_are_the_same_or_not(tmp_path, second):
    days, alone = {}, {}
    for n, columns in enumerate([("user_id", "ordered_at", "amount"), second]):
        day, path = DAY + timedelta(days=n), write(tmp_path / f"{n}.parquet", [row("a", 9, "o1", 1, -5)], columns)
        table = AcceptedTable("", "", {}, 1, path, None, None, list(columns), {})
        days[day], alone[day] = AcceptedDay({ORDERS: table}, ""), cells(ORDERS, [(day, path)])[day]
    objects = Objects(tmp_path / "store")
    kept = {day: objects.table(accepted.tables[ORDERS].cells) for day, accepted in with_cells(objects, days).items()}
    assert kept == alone


def random_rows(draw, day):
    users = ["a", "b", "é", "A", "10", "9", "o'x", "z" * 40]
    for _ in range(draw.randrange(1, 25)):
        yield {
            "user_id": draw.choice(users),
            "ordered_at": datetime(day.year, day.month, day.day, draw.randrange(24), tzinfo=UTC),
            "order_id": draw.choice([None, "1", "2", "3"]),
            "category": draw.choice([None, "x", "y", "z"]),
            "quantity": draw.choice([None, -20_000, 0, 10_000, 10_000, 35_000]),
            "amount": draw.choice([None, -123_456, 0, 1, 99_999, 250_000]),
            "discount": draw.choice([None, 0, 777]),
        }


def expected_sums(rows_by_day, as_of, known_until, window_days, returns):
    """The window sums by plain loops over rows."""
    users = defaultdict(lambda: defaultdict(list))
    for day, rows in rows_by_day.items():
        if as_of - timedelta(days=window_days) < day <= min(as_of, known_until):
            for line in rows:
                users[line["user_id"]][day_number(day)].append(line)
    table = []
    for user, days in sorted(users.items(), key=lambda item: item[0].encode()):
        sums = dict.fromkeys(SUMS.names) | dict.fromkeys(PARTS[ORDERS].sums, 0)
        sums.update(user_id=user, first_active_day=min(days), last_active_day=max(days))
        sums.update(first_purchase_day=None, last_purchase_day=None, first_purchase_day_value=None)
        for day, lines in sorted(days.items()):
            orders = defaultdict(set)
            value = 0
            for line in lines:
                quantity, amount = line["quantity"] or 0, line["amount"] or 0
                back = quantity < 0 or amount < 0
                sums["lines"] += 1
                sums["quantity"] += quantity
                sums["amount"] += amount
                if not back or returns == "net":
                    value += amount
                if back:
                    sums["return_lines"] += 1
                    sums["returned_amount"] -= amount
                    continue
                sums["discount"] += line["discount"] or 0
                for name, span in (("sold_recent", 30), ("sold_longer", 90)):
                    sums[name] += amount if day > day_number(as_of) - span else 0
                if next((number for number in (line["quantity"], line["amount"]) if number is not None), 1) > 0:
                    sums["purchase_lines"] += 1
                    orders[line["order_id"] or line["ordered_at"]].add(line["category"])
            sums["value"] += value
            sums["orders"] += len(orders)
            sums["order_categories"] += sum(len(categories - {None}) for categories in orders.values())
            if orders:
                if not sums["purchase_days"]:
                    sums["first_purchase_day"], sums["first_purchase_day_value"] = day, value
                sums["last_purchase_day"] = day
                sums["purchase_days"] += 1
                sums["purchase_day_value"] += value
        table.append(sums)
    return table


@pytest.mark.parametrize("seed", range(10))
def test_window_sums_of_random_rows_equal_plain_loops(tmp_path, seed):
    draw = random.Random(seed)
    first = date(2023, 12, 1)
    rows = {}
    for offset in sorted(draw.sample(range(120), 14)):
        rows[first + timedelta(days=offset)] = list(random_rows(draw, first + timedelta(days=offset)))
    paths = write_cells(
        [(day, write(tmp_path / f"{day}.parquet", lines)) for day, lines in rows.items()], tmp_path / "c"
    )
    draw.shuffle(paths)
    for window_days in (1, 14, 45, 365):
        as_of = draw.choice([*rows, first + timedelta(days=125)])
        known_until = as_of - timedelta(days=draw.choice([-3, 0, 0, 1, 9, 60]))
        returns = draw.choice(["net", "exclude"])
        settings = Features(window_days=window_days, returns=returns)
        table = window_sums({ORDERS: paths}, as_of, known_until, settings)
        assert table.schema == SUMS
        assert table.to_pylist() == expected_sums(rows, as_of, known_until, window_days, returns)


def test_the_day_is_that_of_the_list_and_no_day_may_be_listed_twice(tmp_path):
    [(day, path)] = write_cells([(DAY, write(tmp_path / "d.parquet", [row("a", 9, "o", 1, 1)]))], tmp_path / "c")
    later = date(2024, 3, 9)
    sums = window_sums({ORDERS: [(later, path)]}, later, later, Features(window_days=1))
    assert sums["last_purchase_day"].to_pylist() == [day_number(later)]
    with pytest.raises(StoreError, match="named twice"):
        window_sums({ORDERS: [(day, path), (day, path)]}, day, day, Features())


def test_a_file_that_is_gone_or_damaged_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"gone\.parquet.*segmentation verify"):
        window_sums({ORDERS: [(DAY, str(tmp_path / "gone.parquet"))]}, DAY, DAY, Features())
    path = tmp_path / "half.parquet"
    write(path, [row("a", 9, "o", 1, 1)])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StoreError, match=r"half\.parquet"):
        cells(ORDERS, [(DAY, str(path))])


def test_a_path_is_never_a_pattern(tmp_path):
    folder = tmp_path / "it's [a] *?"
    folder.mkdir()
    for name in ("day [1].parquet", "day 1.parquet", "day [2].parquet"):
        write(folder / name, [row(name, 9, "o", 1, 1)])
    assert cells(ORDERS, [(DAY, str(folder / "day [1].parquet"))])[DAY]["user_id"].to_pylist() == ["day [1].parquet"]


def test_threads_come_from_the_environment_and_nonsense_is_refused(monkeypatch):
    monkeypatch.setenv("SEGMENTATION_THREADS", "3")
    with connect() as connection:
        assert connection.sql("SELECT current_setting('threads')").fetchall() == [(3,)]
    monkeypatch.setenv("SEGMENTATION_THREADS", "many")
    with pytest.raises(ConfigError, match="SEGMENTATION_THREADS = 'many'"):
        connect()
    with pytest.raises(ConfigError, match="lots"):
        connect(threads=1, memory="lots")
