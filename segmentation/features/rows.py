"""The accepted rows of one table and day as NumPy arrays: a user's rows side by side, in the order of time."""

from collections.abc import Collection
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation.errors import StoreError

Whole = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

INSTANT = pa.timestamp("us", "UTC")


class Rows:
    """n rows of m users.

    ids: the users' ids, m texts in ascending order of their UTF-8 bytes. user: n places in ids, ascending. at: n times,
    microseconds since 1970-01-01 UTC, ascending for each user. A column that the source does not have is all null.
    """

    def __init__(self, table: pa.Table, time: str) -> None:
        """table: rows in any order; accepted rows are kept in this one."""
        if not _in_order(table, time):
            table = table.sort_by([("user_id", "ascending"), (time, "ascending")])
        begins = _begins(table)
        self._table = table.unify_dictionaries()
        self.user: Whole = np.cumsum(begins) - 1
        self.at = _instants(table, time)
        self.ids: pa.Array = self._column("user_id").filter(pa.array(begins))

    @classmethod
    def read(cls, path: str, time: str, columns: Collection[str]) -> Self:
        """The rows of a Parquet file, with those of the columns that it has.

        Raises StoreError naming what cannot be read.
        """
        try:
            file = pq.ParquetFile(path)
            there = {field.name: field.type for field in file.schema_arrow if field.name in columns}
            # As they are kept: each text once.
            texts = [name for name, kind in there.items() if pa.types.is_string(kind)]
            file = pq.ParquetFile(path, metadata=file.metadata, read_dictionary=texts)
            table = file.read(["user_id", time, *there], use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"a day's rows cannot be read: {path}: {error}; run `segmentation verify`") from None
        return cls(table, time)

    def __len__(self) -> int:
        return len(self.user)

    def number(self, name: str) -> Whole:
        """n whole numbers, 0 where there is none."""
        column = self._column(name)
        return np.zeros(len(self), np.int64) if column is None else _whole(pc.fill_null(column, 0))

    def given(self, name: str) -> Flags:
        """Where the column has a value."""
        column = self._column(name)
        return np.zeros(len(self), np.bool_) if column is None else _flags(column.is_valid())

    def code(self, name: str) -> Whole:
        """n numbers, equal where texts are, from 0; −1 where there is none."""
        column = self._column(name)
        return np.full(len(self), -1) if column is None else _whole(pc.fill_null(column.indices, -1))

    def equal(self, name: str, text: str) -> Flags:
        """Where the column has this text."""
        column = self._column(name)
        place: int = -1 if column is None else column.dictionary.index(text).as_py()
        found: Flags = (self.code(name) == place) & np.bool_(place >= 0)
        return found

    def by_user(self, values: Whole | Flags) -> Whole:
        """n values → m sums."""
        return sums(values, self.user, len(self.ids))

    def _column(self, name: str) -> Any:
        return self._table[name].combine_chunks() if name in self._table.column_names else None


def sums(values: Whole | Flags, group: Whole, groups: int) -> Whole:
    """The sum of the values of each group, whole numbers to the last digit. group: each value's, from 0."""
    if values.dtype == np.bool_:
        return np.bincount(group[values], minlength=groups)
    found = np.zeros(groups, np.int64)
    np.add.at(found, group, values)
    return found


def numbered(values: Whole) -> tuple[Whole, Whole]:
    """The different values, ascending, and each value's place among them."""
    begins = np.ones(len(values), np.bool_)
    begins[1:] = values[1:] != values[:-1]  # neighbours are mostly equal: fewer to sort
    different, place = np.unique(values[begins], return_inverse=True)
    return different, place[np.cumsum(begins) - 1]


def _in_order(table: pa.Table, time: str) -> bool:
    begins, at = _begins(table), _instants(table, time)
    ids = table["user_id"].combine_chunks().filter(pa.array(begins))
    ascending = pc.all(pc.less(ids[:-1], ids[1:]), min_count=0).as_py()
    return bool(ascending and np.all(begins[1:] | (at[1:] >= at[:-1])))


def _begins(table: pa.Table) -> Flags:
    """Where the rows of another user than the one before begin."""
    users = table["user_id"].combine_chunks()
    begins = np.ones(len(users), np.bool_)
    begins[1:] = _flags(pc.not_equal(users[1:], users[:-1]))
    return begins


def _instants(table: pa.Table, time: str) -> Whole:
    return _whole(table[time].combine_chunks().cast(INSTANT).cast(pa.int64()))


def _whole(array: Any) -> Whole:
    return np.asarray(array.to_numpy(zero_copy_only=False)).astype(np.int64)


def _flags(array: Any) -> Flags:
    flags: Flags = array.to_numpy(zero_copy_only=False)
    return flags
