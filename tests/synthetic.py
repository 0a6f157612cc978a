"""A made-up history, written through the store's own doors without reading any rows: fast, and of any shape.

Users walk about in the space of the features, enter, lapse and return; where they are published, and why, say the rules of
`tracking`. Everything adds up as in a real store: `verify` finds nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.adjustment import drift
from segmentation.adjustment.reference import held_against
from segmentation.clustering.model import Fit, MadeBy, Model, Segment
from segmentation.clustering.transform import Axis, Transform
from segmentation.config import Adjustment, Clustering, Config, load
from segmentation.features.catalogue import CATALOGUE
from segmentation.services import day as serving
from segmentation.services.baskets import RETURNED, Baskets
from segmentation.store import commits
from segmentation.store.content import hash_json, money
from segmentation.store.derivations import Derivations
from segmentation.store.recipes import record_recipe
from segmentation.store.snapshots import Folder
from segmentation.store.state import AcceptedDay, AcceptedTable, Published
from segmentation.store.store import Store, open_store
from segmentation.tracking import memberships as tracking
from segmentation.tracking.identity import segment_events
from segmentation.tracking.migrations import migrations
from segmentation.tracking.segments import segments

FIRST = date(2024, 2, 20)
MODEL_FEATURES = ("recency", "frequency", "average_order_value")
ADJUSTMENT = Adjustment(move_points=4_000, return_points=6_000)
REASONS = {"user_id is missing": 5, "amount is not readable": 3, "ordered_at is not readable": 1}


def write_config(root: Path, window_days: int = 1) -> Config:
    """A configuration file in `root`, and what it says."""
    (root / "orders.csv").write_text("order_id,user_id,ordered_at,quantity,amount\n")
    (root / "segmentation.toml").write_text(
        f'[sources.orders]\npath = "orders.csv"\n[features]\nwindow_days = {window_days}\n'
    )
    return load(root / "segmentation.toml", {})


def synthetic_history(
    root: Path,
    days: Sequence[date] = tuple(FIRST + timedelta(days=offset) for offset in range(12)),
    users: int = 300,
    segment_ids: Sequence[str] = ("3f0c9a1e", "5b7d2c88", "91e4a0f3", "c2d8176b", "e60b4f95"),
    seed: int = 0,
    amounts: bool = True,
) -> Config:
    """Publish the days, in order, in the store of a new configuration in `root`."""
    config = write_config(root)
    store = open_store(config)
    record_recipe(config, store)
    draw = np.random.default_rng(seed)
    walk = _Walk(draw, users, len(segment_ids), amounts)
    fit = walk.fit(len(segment_ids))
    name = store.put_named("fits", fit.document())
    model = Model(
        name,
        MODEL_FEATURES,
        tuple(
            Segment(segment_id, days[0], (), tuple(map(float, centre)))
            for segment_id, centre in zip(segment_ids, fit.centres, strict=True)
        ),
        MadeBy(config.features, config.clustering),
    )
    for day in days:
        accept(store, day, str(draw.integers(10**9)), rows=int(draw.integers(900, 1100)))
        walk.step()
        _publish(store, config, day, model, fit, walk, draw)
    return config


def accept(store: Store, day: date, partition: str, rows: int = 1000) -> None:
    """Say that a day's rows were accepted; the rows themselves are nowhere."""
    warning = {"expectation": "volume", "reason": "few rows for a weekday", "observed": {"volume_ratio": 0.19}}
    quality = {
        "rows": rows,
        "accepted": rows - sum(REASONS.values()),
        "quarantined": sum(REASONS.values()),
        "reasons": REASONS,
        "zero_quantity": 2,
        "zero_amount": 4,
        "returns": 17,
        "warnings": [warning] if rows > 1000 else [],
    }
    table = AcceptedTable(partition, "", {}, 0, None, None, None, [], quality)
    state = store.state()
    current = state.accepted.get(day)
    reading = store.recipe_on(state, day).reading
    commits.accept(store, day, AcceptedDay({"orders": table}, reading), current.hash if current else None)


class _Walk:
    """The users' features, a little different every day, and who is in the population."""

    def __init__(self, draw: np.random.Generator, users: int, groups: int, amounts: bool) -> None:
        self.draw = draw
        self.amounts = amounts
        self.ids = pa.array([f"user-{number:05d}" for number in range(users)])
        self.centres = draw.uniform(-1.5, 1.5, (groups, len(MODEL_FEATURES)))
        weights = np.linspace(1.0, 0.2, groups)
        self.at = self.centres[draw.choice(groups, users, p=weights / weights.sum())] + draw.normal(0, 0.5, (users, 3))
        self.present = draw.random(users) < 0.9
        self.seen = self.present.copy()

    def step(self) -> None:
        self.at += self.draw.normal(0, 0.12, self.at.shape)
        flips = self.draw.random(len(self.present)) < np.where(self.present, 0.01, 0.08)
        self.present = self.present ^ flips

    def fit(self, groups: int) -> Fit:
        scales = ((30.0, 12.0), (20.0, 8.0), (45.0, 20.0))
        axes = [
            Axis(name, mean, False, mean - 4 * sd, mean + 4 * sd, mean, sd)
            for name, (mean, sd) in zip(MODEL_FEATURES, scales, strict=True)
        ]
        return Fit("kmeans", Transform(tuple(axes)), self.centres)

    def features(self) -> tuple[pa.Table, np.ndarray]:
        """The population's features, in the catalogue's order, and its users' revenue in 1/10,000."""
        users = self.ids.filter(pa.array(self.present))
        x = self.at[self.present]
        recency, frequency, value = 30 + 12 * x[:, 0], 20 + 8 * x[:, 1], 45 + 20 * x[:, 2]
        orders = np.maximum(np.rint(frequency), 1)
        known: dict[str, np.ndarray] = {
            "recency": recency,
            "frequency": frequency,
            "monetary": orders * value,
            "average_order_value": value,
            "order_gap": np.where(orders > 15, 90 / orders, np.nan),
            "return_share": 0.02 + 0.01 * x[:, 0] ** 2,
            "discount_share": np.clip(0.1 + 0.05 * x[:, 1], 0, 1),
            "category_spread": 2 + 0.3 * x[:, 2],
            "trend": np.exp(0.2 * x[:, 0]),
        }
        table: dict[str, Any] = {"user_id": users}
        for name, feature in CATALOGUE.items():
            if "amount" in feature.needs and not self.amounts and name not in MODEL_FEATURES:
                continue
            values = np.round(known.get(name, np.abs(10 + 3 * x[:, 1])), 6)
            table[name] = pa.array(values, from_pandas=True)
        return pa.table(table), np.rint(known["monetary"] * 10_000).astype(np.int64)


