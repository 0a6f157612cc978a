"""What a table's way from accepted rows to features is made of, and the pieces that all of them are written with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa

from segmentation.config import Features
from segmentation.features.engine import day_number
from segmentation.features.rows import Rows, Whole

Frame = nw.LazyFrame[Any]
Scale = tuple[float, float]  # the lowest and the highest rating
FIVE_STARS: Scale = (1, 5)

KEYS = ("user_id", "day")
UNITS = 10_000  # money, quantities and ratings are whole numbers of 1/10,000
RECENT_DAYS = 30
LONGER_DAYS = 90
AFTER_EVERY_DAY = 10_000_000  # as days since 1970-01-01


@dataclass(frozen=True)
class Window:
    """What a feature is computed from: the window sums of all users, the date, and the days that a window has."""

    sums: Mapping[str, Whole]
    as_of: int
    days: int

    def __getitem__(self, name: str) -> Whole:
        return self.sums[name]


@dataclass(frozen=True)
class Feature:
    """One feature of a user as of a day.

    window, formula: in words, for people. needs: the canonical columns of the accepted rows, as "orders.amount", without
    which it does not exist. compute: the window → numerator and denominator, whole numbers; where the denominator is not
    positive the feature is undefined (null).
    """

    name: str
    unit: str
    window: str
    formula: str
    needs: frozenset[str]
    compute: Callable[[Window], tuple[Whole, Whole]]


@dataclass(frozen=True)
class Part:
    """One table's way: accepted rows → cells → window sums → features.

    inputs: the columns of accepted rows that cells are made of, beside user_id and the time. measures: the cells' columns
    beside user_id and day. sums: the window sums' columns beside user_id; no two tables have one of the same name.
    day_cells: accepted rows, and the scale of ratings → each measure's values, one per user and day, in the order of the
    rows' `ids`. user_sums: the cells of one window → one row per user, in any order; with `first_day` and `last_day`,
    the first and last of the user's days. Whole numbers only.
    """

    inputs: tuple[str, ...]
    measures: tuple[str, ...]
    sums: tuple[str, ...]
    day_cells: Callable[[Rows, Scale], Mapping[str, Whole]]
    user_sums: Callable[[Frame, date, Features], Frame]
    features: tuple[Feature, ...]

    @property
    def schema(self) -> pa.Schema:
        """The cells' columns; `day` is days since 1970-01-01."""
        return pa.schema([("user_id", pa.string()), *((name, pa.int64()) for name in ("day", *self.measures))])


def totals(*names: str) -> list[nw.Expr]:
    """The columns' sums as int64: DuckDB's sums of int64 are wider, and would reach Arrow as decimals."""
    return [nw.col(name).sum().cast(nw.Int64) for name in names]


def span() -> list[nw.Expr]:
    """The first and the last of a user's days."""
    return [nw.col("day").min().alias("first_day"), nw.col("day").max().alias("last_day")]


def within(day: nw.Expr, as_of: date, days: int) -> nw.Expr:
    """Whether a day is among the last `days` before and with the date."""
    return day > day_number(as_of) - days


def one(w: Window, like: str) -> Whole:
    return np.ones_like(w[like])


def positive(values: Whole) -> Whole:
    """1 where the number is positive, else 0."""
    return (values > 0).astype(np.int64)


def trend(w: Window, recent: str, longer: str) -> tuple[Whole, Whole]:
    """Per day of the last RECENT_DAYS days / per day of the last LONGER_DAYS, neither longer than the window."""
    return w[recent] * min(LONGER_DAYS, w.days), w[longer] * min(RECENT_DAYS, w.days)
