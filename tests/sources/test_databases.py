"""A day's rows of a real PostgreSQL server: exact, whole, in our own order; and what is said when it does not answer."""

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from postgres import Database

from segmentation.config import Config, connection_variable
from segmentation.errors import ConfigError, DataContractError, SegmentationError, SourceError
from segmentation.sources import databases, slices
from segmentation.sources.slices import FileIndex, read_day
from segmentation.store.objects import Objects

# ruff: noqa: DTZ001  (naive times are what the tests are about)

DAY = date(2026, 7, 1)
SQL = "SELECT * FROM orders WHERE ordered_at::date = :date"


def index(
    objects: Objects, *days: date, sql: str = SQL, zone: str = "UTC", table: str = "orders", **source: Any
) -> tuple[FileIndex, ...]:
    sources: dict[str, Any] = {table: {"sql": sql, "connection": "shop", **source}}
    if table not in ("orders", "events"):
        sources["orders"] = {"path": "*.csv"}
    config = Config(root=objects.root, project={"timezone": zone}, sources=sources)
    return slices.index(objects, config, table, config.recipe(), days=days or (DAY,))


def rows(objects: Objects, files: tuple[FileIndex, ...], day: date = DAY) -> list[dict[str, Any]]:
    found = read_day(objects, files, day)
    return list(found.select([name for name in found.column_names if name not in ("file", "ordered_at")]).to_pylist())


def make_orders(database: Database, *values: str, columns: str = "user_id text, ordered_at timestamp") -> None:
    database.execute(f"CREATE TABLE orders ({columns})")
    if values:
        database.execute(f"INSERT INTO orders VALUES {', '.join(values)}")


# Values


def test_values_are_the_servers_own_text(database: Database, objects: Objects) -> None:
    make_orders(
        database,
        "(17850, 9007199254740993.10, 'NaN', 0.1, '6f1c9a1e-0000-4000-8000-000000000001', '2026-07-01 10:00:00.123456', 'é')",
        "(17851, -0.00, 17850, NULL, NULL, '2026-07-01', '')",
        columns="user_id bigint, amount numeric, quantity float8, discount real, order_id uuid, ordered_at timestamp, "
        "category varchar",
    )
    found = rows(objects, index(objects))
    assert found == [
        {
            "row": 1,
            "at": datetime(2026, 7, 1, 10, 0, 0, 123456, tzinfo=UTC),
            "user_id": "17850",
            "order_id": "6f1c9a1e-0000-4000-8000-000000000001",
            "category": "é",
            "quantity": None,
            "amount": "9007199254740993.10",
            "discount": "0.1",
        },
        {
            "row": 2,
            "at": datetime(2026, 7, 1, tzinfo=UTC),
            "user_id": "17851",
            "order_id": None,
            "category": "",
            "quantity": "17850",
            "amount": "0.00",
            "discount": None,
        },
    ]


@pytest.mark.parametrize(
    ("kind", "value", "zone", "at"),
    [
        ("timestamp", "'2026-07-01 00:30'", "Europe/London", datetime(2026, 6, 30, 23, 30)),
        ("timestamptz", "'2026-07-01 01:30+02'", "Europe/London", datetime(2026, 6, 30, 23, 30)),
        ("timestamptz", "'2026-07-01 00:30+05:45'", "Asia/Kathmandu", datetime(2026, 6, 30, 18, 45)),
        ("date", "'2026-07-01'", "Europe/London", datetime(2026, 6, 30, 23)),
        ("text", "'2026-07-01T01:00+01:00'", "Europe/London", datetime(2026, 7, 1)),
    ],
)
def test_a_day_is_the_projects_whatever_type_a_time_has(
    database: Database, objects: Objects, kind: str, value: str, zone: str, at: datetime
) -> None:
    make_orders(database, f"('u', {value})", columns=f"user_id text, ordered_at {kind}")
    cast = "::timestamptz" if kind == "text" else ""
    sql = f"SELECT * FROM orders WHERE (ordered_at{cast})::date = :date"
    files = index(objects, sql=sql, zone=zone, options={"time_format": None if kind == "text" else "%d/%m/%Y"})
    assert [row["at"] for row in rows(objects, files)] == [at.replace(tzinfo=UTC)]