def _publish(
    store: Store, config: Config, day: date, model: Model, fit: Fit, walk: _Walk, draw: np.random.Generator
) -> None:
    state = store.state()
    asked = Derivations(state, store.recipe).asked(day)
    assert asked is not None
    before = state.published[asked.parent] if asked.parent else None
    folder = Folder(store.objects, day, asked.hash)
    features, units = walk.features()
    users = features["user_id"].combine_chunks()
    today = tracking.Assignment.of(model.ids, fit.distances(features))
    parent = None
    if before is None or asked.parent is None:
        members = tracking.baseline(day, users, today)
    else:
        parent = tracking.Parent.of(asked.parent, store.objects.table(f"{before.folder}/memberships.parquet"))
        seen = walk.seen[walk.present]
        members = tracking.follow(
            day, users, today, parent, ADJUSTMENT, seen, lambda crossed, *_: _causes(draw, int(crossed.sum()))
        )
    walk.seen |= walk.present
    inside = np.asarray(pc.is_valid(members["segment_id"]).to_numpy(zero_copy_only=False))
    earned = np.zeros(members.num_rows, dtype=np.int64)
    earned[inside] = units
    happened = [] if parent else [{"event": "born", "from": [], "to": [name], "overlap": {}} for name in model.ids]
    events = segment_events(model, happened, day)
    ids = [name for name in members["segment_id"].to_pylist() if name]
    decision = "hold" if parent else "baseline"
    evidence = {"users": len(users), "segments": len(model.ids), "model_born": model.segments[0].born.isoformat()}
    if asked.parent:
        evidence["parent"] = asked.parent.isoformat()
    else:
        evidence |= {"features": list(model.features), "segments_asked": "auto", "structure": "natural"}
    moved = int(pc.sum(pc.is_in(members["status"], pa.array(["moved", "reassigned"]))).as_py())
    folder.put_table("memberships", members)
    described = segments(model, events, ids, features, units if walk.amounts else None)
    folder.put_table("segments", described)
    served = serving.serve(
        serving.Today(
            day,
            members.filter(pc.is_valid(members["segment_id"])),
            features.drop_columns(["user_id"]),
            units if walk.amounts else None,
            None,
            described,
            model.features,
        ),
        config.recipe(),
        serving.Before.none(),
        serving.Bought(lambda _: Baskets.of([], []), lambda _: RETURNED.empty_table()),
    )
    for name, table in served.tables.items():
        folder.put_table(name, table)
    folder.put_json("rules", served.rules | {"hashes": folder.hashes_of_rules(), "folder": folder.path})
    folder.put_table("migrations", migrations(members, parent and parent.memberships, earned if walk.amounts else None))
    folder.put_table("features", features.append_column("revenue", money(units)) if walk.amounts else features)
    points = fit.points(features)
    reference = held_against(fit, model.ids, features, Clustering(), day)
    if parent is None:
        measured, bins = drift.DRIFT.empty_table(), drift.HISTORY.empty_table()
    else:
        measured, bins = drift.measure(points, drift.Reference.from_document(reference["drift"]), None, day, ADJUSTMENT)
    model = replace(model, reference=store.put_named("references", reference))
    folder.put_table("drift", measured)
    folder.put_table("drift_bins", bins)
    folder.put_json("model", model.document())
    folder.put_json(
        "decision",
        {
            "date": day.isoformat(),
            "decision": decision,
            "reason": "ordinary" if parent else "first_day",
            "evidence": evidence,
            "events": happened,
            "state": {"challenged": 0, "evaluations": [], "proposals": []},
            "sentence": f"A made-up {decision}.",
        },
    )
    folder.put_json(
        "quality", {"date": day.isoformat(), "tables": {"orders": state.accepted[day].tables["orders"].quality}}
    )
    folder.put_json(
        "inputs",
        {
            "derivation": asked.document,
            "parent_folder": before.folder if before else None,
            "window_days": config.features.window_days,
            "cells": {},
            "columns": [],
        },
    )
    summary = {"users": len(users), "segments": len(model.ids), "decision": decision, "moved": moved}
    summary["share_moved"] = round(moved / len(users), 6)
    snapshot_id = folder.snapshot_id()
    folder.complete(snapshot_id, summary)
    parent_id = before.snapshot_id if before else None
    published = Published(snapshot_id, asked.hash, asked.parent, parent_id, folder.path, folder.files(), summary)
    commits.publish(store, day, published, [])


def _causes(draw: np.random.Generator, count: int) -> np.ndarray:
    return draw.choice(["behaviour", "ageing", "model"], count, p=[0.6, 0.35, 0.05])


def long_ids(count: int) -> list[str]:
    """Segment ids far longer than any that are made today."""
    return [hash_json(number) + "-" + "wholesale-and-institutional-customers"[: 8 + number] for number in range(count)]
