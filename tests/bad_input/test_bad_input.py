"""Whatever is wrong with the input: a clear message, nothing false published, nothing lost. One row per kind."""

import errno
import gzip
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from spoilt import DAY, HEADER, RUN, Case, Shop, healthy, nothing

from segmentation import history
from segmentation.contracts import acceptance
from segmentation.contracts.gate import Verdict
from segmentation.dates import ONE_DAY
from segmentation.sources import databases
from segmentation.store import store as stores
from segmentation.store.content import seal
from segmentation.store.log import key_of

Spoil = Callable[[Shop], None]
FILE = f"orders/{DAY}.csv"
NO_NUMBER = "amount is not a number below 10,000,000,000"
NO_TIME = "ordered_at is not a time (YYYY-MM-DD, with HH:MM, :SS and an offset if it has them)"
QUERY = "SELECT * FROM 'orders/*.csv'"
URL = "SEGMENTATION_CONNECTION_SHOP"


def line(user: str = "x", at: str = f"{DAY} 20:00:00", amount: object = "5.00", quantity: object = 1) -> str:
    return f"o-{user.strip()},{user},{at},{quantity},{amount}"


# What is done to the shop --------------------------------------------------------------------------------------------


def add(*lines: str) -> Spoil:
    """Lines after the eight healthy ones: rows from 9 on."""
    return lambda shop: shop.add(*lines)


def whole(*lines: str, header: str = HEADER) -> Spoil:
    """Another file of the day."""
    return lambda shop: shop.file(*lines, header=header)


def raw(content: str | bytes, name: str = FILE) -> Spoil:
    """Another file in the place of the day's."""

    def spoil(shop: Shop) -> None:
        (shop.root / FILE).unlink()
        shop.write(name, content)

    return spoil


def other_kind(content: str | bytes, name: str) -> Spoil:
    """Another file in the place of the day's, and all kinds of file are read."""
    return all_of(raw(content, name), put("sources.orders", path="orders/*"))


def put(section: str, **settings: Any) -> Spoil:
    return lambda shop: shop.set(section, **settings)


def source(table: str = "orders", **settings: Any) -> Spoil:
    return lambda shop: shop.source(table, **settings)


def all_of(*spoils: Spoil) -> Spoil:
    def spoil(shop: Shop) -> None:
        for each in spoils:
            each(shop)

    return spoil


def text(content: str) -> Spoil:
    """The configuration, as it is written."""
    return lambda shop: shop.patch.setattr(Shop, "configure", lambda self: self.write("segmentation.toml", content))


def environment(**variables: str) -> Spoil:
    def spoil(shop: Shop) -> None:
        for name, value in variables.items():
            shop.patch.setenv(name, value)

    return spoil


def fresh(shop: Shop) -> None:
    """No history yet."""
    shutil.rmtree(shop.root / "store")
    stores._opened.cache_clear()


def zone(name: str, day: str, *times: str) -> Spoil:
    """A shop in a time zone, with orders at these times of one day."""

    def spoil(shop: Shop) -> None:
        fresh(shop)
        shop.set("project", timezone=name, start=date.fromisoformat(day))
        for file in (shop.root / "orders").iterdir():
            file.unlink()
        shop.file(*(line(f"u{place}", f"{day} {at}") for place, at in enumerate(times)), name=f"orders/{day}.csv")

    return spoil


def table(name: str, header: str, *lines: str) -> Spoil:
    """Another table beside the orders, in a file of its own."""

    def spoil(shop: Shop) -> None:
        shop.source(name, path=f"{name}.csv")
        shop.file(*lines, header=header, name=f"{name}.csv")

    return spoil


def in_database(*statements: str, sql: str = "SELECT * FROM orders WHERE ordered_at::date = :date") -> Spoil:
    """The orders in a database, which `statements` are told to before."""

    def spoil(shop: Shop) -> None:
        assert shop.database
        shop.database.execute(
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
            "CREATE TABLE orders AS SELECT 'u' || n % 9 AS user_id, TIMESTAMP '2024-03-01' + n * INTERVAL '1 hour' AS "
            "ordered_at, n AS amount FROM generate_series(1, 119) n",
            *statements,
        )
        shop.patch.setenv(URL, shop.database.url)
        shop.source(sql=sql, connection="shop")

    return spoil


# What must be true ---------------------------------------------------------------------------------------------------


def mended(spoil: Spoil) -> Spoil:
    """Once the cause is mended, the same command succeeds."""

    def then(shop: Shop) -> None:
        spoil(shop)
        shop.configure()
        shop.run_well(*RUN)

    return then


