"""Is everything in the store what it was when it was written, and does it add up?"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.dates import window
from segmentation.errors import StoreError
from segmentation.store.content import hash_bytes, hash_json, hash_table, read_parquet, seal, unseal
from segmentation.store.log import checkpoint_key, key_of
from segmentation.store.objects import ADVICE
from segmentation.store.quarantine import read_csv
from segmentation.store.snapshots import LAPSED, MANIFEST, NEW, NOISE, Folder
from segmentation.store.state import AcceptedTable, Published, State
from segmentation.store.store import Store
from segmentation.tables import ACTIVITY, ORDERS

SEALED = ("log/", "checkpoints/", "first_seen/", "raw/", "project/")
NAMED = ("raw/", "accepted/", "cells/", "quarantine/", "first_seen/", "recipes/", "fits/", "references/", "raw/reads/")


def verify(store: Store, progress: Callable[[str, int, int], None] = lambda doing, done, total: None) -> list[str]:
    """All that is wrong with the store, one sentence each, with the object it is about; empty if nothing is.

    Checks every object's bytes against its name, its seal or its manifest; the chain of the log, and the checkpoints
    against it; every accepted partition against its rows; every published snapshot's id, counts, sums and links.
    """
    state, problems = _log(store)
    problems += _objects(store, {published.folder for published in state.published.values()}, progress)
    for position, day in enumerate(sorted(state.accepted)):
        progress("checking accepted days", position, len(state.accepted))
        problems += _guarded(partial(_accepted, store, state, day), f"accepted rows of {day}")
    for position, day in enumerate(sorted(state.published)):
        progress("checking snapshots", position, len(state.published))
        problems += _guarded(partial(_published, store, state, day), state.published[day].folder)
    return list(dict.fromkeys(problems))


def _guarded(check: Callable[[], Iterator[str]], what: str) -> list[str]:
    found = []
    try:
        for problem in check():
            found.append(problem)
    except (StoreError, KeyError, TypeError, ValueError, OSError, pa.ArrowException) as error:
        found.append(f"{what} cannot be checked: {str(error).removesuffix(ADVICE)}")
    return found


def _objects(store: Store, current: set[str], progress: Callable[[str, int, int], None]) -> Iterator[str]:
    """Every object's bytes, and that what it names is there. `current`: folders that are checked against the log."""
    keys = store.objects.keys("")
    there = set(keys)
    for position, key in enumerate(keys):
        progress("checking objects", position, len(keys))
        folder, _, name = key.rpartition("/")
        if key.startswith("snapshots/"):
            if name == MANIFEST and folder not in current:
                yield from _guarded(partial(_superseded, store, folder), folder)
            continue
        data = store.objects.get(key)
        stem = name.partition(".")[0]
        if key.startswith(NAMED) and hash_bytes(data) == stem:
            continue
        if key.endswith(".json") and key.startswith(SEALED):
            try:
                document = unseal(data, key)
            except StoreError as error:
                yield str(error)
                continue
            if key.startswith(("raw/", "first_seen/")):
                if document.get("key") != stem:
                    yield f"{key} is damaged: it was written under the name {document.get('key')}"
                for other in (document.get("raw"), document.get("quarantine"), *document.get("tables", [])):
                    if other and other not in there and not store.objects.exists(other):
                        yield f"{other} is missing: {key} names it"
        else:
            yield f"{key} is damaged: its content does not match its name"


def _superseded(store: Store, folder: str) -> Iterator[str]:
    """The files of a complete folder that is no day's current one (later days may have been derived from it)."""
    manifest = unseal(store.objects.get(f"{folder}/{MANIFEST}"), f"{folder}/{MANIFEST}")
    if folder != f"snapshots/date={manifest['date']}/{manifest['derivation']}":
        yield f"{folder}/{MANIFEST} is damaged: it is of {manifest['date']}, {manifest['derivation']}"
        return
    yield from _contents(store, folder, manifest["files"], "its manifest")


def _contents(store: Store, folder: str, files: dict[str, str], witness: str) -> Iterator[str]:
    for name, expected in files.items():
        data = store.objects.find(f"{folder}/{name}")
        if data is None:
            yield f"{folder}/{name} is missing"
        elif hash_bytes(data) != expected:
            yield f"{folder}/{name} is damaged: its content does not match {witness}"


def _log(store: Store) -> tuple[State, list[str]]:
    """The state that the log gives from its first record, as far as it can be read."""
    state = State()
    problems = []
    # Checkpoints first: a writer at work puts a record before its checkpoint.
    checkpoints = {key: store.objects.get(key) for key in store.objects.keys("checkpoints")}
    keys = store.objects.keys("log")
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
    if not problems:
        known = {checkpoint_key(number) for number in range(1, state.number + 1)}
        problems += [f"{key} is of a record that the log has lost" for key in checkpoints if key not in known]
    return state, problems


