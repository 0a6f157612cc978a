"""Do the segments adjust, and can they be believed? The product's rules beside the naive methods, in the same run.

1. Movement on Complete Journey: how much moves, how much of it comes back, what the segments say, how late they follow.
2. Usefulness: what the segments of a day say about each household's next 90 days.
3. Planted truth: simulated shops in which something happens, or nothing.

`python benchmarks/adjustment.py [--part 1|2|3] [--seeds N] [--first-seed S] [--scenario NAME …]`. All parts take about an hour;
part 3 is the longest, some two minutes for each scenario and seed.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))
from adjustment_parts import hysteresis, planted, usefulness

console = Console(width=150)
INDICES = ("ours", "ours, nearest", "daily re-fit", "frozen", "oracle")


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def movement() -> None:
    for title, runs in hysteresis.measure():
        shown = table(
            title, "", "moved a day", "undone 7 d", "28 d", "R² × nearest", "followed median", "95 %", "large ones"
        )
        for rule, figure in runs.items():
            days = [f"{figure[name]:.1f} d" for name in ("followed_median", "followed_95", "large_median")]
            shares = [f"{figure['moved']:.2%}", f"{figure['undone_7']:.1%}", f"{figure['undone_28']:.0%}"]
            shown.add_row(rule, *shares, f"{figure['r2_ratio']:.3f}", *days)
        limits = [f"{side} {limit}" for limit, side in hysteresis.LIMITS.values()]
        met = [hysteresis.met(name, runs[hysteresis.OURS][name]) for name in hysteresis.LIMITS]
        shown.add_row("aims", *(f"{limit} {'✓' if good else '✗'}" for limit, good in zip(limits, met, strict=True)))
        console.print(shown)


def useful() -> None:
    found, differences = usefulness.measure()
    outcomes = usefulness.OUTCOMES
    shown = table(
        "Mean R² of the next 90 days, four snapshots of Complete Journey",
        "",
        "groups",
        *outcomes,
        "mean",
        "ours − it (95 %)",
    )
    for method, figure in found.items():
        low, high = differences.get(method, (float("nan"),) * 2)
        apart = f"{low:+.3f} … {high:+.3f}" if method in differences else ""
        values = [f"{figure.r2[name]:.3f}" for name in outcomes]
        shown.add_row(method, str(figure.groups), *values, f"{figure.mean:.3f}", apart)
    console.print(shown)


def truth(seeds: Sequence[int], scenarios: Sequence[str]) -> None:
    columns = (
        "scenario",
        "seed",
        "changes (day: segments)",
        "tellable",
        "delay",
        "wrong",
        *INDICES,
    )
    title = f"Planted truth: {planted.USERS:,} users, windows of {planted.WINDOW} days"
    shown = table(title, *columns, "worst day", "up", "stopped", "up, any", "stopped, any")
    trials: list[planted.Trial] = []
    for scenario in scenarios:
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                trial = planted.run(scenario, seed, Path(folder) / "shop")
            trials.append(trial)
            delay, wrong = planted.found(trial)
            changes = ", ".join(f"{day}: {more:+d}" for day, more in trial.changes)
            index = [f"{trial.index[name]:.3f}" for name in INDICES]
            causes = [f"{right / max(of, 1):.0%} of {of}" for right, of in trial.causes.values()]
            told = "–" if trial.tellable is None else str(trial.tellable)
            late = "–" if delay is None else f"{delay} d"
            shown.add_row(scenario, str(seed), changes, told, late, str(wrong), *index, f"{trial.worst:.2%}", *causes)
            console.print(f"{scenario} {seed}: {trial}", highlight=False)
    console.print(shown)
    console.print(summary(trials))


def summary(trials: Sequence[planted.Trial]) -> Table:
    """By scenario, over the seeds: planted events that were found, changes that were not planted, mean indices."""
    shown = table("Over the seeds", "scenario", "planted", "found", "not planted", "latest", *INDICES, "worst day")
    events = found = wrong = 0
    for scenario, group in groupby(trials, key=lambda trial: trial.scenario):
        same = list(group)
        told = [planted.found(trial) for trial in same]
        late = [delay for delay, _ in told if delay is not None]
        there = len(same) if scenario in planted.BEGIN | planted.END else 0
        beside = sum(count for _, count in told)
        events, found, wrong = events + there, found + len(late), wrong + beside
        index = [f"{np.mean([trial.index[name] for trial in same]):.3f}" for name in INDICES]
        latest = f"{max(late)} d" if late else "–"
        worst = max(trial.worst for trial in same)
        shown.add_row(scenario, str(there), str(len(late)), str(beside), latest, *index, f"{worst:.2%}")
    shown.caption = f"precision {found / max(found + wrong, 1):.2f}, recall {found / max(events, 1):.2f}"
    for which in ("up", "stopped", "up, any", "stopped, any"):
        right, of = (sum(trial.causes[which][place] for trial in trials) for place in (0, 1))
        shown.caption += f"; {which}: {right / max(of, 1):.1%} of {of} with the right cause"
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--part", type=int, choices=(1, 2, 3), action="append", help="all of them if not given")
    parser.add_argument("--seeds", type=int, default=1, help="how many shops of each scenario (part 3)")
    parser.add_argument("--first-seed", type=int, default=10, help="thresholds were tuned on 0 to 9")
    parser.add_argument("--scenario", action="append", choices=planted.SCENARIOS, help="all of them if not given")
    asked = parser.parse_args()
    parts = asked.part or (1, 2, 3)
    if 1 in parts:
        movement()
    if 2 in parts:
        useful()
    if 3 in parts:
        seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
        truth(seeds, asked.scenario or planted.SCENARIOS)


if __name__ == "__main__":
    main()