def quality_says(*pieces: str) -> Spoil:
    """What `segmentation quality` shows of the day."""

    def then(shop: Shop) -> None:
        shown = shop.run_well("quality", "--date", str(DAY))
        for piece in pieces:
            assert piece in shown

    return then


def users_are(*names: str) -> Spoil:
    def then(shop: Shop) -> None:
        rows = shop.store().objects.table(shop.day().accepted)
        assert set(rows["user_id"].to_pylist()) == set(names)

    return then


def refused(name: str, spoil: Spoil, *says: str, code: int = 1, **more: Any) -> Case:
    return Case(name, spoil, says, code, **more)


def setting(name: str, spoil: Spoil, *says: str, **more: Any) -> Case:
    """A fault of the configuration or the command line."""
    return Case(name, spoil, says, 2, **more)


def parted(
    name: str,
    spoil: Spoil,
    accepted: int,
    quarantined: dict[int, str] | None = None,
    undated: dict[int, str] | None = None,
    says: tuple[str, ...] = (),
    **more: Any,
) -> Case:
    """The day is published; these rows of it are in quarantine."""
    return Case(name, spoil, says, 0, accepted, quarantined or {}, undated or {}, **more)


FILES = [
    refused(
        "missing file",
        source(path="shop.csv"),
        "there is no file 'shop.csv' in ",
        "check [sources.orders] path",
    ),
    refused(
        "a glob that matches nothing",
        source(path="sales/*.csv"),
        "no file matches 'sales/*.csv' in ",
        "check [sources.orders] path",
    ),
    refused("empty file", raw(b""), f"{FILE} is empty", "write one or remove the file"),
    refused("blank lines only", raw(b"\n\n\r\n"), f"{FILE} is empty"),
    refused(
        "empty day, refused",
        whole(),
        f"{DAY} has no rows in orders/*.csv",
        '[validation] empty_days = "allow"',
    ),
    refused(
        "truncated gzip",
        other_kind(gzip.compress("\n".join([HEADER, *healthy()]).encode())[:-20], f"orders/{DAY}.csv.gz"),
        f"orders/{DAY}.csv.gz cannot be read",
    ),
    refused(
        "not gzip at all", other_kind(b"abc", "orders/x.csv.gz"), "orders/x.csv.gz cannot be read: Not a gzipped file"
    ),
    refused("binary file", raw(bytes(range(256)) * 40), f"{FILE} is not utf-8 text", "encoding, or check the file"),
    refused("zeros", raw(bytes(4096)), f"{FILE} is not utf-8 text, it begins with binary data"),
    refused(
        "wrong encoding",
        raw(f"{HEADER}\n{line('Jürgen')}\n".encode("cp1252")),
        f"{FILE} is not utf-8 text; set [sources.orders.options] encoding",
        then=mended(put("sources.orders.options", encoding="cp1252")),
    ),
    refused("UTF-16", raw("\n".join([HEADER, *healthy()]).encode("utf-16")), f"{FILE} is not utf-8 text"),
    refused("not Parquet", other_kind(b"PAR1 or so", "orders/x.parquet"), "orders/x.parquet cannot be read"),
    refused("a kind of file that is not read", other_kind(b"PK", "orders/x.xlsx"), "orders/x.xlsx is neither CSV"),
    setting(
        "a path outside of what is allowed",
        all_of(
            lambda shop: shop.file(*healthy(), name="../outside/orders.csv"),
            put("project", data_folders=["orders"]),
            source(path="../outside/*.csv"),
        ),
        "outside/orders.csv is outside of [project] data_folders (orders)",
    ),
    setting(
        "a link to outside of what is allowed",
        all_of(
            lambda shop: shop.file(*healthy(), name="../outside/orders.csv"),
            lambda shop: (shop.root / "orders" / "link.csv").symlink_to(shop.root / "../outside/orders.csv"),
            put("project", data_folders=["orders"]),
        ),
        "link.csv is outside of [project] data_folders",
    ),
    parted(
        "the same file under two names",
        lambda shop: shop.file(*healthy(), name="orders/again.csv"),
        8,
        says=(f"orders/again.csv has the same bytes as {FILE} and counts once: is it a copy?",),
    ),
]