def _accepted(store: Store, state: State, day: date) -> Iterator[str]:
    for name, table in state.accepted[day].tables.items():
        for key in table.files:
            if not store.objects.exists(f"raw/{name}/{key}.json"):
                yield f"raw/{name}/{key}.json is missing: rows of {day} were read from it"
        if table.files:
            yield from _quarantined(store, f"{name} of {day}", table)
        if table.accepted is None:
            if table.rows:
                yield f"{name} of {day}: {table.rows} rows were accepted, and no object holds them"
            continue
        rows = _table(store, table.accepted)
        if rows.num_rows != table.rows:
            yield f"{table.accepted} has {rows.num_rows} rows, the log says {table.rows}"
        if hash_table(rows, None) != table.partition:  # they are in the order that counts
            yield f"{table.accepted} does not hold the rows of partition {table.partition}"
        if name not in ACTIVITY:
            continue
        cells = _table(store, table.cells) if table.cells else None
        counted = "lines" if name == ORDERS else name
        if cells is None or pc.sum(cells[counted]).as_py() != rows.num_rows:
            yield f"{name} of {day}: the cells do not count the accepted rows"


def _quarantined(store: Store, what: str, table: AcceptedTable) -> Iterator[str]:
    read, quarantined = sum(table.files.values()), table.quality["quarantined"]
    if read != table.rows + quarantined or quarantined != sum(table.quality["reasons"].values()):
        yield f"{what}: {read} rows were read, {table.rows} accepted and {quarantined} quarantined"
    # Not all of them are kept for people to read.
    kept = read_csv(_data(store, table.quarantine)).num_rows if table.quarantine else 0
    if kept != table.quality["kept"]:
        yield f"{what}: {kept} quarantined rows are there, the log says {table.quality['kept']}"


def _table(store: Store, key: str) -> pa.Table:
    return read_parquet(_data(store, key))


def _data(store: Store, key: str) -> bytes:
    """Bytes that are those of their name: what is damaged is not parsed."""
    data = store.objects.get(key)
    if hash_bytes(data) != key.rpartition("/")[2].partition(".")[0]:
        raise StoreError(f"{key} is damaged: its content does not match its name")
    return data


def _published(store: Store, state: State, day: date) -> Iterator[str]:
    current = state.published[day]
    folder = Folder(store.objects, day, current.derivation)
    damaged = list(_contents(store, folder.path, current.files, "the log"))
    if damaged:
        yield from damaged
        return
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
    model, proposals = folder.json("model"), folder.json("decision")["state"]["proposals"]
    named = [("model", f"fits/{model['fit']}"), ("model", f"references/{model['reference']}")]
    for name, key in named + [("decision", f"fits/{proposal['fit']}") for proposal in proposals]:
        if not store.objects.exists(f"{key}.json"):
            yield f"{key}.json is missing: {folder.path}/{name}.json names it"
    recipe = store.recipe(inputs["derivation"]["recipe"])
    if inputs["window_days"] < recipe.features.window_days:
        yield f"{folder.path}/inputs.json has a shorter window than the recipe"
    yield from _links(store, state, day, current, inputs)
    yield from _served(folder)
    yield from _sums(folder, store, inputs)


def _served(folder: Folder) -> Iterator[str]:
    """The rules that hold are where they are said to be, and are those; who has an action is there, and has one."""
    if not folder.is_served:
        return
    held = folder.json("rules")
    source = Folder.at(folder.objects, held["folder"])
    if source.day.isoformat() != held["date"] or source.json("rules")["hashes"] != held["hashes"]:
        yield f"{folder.path}/rules.json names other rules than those of {source.path}"
    elif source == folder and folder.hashes_of_rules().items() - held["hashes"].items():
        yield f"{folder.path}/rules.json does not give the hashes of the tables beside it"
    members, actions = folder.table("memberships"), folder.table("actions")
    there = members.filter(pc.is_valid(members["segment_id"]))["user_id"].combine_chunks()
    if not pc.all(pc.is_in(actions["user_id"], value_set=there), min_count=0).as_py():
        yield f"{folder.path}: actions.parquet names a user who is nowhere"
    if pc.count_distinct(actions["user_id"]).as_py() != actions.num_rows:
        yield f"{folder.path}: actions.parquet names a user twice"
    segments = set(folder.table("segments")["segment_id"].to_pylist())
    if set(folder.table("names")["segment_id"].to_pylist()) != segments:
        yield f"{folder.path}: names.parquet does not have the segments of segments.parquet"


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
    known = {row["segment_id"] for row in segments}
    if set(present) - known - {NOISE}:
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
    arrived_revenue = [cell["revenue"] for cell in cells if cell["to_segment_id"] in known]
    if None not in revenue and sum(revenue) != sum(arrived_revenue):
        yield f"{folder.path}: the revenue of segments.parquet and migrations.parquet differs"
    days = window(folder.day, inputs["window_days"])
    named = {day for cells in inputs["cells"].values() for day in cells}
    if not named <= {day.isoformat() for day in days}:
        yield f"{folder.path}/inputs.json names cells outside of the window"
