"""Features as of a day from all of Complete Journey: this package, one hand-written DuckDB query, and plain pandas.

All three read the same accepted rows, one Parquet file per day (1,469,307 lines, 365 days), and end with the same table of
14 features per household, which is checked. They take turns, and the median of the rounds counts.

* "all at once": what a first day or a backfill does: the cells of every day, each day's written to the store by its content,
  read again for the window, summed up, and turned into features. The peers keep nothing.
* "the next day": what a daily run does from then on: the cells of one new day, and the features of the whole window. The
  peers have no cells: they start from the rows again.
* "had they done nothing": the second set of features that a day needs, for the causes of moves: the window again.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from itertools import count
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from segmentation.config import Features
from segmentation.contracts.acceptance import with_cells
from segmentation.features.catalogue import available, values
from segmentation.features.windows import window_sums
from segmentation.store.objects import Objects
from segmentation.store.state import AcceptedDay, AcceptedTable
from segmentation.tables import ORDERS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "features"))
import pandas_features
from real_shops import complete_journey, write_days

ROUNDS = 5
AS_OF = date(2018, 1, 1)
WINDOW_DAYS = 366
COLUMNS = frozenset({"user_id", "ordered_at", "order_id", "category", "quantity", "amount", "discount"})
QUALIFIED = frozenset(f"orders.{name}" for name in COLUMNS)
FEATURES = [feature.name for feature in available(QUALIFIED)]
Paths = list[tuple[date, str]]

HAND_WRITTEN = """
WITH orders AS (
    SELECT user_id, ordered_at::DATE AS day, order_id,
        bool_or(quantity > 0 AND amount >= 0) AS bought,
        sum(amount) AS amount,
        sum(amount) FILTER (NOT (quantity < 0 OR amount < 0)) AS sold,
        sum(discount) FILTER (NOT (quantity < 0 OR amount < 0)) AS discount,
        count(DISTINCT category) FILTER (quantity > 0 AND amount >= 0) AS categories
    FROM read_parquet($files)
    WHERE ordered_at::DATE BETWEEN $as_of::DATE - $days + 1 AND $as_of::DATE
    GROUP BY ALL
), days AS (
    SELECT user_id, day, count(*) FILTER (bought) AS orders, sum(amount) AS amount, sum(sold) AS sold,
        sum(discount) AS discount, sum(categories) AS categories
    FROM orders GROUP BY ALL
), users AS (
    SELECT user_id, sum(orders) AS orders, sum(amount) AS amount, sum(sold) AS sold, sum(discount) AS discount,
        sum(categories) AS categories, min(day) FILTER (orders > 0) AS first, max(day) FILTER (orders > 0) AS last,
        count(*) FILTER (orders > 0) AS days, sum(amount) FILTER (orders > 0) AS on_days,
        arg_min(amount, day) FILTER (orders > 0) AS on_first,
        coalesce(sum(sold) FILTER (day > $as_of::DATE - 30), 0) AS sold_30,
        coalesce(sum(sold) FILTER (day > $as_of::DATE - 90), 0) AS sold_90
    FROM days GROUP BY ALL
)
SELECT user_id,
    $as_of::DATE - last AS recency,
    orders AS frequency,
    amount / 10000 AS monetary,
    amount / 10000 / nullif(orders, 0) AS average_order_value,
    (last - first) / nullif(days - 1, 0) AS order_gap,
    least((sold - amount) / nullif(sold, 0), 1) AS return_share,
    discount / nullif(discount + sold, 0) AS discount_share,
    categories / nullif(orders, 0) AS category_spread,
    3 * sold_30 / nullif(sold_90, 0) AS trend,
    days AS active_days,
    days - 1 AS repeat_days,
    last - first AS days_first_to_last,
    $as_of::DATE - first AS days_since_first,
    CASE WHEN days > 1 THEN (on_days - on_first) / 10000 / (days - 1) WHEN days = 1 THEN 0 END AS mean_repeat_day_value
FROM users ORDER BY user_id
"""


def hand_written(accepted: Paths) -> pd.DataFrame:
    with duckdb.connect(config={"memory_limit": "2GB"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        settings = {"files": [path for _, path in accepted], "as_of": AS_OF, "days": WINDOW_DAYS}
        return frame(connection.sql(HAND_WRITTEN, params=settings).to_arrow_table().to_pandas().set_index("user_id"))


def plain_pandas(accepted: Paths) -> pd.DataFrame:
    rows = pd.read_parquet([path for _, path in accepted])
    rows = rows.rename(columns={"user_id": "user", "order_id": "order"})
    rows["day"] = rows["ordered_at"].dt.tz_localize(None).dt.normalize()
    rows[["quantity", "amount", "discount"]] /= 10_000
    return frame(pandas_features.features(rows, AS_OF.isoformat(), WINDOW_DAYS))


def ours(accepted: Paths, store: Objects, earlier: Sequence[tuple[date, str]] = ()) -> tuple[pd.DataFrame, Paths]:
    """As the stages do it: the cells of these days made and kept, then the features of the window from all days' cells."""
    days = {day: AcceptedDay({ORDERS: accepted_table(path)}, "") for day, path in accepted}
    made = with_cells(store, days)
    paths = [*earlier, *((day, store.path(made[day].tables[ORDERS].cells)) for day in made)]
    return of_window(paths, AS_OF), paths


def accepted_table(path: str) -> AcceptedTable:
    return AcceptedTable(
        partition="",
        users="",
        files={},
        rows=4_000,
        accepted=path,
        cells=None,
        quarantine=None,
        columns=sorted(COLUMNS),
        quality={},
    )


def of_window(made: Paths, known_until: date) -> pd.DataFrame:
    settings = Features(window_days=WINDOW_DAYS)
    table = values(window_sums({ORDERS: made}, AS_OF, known_until, settings), AS_OF, settings, QUALIFIED)
    return frame(table.to_pandas().set_index("user_id"))


def frame(features: pd.DataFrame) -> pd.DataFrame:
    return features.sort_index()[FEATURES].astype(float)


def measure(jobs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median seconds of each job; they take turns, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for round_number in range(ROUNDS + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        accepted = write_days(complete_journey(), folder / "accepted")
        lines = sum(pq.read_metadata(path).num_rows for _, path in accepted)
        new = map(str, count())

        def all_at_once() -> tuple[pd.DataFrame, Paths]:
            return ours(accepted, Objects(folder / next(new)))

        features, kept = all_at_once()

        def next_day() -> pd.DataFrame:
            return ours(accepted[-1:], Objects(folder / next(new)), kept[:-1])[0]

        for peer in (hand_written(accepted), plain_pandas(accepted), next_day()):
            pd.testing.assert_frame_equal(features, peer, rtol=1e-9, atol=6e-7, check_names=False)
        seconds = measure(
            {
                "ours, all at once": all_at_once,
                "hand-written DuckDB query": lambda: hand_written(accepted),
                "plain pandas": lambda: plain_pandas(accepted),
                "ours, the next day": next_day,
                "ours, had they done nothing": lambda: of_window(kept, accepted[-2][0]),
            }
        )
    print(f"{len(FEATURES)} features of {len(features):,} users as of {AS_OF}, {lines:,} lines of {len(accepted)} days")
    print(f"{'':30}{'seconds':>9}{'× hand-written':>16}{'× pandas':>10}")
    for job, median in seconds.items():
        by_hand, pandas = seconds["hand-written DuckDB query"], seconds["plain pandas"]
        print(f"{job:30}{median:9.2f}{median / by_hand:16.2f}{median / pandas:10.2f}")


if __name__ == "__main__":
    main()