HEADERS = [
    refused(
        "wrong delimiter",
        all_of(fresh, put("sources.orders.options", delimiter="|")),
        "has no column 'user_id'",
        "its columns are: order_id,user_id",
    ),
    refused("header missing", raw("\n".join(healthy())), f"{FILE} has no column 'user_id'", "its columns are: o05a0"),
    refused(
        "a column missing",
        whole("o1,2024-03-05", header="order_id,ordered_at"),
        f"{FILE} has no column 'user_id' (did you mean 'order_id'?); its columns are: order_id, ordered_at",
        "Set [sources.orders.columns] user_id",
    ),
    refused(
        "a column renamed",
        whole(*healthy(), header=HEADER.replace("amount", "amount_eur")),
        f"{FILE} has no column 'amount' (did you mean 'amount_eur'?)",
    ),
    parted(
        "a column renamed that is not mapped",
        whole(*healthy(), header=HEADER.replace("quantity", "pieces")),
        8,
        says=(f"{FILE} has no column for quantity, which other rows of orders have", "[sources.orders.columns]"),
    ),
    refused(
        "a column doubled",
        whole(*healthy(), header=HEADER.replace("quantity", "amount")),
        f"{FILE} has 2 columns 'amount'",
        "a name of its own",
    ),
]

ROWS = [
    parted("text in a number", add(line(amount="ten")), 8, {9: NO_NUMBER}, then=quality_says(NO_NUMBER)),
    parted("thousands separators", add(line(amount='"1,234.50"')), 8, {9: NO_NUMBER}),
    parted("decimal commas", add(line(amount='"12,50"')), 8, {9: NO_NUMBER}),
    parted(
        "decimal commas and thousands",
        all_of(
            put("sources.orders.options", decimal=","),
            whole(line("a", amount='"12,50"'), line("b", amount='"1.234,50"'), line("c", amount="7")),
        ),
        2,
        {2: NO_NUMBER},
    ),
    parted(
        "impossible dates",
        add(*(line(at=at) for at in ("2024-02-30", "2024-03-05 25:00:00", "05/03/2024", "0000-00-00", "45356"))),
        8,
        undated=dict.fromkeys(range(9, 14), NO_TIME),
        says=("5 rows belong to no day", NO_TIME),
    ),
    parted("a time missing", add(line(at="")), 8, undated={9: "ordered_at is missing"}),
    parted(
        "mixed time zones",
        add(line(at="2024-03-05T22:00:00+09:00"), line(at="2024-03-04T20:00:00-0800"), line(at="2024-03-05 10:00 CET")),
        10,
        undated={11: NO_TIME},
    ),
    parted(
        "null, empty and blank user ids",
        add(line(""), line("  "), line('""')),
        8,
        dict.fromkeys((9, 10, 11), "user_id is missing"),
    ),
    parted("padded user ids", whole(line(" a "), line("a"), line("\ta")), 3, then=users_are("a")),
    parted(
        "negative and zero amounts",
        add(line(amount="-5.00"), line(amount="0"), line(quantity="-1", amount="-3")),
        11,
        then=quality_says("returns", "amount 0"),
    ),
    parted(
        "infinities and NaN",
        add(*(line(amount=odd) for odd in ("inf", "-Infinity", "NaN", "nan", "1e999"))),
        8,
        dict.fromkeys(range(9, 14), NO_NUMBER),
    ),
    parted(
        "numbers beyond int64",
        add(*(line(amount=odd) for odd in ("9223372036854775808", "1" + "0" * 60, "-99999999999"))),
        8,
        dict.fromkeys((9, 10, 11), NO_NUMBER),
    ),
    parted(
        "duplicate key",
        all_of(put("sources.orders.options", unique=["order_id"]), add(healthy()[0], line("y"), line("y"))),
        9,
        dict.fromkeys((9, 11), "duplicate of an earlier row by order_id"),
    ),
    parted(
        "too few and too many columns",
        add("o9,x", line() + ",more"),
        8,
        undated={9: "malformed line: too few columns", 10: "malformed line: too many columns"},
        says=("2 rows belong to no day",),
    ),
    parted(
        "a quote that never closes",
        add('o9,"x,2024-03-05,1,1', line("y")),
        9,
        undated={9: "malformed line: broken quotes"},
    ),
    parted(
        "lines of 1 MB",
        add(line("x" * 1_000_000, amount="ten"), "y" * 1_000_000, line("z")),
        9,
        {9: NO_NUMBER},
        {10: "malformed line: too few columns"},
    ),
    parted("a user id of 1 MB", add(line("x" * 1_000_000)), 9),
    parted("NUL bytes", add(line("x\0y"), "\0" * 100, line("z")), 10, undated={10: "malformed line: too few columns"}),
    parted(
        "lines that are no JSON objects",
        other_kind(
            '{"user_id": "a", "ordered_at": "2024-03-05", "amount": 5, "quantity": 1, "order_id": 1}\n'
            '["a"]\n{"user_id": "b"\n{"user_id": ["b"], "ordered_at": "2024-03-05"}\n{"user_id": 1, "user_id": 2}\n',
            "orders/day.jsonl",
        ),
        1,
        undated={
            2: "malformed line: not a JSON object",
            3: "malformed line: not a JSON object",
            4: "malformed line: user_id is a list or an object, not a plain value",
            5: "malformed line: a key is there twice",
        },
    ),
    parted(
        "an order before sign-up",
        table("users", "user_id,signed_up_at", "a,2025-01-01", "b,2020-01-01"),
        8,
        then=quality_says("orders from before their users signed up"),
    ),
    parted(
        "an unknown event type",
        table(
            "events", "user_id,event_at,event_type", f"a,{DAY} 10:00,view", f"a,{DAY} 10:01,gaze", f"b,{DAY} 10:00,cart"
        ),
        3,
        table="events",
        gate=True,
        then=quality_says("events with an event_type that is not known"),
    ),
    refused(
        "mostly unknown event types",
        table("events", "user_id,event_at,event_type", f"a,{DAY} 10:00,pv", f"a,{DAY} 10:01,pv"),
        "too large a share of the events has an event_type that is not known",
        "name the types in event_types",
        gate=True,
    ),
    parted(
        "a rating of 11",
        table("reviews", "user_id,reviewed_at,rating", f"a,{DAY},11", f"b,{DAY},5", f"c,{DAY},0.9"),
        1,
        dict.fromkeys((1, 3), "rating is not on the scale (the option rating)"),
        table="reviews",
    ),
    refused(
        "most rows are bad",
        whole(line("a"), *(line(amount="?") for _ in range(19))),
        f"{DAY}: orders: too large a share of the rows is quarantined (quarantined share 0.95)",
        gate=True,
    ),
    refused(
        "mixed currencies in a day",
        whole(line("a") + ",EUR", line("b") + ",USD", header=HEADER + ",currency"),
        f"{DAY}: orders: the orders are in several currencies; convert them to one (currencies 2",
        gate=True,
    ),
]

