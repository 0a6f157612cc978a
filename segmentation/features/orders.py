"""Purchases: from order lines to features.

A line is a *return* if its quantity or its amount is negative; a *purchase* if it is no return and its quantity is
positive (its amount, where it has no quantity; always, where it has neither). Lines of quantity 0 are neither: their money
counts, but they make no order. An order is an `order_id` of a user on a day, or, without one, the lines of one time; one
that goes on over midnight belongs to each day it touches.
"""

from datetime import date

import narwhals as nw
import numpy as np

from segmentation.config import Features
from segmentation.features.parts import (
    AFTER_EVERY_DAY,
    KEYS,
    LONGER_DAYS,
    RECENT_DAYS,
    UNITS,
    Feature,
    Frame,
    Part,
    Scale,
    Window,
    one,
    positive,
    span,
    totals,
    trend,
    within,
)
from segmentation.features.rows import Flags, Rows, Whole, numbered, sums

# Money and quantities are in 1/10,000. What the source has no input for is 0.
MEASURES = (
    "lines",  # order lines of any kind
    "purchase_lines",
    "return_lines",
    "quantity",  # net: returns taken off
    "amount",  # net: returns taken off
    "returned_amount",  # minus the sum of the return lines' amounts
    "discount",  # of the lines that are no returns
    "orders",  # orders that have a purchase line
    "order_categories",  # sum over those orders of the different categories among their purchase lines
)
# Days are days since 1970-01-01; null: none. A *purchase day* is a day with an order. `value` is the amount as
# `[features] returns` wants it: net of returns, or of the lines that are no returns.
SUMS = (
    *MEASURES,
    "first_purchase_day",
    "last_purchase_day",
    "purchase_days",
    "purchase_day_value",  # value of the purchase days
    "first_purchase_day_value",  # value of the first of them
    "value",
    "sold_recent",  # amount of the lines that are no returns, in the last RECENT_DAYS days ...
    "sold_longer",  # ... and in the last LONGER_DAYS days; no longer than the window
)

INPUTS = ("order_id", "category", "quantity", "amount", "discount")


def day_cells(rows: Rows, _: Scale) -> dict[str, Whole]:
    quantity, amount = rows.number("quantity"), rows.number("amount")
    returned, purchased = returns(rows), purchases(rows)
    user, order = orders(rows, purchased)
    categories = _categories(rows, purchased, order, len(user))
    return {
        "lines": np.bincount(rows.user, minlength=len(rows.ids)),
        "purchase_lines": rows.by_user(purchased),
        "return_lines": rows.by_user(returned),
        "quantity": rows.by_user(quantity),
        "amount": rows.by_user(amount),
        "returned_amount": rows.by_user(-amount * returned),
        "discount": rows.by_user(rows.number("discount") * ~returned),
        "orders": np.bincount(user, minlength=len(rows.ids)),
        "order_categories": sums(categories, user, len(rows.ids)),
    }


def returns(rows: Rows) -> Flags:
    """Which lines are returns."""
    return (rows.number("quantity") < 0) | (rows.number("amount") < 0)


def purchases(rows: Rows) -> Flags:
    """Which lines are purchases."""
    quantity, amount = rows.number("quantity"), rows.number("amount")
    some = np.where(rows.given("quantity"), quantity, np.where(rows.given("amount"), amount, 1))
    return ~returns(rows) & (some > 0)


def orders(rows: Rows, lines: Flags) -> tuple[Whole, Whole]:
    """The orders that have one of these lines: the user of each (a place in rows.ids, ascending), and of each such line
    its order."""
    name = rows.code("order_id")
    without = name < 0
    _, instant = numbered(rows.at[without])
    name[without] = name.max(initial=-1) + 1 + instant  # the lines of one time
    names = name.max(initial=0) + 1
    different, order = numbered((rows.user * names + name)[lines])
    return different // names, order


