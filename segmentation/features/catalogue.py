"""The features: name, unit, window, formula and the columns that each needs; and their values, from window sums."""

from collections.abc import Iterable
from datetime import date

import numpy as np
import pyarrow as pa

from segmentation.config import Clustering, Features
from segmentation.errors import ConfigError, did_you_mean
from segmentation.features.cells import PARTS
from segmentation.features.engine import day_number
from segmentation.features.parts import Feature, Window
from segmentation.features.windows import SUMS
from segmentation.tables import EVENTS, ORDERS

DECIMALS = 1_000_000  # values are rounded to 1e-6

CATALOGUE: dict[str, Feature] = {feature.name: feature for part in PARTS.values() for feature in part.features}

_PURCHASES_ALONE = ("recency", "frequency", "active_days", "monetary", "discount_share")
_PURCHASES_BESIDE_BROWSING = ("recency", "frequency", "average_order_value", "discount_share")
_PURCHASES_WITHOUT_AMOUNT = ("recency", "frequency", "category_spread")
_BROWSING_BESIDE_PURCHASES = ("sessions", "views_per_session", "view_to_cart")
_BROWSING_ALONE = ("browse_recency", "sessions", "views_per_session", "view_to_cart", "view_to_purchase")
# With which tables "auto" takes a feature, in words.
AUTO: dict[str, str] = {
    **dict.fromkeys(_BROWSING_ALONE, "events without orders"),
    **dict.fromkeys(_BROWSING_BESIDE_PURCHASES, "events"),
    **dict.fromkeys(_PURCHASES_WITHOUT_AMOUNT, "orders without amount"),
    **dict.fromkeys(_PURCHASES_ALONE, "orders without events"),
    **dict.fromkeys(_PURCHASES_BESIDE_BROWSING, "orders with events"),
    **dict.fromkeys(set(_PURCHASES_ALONE) & set(_PURCHASES_BESIDE_BROWSING), "orders"),
}


def available(columns: Iterable[str]) -> list[Feature]:
    """The features that exist when the accepted rows have these columns ("orders.amount", …), in the catalogue's order."""
    there = frozenset(columns)
    return [feature for feature in CATALOGUE.values() if feature.needs <= there]


def values(sums: pa.Table, as_of: date, features: Features, columns: Iterable[str]) -> pa.Table:
    """Window sums → user_id and a float64 column per available feature, rounded to 1e-6, null where undefined.

    Rows are those of `sums`, in its order. The only place where a float is made: element by element, from whole numbers, so
    that no engine, thread count or order of rows can change a digit. (Exact up to 2^53 units: 900 billion in money.)
    """
    arrays = {name: sums[name].fill_null(0).to_numpy() for name in SUMS}
    window = Window(arrays, day_number(as_of), features.window_days)
    table = {"user_id": sums["user_id"]}
    for feature in available(columns):
        numerator, denominator = feature.compute(window)
        undefined = denominator <= 0
        ratio = numerator.astype(np.float64) / np.where(undefined, 1, denominator).astype(np.float64)
        rounded = np.rint(ratio * DECIMALS) / DECIMALS + 0.0  # + 0.0: −0 is 0
        table[feature.name] = pa.array(rounded, mask=undefined)
    return pa.table(table)