TIMES = [
    parted(
        "local times that do not exist",
        zone("Europe/Berlin", "2024-03-31", "01:30", "02:30", "03:30"),
        2,
        undated={2: "ordered_at is a local time that the clocks skipped"},
        command=("run", "--date", "2024-03-31"),
        day=date(2024, 3, 31),
    ),
    parted(
        "local times that exist twice",
        zone("Europe/Berlin", "2024-10-27", "01:30", "02:30", "03:30"),
        3,
        command=("run", "--date", "2024-10-27"),
        day=date(2024, 10, 27),
        then=lambda shop: instants_are(shop, date(2024, 10, 27), [23, 0, 2]),
    ),
]


def instants_are(shop: Shop, day: date, hours: list[int]) -> None:
    rows = shop.store().objects.table(shop.day(day).accepted)
    assert [at.hour for at in rows.sort_by("user_id")["ordered_at"].to_pylist()] == hours


# Days ----------------------------------------------------------------------------------------------------------------


def emptied(shop: Shop) -> None:
    """The day was run with its rows, then its file has none."""
    shop.configure()
    shop.run_well(*RUN)
    shop.file()


def same_without(*columns: str) -> Spoil:
    """The day was run with all its columns, then its file lacks some."""

    def spoil(shop: Shop) -> None:
        shop.configure()
        shop.run_well(*RUN)
        names = HEADER.split(",")
        keep = [place for place, name in enumerate(names) if name not in columns]
        rows = [[text.split(",")[place] for place in keep] for text in healthy()]
        shop.file(*(",".join(row) for row in rows), header=",".join(names[place] for place in keep))

    return spoil


def only(*lines: str, **settings: Any) -> Spoil:
    """A shop without a history that has had no more than these lines, all on DAY."""

    def spoil(shop: Shop) -> None:
        fresh(shop)
        for file in (shop.root / "orders").iterdir():
            file.unlink()
        shop.set("project", start=DAY)
        shop.set("clustering", **settings)
        shop.file(*lines)

    return spoil


def segments_are(users: int, at_most: int) -> Spoil:
    def then(shop: Shop) -> None:
        summary = shop.store().state().published[DAY].summary
        assert (summary["users"], 1 <= summary["segments"] <= at_most) == (users, True)

    return then


def weeks(shop: Shop) -> None:
    """Files of three weeks before, so that there are weekdays to compare with."""
    for offset in range(1, 22):
        day = DAY - timedelta(days=offset)
        shop.file(*healthy(day), day=day)


