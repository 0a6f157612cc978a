"""A shop segmented day by day for eight weeks: what `make demo` runs.

The shop is a real grocery chain with its households; or, with the argument `simulated`, one that is made up first, with
planted truth. All days but the last five go through the command line, the last five through a backfill in a real Airflow.
Everything is kept under .demo/ in the project's folder, which each demo begins anew.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow_local import CONFIGS, DEMO, AirflowError, LocalAirflow, end, end_on_signals, free_port, signals_held
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from segmentation import history
from segmentation.config import load

REAL, SIMULATED = "complete_journey", "simulated"
# Twelve weeks: four are the window of the first published day. From 2025-02-20 on a new kind of customer comes.
SHOP = ("--users", "3000", "--days", "84", "--start", "2025-01-06", "--scenario", "born")
DAYS_THROUGH_AIRFLOW = 5
DAY = timedelta(days=1)
TASKS = 7  # that succeed on an ordinary day: the six stages, and whether to ask

told = Console(stderr=True, highlight=False)
shown = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Segment a shop for eight weeks, the last days through Airflow.")
    parser.add_argument("data", nargs="?", choices=CONFIGS, default=REAL)
    data = parser.parse_args().data
    config = CONFIGS[data]
    began = time.monotonic()
    end_on_signals()
    try:
        shutil.rmtree(DEMO, ignore_errors=True)
        DEMO.mkdir()
        if data == SIMULATED:
            simulate(config)
        project = load(config).project
        assert project.start
        assert project.end
        hand_over = project.end - DAYS_THROUGH_AIRFLOW * DAY
        told.print(f"\n[bold]1/3  {project.start} to {hand_over} through the command line[/]")
        days = ("--from", str(project.start), "--to", str(hand_over))
        told.print(f"[dim]$ segmentation backfill {' '.join(days)} --workers 2[/]")
        segmentation(config, "backfill", *days, "--workers", "2")
        told.print(f"\n[bold]2/3  {hand_over + DAY} to {project.end} through Airflow's own backfill[/]")
        with LocalAirflow(DEMO / "airflow", config, free_port(8080)) as airflow:
            backfill(airflow, config, hand_over + DAY, project.end)
        told.print("\n[bold]3/3  The report[/]")
        segmentation(config, "report", "--out", str(DEMO / "report.html"))
        show_results(data, project.end)
    except (AirflowError, subprocess.CalledProcessError) as error:
        sys.exit(f"The demo failed: {error}")
    except KeyboardInterrupt:
        sys.exit("The demo was stopped; nothing is left running.")
    told.print(f"Done in {time.monotonic() - began:.0f} s.")


def simulate(config: Path) -> None:
    """Make up the shop that the configuration comes with."""
    # Its own configuration is made for a shop of any size; a history of this size is settled at once.
    os.environ.setdefault("SEGMENTATION__PROJECT__SETTLE_SECONDS", "10")
    told.print("\n[bold]A shop is made up[/]")
    told.print(f"[dim]$ segmentation simulate --out {config.parent} {' '.join(SHOP)}[/]", soft_wrap=True)
    told.print(segmentation(config, "simulate", "--out", str(config.parent), *SHOP).splitlines()[0], soft_wrap=True)


def segmentation(config: Path, *arguments: str, show: bool = False) -> str:
    """Run the project's command line and return what it prints, or show it; its progress is shown."""
    command = [
        sys.executable,
        "-c",
        "from segmentation.cli import script; script()",
        "--config",
        str(config),
        *arguments,
    ]
    with signals_held():  # a session of its own, as Airflow's processes: its workers end with it
        process = subprocess.Popen(command, stdout=None if show else subprocess.PIPE, text=True, start_new_session=True)
    try:
        printed, _ = process.communicate()
    finally:
        end([process])
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, f"segmentation {' '.join(arguments)}")
    return printed


def backfill(airflow: LocalAirflow, config: Path, first: date, last: date) -> None:
    """Have Airflow's scheduler segment the days, and wait until the history is settled.

    Raises AirflowError with the end of its log when a task fails.
    """
    with bars() as progress:
        starting = progress.add_task("Airflow is starting", total=None)
        airflow.wait_until_ready(lambda part: progress.update(starting, description=f"Airflow starts: {part}"))
        progress.update(starting, description=f"Airflow at {airflow.url}", total=1, completed=1)
        airflow.backfill(first, last, max_active_runs=2, reprocess_behavior="none")
        airflow.pause("segment_reconcile", False)
        days = DAYS_THROUGH_AIRFLOW
        segmenting = progress.add_task("tasks", total=days * TASKS)
        while True:
            runs = airflow.runs("user_segmentation")
            states = [
                task["state"] for run in runs for task in airflow.tasks("user_segmentation", run["dag_run_id"]).values()
            ]
            progress.update(segmenting, completed=states.count("success"))
            check(airflow, "user_segmentation", runs)
            if [run["state"] for run in runs] == ["success"] * days:
                break
            time.sleep(1)
        settling = progress.add_task("settling stale days", total=None)
        while True:
            runs = airflow.runs("segment_reconcile")
            check(airflow, "segment_reconcile", runs)
            # The run that the last day's event starts is made a moment after the day is published.
            if {run["state"] for run in runs} == {"success"} and not history.stale(load(config)):
                break
            time.sleep(1)
        progress.update(settling, total=1, completed=1)


def check(airflow: LocalAirflow, dag: str, runs: list[dict[str, Any]]) -> None:
    for run in runs:
        if run["state"] == "failed":
            tasks = airflow.tasks(dag, run["dag_run_id"])
            failed = next(name for name, task in tasks.items() if task["state"] == "failed")
            attempt = tasks[failed]["try_number"]
            log = airflow.task_log_file(dag, run["dag_run_id"], failed, attempt)
            lines = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
            raise AirflowError(f"{dag}'s task {failed} failed; see {log}\n{lines}")


@contextmanager
def bars() -> Iterator[Progress]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=told, disable=not told.is_terminal) as progress:
        yield progress


def show_results(data: str, last: date) -> None:
    config = CONFIGS[data]
    for title, command in (
        (f"The segments on {last}", ("segments",)),
        ("What to do for whom", ("actions",)),
        ("The last week", ("migrations", "--from", str(last - 7 * DAY), "--to", str(last))),
    ):
        shown.print(f"\n[bold]{title}[/]")
        sys.stdout.flush()
        segmentation(config, *command, show=True)
    shown.print("\n[bold]How many moved on each day[/]")
    shown.print(moves(json.loads(segmentation(config, "history", "--json"))))
    up = "make up" if data == REAL else f"make up DATA={data}"
    for name, value in (
        ("Digest", segmentation(config, "digest").strip()),
        ("Report", DEMO / "report.html"),
        ("Store", load(config).store_path()),
        *([("Planted", config.parent / "truth")] if data == SIMULATED else []),
        ("Go on", f"`{up}` shows these days in Airflow; `.venv/bin/segmentation --help` what else can be asked"),
    ):
        shown.print(f"{name:<8} {value}", soft_wrap=True, markup=False)


def moves(days: list[dict[str, Any]]) -> Table:
    """A calendar: a row for each week, a column for each weekday."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Week of")
    for name in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"):
        table.add_column(name, justify="right")
    moved = {date.fromisoformat(day["date"]): day["moved"] for day in days}
    monday = min(moved) - min(moved).weekday() * DAY
    while monday <= max(moved):
        table.add_row(str(monday), *(str(moved.get(monday + offset * DAY, "")) for offset in range(7)))
        monday += 7 * DAY
    return table


if __name__ == "__main__":
    main()
