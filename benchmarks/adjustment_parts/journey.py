"""Complete Journey as the benchmark needs it: every household's features as of many days, and what it bought on each day.

Features come from the package: cells → window sums → values. The cells are kept in one table in memory, because a period of
214 days with windows of 90 days would open 19,000 files otherwise.
"""

import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from segmentation.clustering.transform import Matrix
from segmentation.config import Features
from segmentation.features.catalogue import values
from segmentation.features.cells import PARTS, cells
from segmentation.features.engine import collect, connect, day_number
from segmentation.features.windows import SCHEMA, side_by_side
from segmentation.tables import ORDERS

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "features"))
from real_shops import complete_journey, write_days

COLUMNS = frozenset(
    f"orders.{name}" for name in ("user_id", "ordered_at", "order_id", "category", "quantity", "amount", "discount")
)
FIRST_DAY = date(2017, 1, 1)
DAYS = 366
MONEY = 10_000  # units of a currency unit


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


@dataclass(frozen=True)
class Journey:
    """users: ids in ascending order. features: by window and day, the population's table as the package gives it.
    daily: lines, orders, amount, discount, returned_amount: (users, days of the year), money in currency units.
    """

    users: npt.NDArray[np.str_]
    features: dict[tuple[int, date], pa.Table]
    daily: dict[str, Matrix]

    def rows(self, table: pa.Table) -> npt.NDArray[np.int64]:
        """Positions in `users` of the table's users."""
        return np.searchsorted(self.users, np.array(table["user_id"].to_pylist()))

    def after(self, name: str, day: date, days: int) -> Matrix:
        """Each user's sum over (day, day + days]."""
        start = (day - FIRST_DAY).days + 1
        return self.daily[name][:, start : start + days].sum(axis=1)

    def until(self, name: str, day: date, days: int) -> Matrix:
        """Each user's values of (day − days, day], (users, days that the data has)."""
        end = (day - FIRST_DAY).days + 1
        return self.daily[name][:, max(end - days, 0) : end]


def load(wanted: Iterable[tuple[int, Sequence[date]]]) -> Journey:
    """All of Complete Journey; features as of the wanted (window, days)."""
    with tempfile.TemporaryDirectory() as folder:
        accepted = write_days(complete_journey(), Path(folder) / "accepted")
        made = pa.concat_tables(cells(ORDERS, accepted).values()).combine_chunks()
    ids = np.array(made["user_id"].to_pylist())
    users = np.unique(ids)
    place = np.searchsorted(users, ids), made["day"].to_numpy() - day_number(FIRST_DAY)
    daily = {}
    for name in ("lines", "orders", "amount", "discount", "returned_amount"):
        daily[name] = np.zeros((len(users), DAYS))
        daily[name][place] = made[name].to_numpy() / (1 if name in ("lines", "orders") else MONEY)
    features = {(window, day): features_of(made, day, window) for window, days in wanted for day in days}
    return Journey(users, features, daily)


def features_of(made: pa.Table, day: date, window: int) -> pa.Table:
    """What `values(window_sums(…))` gives for the day, from a table of all days' cells instead of a file per day."""
    settings = Features(window_days=window)
    last = day_number(day)
    with connect() as connection:
        connection.register("made", made)
        inside = nw.from_native(connection.sql(f"FROM made WHERE day > {last - window} AND day <= {last}"))
        sums = collect(side_by_side([PARTS[ORDERS].user_sums(inside, day, settings)]), SCHEMA)
    return values(sums, day, settings, COLUMNS)