def spike(shop: Shop) -> None:
    fresh(shop)
    shop.set("project", start=DAY - ONE_DAY)  # few days: they are checked four times
    shop.set("features", window_days=2)
    shop.file(*(text for _ in range(100) for text in healthy()))


def euros_then_dollars(shop: Shop) -> None:
    for day, currency in ((DAY - ONE_DAY, "EUR"), (DAY, "USD")):
        shop.file(*(f"{text},{currency}" for text in healthy(day)), day=day, header=HEADER + ",currency")


def same_verdict(shop: Shop) -> None:
    """Forwards, backwards and side by side: the same digest, and the same warnings of the same days."""
    # Of processes each would import Great Expectations; the days come from two parts and in any order all the same.
    shop.patch.setattr(history, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    shop.patch.setattr(history, "BATCH_DAYS", 1)
    verdicts = set()
    for more in ((), ("--order", "backward"), ("--workers", "2")):
        fresh(shop)
        shop.run_well("backfill", "--from", str(DAY - ONE_DAY), "--to", str(DAY), *more)
        state = shop.store().state()
        warnings = [(day, str(value.tables["orders"].quality["warnings"])) for day, value in state.accepted.items()]
        verdicts.add((state.digest(), *sorted(warnings)))
    assert len(verdicts) == 1
    assert "unusually few or many rows" in str(verdicts)
    assert "100.0" in str(verdicts)


DAYS = [
    parted("empty day, allowed", all_of(put("validation", empty_days="allow"), whole()), 0),
    parted("an empty day after a full one", emptied, 8, says=(f"{DAY} kept its earlier rows", "no rows")[:1]),
    parted(
        "a column lost from a day",
        same_without("quantity"),
        8,
        says=(f"{DAY} kept its earlier rows: the column quantity of orders is not in the source any more",),
    ),
    parted("one single user", only(line("a"), line("a")), 2, then=segments_are(1, 1)),
    parted("all users identical", only(*map(line, "abcdefgh")), 8, then=segments_are(8, 1)),
    parted(
        "one feature constant",
        only(*(line(user, amount=n) for n, user in enumerate("abcdefgh", 1))),
        8,
        then=segments_are(8, 2),
    ),
    parted("more segments than users", only(line("a"), line("b", amount=50), segments=10), 2, then=segments_are(2, 2)),
    parted(
        "no user in the window",
        all_of(
            put("validation", empty_days="allow"),
            lambda shop: [file.unlink() for file in shop.root.glob("orders/*")] and shop.file(name="orders/none.csv"),
            put("project", start=date(2024, 3, 1)),
        ),
        0,
        command=("run", "--date", "2024-03-20"),
        day=date(2024, 3, 20),
    ),
    refused(
        "half-loaded day: no marker yet",
        put("sources.orders.complete", marker="done-{date}"),
        f"{DAY} is not complete yet: orders: there is no file ",
        f"done-{DAY} (the marker)",
        then=mended(lambda shop: shop.write(f"done-{DAY}", "")),
    ),
    refused(
        "half-loaded day: no late rows yet",
        put("sources.orders.complete", rows_after="22:00:00"),
        "orders: no row at or after 22:00 yet (its latest is at 16:00:00)",
        then=mended(lambda shop: shop.add(line(at=f"{DAY} 22:30"))),
    ),
    refused(
        "half-loaded day: too few rows",
        all_of(weeks, whole(line()), put("sources.orders.complete", share_of_weekday=0.5)),
        "orders: 1 rows, less than 50% of the 8 that the same weekdays before had",
    ),
    refused(
        "mixed currencies in a window",
        all_of(fresh, euros_then_dollars),
        "are in several currencies: EUR (first on 2024-03-04), USD (first on 2024-03-05); convert them to one",
        kept=True,
    ),
    parted("a spike of 100 times the rows", all_of(weeks, spike), 800, gate=True, then=same_verdict),
    setting(
        "a day before the first",
        nothing,
        "2024-02-01 is before [project] start = 2024-03-01",
        command=("run", "--date", "2024-02-01"),
    ),
    setting(
        "a day that is none",
        nothing,
        "'2024-02-30' is not a date; write it as YYYY-MM-DD",
        command=("run", "--date", "2024-02-30"),
    ),
    setting(
        "a day of another age",
        put("project", start=date(1, 1, 1)),
        "0001-01-01 is not of the years 1900 to 2999",
        command=("run", "--date", "0001-01-01"),
    ),
    setting(
        "days the wrong way round",
        nothing,
        "--to 2024-03-01 is before --from 2024-03-05",
        command=("backfill", "--from", "2024-03-05", "--to", "2024-03-01"),
    ),
]

SQL = [
    setting("SQL that cannot be read", source(sql="SELEC 1"), "[sources.orders] sql cannot be read", 'near "SELEC"'),
    setting(
        "SQL that fails",
        source(sql=f"SELECT 1 // 0 AS x, sqrt(-1), * FROM ({QUERY}) WHERE nope = 1"),
        "[sources.orders] sql failed",
        "nope",
    ),
    refused(
        "SQL that returns no such column",
        source(sql="SELECT order_id, ordered_at FROM 'orders/*.csv'"),
        "[sources.orders] sql has no column 'user_id' (did you mean 'order_id'?); its columns are: order_id, ordered_at",
    ),
    setting("SQL that reads no file", source(sql="SELECT 1 AS user_id"), "[sources.orders] sql reads no file"),
    refused(
        "SQL over files that are not there",
        source(sql="SELECT * FROM 'sales/*.csv'"),
        "no file matches 'sales/*.csv' in ",
        "check [sources.orders] sql",
    ),
    setting(
        "SQL that differs each time",
        source(sql=f"SELECT *, random() AS amount FROM ({QUERY})"),
        "sql uses random: it gives other rows each time",
    ),
]


def cut_off(shop: Shop) -> None:
    """The server ends the connection after the first rows."""
    in_database(
        "ALTER TABLE orders ADD category text",
        "INSERT INTO orders SELECT 'v' || n, '2024-03-05', n, repeat('x', 2000) FROM generate_series(1, 30000) n",
    )(shop)
    fetch = databases.fetch

    def cut(session: Any, schema: Any, batches: Any) -> str:
        def parts() -> Any:
            for number, batch in enumerate(batches):
                yield batch
                if number == 0:
                    assert shop.database
                    shop.database.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'"
                    )

        return fetch(session, schema, parts())

    shop.patch.setattr(databases, "fetch", cut)


