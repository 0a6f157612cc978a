"""The rules that hold on a day, and the bundles that are made of them."""

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.errors import StoreError
from segmentation.monitor.profiles import check_segment
from segmentation.monitor.read_models import Record, served_on
from segmentation.services.bundles import HOLDS
from segmentation.store.snapshots import RULES, Folder, exact_hash
from segmentation.store.state import Published
from segmentation.store.store import Store

SPECIAL_Q, SPECIAL_RATIO, SPECIAL_COUNT = 0.01, 1.5, 20


def rules(store: Store, day: date, segment: str | None = None) -> Record:
    """{date (on which they were computed), figures, nothing, problem, rules}: every row of `rules.parquet` that holds on the
    day (see docs/tables.md); of one segment if it is named, else of the whole shop and of all segments.

    Raises SegmentationError, naming the nearest, if the day is not published or has no such segment.
    """
    published = served_on(store, day)
    held = store.json(f"{published.folder}/rules.json")
    found = {key: held[key] for key in ("date", "figures", "nothing", "problem")}
    return {**found, "rules": _of(store, published, "rules", segment, day).to_pylist()}


def bundles(store: Store, day: date, segment: str | None = None) -> Record:
    """{date, nothing, problem, bundles}: the rows of `bundles.parquet` that hold on the day. Raises as `rules` does."""
    published = served_on(store, day)
    held = store.json(f"{published.folder}/rules.json")
    found = {key: held[key] for key in ("date", "nothing", "problem")}
    return {**found, "bundles": _of(store, published, "bundles", segment, day).to_pylist()}


def strongest(rows: list[Record]) -> list[Record]:
    """The rules that hold (`bundles.holding`), the most lift first: those of the whole shop, or where there are none of it the
    segments'."""
    everywhere = any(row["segment_id"] is None for row in rows)
    found = [
        row
        for row in rows
        if row["q"] <= HOLDS and (row["lift"] or 0) > 1 and (row["segment_id"] is None or not everywhere)
    ]
    return sorted(found, key=lambda row: (-row["lift"], row["rule"]))


def special(rows: list[Record]) -> list[Record]:
    """The rules that hold in a segment far more than in the rest of the shop, the largest ratio first.

    Far: q takes the baskets of one user for independent of each other, and is too small alone.
    """
    found = [
        row
        for row in rows
        if row["special_q"] is not None
        and row["special_q"] <= SPECIAL_Q
        and (row["confidence_ratio"] or 0) >= SPECIAL_RATIO
        and row["count"] >= SPECIAL_COUNT
    ]
    return sorted(found, key=lambda row: (-row["confidence_ratio"], row["rule"]))


def holding(store: Store, published: Published, name: str) -> pa.Table:
    """One of the tables that were computed with the rules that hold on a published day.

    Raises StoreError if it is not what the day's rules.json says it was.
    """
    held = store.json(f"{published.folder}/rules.json")
    table = Folder.at(store.objects, held["folder"]).table(name)
    if exact_hash(table, RULES[name]) != held["hashes"][name]:
        raise StoreError(
            f"{held['folder']}/{name}.parquet is not what {published.folder}/rules.json says; see `segmentation verify`"
        )
    return table


def _of(store: Store, published: Published, name: str, segment: str | None, day: date) -> pa.Table:
    table = holding(store, published, name)
    if segment is None:
        return table
    known = {one["segment_id"] for one in store.json(f"{published.folder}/model.json")["segments"]}
    check_segment(segment, sorted(known), day)
    return table.filter(pc.fill_null(pc.equal(table["segment_id"], segment), False))
