"""Shopping baskets: which items (or categories) were bought together in an order, and by whom."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.features.orders import orders, purchases, returns
from segmentation.features.rows import Rows, Whole, numbered
from segmentation.tables import ORDERS, TABLES

Level = Literal["item", "category"]
COLUMNS = {"item": "item_id", "category": "category"}
RETURNED = pa.schema([("user_id", pa.string()), ("item", pa.string())])


@dataclass(frozen=True)
class Baskets:
    """n baskets of u users, and the m different items in them. An item is in a basket or it is not; no basket is empty.

    holds: scipy CSR matrix, n × m, bool, indices sorted. items: m texts, ascending by their UTF-8 bytes. users: u ids,
    ascending likewise. user: n places in users. day: n days since 1970-01-01, ascending where they come from rows.
    too_long: baskets that were left out for having too many different items. without_items: orders none of whose
    purchase lines names an item; they are no baskets.
    """

    holds: Any
    items: pa.Array
    users: pa.Array
    user: Whole
    day: Whole
    too_long: int
    without_items: int

    def __len__(self) -> int:
        return len(self.user)

    @property
    def of_one_item(self) -> int:
        """Baskets in which nothing goes with anything."""
        return int((np.diff(self.holds.indptr) == 1).sum())

    @classmethod
    def of(
        cls, held: Sequence[Iterable[str]], users: Sequence[str], days: Sequence[int] | None = None, longest: int = 50
    ) -> Self:
        """n baskets as the items in each, the user of each, and the day (1970-01-01 if not said)."""
        lists = [list(items) for items in held]
        basket = np.repeat(np.arange(len(lists)), [len(items) for items in lists])
        item = pa.array([item for items in lists for item in items], pa.string()).dictionary_encode()
        user = pa.array(users, pa.string()).dictionary_encode()
        day = np.zeros(len(lists), np.int64) if days is None else np.asarray(days, np.int64)
        return cls._gathered(basket, item, user, day, longest)

    @classmethod
    def read(
        cls,
        paths: Iterable[tuple[date, str]],
        level: Level = "item",
        longest: int = 50,
        excluded: pa.Array | None = None,
    ) -> Self:
        """The baskets of some days.

        paths: the day and the Parquet file of its accepted rows of `orders`. A basket is an order (`features.orders` says
        what that is, and which lines are purchases) with the different items, or categories, of its purchase lines; a line
        without one is passed over. longest: baskets with more are left out. excluded: ids of users whose baskets do not
        count.

        Raises StoreError naming what cannot be read.
        """
        column = COLUMNS[level]
        none = np.array([], np.int64)
        basket, day, item, user = [none], [none], [_coded(none, ())], [_coded(none, ())]
        baskets = 0
        for path in sorted(paths):  # one day after another: their rows are not needed together
            rows = Rows.read([path], str(TABLES[ORDERS].TIME), ("order_id", column, "quantity", "amount"))
            lines = purchases(rows)
            of_user, order = orders(rows, lines)
            code = rows.code(column)[lines]
            basket.append(order[code >= 0] + baskets)
            item.append(_coded(code[code >= 0], rows.texts(column)))
            user.append(_coded(of_user, rows.ids))
            day.append(rows.day[of_user])
            baskets += len(of_user)
        return cls._gathered(
            np.concatenate(basket), _joined(item), _joined(user), np.concatenate(day), longest, excluded
        )

    @classmethod
    def _gathered(
        cls, basket: Whole, item: pa.Array, user: pa.Array, day: Whole, longest: int, excluded: pa.Array | None = None
    ) -> Self:
        """basket, item: of each line the basket and the item; user, day: of each basket. Texts as dictionaries."""
        from scipy.sparse import csr_matrix

        (items, code), (users, of_user) = _in_order(item), _in_order(user)
        counts = np.ones(len(day), np.bool_)
        if excluded is not None:
            counts = ~np.asarray(pc.is_in(users, value_set=excluded).to_numpy(zero_copy_only=False))[of_user]
        columns = max(len(items), 1)
        keys, _ = numbered(np.sort(basket * columns + code))  # each item of a basket once
        length = np.bincount(keys // columns, minlength=len(day))
        stays = counts & (length > 0) & (length <= longest)
        keys = keys[stays[keys // columns]]
        present, column = np.unique(keys % columns, return_inverse=True)
        buyers, buyer = np.unique(of_user[stays], return_inverse=True)
        pointers = np.concatenate([[0], np.cumsum(length[stays])])
        ones = np.ones(len(keys), np.bool_)
        return cls(
            csr_matrix((ones, column.astype(np.int32), pointers), shape=(len(buyer), len(present))),
            items.take(pa.array(present)),
            users.take(pa.array(buyers)),
            buyer,
            day[stays],
            too_long=int((counts & (length > longest)).sum()),
            without_items=int((counts & (length == 0)).sum()),
        )


def returned(paths: Iterable[tuple[date, str]], level: Level = "item") -> pa.Table:
    """What users have returned on some days (see `Baskets.read`): the table RETURNED, each item of a user once.

    Raises StoreError naming what cannot be read.
    """
    column, found = COLUMNS[level], [RETURNED.empty_table()]
    for path in sorted(paths):
        rows = Rows.read([path], str(TABLES[ORDERS].TIME), (column, "quantity", "amount"))
        back = np.flatnonzero(returns(rows) & (rows.code(column) >= 0))
        users = pa.array(rows.ids, pa.string()).take(pa.array(rows.user[back]))
        items = rows.texts(column).cast(pa.string()).take(pa.array(rows.code(column)[back]))
        found.append(pa.table([users, items], schema=RETURNED))
    return once(pa.concat_tables(found))


def once(returned: pa.Table) -> pa.Table:
    """Each row once, in order."""
    names = RETURNED.names
    return returned.group_by(names, use_threads=False).aggregate([]).sort_by([(name, "ascending") for name in names])


def _coded(places: Whole, texts: Any) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(texts, pa.string()))


def _joined(parts: Sequence[pa.DictionaryArray]) -> pa.DictionaryArray:
    return pa.chunked_array(parts).unify_dictionaries().combine_chunks()


def _in_order(texts: pa.DictionaryArray) -> tuple[pa.Array, Whole]:
    """The dictionary, ascending by UTF-8 bytes, and each text's place in it."""
    order = pc.sort_indices(texts.dictionary)
    rank = np.empty(len(order), np.int64)
    rank[order.to_numpy()] = np.arange(len(order))
    return texts.dictionary.take(order), rank[texts.indices.to_numpy()]
