"""The six stages of a day, in the order in which the data flows.

Each takes the date and small references, keeps its results in the store, and can be run again alone: what is there already
is not made twice.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation import crossings, reads, served
from segmentation.adjustment import policy
from segmentation.adjustment.outcomes import RESTRUCTURE
from segmentation.adjustment.today import Standing, Today
from segmentation.adjustment.wording import sentence
from segmentation.clustering.model import Fit, Model
from segmentation.config import Config, Recipe
from segmentation.contracts.acceptance import check_rows, lost, with_cells
from segmentation.contracts.currency import check_currency
from segmentation.contracts.sign_ups import with_sign_ups
from segmentation.errors import DataContractError
from segmentation.features.catalogue import available, model_features, values
from segmentation.features.engine import EPOCH
from segmentation.inputs import Inputs
from segmentation.services import day as serving
from segmentation.sources import slices
from segmentation.store import commits
from segmentation.store.content import money, money_units
from segmentation.store.derivations import Derivations
from segmentation.store.snapshots import Folder
from segmentation.store.state import AcceptedDay, Published
from segmentation.store.store import Store, open_store
from segmentation.tables import ORDERS, REVIEWS, USERS
from segmentation.texts import LANGUAGES, Texts
from segmentation.tracking import memberships as tracking
from segmentation.tracking.aliases import aliases
from segmentation.tracking.first_seen import seen_before
from segmentation.tracking.identity import segment_events
from segmentation.tracking.migrations import migrations
from segmentation.tracking.segments import segments


def extract(config: Config, day: date) -> dict[str, Any]:
    """Read what the day's window needs and has not, and again the look-back, into raw slices.

    Returns the date, the name of the list of slices that `validate` is to look at, and the day's raw rows.
    Raises ConfigError for a day outside of [project] start and end, NoRowsError for a day without rows where that is not
    allowed, NotYetError for one that is not complete, DataContractError for a file that cannot be read, SourceError for a
    source that cannot be reached.
    """
    reads.check_day(config, day)
    store = open_store(config)
    state = reads.recorded(config, store)
    wanted = reads.days_to_read(config, state, Derivations(state, store.recipe).window(day), day)
    read, refused = reads.read_days(config, wanted, by_date={day})
    if day in refused:
        raise refused[day]
    return {"date": day.isoformat(), **read}


def waiting_for(config: Config, day: date) -> str:
    """What the day still lacks to be complete, by its sources' [complete] sections: "" if nothing."""
    reads.check_day(config, day)
    store = open_store(config)
    state = reads.recorded(config, store)
    recipe = str(state.recipe_on(day))
    listing = reads.listing_of(config, store, state, [day])
    if unmarked := listing.unmarked(day):
        return unmarked
    try:
        return listing.not_yet(day, recipe, listing.tables(day, recipe))
    except DataContractError as error:  # a file that is still being written
        return str(error)


def validate(config: Config, read: str) -> dict[str, Any]:
    """Split the listed days' rows into accepted and quarantined ones, gate them, and accept the days in the log.

    A day that another run has accepted since it was listed is listed again, so that an older read never replaces a newer.
    A day that was accepted with rows keeps them, with a warning, when it fails now, or has lost a column or all its rows.
    What an earlier, killed run has accepted from the same files is not looked at again.

    Raises DataContractError naming the days that failed the gate and had no rows before; the others are accepted.
    """
    store = open_store(config)
    total = {"accepted": 0, "quarantined": 0, "records": 0}
    refused: dict[str, str] = {}
    warnings: list[str] = []
    while days := store.named("raw/reads", read)["days"]:
        state = store.state()
        checked: dict[date, AcceptedDay] = {}
        ratings: dict[date, tuple[float, float]] = {}
        for text, listed in sorted(days.items()):
            day = date.fromisoformat(text)
            recipe = store.recipe(listed["recipe"])
            old = state.accepted.get(day)
            if old and old.reading == recipe.reading and old.files == reads.files_of(listed["tables"]):
                continue
            accepted, critical = _check_day(config, store, day, listed["tables"], recipe, old)
            if old and old.has_users:
                critical = critical or lost(old, accepted, config.validation)
                if critical:
                    warnings.append(f"{day} kept its earlier rows: {critical}")
            elif critical:
                refused[text] = critical
            if not critical:
                checked[day] = accepted
                if REVIEWS in recipe.options:
                    lowest, highest = recipe.options[REVIEWS]["rating"]
                    ratings[day] = (lowest, highest)
        outdated: list[date] = []
        for day, accepted in with_sign_ups(store.objects, with_cells(store.objects, checked, ratings)).items():
            outcome = commits.accept(store, day, accepted, days[day.isoformat()]["instead_of"])
            if outcome == "outdated":
                outdated.append(day)
                continue
            for table in accepted.activity.values():
                total["accepted"] += table.rows
                total["quarantined"] += table.quality["quarantined"]
            total["records"] += outcome == "accepted"
        if not outdated:
            break
        read = reads.read_days(config, outdated, set())[0]["read"]
    if refused:
        raise DataContractError(
            "the data broke its contract, nothing of these days was accepted: "
            + "; ".join(f"{text}: {critical}" for text, critical in refused.items())
            + f"; `segmentation check --date {min(refused)}` shows more"
        )
    return {**total, "warnings": warnings}