def test_times_may_be_numbers(database: Database, objects: Objects) -> None:
    make_orders(database, "('u', 1782900000500)", columns="user_id text, ordered_at bigint")
    sql = "SELECT * FROM orders WHERE to_timestamp(ordered_at / 1000)::date = :date"
    (row,) = rows(objects, index(objects, sql=sql, options={"time_unit": "ms"}))
    assert row["at"] == datetime(2026, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC)


def test_infinite_times_and_missing_ones_are_undated(database: Database, objects: Objects) -> None:
    make_orders(database, "('u', 'infinity')", "('v', NULL)", "('w', '2026-07-01')")
    (file,) = index(objects, sql="SELECT * FROM orders WHERE :date IS NOT NULL")
    assert (file.rows, file.undated, file.days) == (3, 2, {DAY: (0, 1)})


def test_undated_rows_are_counted_anew_however_many_there_are(database: Database, objects: Objects) -> None:
    database.execute(
        "CREATE TABLE orders AS SELECT 'u' AS user_id, NULL::timestamp AS ordered_at FROM generate_series(1, 1500)"
    )
    counts = []
    for _ in range(2):
        counts.append(index(objects, sql="SELECT * FROM orders WHERE :date IS NOT NULL")[0].undated)
        database.execute("INSERT INTO orders VALUES ('u', NULL)")
    assert counts == [1500, 1501]


def test_the_order_of_the_server_does_not_show(database: Database, objects: Objects) -> None:
    make_orders(database, *(f"('u{n % 7}', '2026-07-01 10:00', {n})" for n in range(500)),
                columns="user_id text, ordered_at timestamp, amount int")  # fmt: skip
    keys = {index(objects, sql=f"{SQL} ORDER BY amount {way}")[0].raw for way in ("ASC", "DESC")}
    assert len(keys) == 1


def test_many_rows_are_read_whole(database: Database, objects: Objects) -> None:
    database.execute(
        "CREATE TABLE orders AS SELECT 'u' || n % 1000 AS user_id, TIMESTAMP '2026-07-01' AS ordered_at, n AS amount "
        "FROM generate_series(1, 200000) n"
    )
    (file,) = index(objects)
    assert file.rows == 200_000
    assert sum(int(text) for text in read_day(objects, [file], DAY)["amount"].to_pylist()) == 200_000 * 200_001 // 2


def test_names_are_told_apart_by_case_and_mapped(database: Database, objects: Objects) -> None:
    make_orders(database, "('x', 'u', '2026-07-01')", columns='"User" text, "user" text, "At" timestamp')
    sql = 'SELECT * FROM orders WHERE "At"::date = :date'
    (row,) = rows(objects, index(objects, sql=sql, columns={"user_id": "user", "ordered_at": "At"}))
    assert row["user_id"] == "u"


def test_a_column_without_a_text_is_named(database: Database, objects: Objects) -> None:
    make_orders(database, columns="user_id text, ordered_at timestamp, item_id int[]")
    with pytest.raises(DataContractError, match="column for item_id holds _int4"):
        index(objects)


# Days


def test_each_day_is_a_file_of_its_own(database: Database, objects: Objects) -> None:
    make_orders(database, "('a', '2026-07-01')", "('b', '2026-07-02')", "('c', '2026-07-02')")
    days = [date(2026, 7, day) for day in (1, 2, 3, 4)]
    files = index(objects, *days)
    assert [file.days for file in files] == [{days[0]: (0, 1)}, {days[1]: (0, 2)}, {}, {}]
    assert len({file.key for file in files}) == 4
    assert [file.copies for file in files] == [()] * 4


def test_rows_of_another_day_are_refused(database: Database, objects: Objects) -> None:
    make_orders(database, "('a', '2026-07-01')", "('b', '2026-07-03')", "('c', '2026-07-04')")
    with pytest.raises(DataContractError, match=r"asked for 2026-07-01, gave 2 rows of other days .*2026-07-03"):
        index(objects, sql="SELECT * FROM orders WHERE ordered_at >= :date")


