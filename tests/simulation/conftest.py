import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation.simulation.scenario import Scenario, load
from segmentation.simulation.shop import simulate

START = date(2025, 1, 6)  # a Monday
USERS = 5000
DAYS = 76


@dataclass
class Made:
    """A shop that was written, and its tables with the number of the day and the true kind of the user on it."""

    folder: Path
    scenario: Scenario
    days: int

    @cached_property
    def kinds(self) -> pd.DataFrame:
        """A row per user, a column per day: the kind; null before the user's first day."""
        users, moves = self.truth("users"), self.truth("moves")
        changes = pd.concat([users, moves.rename(columns={"to_kind": "kind"})])
        changes["day"] = days_since(changes["date"])
        return (
            changes.pivot(index="user_id", columns="day", values="kind").reindex(columns=range(self.days)).ffill(axis=1)
        )

    def truth(self, name: str) -> pd.DataFrame:
        return pq.read_table(self.folder / "truth" / f"{name}.parquet").to_pandas()

    def rows(self, table: str) -> pd.DataFrame:
        files = [self.folder / table / f"{START + timedelta(days=day)}.parquet" for day in range(self.days)]
        parts = [pq.read_table(file) for file in files]
        rows = pa.concat_tables(parts).to_pandas()
        rows["day"] = np.repeat(np.arange(self.days), [part.num_rows for part in parts])
        rows["kind"] = self.kinds.to_numpy()[self.kinds.index.get_indexer(rows["user_id"]), rows["day"]]
        return rows

    @cached_property
    def orders(self) -> pd.DataFrame:
        return self.rows("orders")

    @cached_property
    def sold(self) -> pd.DataFrame:
        return self.orders[self.orders["quantity"] > 0]

    @cached_property
    def events(self) -> pd.DataFrame:
        return self.rows("events")

    @cached_property
    def reviews(self) -> pd.DataFrame:
        return self.rows("reviews")


class Make(Protocol):
    def __call__(self, name: str, days: int = ..., users: int = ...) -> Made: ...


def days_since(dates: "pd.Series[Any] | Sequence[Any]") -> Any:
    return (pd.to_datetime(dates) - pd.Timestamp(START)).dt.days


@pytest.fixture(scope="session")
def make() -> Iterator[Make]:
    """Makes the shop of a scenario, once."""
    made: dict[Any, Made] = {}
    with tempfile.TemporaryDirectory() as folder:

        def make(name: str, days: int = DAYS, users: int = USERS) -> Made:
            key = (name, days, users)
            if key not in made:
                scenario = load(name)
                place = Path(folder) / str(len(made))
                simulate(place, scenario, users, days, START, seed=5)
                made[key] = Made(place, scenario, days)
            return made[key]

        yield make
