"""The six stages of a day, in the order in which the data flows.

Each takes the date and small references, keeps its results in the store, and can be run again alone: what is there already
is not made twice.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.adjustment import policy
from segmentation.clustering.model import Fit, Model
from segmentation.config import Config, Recipe
from segmentation.contracts.acceptance import check_rows, lost, with_cells
from segmentation.dates import window
from segmentation.errors import ConfigError, DataContractError, NoRowsError
from segmentation.features.catalogue import model_features, values
from segmentation.features.windows import window_sums
from segmentation.sources import slices
from segmentation.store import commits
from segmentation.store.content import money, money_units
from segmentation.store.derivations import Derivations
from segmentation.store.recipes import record_recipe
from segmentation.store.snapshots import Folder
from segmentation.store.state import AcceptedDay, Published, State
from segmentation.store.store import Store, open_store
from segmentation.tracking import memberships as tracking
from segmentation.tracking.aliases import aliases
from segmentation.tracking.causes import HadTheyDoneNothing
from segmentation.tracking.first_seen import seen_before
from segmentation.tracking.migrations import migrations
from segmentation.tracking.segments import segments

WEEKS_COMPARED = 4


def extract(config: Config, day: date) -> dict[str, Any]:
    """Read what the day's window needs and has not, and again the look-back, into raw slices.

    Returns the date, the name of the list of slices that `validate` is to look at, and the day's raw rows.
    Raises ConfigError for a day outside of [project] start and end, NoRowsError for a day without rows where that is not
    allowed, DataContractError for a file that cannot be read.
    """
    check_day(config, day)
    store = open_store(config)
    state = record_recipe(config, store)
    recipe = store.recipe_on(state, day)
    wanted = days_to_read(config, state, window(day, recipe.features.window_days), day)
    read, empty = read_days(config, wanted, by_date={day})
    if empty:
        raise NoRowsError(
            f"{day} has no rows in {config.sources.orders.path or config.sources.orders.sample}; if a day without rows is "
            'right for this shop, set [validation] empty_days = "allow" and run the day again'
        )
    return {"date": day.isoformat(), **read}


def days_to_read(config: Config, state: State, days: Iterable[date], first: date) -> list[date]:
    """Those of the days that are not accepted yet, were read by another recipe, or are within the look-back of `first`."""
    store = open_store(config)
    lookback = timedelta(days=config.sources.orders.options.lookback_days)
    readings = {name: store.recipe(name).reading for name in {recipe.hash for recipe in state.recipes}}

    def is_read(day: date) -> bool:
        accepted = state.accepted.get(day)
        return accepted is not None and accepted.reading == readings[str(state.recipe_on(day))]

    return [day for day in days if day >= first - lookback or not is_read(day)]


def check_day(config: Config, day: date) -> None:
    start, end = config.project.start, config.project.end
    if start and day < start:
        raise ConfigError(
            f"{day} is before [project] start = {start}: the history begins there; earlier days only feed it (to have one "
            "read again, set [sources.orders.options] lookback_days so that a day that you run reaches it)"
        )
    if end and day > end:
        raise ConfigError(f"{day} is after [project] end = {end}: the history ends there")


def read_days(config: Config, days: Iterable[date], by_date: set[date]) -> tuple[dict[str, Any], list[date]]:
    """List the slices of the given days, those left out that are accepted from exactly these slices already.

    Returns the name of the list (kept in raw/reads/) with the raw rows of the days in `by_date` and warnings, and those of
    these days that have no rows and must have some: days that were accepted with rows keep them.
    """
    store = open_store(config)
    state = store.state()
    recipes = {name: store.recipe(name) for name in state.recipes_in_force()}
    indexed: dict[str, tuple[slices.FileIndex, ...]] = {}
    files: tuple[slices.FileIndex, ...] = ()
    reads = {}
    rows = 0
    empty: list[date] = []
    days = list(days)
    for day in days:
        name = str(state.recipe_on(day))
        recipe = recipes[name]
        if recipe.reading not in indexed:
            indexed[recipe.reading] = slices.index(
                store.objects, config.sources.orders, config.root, recipe, list(recipes.values())
            )
        files = indexed[recipe.reading]
        found = {file.key: slices.raw_rows([file], day) for file in files if day in file.days}
        accepted = state.accepted.get(day)
        if day in by_date:
            rows += sum(found.values())
            kept = accepted and accepted.has_users
            if not found and not kept and config.validation.empty_days == "refuse":
                empty.append(day)
        if accepted and accepted.reading == recipe.reading and accepted.tables["orders"].files == found:
            continue
        earlier = [slices.raw_rows(files, day - timedelta(weeks=weeks)) for weeks in range(1, WEEKS_COMPARED + 1)]
        reads[day.isoformat()] = {
            "files": found,
            "names": {file.key: file.name for file in files if file.key in found},
            "weekday_rows": [count for count in earlier if count],
            "recipe": name,
            "instead_of": accepted.hash if accepted else None,
        }
    warnings = [
        *_late(state, files, set(days)),
        *_odd_files(files, set(days)),
        *_beyond(files, by_date - set(empty)),
    ]
    return {"read": store.put_named("raw/reads", {"days": reads}), "rows": rows, "warnings": warnings}, empty


def _late(state: State, files: Iterable[slices.FileIndex], read: set[date]) -> Iterator[str]:
    """A warning if accepted days that were not read again have other numbers of rows in the files than were accepted."""
    there: Counter[date] = Counter()
    for file in files:
        there.update({day: rows for day, (_, rows) in file.days.items()})
    accepted = {day: sum(value.tables["orders"].files.values()) for day, value in state.accepted.items()}
    # Not of days without any row: files may be put away once they were read.
    differ = sorted(day for day, rows in accepted.items() if day not in read and there[day] not in (0, rows))
    if differ:
        more = sum(there[day] - accepted[day] for day in differ)
        yield (
            f"the source has {more:+} rows for {len(differ)} days before the look-back (the first is {differ[0]}): they "
            "count once their day is run by date, or lies within [sources.orders.options] lookback_days"
        )


def _odd_files(files: Iterable[slices.FileIndex], read: set[date]) -> Iterator[str]:
    """Warnings of files with rows of the days read, or of no day at all: rows without a day, copies of another file."""
    ours = [file for file in files if not file.days or not read.isdisjoint(file.days)]
    undated = [file for file in ours if file.undated]
    if undated:
        rows = sum(file.undated for file in undated)
        reasons = ", ".join(f"{reason}: {count}" for reason, count in undated[0].reasons.items())
        yield (
            f"{rows} rows belong to no day and are in quarantine ({len(undated)} files; {undated[0].name}: {reasons}); "
            "`segmentation quality` counts them by file"
        )
    for file in ours:
        if file.copies and file.rows:
            yield f"{', '.join(file.copies)} has the same bytes as {file.name} and counts once: is it a copy?"


def _beyond(files: Iterable[slices.FileIndex], asked: Iterable[date]) -> Iterator[str]:
    """A warning of days asked for that are later than every row: perhaps they are not over yet."""
    newest = max((day for file in files for day in file.days), default=date.min)
    beyond = sorted(day for day in asked if day > newest)
    if beyond:
        which = f"{beyond[0]} has" if len(beyond) == 1 else f"{beyond[0]} and {len(beyond) - 1} days after it have"
        yield f"{which} no rows and neither has any later day; is the day over? The newest row is of {newest}"


def validate(config: Config, read: str) -> dict[str, Any]:
    """Split the listed days' rows into accepted and quarantined ones, gate them, and accept the days in the log.

    A day that another run has accepted since it was listed is listed again, so that an older read never replaces a newer.
    A day that was accepted with rows keeps them, with a warning, when it fails now, or has lost a column or all its rows.
    What an earlier, killed run has accepted from the same files is not looked at again.

    Raises DataContractError naming the days that failed the gate and had no rows before; the others are accepted.
    """
    store = open_store(config)
    total = {"accepted": 0, "quarantined": 0, "records": 0}
    refused: list[str] = []
    warnings: list[str] = []
    while days := store.named("raw/reads", read)["days"]:
        state = store.state()
        checked: dict[date, AcceptedDay] = {}
        for text, listed in sorted(days.items()):
            day = date.fromisoformat(text)
            recipe = store.recipe(listed["recipe"])
            old = state.accepted.get(day)
            if old and old.reading == recipe.reading and old.tables["orders"].files == listed["files"]:
                continue
            files = [slices.load(store.objects, name, key) for key, name in sorted(listed["names"].items())]
            raw = slices.read_day(store.objects, files, day)
            accepted, critical = check_rows(store.objects, day, raw, listed, recipe, config.validation)
            if old and old.has_users:
                critical = critical or lost(old, accepted, config.validation)
                if critical:
                    warnings.append(f"{day} kept its earlier rows: {critical}")
            elif critical:
                refused.append(f"{day}: {critical}")
            if accepted and not critical:
                checked[day] = accepted
        outdated: list[date] = []
        for day, accepted in with_cells(store.objects, checked).items():
            outcome = commits.accept(store, day, accepted, days[day.isoformat()]["instead_of"])
            if outcome == "outdated":
                outdated.append(day)
                continue
            total["accepted"] += accepted.tables["orders"].rows
            total["quarantined"] += accepted.tables["orders"].quality["quarantined"]
            total["records"] += outcome == "accepted"
        if not outdated:
            break
        read = read_days(config, outdated, set())[0]["read"]
    if refused:
        raise DataContractError(
            "the data broke its contract, nothing of these days was accepted: " + "; ".join(refused)
        )
    return {**total, "warnings": warnings}


def build_features(config: Config, day: date) -> dict[str, Any]:
    """Fix what the day is derived from, and compute every user's features as of the day.

    Returns the derivation and the number of users. Raises DataContractError while a day of the window is not accepted.
    """
    check_day(config, day)
    store = open_store(config)
    state = store.state()
    derivations = Derivations(state, store.recipe)
    asked = derivations.asked(day)
    if asked is None:
        missing = derivations.missing(day)
        raise DataContractError(
            f"{day} cannot be derived: {len(missing)} days of its window are not accepted, the first is {missing[0]}; "
            f"run the day from `extract` on"
        )
    folder = Folder(store.objects, day, asked.hash)
    if manifest := folder.manifest():
        return {"derivation": asked.hash, "users": manifest["summary"]["users"]}
    recipe = store.recipe(asked.recipe)
    partitions = {
        other: table
        for other in window(day, recipe.features.window_days)
        if (table := state.accepted[other].tables["orders"]).cells
    }
    parent = state.published[asked.parent] if asked.parent else None
    inputs: dict[str, Any] = {
        "derivation": asked.document,
        "parent_folder": parent.folder if parent else None,
        "cells": {other.isoformat(): table.cells for other, table in partitions.items()},
        "columns": sorted({column for table in partitions.values() for column in table.columns}),
        "quality": state.accepted[day].tables["orders"].quality,
    }
    sums = _sums(store, inputs, day, day, recipe)
    features = values(sums, day, recipe.features, frozenset(inputs["columns"]))
    if "amount" in inputs["columns"]:
        features = features.append_column("revenue", money(sums["amount"].to_numpy()))
    if parent and asked.parent:
        present = _parent(store, parent.folder, asked.parent).memberships["user_id"].combine_chunks()
        users = features["user_id"].combine_chunks()
        known = np.asarray(pc.is_in(users, value_set=present).to_numpy(zero_copy_only=False))
        new = users.filter(pa.array(~known))
        known[~known] = seen_before(store.objects, state, derivations.first_seen, new, asked.parent)
        features = features.append_column("seen_before", pa.array(known))
    folder.put_table("features", features)
    folder.put_json("inputs", inputs)
    return {"derivation": asked.hash, "users": features.num_rows}


def _sums(store: Store, inputs: Mapping[str, Any], as_of: date, known_until: date, recipe: Recipe) -> pa.Table:
    paths = [(date.fromisoformat(day), store.objects.path(key)) for day, key in sorted(inputs["cells"].items())]
    return window_sums(paths, as_of, known_until, recipe.features)


def _features(store: Store, inputs: Mapping[str, Any], as_of: date, known_until: date, recipe: Recipe) -> pa.Table:
    sums = _sums(store, inputs, as_of, known_until, recipe)
    return values(sums, as_of, recipe.features, frozenset(inputs["columns"]))


def _parent(store: Store, folder: str, day: date) -> tracking.Parent:
    return tracking.Parent.of(day, store.objects.table(f"{folder}/memberships.parquet"))


def cluster(config: Config, day: date, derivation: str) -> dict[str, Any]:
    """Decide which model scores the day: the first one is fitted, later days take their parent's.

    Raises DataContractError when a feature that the model needs is not there any more.
    """
    store = open_store(config)
    folder = Folder(store.objects, day, derivation)
    if folder.manifest():
        return _decided(folder)
    inputs = folder.json("inputs")
    recipe = store.recipe(inputs["derivation"]["recipe"])
    features = folder.table("features")
    model = _parent_model(store, inputs)
    if model is None:
        wanted = model_features(recipe.clustering, frozenset(inputs["columns"])) if features.num_rows else ()
        fit, decision = policy.baseline(day, features, wanted, recipe.clustering)
        model = Model.founded(fit, store.put_named("fits", fit.document()), day)
    else:
        lacking = [name for name in model.features if name not in features.column_names]
        if lacking and features.num_rows:
            raise DataContractError(
                f"{day}: the segments are made by {', '.join(lacking)}, which cannot be computed from the columns that the "
                f"window has ({', '.join(inputs['columns'])}); see `segmentation features` for what each needs"
            )
        parent_day = date.fromisoformat(inputs["derivation"]["parent"][0])
        decision = policy.hold(day, parent_day, features.num_rows, model)
    folder.put_json("model", model.document())
    folder.put_json("decision", decision)
    return _decided(folder)


def _parent_model(store: Store, inputs: Mapping[str, Any]) -> Model | None:
    """The model to carry on; None where there is no parent, or it had nobody to found segments on."""
    if inputs["parent_folder"] is None:
        return None
    model = Model.from_document(store.json(f"{inputs['parent_folder']}/model.json"))
    return model if model.segments else None


def _decided(folder: Folder) -> dict[str, Any]:
    return {"decision": folder.json("decision")["decision"], "segments": len(folder.json("model")["segments"])}


def compare_segments(config: Config, day: date, derivation: str) -> dict[str, Any]:
    """Place every user with hysteresis, and count who moved from where to where, and why."""
    store = open_store(config)
    folder = Folder(store.objects, day, derivation)
    if manifest := folder.manifest():
        return {key: manifest["summary"][key] for key in ("users", "moved")}
    inputs = folder.json("inputs")
    recipe = store.recipe(inputs["derivation"]["recipe"])
    features = folder.table("features")
    model = Model.from_document(folder.json("model"))
    fit = Fit.from_document(store.named("fits", model.fit))
    users = features["user_id"].combine_chunks()
    today = tracking.Assignment.of(model.ids, fit.distances(features))
    parent = None
    if inputs["parent_folder"] is None:
        members = tracking.baseline(day, users, today)
    else:
        parent = _parent(store, inputs["parent_folder"], date.fromisoformat(inputs["derivation"]["parent"][0]))
        idle = partial(_features, store, inputs, day, parent.day, recipe)
        causes = HadTheyDoneNothing(users, idle, fit, model.ids)
        known = np.asarray(features["seen_before"].to_numpy(zero_copy_only=False))
        members = tracking.follow(day, users, today, parent, recipe.adjustment, known, causes)
    events = {segment.segment_id: "born" if segment.born == day else "continued" for segment in model.segments}
    present = members.filter(pc.is_valid(members["segment_id"]))
    revenue = money_units(features["revenue"]) if "revenue" in features.column_names else None
    earned = None
    if revenue is not None:
        earned = np.zeros(members.num_rows, dtype=np.int64)  # those who lapsed have no row left in the window
        earned[np.asarray(members["segment_id"].is_valid().to_numpy(zero_copy_only=False))] = revenue
    described = features.drop_columns([name for name in ("revenue", "seen_before") if name in features.column_names])
    folder.put_table("memberships", members)
    folder.put_table("segments", segments(model, events, present["segment_id"].to_pylist(), described, revenue))
    folder.put_table("migrations", migrations(members, parent.memberships if parent else None, earned))
    return {"users": present.num_rows, "moved": _moved(members)}


def _moved(members: pa.Table) -> int:
    return int(pc.sum(pc.is_in(members["status"], value_set=pa.array(["moved", "reassigned"]))).as_py() or 0)


def publish(config: Config, day: date, derivation: str) -> dict[str, Any]:
    """Complete the snapshot and commit it to the log, unless the log has the day as the state asks for it already.

    Returns the current snapshot's id and figures, and the outcome: `published`, `current` (this derivation was already
    published), or `superseded` (another one was published that the state asks for; this one is dropped).
    """
    store = open_store(config)
    folder = Folder(store.objects, day, derivation)
    inputs = folder.json("inputs")
    if folder.manifest() is None:
        members = folder.table("memberships")
        users = members.num_rows - members["segment_id"].null_count
        summary = {
            "users": users,
            "segments": len(folder.json("model")["segments"]),
            "decision": folder.json("decision")["decision"],
            "moved": _moved(members),
            "share_moved": round(_moved(members) / max(users, 1), 6),
        }
        folder.put_json("quality", {"date": day.isoformat(), "tables": {"orders": inputs["quality"]}})
        folder.complete(folder.snapshot_id(), summary)
    manifest = folder.manifest()
    assert manifest is not None
    parent = inputs["derivation"]["parent"]
    published = Published(
        snapshot_id=manifest["snapshot_id"],
        derivation=derivation,
        parent=date.fromisoformat(parent[0]) if parent else None,
        parent_id=parent[1] if parent else None,
        folder=folder.path,
        files=folder.files(),
        summary=manifest["summary"],
    )
    old = store.state().published.get(day)
    replaced = []
    if old and old.derivation != derivation:
        before = store.objects.table(f"{old.folder}/memberships.parquet")
        model = Model.from_document(folder.json("model"))
        replaced = aliases(before, folder.table("memberships"), model.ids)
    outcome, current = commits.publish(store, day, published, replaced)
    return {"date": day.isoformat(), "snapshot_id": current.snapshot_id, **current.summary, "outcome": outcome}
