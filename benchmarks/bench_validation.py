"""What it costs to split and gate a day of 600,000 events, beside the same checks written by hand in pandas.

One process per contestant, so that each has a peak of its own; seconds are the best of three, without imports; every ratio
is of two figures of this run. The aim is ≤ 1.5 s and < 1 GB.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from resource import RUSAGE_SELF, getrusage
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

ROWS = 600_000
TYPES = {"pv": "view", "fav": "favourite", "buy": "purchase"}
KNOWN = ["view", "cart", "purchase", "favourite", "search"]
LONGEST = 240  # seconds
EXPECTATIONS = [
    {
        "type": "expect_column_values_to_be_between",
        "kwargs": {"column": "duration_s", "max_value": LONGEST},
        "reason": "duration_s is too long",
    },
    {
        "type": "expect_column_values_to_not_be_null",
        "kwargs": {"column": "item_id", "mostly": 0.9},
        "severity": "warning",
        "reason": "too many events are about no item",
    },
]


def raw_day() -> pa.Table:
    """A day as a source's slices have it: text, some of it wrong."""
    draw = np.random.default_rng(0)
    user = draw.integers(0, 100_000, ROWS)
    at = np.sort(draw.integers(0, 86_400_000_000, ROWS)) + 1_700_006_400_000_000
    users = np.where(draw.random(ROWS) < 0.002, "", np.char.add("u", user.astype(str)))
    seconds = np.round(draw.exponential(30, ROWS), 1).astype(str)
    return pa.table(
        {
            "row": np.arange(1, ROWS + 1),
            "at": pa.array(at, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            "user_id": pa.array(users),
            "event_type": pa.array(draw.choice(["pv", "fav", "cart", "buy", "quiz"], ROWS, p=[0.85, 0.05, 0.06, 0.035, 0.005])),
            "item_id": pa.array(draw.integers(0, 50_000, ROWS).astype(str)),
            "category": pa.array(draw.integers(0, 500, ROWS).astype(str)),
            "session_id": pa.array((user * 10 + draw.integers(0, 3, ROWS)).astype(str)),
            "duration_s": pa.array(np.where(draw.random(ROWS) < 0.001, "?", seconds)),
            "file": ["events.csv"] * ROWS,
        }
    )  # fmt: skip


def ours(raw: pa.Table, stages: dict[str, float]) -> dict[str, int]:
    from segmentation.config import Config, Validation
    from segmentation.contracts.gate import Figures, gate
    from segmentation.contracts.rows import split

    source = {"path": "events.csv", "options": {"event_types": TYPES}, "expectations": EXPECTATIONS}
    recipe = Config.model_validate({"sources": {"events": source}}).recipe()
    start = time.perf_counter()
    parts = split(raw, recipe, "events")
    middle = time.perf_counter()
    verdict = gate(parts.accepted, Figures.of(parts, ()), Validation(), "events", recipe)
    stages |= {"split": middle - start, "gate": time.perf_counter() - middle}
    assert not verdict.critical
    return {"accepted": parts.accepted.num_rows, "unknown": parts.facts["unknown_event_type"], **parts.reasons}


def by_hand(raw: pa.Table, stages: dict[str, float]) -> dict[str, int]:
    """The same rows accepted, for the same reasons, with the same types, as one writes it in pandas."""
    import pandas as pd

    frame = raw.to_pandas()
    names = ["user_id", "event_type", "item_id", "category", "session_id", "duration_s"]
    for name in names:
        text = frame[name].str.strip()
        frame[name] = text.mask(text == "")
    seconds = pd.to_numeric(frame["duration_s"], errors="coerce")
    unreadable = frame["duration_s"].notna() & seconds.isna()
    frame["event_type"] = frame["event_type"].map(TYPES).fillna(frame["event_type"])
    checks = {
        "duration_s is not a number below 10,000,000,000": unreadable | (seconds.abs() >= 1e10),
        "user_id is missing": frame["user_id"].isna(),
        "event_at is missing": frame["at"].isna(),
        "event_type is missing": frame["event_type"].isna(),
        "duration_s is negative": seconds < 0,
        "duration_s is too long": seconds > LONGEST,
    }
    reason = pd.Series(None, index=frame.index, dtype="str")
    for why, bad in checks.items():
        reason = reason.mask(reason.isna() & bad, why)
    fine = reason.isna()
    accepted = frame.loc[fine, ["at", *names]].assign(duration_s=(seconds[fine] * 1000).round().astype("Int64"))
    quarantined = frame[~fine].assign(reason=reason[~fine])
    assert accepted["user_id"].notna().all()
    assert accepted["duration_s"].between(0, LONGEST * 1000).all()
    assert accepted["item_id"].notna().mean() >= 0.9
    counted = {str(why): int(count) for why, count in quarantined["reason"].value_counts().items()}
    return {"accepted": len(accepted), "unknown": int((~accepted["event_type"].isin(KNOWN)).sum()), **counted}


CONTESTANTS: dict[str, Callable[[pa.Table, dict[str, float]], dict[str, int]]] = {
    "split by the engine, gated by Great Expectations": ours,
    "by hand in pandas": by_hand,
}


def measure(name: str) -> dict[str, Any]:
    raw = raw_day()
    work = CONTESTANTS[name]
    work(raw.slice(0, 1_000), {})  # imports
    before = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    best: dict[str, Any] = {"seconds": float("inf")}
    for _ in range(3):
        stages: dict[str, float] = {}
        start = time.perf_counter()
        found = work(raw, stages)
        seconds = time.perf_counter() - start
        if seconds < best["seconds"]:
            best = {"seconds": seconds, "stages": stages}
    peak = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    return {**best, "found": dict(sorted(found.items())), "before": before, "peak": peak}


def main() -> None:
    runs = {}
    for name in CONTESTANTS:
        output = subprocess.check_output([sys.executable, __file__, name], text=True)
        runs[name] = json.loads(output.splitlines()[-1])
    first, second = runs.values()
    assert first["found"] == second["found"], (first["found"], second["found"])
    table = Table(title=f"{ROWS:,} events split and gated (aim: ≤ 1.5 s beyond imports, < 1 GB)", title_justify="left")
    for position, head in enumerate(("", "seconds", "ratio", "peak MB", "of which before MB")):
        table.add_column(head, justify="right" if position else "left")
    for name, run in runs.items():
        figures = (f"{run['seconds']:.2f}", f"{run['seconds'] / second['seconds']:.2f}")
        table.add_row(name, *figures, f"{run['peak']:,.0f}", f"{run['before']:,.0f}")
        for stage, seconds in run["stages"].items():
            table.add_row(f"  {stage}", f"{seconds:.2f}", f"{seconds / second['seconds']:.2f}", "", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
    else:
        main()
