"""Who left because the population was defined otherwise: of the users that are gone, the only ones not by ageing."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.store.snapshots import LAPSED
from segmentation.store.store import Store


def left_by_model(store: Store, first: date, last: date) -> pa.Array:
    """The ids of the users whose last lapse in (first, last] has the cause `model`.

    Days on which nobody left so have their migrations read only, a few cells; from the first one on, everybody who lapsed.
    """
    found: set[str] = set()
    for _, published in sorted((day, one) for day, one in store.state().published.items() if first < day <= last):
        cells = store.objects.table(f"{published.folder}/migrations.parquet")
        some = pc.and_(pc.equal(cells["to_segment_id"], LAPSED), pc.greater(cells["model"], 0))
        if not found and not pc.any(some, min_count=0).as_py():
            continue
        members = store.objects.table(f"{published.folder}/memberships.parquet")
        lapsed = members.filter(pc.equal(members["status"], "lapsed"))
        by_model = set(lapsed.filter(pc.equal(lapsed["cause"], "model"))["user_id"].to_pylist())
        found = (found - set(lapsed["user_id"].to_pylist())) | by_model
    return pa.array(sorted(found), pa.string())