def _categories(rows: Rows, lines: Flags, order: Whole, orders: int) -> Whole:
    """How many categories these lines of each order have."""
    category = rows.code("category")[lines]
    categories = category.max(initial=0) + 1
    pairs = np.sort((order * categories + category)[category >= 0])
    different = pairs[np.diff(pairs, prepend=-1) > 0]
    return np.bincount(different // categories, minlength=orders)


def user_sums(cells: Frame, as_of: date, features: Features) -> Frame:
    day, bought = nw.col("day"), nw.col("orders") > 0
    sold = nw.col("amount") + nw.col("returned_amount")
    cells = cells.select(
        *KEYS,
        *MEASURES,
        value=nw.col("amount") if features.returns == "net" else sold,
        purchase_day=nw.when(bought).then(day),
        purchases_first=nw.when(bought).then(day).otherwise(nw.lit(AFTER_EVERY_DAY)),
        sold_recent=nw.when(within(day, as_of, RECENT_DAYS)).then(sold),
        sold_longer=nw.when(within(day, as_of, LONGER_DAYS)).then(sold),
    )
    cells = cells.with_columns(purchase_day_value=nw.when(bought).then(nw.col("value")))
    return cells.group_by("user_id").agg(
        *span(),
        *totals(*MEASURES, "purchase_day_value", "value", "sold_recent", "sold_longer"),
        nw.col("purchase_day").min().alias("first_purchase_day"),
        nw.col("purchase_day").max().alias("last_purchase_day"),
        nw.col("purchase_day").count().cast(nw.Int64).alias("purchase_days"),
        nw.col("purchase_day_value").first(order_by="purchases_first").alias("first_purchase_day_value"),
    )


def _has_purchase(w: Window) -> Whole:
    return positive(w["purchase_days"])


def _repeat_day_value(w: Window) -> tuple[Whole, Whole]:
    later = w["purchase_day_value"] - w["first_purchase_day_value"]
    return later, UNITS * np.maximum(w["purchase_days"] - 1, 1) * _has_purchase(w)


_WINDOW = "[features] window_days"
_USER_AND_DATE = frozenset({"orders.user_id", "orders.ordered_at"})
_AND_AMOUNT = _USER_AND_DATE | {"orders.amount"}

FEATURES = (
    Feature(
        "recency",
        "days",
        _WINDOW,
        "the date − the day of the last purchase",
        _USER_AND_DATE,
        lambda w: (w.as_of - w["last_purchase_day"], _has_purchase(w)),
    ),
    Feature(
        "frequency",
        "orders",
        _WINDOW,
        "number of orders that have a purchase line",
        _USER_AND_DATE,
        lambda w: (w["orders"], one(w, "lines")),
    ),
    Feature(
        "monetary",
        "currency",
        _WINDOW,
        "sum of the amounts; returns are taken off, or left out with [features] returns = exclude",
        _AND_AMOUNT,
        lambda w: (w["value"], UNITS * one(w, "lines")),
    ),
    Feature(
        "average_order_value",
        "currency per order",
        _WINDOW,
        "monetary / frequency",
        _AND_AMOUNT,
        lambda w: (w["value"], UNITS * w["orders"]),
    ),
    Feature(
        "order_gap",
        "days",
        _WINDOW,
        "mean days from one purchase day to the next = days_first_to_last / repeat_days",
        _USER_AND_DATE,
        lambda w: (w["last_purchase_day"] - w["first_purchase_day"], w["purchase_days"] - 1),
    ),
    Feature(
        "return_share",
        "share 0..1",
        _WINDOW,
        "amount returned / amount of the lines that are no returns, at most 1",
        _AND_AMOUNT,
        lambda w: (
            np.clip(w["returned_amount"], 0, np.maximum(w["amount"] + w["returned_amount"], 0)),
            w["amount"] + w["returned_amount"],
        ),
    ),
    Feature(
        "discount_share",
        "share 0..1",
        _WINDOW,
        "discount / (discount + amount), over the lines that are no returns",
        _AND_AMOUNT | {"orders.discount"},
        lambda w: (w["discount"], w["discount"] + w["amount"] + w["returned_amount"]),
    ),
    Feature(
        "category_spread",
        "categories per order",
        _WINDOW,
        "mean number of different categories among an order's purchase lines (a missing category is none)",
        _USER_AND_DATE | {"orders.category"},
        lambda w: (w["order_categories"], w["orders"]),
    ),
    Feature(
        "trend",
        "ratio, 1 = unchanged",
        f"last {RECENT_DAYS} and last {LONGER_DAYS} days, neither longer than {_WINDOW}",
        f"amount per day of the last {RECENT_DAYS} days / amount per day of the last {LONGER_DAYS}; returns left out",
        _AND_AMOUNT,
        lambda w: trend(w, "sold_recent", "sold_longer"),
    ),
    Feature(
        "active_days",
        "days",
        _WINDOW,
        "number of days with a purchase",
        _USER_AND_DATE,
        lambda w: (w["purchase_days"], one(w, "lines")),
    ),
    Feature(
        "repeat_days",
        "days",
        _WINDOW,
        "number of days with a purchase, without the first (`frequency` of the package lifetimes)",
        _USER_AND_DATE,
        lambda w: (w["purchase_days"] - 1, _has_purchase(w)),
    ),
    Feature(
        "days_first_to_last",
        "days",
        _WINDOW,
        "the day of the last purchase − the day of the first (`recency` of lifetimes)",
        _USER_AND_DATE,
        lambda w: (w["last_purchase_day"] - w["first_purchase_day"], _has_purchase(w)),
    ),
    Feature(
        "days_since_first",
        "days",
        _WINDOW,
        "the date − the day of the first purchase (`T` of lifetimes)",
        _USER_AND_DATE,
        lambda w: (w.as_of - w["first_purchase_day"], _has_purchase(w)),
    ),
    Feature(
        "mean_repeat_day_value",
        "currency per day",
        _WINDOW,
        "mean amount of the days with a purchase, without the first; 0 where there is no other "
        "(`monetary_value` of lifetimes)",
        _AND_AMOUNT,
        _repeat_day_value,
    ),
)
ORDERS = Part(INPUTS, MEASURES, SUMS, day_cells, user_sums, FEATURES)
