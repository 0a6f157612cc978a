"""The accepted rows of one table and some days as NumPy arrays: a user's rows of a day side by side, in the order of time."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation.errors import StoreError
from segmentation.features.engine import day_number

Whole = np.ndarray[tuple[int], np.dtype[np.int64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

INSTANT = pa.timestamp("us", "UTC")


class Rows:
    """n rows of m users and days: a user is another one on another day.

    ids, day: of each user the id and the day (since 1970-01-01), sorted by day and then by the ids' UTF-8 bytes. user: n places
    in them, ascending. at: n times, microseconds since 1970-01-01 UTC, ascending for each user. A column that the source does
    not have is all null.
    """

    def __init__(self, table: pa.Table, time: str) -> None:
        """table: rows with their `day`, in any order; those of a day are kept in this one."""
        begins, ordered = _begins(table, time)
        if not ordered:
            table = table.sort_by([(name, "ascending") for name in ("day", "user_id", time)])
            begins, _ = _begins(table, time)
        self._table = table.unify_dictionaries()
        self.user: Whole = np.cumsum(begins) - 1
        self.at = _instants(table, time)
        self.ids: pa.Array = self._column("user_id").filter(pa.array(begins))
        self.day = self.number("day")[begins]

    @classmethod
    def read(cls, paths: Iterable[tuple[date, str]], time: str, columns: Collection[str]) -> Self:
        """The rows of one Parquet file per day, with those of the columns that it has.

        Raises StoreError naming what cannot be read.
        """
        tables = []
        for day, path in sorted(paths):
            try:
                file = pq.ParquetFile(path)
                there = {field.name: field.type for field in file.schema_arrow if field.name in columns}
                # As they are kept: each text once.
                texts = [name for name, kind in there.items() if pa.types.is_string(kind)]
                file = pq.ParquetFile(path, metadata=file.metadata, read_dictionary=texts)
                table = file.read(["user_id", time, *there], use_threads=False)
            except (OSError, pa.ArrowException) as error:
                raise StoreError(f"a day's rows cannot be read: {path}: {error}; run `segmentation verify`") from None
            tables.append(table.append_column("day", pa.array(np.full(table.num_rows, day_number(day)))))
        return cls(pa.concat_tables(tables, promote_options="default"), time)

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

    def texts(self, name: str) -> pa.Array:
        """The texts that `code` numbers; none where there is no such column."""
        column = self._column(name)
        return pa.array([], pa.string()) if column is None else column.dictionary

    def place(self, name: str, texts: Sequence[str]) -> Whole:
        """Each text's place among these; after them all the others, and where there is none."""
        column = self._column(name)
        if column is None:
            return np.full(len(self), len(texts))
        places = pc.index_in(column.dictionary, value_set=pa.array(texts, pa.string())).fill_null(len(texts))
        return np.append(_whole(places), len(texts))[self.code(name)]  # −1, none, is the last

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


def _begins(table: pa.Table, time: str) -> tuple[Flags, bool]:
    """Where the rows of another user or day than the one before begin; and whether all are in order."""
    users, at, day = table["user_id"].combine_chunks(), _instants(table, time), _whole(table["day"].combine_chunks())
    later = day[1:] > day[:-1]
    begins = np.ones(len(users), np.bool_)
    begins[1:] = _flags(pc.not_equal(users[1:], users[:-1])) | (day[1:] != day[:-1])
    ids, first = users.filter(pa.array(begins)), later[begins[1:]]
    ordered = (first | _flags(pc.less(ids[:-1], ids[1:]))).all() and (begins[1:] | (at[1:] >= at[:-1])).all()
    return begins, bool(ordered and (day[1:] >= day[:-1]).all())


def _instants(table: pa.Table, time: str) -> Whole:
    return _whole(table[time].combine_chunks().cast(INSTANT).cast(pa.int64()))


def _whole(array: Any) -> Whole:
    return np.asarray(array.to_numpy(zero_copy_only=False)).astype(np.int64, copy=False)


def _flags(array: Any) -> Flags:
    flags: Flags = array.to_numpy(zero_copy_only=False)
    return flags
