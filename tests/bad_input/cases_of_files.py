"""Files, queries and databases that are not what they should be."""

import gzip
from pathlib import Path
from typing import Any

from spoils import (
    FILE,
    QUERY,
    URL,
    all_of,
    environment,
    fresh,
    in_database,
    line,
    mended,
    other_kind,
    parted,
    put,
    raw,
    refused,
    setting,
    source,
    whole,
)
from spoilt import DAY, HEADER, Shop, healthy

from segmentation.sources import databases

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
        other_kind(gzip.compress("\n".join([HEADER, *healthy()]).encode(), mtime=0)[:-20], f"orders/{DAY}.csv.gz"),
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
        f"{FILE} has no column 'user_id' (did you mean 'order_id'?), nor 'amount'; its columns are: order_id, ordered_at",
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
        "[sources.orders] sql has no column 'user_id' (did you mean 'order_id'?), nor 'amount'; its columns are: order_id",
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
        "[sources.orders] sql has no column 'user_id', nor 'ordered_at'; its columns are: amount",
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