def wrong_password(shop: Shop) -> None:
    in_database()(shop)
    assert shop.database
    rules = Path(shop.database.folder) / "pg_hba.conf"
    shop.database.execute(
        "DROP ROLE IF EXISTS clerk", "CREATE ROLE clerk LOGIN PASSWORD 'another'", "GRANT ALL ON SCHEMA public TO clerk"
    )
    rules.write_text("local all clerk scram-sha-256\n" + rules.read_text())
    shop.database.execute("SELECT pg_reload_conf()")
    shop.patch.setenv(URL, shop.database.url_of("clerk", "secr3t"))


DATABASES = [
    refused(
        "a database that goes away in the middle",
        cut_off,
        f"the database of {URL} went away",
        "tried again, or run it again",
        database=True,
    ),
    setting(
        "wrong password",
        wrong_password,
        f"refused the connection of {URL}",
        "check its user and password",
        database=True,
    ),
    setting(
        "SQL that a database refuses",
        in_database(sql="SELECT nope FROM orders WHERE ordered_at = :date"),
        "[sources.orders] sql failed",
        'column "nope" does not exist',
        database=True,
    ),
    refused(
        "a query that returns another day's rows",
        in_database(sql="SELECT * FROM orders WHERE ordered_at > :date"),
        "[sources.orders] sql, asked for 2024-0",
        "rows of other days",
        "check its condition on :date",
        database=True,
    ),
    refused(
        "a query that returns no such column",
        in_database(sql="SELECT amount FROM orders WHERE ordered_at = :date"),
        "[sources.orders] sql has no column 'user_id'; its columns are: amount",
        database=True,
    ),
    refused(
        "a database that does not answer",
        all_of(
            source(sql="SELECT :date", connection="shop"), environment(**{URL: "postgresql://me:secr3t@127.0.0.1:1/x"})
        ),
        f"the database of {URL} cannot be reached",
        "Connection refused",
    ),
    setting(
        "a database of another kind",
        all_of(source(sql="SELECT :date", connection="shop"), environment(**{URL: "mysql://me:secr3t@host/x"})),
        f"{URL} is a URL of mysql://; this version reads PostgreSQL",
    ),
    setting(
        "a connection that is not known",
        source(sql="SELECT :date", connection="shop"),
        "[sources.orders] connection = 'shop'",
        f"set the environment variable {URL}",
    ),
]