def _check_day(
    config: Config, store: Store, day: date, listed: Mapping[str, Any], recipe: Recipe, old: AcceptedDay | None
) -> tuple[AcceptedDay, str]:
    """The day's tables, and what is critical about their rows: "" if nothing."""
    tables = {USERS: old.tables[USERS]} if old and USERS in old.tables else {}
    critical = []
    for table, found in listed.items():
        files = [slices.load(store.objects, name, key, table) for key, name in sorted(found["names"].items())]
        raw = slices.read_day(store.objects, files, EPOCH if table == USERS else day)
        accepted, why = check_rows(store.objects, table, day, raw, found, recipe, config.validation)
        if accepted:
            tables[table] = accepted
        else:
            critical.append(why)
    return AcceptedDay(tables, recipe.reading), "; ".join(critical)


def build_features(config: Config, day: date) -> dict[str, Any]:
    """Fix what the day is derived from, and compute every user's features as of the day.

    Returns the derivation and the number of users. Raises DataContractError while a day of the window is not accepted.
    """
    reads.check_day(config, day)
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
    days = derivations.window(day)
    accepted = {other: state.accepted[other] for other in days}
    cells: dict[str, dict[str, str]] = {}
    columns: set[str] = set()
    for other, value in accepted.items():
        for name, table in value.activity.items():
            if table.cells:
                cells.setdefault(name, {})[other.isoformat()] = table.cells
                columns.update(f"{name}.{column}" for column in table.columns)
    check_currency(day, accepted)
    dimension = state.users_on(day)
    parent = state.published[asked.parent] if asked.parent else None
    document: dict[str, Any] = {
        "derivation": asked.document,
        "parent_folder": parent.folder if parent else None,
        "window_days": len(days),
        "cells": cells,
        "columns": sorted(columns),
        "orders": _orders(accepted),
        "users": dimension.accepted if dimension else None,
        "quality": {name: table.quality for name, table in state.accepted[day].tables.items()},
    }
    inputs = Inputs(store, document)
    everyone = inputs.everyone(day, day, recipe.features)
    excluded = inputs.excluded()
    sums = everyone.filter(pc.invert(pc.is_in(everyone["user_id"], value_set=excluded)))
    if USERS in document["quality"]:
        there = everyone.num_rows - sums.num_rows
        document["quality"][USERS] = _with_excluded(document["quality"][USERS], len(excluded), there, everyone.num_rows)
    features = values(sums, day, recipe.features, inputs.columns)
    if "orders.amount" in columns:
        features = features.append_column("revenue", money(sums["amount"].fill_null(0).to_numpy()))
    if parent and asked.parent:
        present = _parent(store, parent.folder, asked.parent).memberships["user_id"].combine_chunks()
        users = features["user_id"].combine_chunks()
        known = np.asarray(pc.is_in(users, value_set=present).to_numpy(zero_copy_only=False))
        new = users.filter(pa.array(~known))
        known[~known] = seen_before(store.objects, state, derivations.first_seen, new, asked.parent)
        features = features.append_column("seen_before", pa.array(known))
    folder.put_table("features", features)
    folder.put_json("inputs", document)
    return {"derivation": asked.hash, "users": features.num_rows}


def _orders(window: Mapping[date, AcceptedDay]) -> dict[str, str]:
    """Day → its accepted rows of orders."""
    tables = ((day, accepted.activity.get(ORDERS)) for day, accepted in window.items())
    return {day.isoformat(): table.accepted for day, table in tables if table and table.accepted}


def _with_excluded(quality: dict[str, Any], excluded: int, there: int, users: int) -> dict[str, Any]:
    """The quality of the table of users, with how many of those whom it excludes have rows in the window (`excluded_there`),
    and a warning if nobody has: then their ids may be written otherwise than in the other tables."""
    warning = {
        "expectation": "excluded",
        "reason": "nobody of those who are to be left out has a row in the window: are the ids written as in the other tables?",
        "observed": {"excluded": excluded, "users": users},
    }
    lost = [warning] if excluded and users and not there else []
    return {**quality, "excluded_there": there, "warnings": [*quality["warnings"], *lost]}


def _parent(store: Store, folder: str, day: date) -> tracking.Parent:
    return tracking.Parent.of(day, store.objects.table(f"{folder}/memberships.parquet"))