def test_users_are_of_no_day(database: Database, objects: Objects) -> None:
    database.execute("CREATE TABLE users AS SELECT 'u' AS user_id, DATE '2020-05-05' AS signed_up_at, true AS excluded")
    (file,) = index(objects, sql="SELECT * FROM users WHERE signed_up_at <= :date", table="users")
    assert list(file.days) == [date(1970, 1, 1)]
    (row,) = rows(objects, (file,), date(1970, 1, 1))
    assert (row["user_id"], row["signed_up_at"], row["excluded"]) == ("u", "2020-05-05", "true")


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("x = :date", "x = DATE '2026-07-01'"),
        ("x::date = :date", "x::date = DATE '2026-07-01'"),
        ("x = :date::timestamp AND ':date' <> \":date\"", "x = DATE '2026-07-01'::timestamp AND ':date' <> \":date\""),
        ("E'\\':date' = 'it''s :date' || :date", "E'\\':date' = 'it''s :date' || DATE '2026-07-01'"),
        ("$$ :date $$ $a$ :date $a$ :date", "$$ :date $$ $a$ :date $a$ DATE '2026-07-01'"),
        ("x -- :date\n/* :date */ = :date", "x -- :date\n/* :date */ = DATE '2026-07-01'"),
        ("x BETWEEN :date AND :date + 1; ", "x BETWEEN DATE '2026-07-01' AND DATE '2026-07-01' + 1"),
        ("x = :dates OR x = :date", "x = :dates OR x = DATE '2026-07-01'"),
    ],
)
def test_the_day_is_put_where_it_is_asked_for_and_nowhere_else(sql: str, says: str) -> None:
    assert databases._with_day(sql, "orders", DAY) == says


def test_a_query_that_has_the_day_in_quotes_only_is_refused(database: Database, objects: Objects) -> None:
    with pytest.raises(ConfigError, match=r"\[sources\.orders\] sql is asked for one day's rows"):
        index(objects, sql="SELECT ':date'")


# What goes wrong


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELEC :date", "syntax error"),
        ("SELECT nope FROM orders WHERE :date = :date", 'column "nope" does not exist'),
        ("SELECT * FROM nowhere WHERE d = :date", 'relation "nowhere" does not exist'),
        ("SELECT user_id::int AS user_id, ordered_at FROM orders WHERE :date = :date", 'type integer: "u"'),
        ("SELECT * FROM orders WHERE :date = :date; DROP TABLE orders", "syntax error"),
        ("SELECT nextval('s')::text AS user_id, :date AS ordered_at", "read-only transaction"),
    ],
)
def test_a_query_that_fails_is_a_fault_of_the_configuration(
    database: Database, objects: Objects, sql: str, says: str
) -> None:
    make_orders(database, "('u', '2026-07-01')")
    database.execute("CREATE SEQUENCE s")
    with pytest.raises(ConfigError) as error:
        index(objects, sql=sql)
    assert str(error.value).startswith("[sources.orders] sql failed: ")
    assert says in str(error.value)
    assert objects.keys("") == []


def test_a_time_zone_that_the_database_does_not_know_is_named(database: Database, objects: Objects) -> None:
    config = Config(root=objects.root, sources={"orders": {"sql": SQL, "connection": "shop"}})
    recipe = config.recipe().model_copy(update={"timezone": "Mars/Olympus"})
    with pytest.raises(ConfigError, match="'Mars/Olympus'"):
        slices.index(objects, config, "orders", recipe, days=[DAY])


def test_a_column_that_the_query_lacks_is_named(database: Database, objects: Objects) -> None:
    make_orders(database, columns="customer text, ordered_at timestamp")
    with pytest.raises(
        DataContractError, match=r"\[sources\.orders\] sql has no column 'user_id'.*customer, ordered_at"
    ):
        index(objects)


def refusal(monkeypatch: pytest.MonkeyPatch, objects: Objects, url: str) -> SegmentationError:
    monkeypatch.setenv("SEGMENTATION_CONNECTION_SHOP", url)
    with pytest.raises(SegmentationError) as error:
        index(objects)
    for secret in ("secr3t", "geheim", "somebody"):
        assert secret not in str(error.value)
    assert error.value.__cause__ is None
    assert "SEGMENTATION_CONNECTION_SHOP" in str(error.value)
    return error.value