SETTINGS = [
    setting(
        "no configuration",
        lambda shop: shop.patch.setattr(Shop, "configure", nothing),
        "there is no configuration file",
        "name one with --config",
    ),
    setting("a configuration that is no TOML", text("[project\n"), "segmentation.toml is not valid TOML", "line 1"),
    setting(
        "a typo in a setting",
        put("validation", empty_day="allow"),
        "[validation] empty_day is not a known setting; did you mean 'empty_days'?",
    ),
    setting(
        "a typo in a source's setting",
        put("sources.orders.options", delimeter=";"),
        "[sources.orders.options] delimeter is not a known setting; did you mean 'delimiter'?",
    ),
    setting(
        "a typo in a column",
        put("sources.orders.columns", user="CustomerID"),
        "[sources.orders.columns] user is not a known setting; did you mean 'user_id'?",
    ),
    setting(
        "an unknown section", put("sorces.orders", path="x"), "[sorces] is not a known setting; did you mean 'sources'?"
    ),
    setting(
        "an unknown table",
        put("sources.order", path="x"),
        "[sources] order is not a known setting; did you mean 'orders'?",
    ),
    setting(
        "a setting of the wrong type",
        put("features", window_days="a year"),
        "[features] window_days = 'a year'",
        "valid integer",
    ),
    setting("a section that is a number", text("sources = 3"), "[sources] = 3"),
    setting(
        "a setting out of range",
        put("features", window_days=0),
        "[features] window_days = 0",
        "greater than or equal to 1",
    ),
    setting("too many segments", put("clustering", segments=51), "[clustering] segments = 51", "a number from 2 to 50"),
    setting(
        "settings that contradict each other",
        put("project", end=date(2024, 1, 1)),
        "end (2024-01-01) is before start (2024-03-01)",
    ),
    setting(
        "two places for one source",
        put("sources.orders", sql=QUERY),
        "[sources.orders] give exactly one of path, sql and sample",
    ),
    setting("no path at all", source(path=[]), "[sources.orders] path is empty: say where the rows are"),
    setting(
        "a ratio upside down",
        put("validation", volume_ratio=[5, 0.2]),
        "[validation] volume_ratio = [5, 0.2]: give the lower number first",
    ),
    setting(
        "a scale upside down",
        put("sources.orders.options", rating=[5, 1]),
        "rating = [5, 1]: give the lower number first",
    ),
    setting(
        "a delimiter of two characters",
        put("sources.orders.options", delimiter=";;"),
        "[sources.orders.options] delimiter = ';;': give one character",
    ),
    setting(
        "unknown time zone",
        put("project", timezone="Mars/Olympus"),
        "[project] timezone",
        "unknown time zone 'Mars/Olympus'; use a name such as 'UTC' or 'Europe/London'",
    ),
    setting(
        "unknown encoding",
        put("sources.orders.options", encoding="utf-9"),
        "[sources.orders.options] encoding = 'utf-9'",
        "no such encoding",
    ),
    setting("an encoding that is none of text", put("sources.orders.options", encoding="hex"), "encoding = 'hex"),
    setting("a time format that is none", put("sources.orders.options", time_format="%Q"), "time_format = '%Q'"),
    setting(
        "an unknown feature",
        all_of(fresh, put("clustering", features=["recencies"])),
        "recencies",
        "recency",
        kept=True,
    ),
    setting(
        "a feature whose columns are not there",
        all_of(fresh, put("clustering", features=["mean_rating"])),
        "mean_rating",
        "reviews.rating",
        kept=True,
    ),
    setting(
        "an expectation that is none",
        put("sources.orders", expectations=[{"type": "expect_column_values_to_be_betwen", "reason": "x"}]),
        "expect_column_values_to_be_betwen",
        "did you mean 'expect_column_values_to_be_between'?",
    ),
    setting(
        "an event type that is none",
        all_of(
            table("events", "user_id,event_at,event_type", f"a,{DAY},pv"),
            put("sources.events.options", event_types={"pv": "veiw"}),
        ),
        "pv = 'veiw'",
        "did you mean 'view'?",
    ),
    setting(
        "an own expectation about no column",
        put(
            "sources.orders",
            expectations=[
                {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "amont"}, "reason": "x"}
            ],
        ),
        "amont",
        "amount",
    ),
    setting(
        "a wrong setting in the environment",
        environment(SEGMENTATION__FEATURES__WINDOW_DAYS="long"),
        "[features] window_days = 'long'",
    ),
    setting(
        "a setting below a setting in the environment",
        environment(SEGMENTATION__FEATURES__WINDOW_DAYS__X="1"),
        "the environment's SEGMENTATION__FEATURES__WINDOW_DAYS__X: window_days is no section but a setting",
    ),
    setting(
        "a store that is elsewhere", put("store", url="s3://bucket"), "[store] url = 's3://bucket'", "write file:PATH"
    ),
    setting(
        "another time zone than the history's",
        put("project", timezone="Asia/Tokyo"),
        "[project] timezone = 'Asia/Tokyo': the history was cut into days in 'UTC'",
        "start a new store",
    ),
    setting(
        "other segments than the history's",
        put("clustering", segments=3),
        "[clustering] changed (segments from 2 to 3)",
        "restore the setting, or start a new store",
    ),
]