def model_features(clustering: Clustering, columns: Iterable[str]) -> tuple[str, ...]:
    """The features that the segments are made of: those that the configuration names, or, for "auto", a standard few.

    columns: those of the accepted rows, as "orders.amount". "auto" takes of these, in this order, what the columns allow:

    * orders alone: recency, frequency, active days, monetary, discount share;
    * orders and events: recency, frequency, average order value, discount share, sessions, views per session, view to cart;
    * orders without amount: recency, frequency, category spread (for the size of an order), and the three of events;
    * events alone: recency of browsing, sessions, views per session, view to cart, view to purchase;
    * reviews: nothing (name mean_rating where most users rate).

    A feature that says nearly the same as another counts twice in every distance, and a nearly constant one makes tiny
    segments. The others were left out for what they do on real data (ρ is Spearman's).

    How often counts twice on purpose where there are only orders (orders and days with one), because nothing says more about
    what comes. With it 6 segments of the grocer's households (270 days, four dates) explain 0.34 of the variance of four
    outcomes of the next 90 days; with average order value in place of active days and monetary 0.27, of monetary alone 0.29;
    27 cells of RFM 0.31. They repeat themselves (k = 6 is stable on all four dates, else on one), and 1.1 % of the users
    move in a day instead of 1.3 % (benchmarks/adjustment.py). Beside browsing, where kinds of users are to be told apart,
    it costs: in the simulated shop the adjusted Rand index to the truth is 0.38 instead of 0.40.

    Purchases: a grocer's and a wholesaler's year (Complete Journey, Online Retail; windows of 90 and 365 days).

    * monetary: ρ with frequency 0.83, 0.86 (grocer), 0.63, 0.79 (wholesaler), and with average order value up to 0.79.
    * order_gap: ρ with frequency −0.90, −0.94 at the grocer; undefined for 63 % and 42 % of the wholesaler's customers.
    * active_days, repeat_days: ρ with frequency ≥ 0.95. days_first_to_last 0.77 to 0.92. mean_repeat_day_value: 0.86 and
      0.93 with average order value (grocer), 0.89 and 0.82 with frequency (wholesaler).
    * category_spread: ρ with average order value 0.86.
    * trend: ρ with recency −0.77 at the wholesaler, undefined for 41 % there in a window of 365 days.
    * return_share: 0 for everyone at the grocer; at the wholesaler it makes segments of 1 % to 3 %.

    discount_share is independent of all (|ρ| ≤ 0.15). With it (grocer, mean of k = 4, 5, 6 and two dates) fewer users cross
    a border from one day to the next: 9.1 % instead of 10.8 % in 90 days, 6.8 % instead of 8.1 % in 365, at equal or better
    bootstrap stability. It costs some of what the segments say about the next 28 days' spend: R² 0.23 instead of 0.25, and
    0.24 instead of 0.29.

    Browsing: Taobao (9 days) and Retailrocket (365), both without prices. Of the five chosen, no two have |ρ| > 0.44.

    * browse_days: ρ with sessions 0.85, 0.89. views: 0.77 with sessions, 0.86 with views_per_session. carts: 0.89, 0.99 with
      view_to_cart. purchases: 0.82, 0.96 with view_to_purchase. browse_time, minutes_per_session: 0.75 to 0.96 with
      views_per_session or sessions. cart_to_purchase: undefined for 26 % and 97 %. browse_trend: ρ with browse_recency −0.79.
    * With all five the bootstrap stability on six days of Taobao (mean of k = 4, 5, 6) is 0.84; with purchases in place of
      view_to_purchase 0.80, without the recency 0.72. Its price is that more users cross a border in a day.
    * Beside orders (a simulated shop of 7 kinds of users, k = 5, 6, 7) the adjusted Rand index to the truth is 0.23 by orders
      alone, 0.32 with sessions, 0.33 with all three. view_to_purchase repeats frequency (ρ 0.83 on Taobao, 0.87 simulated).
      browse_recency repeats recency (0.69 simulated): nothing gained, and 3.5 % cross in a day instead of 2.5 %.

    Reviews: on Olist, where nearly all buy once and rate it, mean_rating is independent of all (|ρ| ≤ 0.05) and raises the
    bootstrap stability from 0.87 to 0.97. In the simulated shop 78 % rate nothing: the median that stands for them makes it
    nearly constant, the smallest segment shrinks from 9 % to 6 %, and the Rand index falls. Columns do not tell which it is.

    Raises ConfigError for a name that is no feature (naming the nearest) and for a feature whose columns the source lacks.
    """
    there = frozenset(columns)
    if clustering.features == "auto":
        return tuple(name for name in _auto(there) if CATALOGUE[name].needs <= there)
    check_names(clustering)
    for name in clustering.features:
        missing = CATALOGUE[name].needs - there
        if missing:
            table = min(missing).partition(".")[0]
            where = (
                f"[sources.{table}.columns]"
                if any(name.startswith(f"{table}.") for name in there)
                else f"[sources.{table}]"
            )
            raise ConfigError(
                f"[clustering] features: {name!r} needs {', '.join(sorted(missing))}, which the data does not have; give it in "
                f"{where}, or choose from: "
                f"{', '.join(feature.name for feature in available(there))}"
            )
    return clustering.features


def check_names(clustering: Clustering) -> None:
    """Raise ConfigError for a name that is no feature, naming the nearest."""
    for name in () if clustering.features == "auto" else clustering.features:
        if name not in CATALOGUE:
            hint = did_you_mean(name, CATALOGUE) or f"there are: {', '.join(CATALOGUE)}"
            raise ConfigError(f"[clustering] features: {name!r} is not a feature; {hint}")


def _auto(there: frozenset[str]) -> tuple[str, ...]:
    if not any(column.startswith(f"{ORDERS}.") for column in there):
        return _BROWSING_ALONE
    if f"{ORDERS}.amount" not in there:
        return _PURCHASES_WITHOUT_AMOUNT + _BROWSING_BESIDE_PURCHASES
    if any(column.startswith(f"{EVENTS}.") for column in there):
        return _PURCHASES_BESIDE_BROWSING + _BROWSING_BESIDE_PURCHASES
    return _PURCHASES_ALONE
