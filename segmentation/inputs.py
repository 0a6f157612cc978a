"""What a day is derived from, as its inputs.json fixes it: the rows of its window, as features, sums and baskets."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Features
from segmentation.features.catalogue import values
from segmentation.features.windows import window_sums
from segmentation.store.snapshots import Folder
from segmentation.store.store import Store


@dataclass(frozen=True)
class Inputs:
    """document: inputs.json. A stage reads nothing else, whatever happened to the state in between."""

    store: Store
    document: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    @property
    def columns(self) -> frozenset[str]:
        """Those of the window's accepted rows, as "orders.amount"."""
        return frozenset(self["columns"])

    def parent(self) -> Folder | None:
        """The folder of the parent's snapshot."""
        return Folder.at(self.store.objects, self["parent_folder"]) if self["parent_folder"] else None

    def of_parent(self) -> "Inputs | None":
        """What the parent was derived from."""
        parent = self.parent()
        return Inputs(self.store, parent.json("inputs")) if parent else None

    def everyone(self, as_of: date, known_until: date, settings: Features) -> pa.Table:
        """The window sums of everyone with a row in the window."""
        paths = {
            name: [(date.fromisoformat(day), self.store.objects.path(key)) for day, key in sorted(days.items())]
            for name, days in self["cells"].items()
        }
        return window_sums(paths, as_of, known_until, settings)

    def sums(self, as_of: date, known_until: date, settings: Features) -> pa.Table:
        """The window sums of the population: everyone with a row in the window whom the table of users does not exclude."""
        sums = self.everyone(as_of, known_until, settings)
        return sums.filter(pc.invert(pc.is_in(sums["user_id"], value_set=self.excluded())))

    def features(self, as_of: date, known_until: date, settings: Features) -> pa.Table:
        """The population's features."""
        return values(self.sums(as_of, known_until, settings), as_of, settings, self.columns)

    def users(self) -> pa.Table | None:
        """The table of users in force."""
        return self.store.objects.table(self["users"]) if self["users"] else None

    def excluded(self) -> pa.Array:
        """Ids of the users whom the table of users excludes, in ascending order."""
        users = self.users()
        if users is None or "excluded" not in users.column_names:
            return pa.array([], pa.string())
        return users.filter(pc.fill_null(users["excluded"], False))["user_id"].combine_chunks()

    def orders(self, days: Iterable[date]) -> list[tuple[date, str]]:
        """Those of the days that have orders, with the file of their accepted rows."""
        found = ((day, self["orders"].get(day.isoformat())) for day in days)
        return [(day, str(self.store.objects.path(key))) for day, key in found if key]