def cluster(config: Config, day: date, derivation: str) -> dict[str, Any]:
    """Decide which model scores the day: the first one is founded, later days keep, update or replace their parent's.

    Raises DataContractError when a feature that the model needs is not there any more.
    """
    store = open_store(config)
    folder = Folder(store.objects, day, derivation)
    if folder.manifest():
        return _decided(folder)
    inputs = Inputs(store, folder.json("inputs"))
    recipe = store.recipe(inputs["derivation"]["recipe"])
    features = folder.table("features")
    parent = _standing(inputs)
    adopted = inputs["derivation"]["adopt"]
    taken = Fit.from_document(store.named("fits", adopted)) if adopted else None
    for fit in (parent.fit if parent else None, taken):
        if fit and features.num_rows:
            _check_columns(day, fit, inputs["columns"])
    today = Today(
        day,
        features,
        recipe,
        active_days=len(set().union(*inputs["cells"].values())),
        wanted=lambda: model_features(recipe.clustering, inputs.columns),
        as_before=partial(inputs.features, day, day),
    )
    decided = policy.decide(today, parent, taken)
    for fit in decided.fits:
        store.put_named("fits", fit.document())
    store.put_named("references", decided.reference)
    folder.put_json("model", decided.model.document())
    folder.put_json("decision", decided.decision)
    folder.put_table("drift", decided.drift)
    folder.put_table("drift_bins", decided.drift_bins)
    return _decided(folder)


def _check_columns(day: date, fit: Fit, columns: Sequence[str]) -> None:
    there = {feature.name for feature in available(columns)}
    lacking = [name for name in fit.transform.features if name not in there]
    if lacking:
        raise DataContractError(
            f"{day}: the segments are made by {', '.join(lacking)}, which cannot be computed from the columns that the "
            f"window has ({', '.join(columns)}); see `segmentation features` for what each needs"
        )


def _standing(inputs: Inputs) -> Standing | None:
    """What the parent's snapshot carries on; None where there is no parent, or it had nobody to found segments on."""
    folder, store = inputs.parent(), inputs.store
    if folder is None:
        return None
    model = Model.from_document(folder.json("model"))
    if not model.segments:
        return None
    return Standing(
        folder.day,
        model,
        Fit.from_document(store.named("fits", model.fit)),
        store.named("references", model.reference),
        folder.json("decision"),
        folder.table("drift_bins"),
        lambda: folder.table("memberships"),
    )


def _decided(folder: Folder) -> dict[str, Any]:
    return {"decision": folder.json("decision")["decision"], "segments": len(folder.json("model")["segments"])}


def compare_segments(config: Config, day: date, derivation: str) -> dict[str, Any]:
    """Place every user with hysteresis, and count who moved from where to where, and why."""
    store = open_store(config)
    folder = Folder(store.objects, day, derivation)
    if manifest := folder.manifest():
        return {key: manifest["summary"][key] for key in ("users", "moved")}
    inputs = Inputs(store, folder.json("inputs"))
    recipe = store.recipe(inputs["derivation"]["recipe"])
    features = folder.table("features")
    model = Model.from_document(folder.json("model"))
    decision = folder.json("decision")
    fit = Fit.from_document(store.named("fits", model.fit))
    users = features["user_id"].combine_chunks()
    today = tracking.Assignment.of(model.states(fit), fit.distances(features))
    parent = None
    if inputs["parent_folder"] is None:
        members = tracking.baseline(day, users, today)
    else:
        parent = _parent(store, inputs["parent_folder"], date.fromisoformat(inputs["derivation"]["parent"][0]))
        before = _standing(inputs)
        causes = crossings.causes(inputs, day, features, before, model) if before else crossings.nobody_crossed
        known = np.asarray(features["seen_before"].to_numpy(zero_copy_only=False))
        members = tracking.follow(
            day,
            users,
            today,
            parent,
            recipe.adjustment,
            known,
            causes,
            crossings.redefined(inputs, day, users, before, recipe),
            at_once=decision["decision"] == RESTRUCTURE,
        )
    present = members.filter(pc.is_valid(members["segment_id"]))
    revenue = money_units(features["revenue"]) if "revenue" in features.column_names else None
    earned = None
    if revenue is not None:
        earned = np.zeros(members.num_rows, dtype=np.int64)  # those who lapsed have no row left in the window
        earned[np.asarray(members["segment_id"].is_valid().to_numpy(zero_copy_only=False))] = revenue
    described = features.drop_columns([name for name in ("revenue", "seen_before") if name in features.column_names])
    events = segment_events(model, decision["events"], day)
    folder.put_table("memberships", members)
    table = segments(model, events, present["segment_id"].to_pylist(), described, revenue)
    folder.put_table("segments", table)
    folder.put_table("migrations", migrations(members, parent.memberships if parent else None, earned))
    shown = serving.Today(
        day,
        present,
        described.drop_columns(["user_id"]),
        revenue,
        inputs.users(),
        table,
        tuple(fit.transform.features),
    )
    served.serve(folder, inputs, recipe, shown)
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
    inputs = Inputs(store, folder.json("inputs"))
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
        folder.put_json("quality", {"date": day.isoformat(), "tables": inputs["quality"]})
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


def proposal(config: Config, day: date) -> dict[str, Any] | None:
    """What a person is to be asked after a day was published: the proposed fit, and the question in every language (Markdown).

    None unless the day is the latest published one and proposes a model itself.
    """
    store = open_store(config)
    published = store.state().published
    if day not in published or day != max(published):
        return None
    decision = store.json(f"{published[day].folder}/decision.json")
    if decision["reason"] != "proposed":
        return None
    question = "\n\n".join(sentence(decision, Texts(lang)) for lang in LANGUAGES)
    return {"fit": decision["state"]["proposals"][-1]["fit"], "question": question}
