"""Who was seen before: small tables of first appearances, one per month, derived from the accepted days.

A table holds the users of its month whom no earlier month had. It is named by the state it was derived from, so that it is
made once and never goes stale; a look-up scans users, not days.
"""

from collections.abc import Iterator
from datetime import date
from itertools import groupby

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation.store.content import seal, unseal
from segmentation.store.derivations import FirstSeenChain
from segmentation.store.objects import Objects
from segmentation.store.state import State

SCHEMA = pa.schema([("user_id", pa.string()), ("first_seen", pa.date32())])


def seen_before(
    objects: Objects, state: State, chain: FirstSeenChain, users: pa.Array, until: date
) -> npt.NDArray[np.bool_]:
    """For each of the users, whether they had an accepted row on or before `until`. `chain`: that of the state."""
    whole = [day for day in chain.days if (day.year, day.month) < (until.year, until.month)]
    begun = [day for day in chain.days if (day.year, day.month) == (until.year, until.month) and day <= until]
    keys = _month_tables(objects, state, chain, whole) + [key for day in begun for key in _cells(state, day)]
    if not len(users) or not keys:
        return np.zeros(len(users), dtype=bool)
    found = pa.chunked_array([_among(objects, key, users) for key in keys], pa.string())
    return np.asarray(pc.is_in(users, value_set=found.combine_chunks()).to_numpy(zero_copy_only=False))


def _month_tables(objects: Objects, state: State, chain: FirstSeenChain, days: list[date]) -> list[str]:
    """The keys of the tables of the months that the days make up, in order; those that are missing are made."""
    months = [list(month) for _, month in groupby(days, key=lambda day: (day.year, day.month))]
    made: list[str] = []
    for position in range(len(months), 0, -1):  # the newest list that is there names all tables before it
        key = f"first_seen/{chain.at(months[position - 1][-1])}.json"
        if (data := objects.find(key)) is not None:
            made = unseal(data, key)["tables"]
            months = months[position:]
            break
    for month in months:
        made = [*made, objects.put_table("first_seen", _first_in(objects, state, month, made))]
        key = chain.at(month[-1])
        objects.put(f"first_seen/{key}.json", seal({"key": key, "month": f"{month[0]:%Y-%m}", "tables": made}))
    return made


def _first_in(objects: Objects, state: State, month: list[date], earlier: list[str]) -> pa.Table:
    first: dict[str, date] = {}
    for day in month:
        for key in _cells(state, day):
            for user in pq.read_table(pa.BufferReader(objects.get(key)), columns=["user_id"])["user_id"].to_pylist():
                first.setdefault(user, day)
    users = pa.array(sorted(first), pa.string())
    for key in earlier:
        users = users.filter(pc.invert(pc.is_in(users, value_set=_among(objects, key, users))))
    return pa.table([users, pa.array([first[user] for user in users.to_pylist()], pa.date32())], schema=SCHEMA)


def _among(objects: Objects, key: str, users: pa.Array) -> pa.Array:
    """Those of the users whom the table behind the key has. Memory: one batch of the table."""
    hits = [pa.array([], pa.string())]
    for batch in pq.ParquetFile(pa.BufferReader(objects.get(key))).iter_batches(columns=["user_id"]):
        column = batch.column(0).cast(pa.string())
        hits.append(column.filter(pc.is_in(column, value_set=users)))
    return pa.concat_arrays(hits)


def _cells(state: State, day: date) -> Iterator[str]:
    for table in state.accepted[day].activity.values():
        if table.cells:
            yield table.cells