def test_a_wrong_password_is_not_told(database: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = Path(database.folder) / "pg_hba.conf"
    before = rules.read_text()
    database.execute("CREATE ROLE somebody LOGIN PASSWORD 'geheim'", "GRANT ALL ON SCHEMA public TO somebody")
    try:
        rules.write_text("local all somebody scram-sha-256\n" + before)
        database.execute("SELECT pg_reload_conf()")
        error = refusal(monkeypatch, objects, database.url_of("somebody", "secr3t"))
        assert isinstance(error, ConfigError)
        assert "password authentication failed" in str(error)
        make_orders(database, "('u', '2026-07-01')")
        database.execute("GRANT SELECT ON orders TO somebody")
        monkeypatch.setenv("SEGMENTATION_CONNECTION_SHOP", database.url_of("somebody", "geheim"))
        assert index(objects)[0].rows == 1
    finally:
        rules.write_text(before)
        database.execute("SELECT pg_reload_conf()", "DROP OWNED BY somebody", "DROP ROLE somebody")


@pytest.mark.parametrize(
    ("url", "kind", "says"),
    [
        ("postgresql://somebody:secr3t@127.0.0.1:1/x", SourceError, "Connection refused"),
        ("postgresql://somebody:secr3t@no-such-host.invalid/x", SourceError, "no-such-host.invalid"),
        ("postgresql://somebody:se secr3t@127.0.0.1/x", ConfigError, "not a URL that PostgreSQL understands"),
        ("postgresql://somebody:secr3t@127.0.0.1:port/x", ConfigError, "not a URL that PostgreSQL understands"),
        ("mysql://somebody:secr3t@127.0.0.1/x", ConfigError, "a URL of mysql://; this version reads PostgreSQL"),
        ("postgresql+psycopg2://somebody:secr3t@h/x", ConfigError, "a URL of postgresql+psycopg2://"),
        ("somebody:secr3t@127.0.0.1/x", ConfigError, "no URL; this version reads PostgreSQL: write postgresql://"),
    ],
)
def test_an_address_that_does_not_answer_is_told_without_its_user(
    objects: Objects, monkeypatch: pytest.MonkeyPatch, url: str, kind: type[Exception], says: str
) -> None:
    error = refusal(monkeypatch, objects, url)
    assert type(error) is kind
    assert says in str(error)


def test_a_role_or_database_that_is_not_there_is_a_fault_of_the_configuration(
    database: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refusal(monkeypatch, objects, database.url_of("somebody", "secr3t"))
    assert isinstance(error, ConfigError)
    assert "does not exist" in str(error)


def test_a_connection_that_is_not_set_says_which_variable_to_set(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGMENTATION_CONNECTION_SHOP", raising=False)
    with pytest.raises(ConfigError, match="SEGMENTATION_CONNECTION_SHOP to the database's URL"):
        index(objects)
    assert connection_variable("shop-db.1") == "SEGMENTATION_CONNECTION_SHOP_DB_1"


def test_a_database_that_goes_away_in_the_middle_can_be_asked_again(
    database: Database, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.execute(
        "CREATE TABLE orders AS SELECT 'u' || n AS user_id, TIMESTAMP '2026-07-01' AS ordered_at, repeat('x', 2000) AS "
        "category FROM generate_series(1, 100000) n"
    )
    fetch = databases.fetch

    def cut_off(session: Any, schema: Any, batches: Any) -> str:
        def parts() -> Any:
            for number, batch in enumerate(batches):
                yield batch
                if number == 0:
                    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'")

        return fetch(session, schema, parts())

    with monkeypatch.context() as patch:
        patch.setattr(databases, "fetch", cut_off)
        with pytest.raises(SourceError, match="SEGMENTATION_CONNECTION_SHOP went away"):
            index(objects)
    assert objects.keys("") == []
    assert index(objects)[0].rows == 100_000


def test_without_the_driver_it_is_said_what_to_install(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
    with pytest.raises(ConfigError, match=r"install segmentation\[postgres\]"):
        index(objects)
