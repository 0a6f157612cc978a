"""What is done to the healthy shop, and what must be true afterwards: the words that the cases are written in."""

import shutil
from collections.abc import Callable
from datetime import date
from typing import Any

from spoilt import DAY, HEADER, RUN, Case, Shop

from segmentation.store import store as stores

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