# The store -----------------------------------------------------------------------------------------------------------


def no_folder(shop: Shop) -> None:
    """Root may write everywhere: a file in the place of the folder."""
    fresh(shop)
    shop.write("store", "not a folder")


def full_disk(writes: int) -> Spoil:
    """The disk has room for so many writes more."""

    def spoil(shop: Shop) -> None:
        import obstore

        write, left = obstore.put, writes
        shop.full = True

        def put(store: Any, key: str, data: bytes, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if shop.full and left < 0:
                raise OSError(errno.ENOSPC, "No space left on device", key)
            return write(store, key, data, **more)

        shop.patch.setattr(obstore, "put", put)

    return spoil


def room_again(shop: Shop) -> None:
    shop.full = False
    shop.run_well(*RUN)
    same_as_undisturbed(shop)


def same_as_undisturbed(shop: Shop) -> None:
    """The history is that of a shop to which nothing happened."""
    digest = shop.store().state().digest()
    fresh(shop)
    shop.run_well("backfill", "--from", "2024-03-01", "--to", str(DAY))
    assert shop.store().state().digest() == digest


def newer(shop: Shop) -> None:
    store = shop.store()
    state = store.state()
    record = {
        "number": state.number + 1,
        "previous": state.head,
        "kind": "merge",
        "at": state.at,
        "by": "",
        "version": "99",
    }
    shop.newest = key_of(state.number + 1)
    store.objects.put(shop.newest, seal(record))


def interrupted(shop: Shop) -> None:
    publish = history.stages.publish

    def interrupt(*_: object) -> None:
        shop.patch.setattr(history.stages, "publish", publish)
        raise KeyboardInterrupt

    shop.patch.setattr(history.stages, "publish", interrupt)


def of_another(shop: Shop) -> None:
    """A second shop's configuration beside the first one's, and both leave [store] url as it is."""
    shop.file(line("z"), name="second/orders.csv")
    shop.source(path="second/*.csv")
    shop.configure()
    (shop.root / "segmentation.toml").rename(shop.root / "second.toml")


def damaged(shop: Shop) -> None:
    store = shop.store()
    folder = store.state().published[date(2024, 3, 4)].folder
    (shop.root / "store" / folder / "memberships.parquet").write_bytes(b"PAR1")


STORES = [
    setting(
        "two configurations on one store",
        of_another,
        "[store] url = 'file:store': the store is of the project 'segmentation', and this is 'second'",
        "Give this one a store of its own",
        "[project] name = 'segmentation'",
        config="second.toml",
    ),
    refused(
        "a damaged store",
        damaged,
        "a file of the store is damaged",
        "run `segmentation verify`",
        history=False,
        command=("user", "a"),
    ),
    refused("a store that cannot be written to", no_folder, "the store's folder", "cannot be made or opened"),
    *(
        refused(
            f"a full disk after {writes} writes",
            full_disk(writes),
            "cannot write",
            "No space left on device",
            then=room_again,
            kept=True,
        )
        for writes in (0, 4, 9)
    ),
    refused("a store of a newer version", newer, "is of kind 'merge': the store is of a newer version", history=False),
    refused(
        "an interrupted run",
        interrupted,
        "interrupted: what is published and accepted is kept",
        code=130,
        then=lambda shop: (shop.run_well(*RUN), same_as_undisturbed(shop))[0],
        kept=True,
    ),
    refused(
        "no history to look at", fresh, "there is no history yet", "segmentation run --date DATE", command=("segments",)
    ),
    refused("a day that is not published", nothing, "2024-03-05", command=("segments", "--date", str(DAY))),
    setting(
        "a report into no folder",
        nothing,
        "there is no folder nowhere; make it first",
        command=("report", "--out", "nowhere/report.html"),
    ),
]

CASES = [*FILES, *HEADERS, *ROWS, *TIMES, *DAYS, *SQL, *DATABASES, *SETTINGS, *STORES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case: Case, shop: Shop, request: pytest.FixtureRequest) -> None:
    digest = shop.store().state().digest()
    if case.database:
        shop.database = request.getfixturevalue("server")
    if not case.gate:
        shop.patch.setattr(acceptance, "gate", lambda *_: Verdict((), ()))
    case.spoil(shop)
    case.check(shop, digest)


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 45
