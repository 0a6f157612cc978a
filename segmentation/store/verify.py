"""Is everything in the store what it was when it was written, and does it add up?"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe
from segmentation.dates import window
from segmentation.errors import StoreError
from segmentation.store.content import hash_bytes, hash_json, hash_table, seal, unseal
from segmentation.store.log import checkpoint_key, key_of
from segmentation.store.snapshots import MANIFEST, Folder
from segmentation.store.state import Published, State
from segmentation.store.store import Store

SEALED = ("log/", "checkpoints/", "first_seen/", "raw/")
NAMED = ("raw/", "accepted/", "cells/", "quarantine/", "first_seen/", "recipes/", "fits/", "raw/reads/")
NEW, LAPSED = "NEW", "LAPSED"


def verify(store: Store, progress: Callable[[str, int, int], None] = lambda doing, done, total: None) -> list[str]:
    """All that is wrong with the store, one sentence each, with the object it is about; empty if nothing is.

    Checks every object's bytes against its name, its seal or its manifest; the chain of the log, and the checkpoints
    against it; every accepted partition against its rows; every published snapshot's id, counts, sums and links.
    """
    problems = list(_objects(store, progress))
    state, found = _log(store)
    problems += found
    for position, day in enumerate(sorted(state.accepted)):
        progress("checking accepted days", position, len(state.accepted))
        problems += _guarded(partial(_accepted, store, state, day), f"accepted rows of {day}")
    for position, day in enumerate(sorted(state.published)):
        progress("checking snapshots", position, len(state.published))
        problems += _guarded(partial(_published, store, state, day), state.published[day].folder)
    return problems


def _guarded(check: Callable[[], Iterator[str]], what: str) -> list[str]:
    found = []
    try:
        for problem in check():
            found.append(problem)
    except (StoreError, KeyError, ValueError, pa.ArrowException) as error:
        found.append(f"{what} cannot be checked: {error}")
    return found


def _objects(store: Store, progress: Callable[[str, int, int], None]) -> Iterator[str]:
    keys = store.objects.keys("")
    for position, key in enumerate(keys):
        progress("checking objects", position, len(keys))
        data = store.objects.get(key)
        stem = key.rpartition("/")[2].partition(".")[0]
        if key.startswith("snapshots/"):
            continue  # with their manifests
        if key.startswith(NAMED) and hash_bytes(data) == stem:
            continue
        if key.endswith(".json") and key.startswith(SEALED):
            try:
                unseal(data, key)
            except StoreError as error:
                yield str(error)
        else:
            yield f"{key} is damaged: its content does not match its name"


def _log(store: Store) -> tuple[State, list[str]]:
    """The state that the log gives from its first record, as far as it can be read."""
    state = State()
    problems = []
    keys = store.objects.keys("log")
    checkpoints = {key: store.objects.get(key) for key in store.objects.keys("checkpoints")}
    for number, key in enumerate(keys, start=1):
        if key != key_of(number):
            problems.append(f"{key_of(number)} is missing")
            break
        try:
            record = unseal(store.objects.get(key), key)
            state.apply(record, hash_json(record))
        except (StoreError, KeyError) as error:
            problems.append(f"{key}: {error}")
            break
        data = checkpoints.get(checkpoint_key(number))
        if data is not None and data != seal(state.document()):
            problems.append(f"{checkpoint_key(number)} is not the state that the log gives")
    return state, problems


def _accepted(store: Store, state: State, day: date) -> Iterator[str]:
    for name, table in state.accepted[day].tables.items():
        if table.accepted is None:
            if table.rows:
                yield f"{name} of {day}: {table.rows} rows were accepted, and no object holds them"
            continue
        rows = store.objects.table(table.accepted)
        if rows.num_rows != table.rows:
            yield f"{table.accepted} has {rows.num_rows} rows, the log says {table.rows}"
        if hash_table(rows, rows.column_names) != table.partition:
            yield f"{table.accepted} does not hold the rows of partition {table.partition}"
        quarantined = store.objects.table(table.quarantine).num_rows if table.quarantine else 0
        read = sum(table.files.values())
        if read != rows.num_rows + quarantined:
            yield f"{name} of {day}: {read} rows were read, {rows.num_rows} accepted and {quarantined} quarantined"
        cells = store.objects.table(table.cells) if table.cells else None
        if cells is None or pc.sum(cells["lines"]).as_py() != rows.num_rows:
            yield f"{name} of {day}: the cells do not count the accepted rows"
    yield from ()


def _published(store: Store, state: State, day: date) -> Iterator[str]:
    current = state.published[day]
    folder = Folder(store.objects, day, current.derivation)
    for name, expected in current.files.items():
        data = store.objects.find(f"{folder.path}/{name}")
        if data is None:
            yield f"{folder.path}/{name} is missing"
        elif hash_bytes(data) != expected:
            yield f"{folder.path}/{name} is damaged: its content does not match the log"
    manifest = folder.manifest()
    if manifest is None:
        yield f"{folder.path}/{MANIFEST} is missing"
        return
    for name, rows in manifest["rows"].items():
        if folder.table(name.removesuffix(".parquet")).num_rows != rows:
            yield f"{folder.path}/{name} does not have {rows} rows"
    if not manifest["snapshot_id"] == current.snapshot_id == folder.snapshot_id():
        yield f"{folder.path}: the content does not give the snapshot id {current.snapshot_id}"
    inputs = folder.json("inputs")
    if hash_json(inputs["derivation"]) != current.derivation:
        yield f"{folder.path}/inputs.json does not give the derivation {current.derivation}"
    if inputs["derivation"]["date"] != day.isoformat():
        yield f"{folder.path}/inputs.json is about {inputs['derivation']['date']}"
    if folder.json("model")["fit"] not in {key.rpartition("/")[2][:-5] for key in store.objects.keys("fits")}:
        yield f"{folder.path}/model.json names a fit that is not in fits/"
    Recipe(**store.named("recipes", inputs["derivation"]["recipe"]))
    yield from _links(store, state, day, current, inputs)
    yield from _sums(folder, store, inputs)


def _links(store: Store, state: State, day: date, current: Published, inputs: dict[str, Any]) -> Iterator[str]:
    if current.parent is None:
        return
    parent = state.published.get(current.parent)
    if parent is None or current.parent >= day:
        yield f"{day}: its parent {current.parent} is not an earlier published day"
        return
    folder = inputs["parent_folder"]
    if Folder(store.objects, current.parent, folder.rpartition("/")[2]).snapshot_id() != current.parent_id:
        yield f"{day}: {folder} is not the snapshot {current.parent_id} that it was derived from"


def _sums(folder: Folder, store: Store, inputs: dict[str, Any]) -> Iterator[str]:
    """Memberships against segments, migrations and the parent's memberships."""
    members = folder.table("memberships")
    present = Counter(name for name in members["segment_id"].to_pylist() if name is not None)
    lapsed = members.num_rows - sum(present.values())
    segments = folder.table("segments").to_pylist()
    if any(row["users"] != present[row["segment_id"]] for row in segments):
        yield f"{folder.path}: segments.parquet does not count the users of memberships.parquet"
    if set(present) - {row["segment_id"] for row in segments}:
        yield f"{folder.path}: memberships.parquet names a segment that segments.parquet lacks"
    cells = folder.table("migrations").to_pylist()
    arrived: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for cell in cells:
        arrived[cell["to_segment_id"]] += cell["users"]
        left[cell["from_segment_id"]] += cell["users"]
        changed = cell["from_segment_id"] != cell["to_segment_id"]
        if cell["behaviour"] + cell["ageing"] + cell["model"] != (cell["users"] if changed else 0):
            yield f"{folder.path}: the causes of {cell['from_segment_id']} → {cell['to_segment_id']} do not add up"
    if arrived.pop(LAPSED, 0) != lapsed or arrived != present:
        yield f"{folder.path}: the columns of migrations.parquet are not today's population"
    left.pop(NEW, None)
    before: Counter[str] = Counter()
    if inputs["parent_folder"]:
        parent = store.objects.table(f"{inputs['parent_folder']}/memberships.parquet")
        before = Counter(name for name in parent["segment_id"].to_pylist() if name is not None)
    if left != before:
        yield f"{folder.path}: the rows of migrations.parquet are not the parent's population"
    if pc.count_distinct(members["user_id"]).as_py() != members.num_rows:
        yield f"{folder.path}: memberships.parquet names a user twice"
    revenue = [row["revenue"] for row in segments]
    if None not in revenue and sum(revenue) != sum(cell["revenue"] for cell in cells):
        yield f"{folder.path}: the revenue of segments.parquet and migrations.parquet differs"
    days = window(folder.day, store.recipe(inputs["derivation"]["recipe"]).features.window_days)
    if not set(inputs["cells"]) <= {day.isoformat() for day in days}:
        yield f"{folder.path}/inputs.json names cells outside of the window"
