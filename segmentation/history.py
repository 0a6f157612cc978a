"""The history as a whole: one day, many days side by side, and days that became stale."""

import math
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import date, datetime
from multiprocessing import get_context, parent_process
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import Any, Literal, Self, TypeVar

from segmentation import reads, stages
from segmentation.config import Config, StoreSection
from segmentation.dates import days_between
from segmentation.errors import ConfigError, DataContractError
from segmentation.monitor import plans, read_models
from segmentation.sources import slices
from segmentation.sources.listing import Looked, days_to_look_at, other_recipes
from segmentation.sources.places import by_day
from segmentation.sources.slices import FileIndex
from segmentation.store.derivations import Derivations
from segmentation.store.recipes import record_recipe
from segmentation.store.store import open_store
from segmentation.tables import USERS

T = TypeVar("T")
R = TypeVar("R")
Order = Literal["forward", "backward", "random"]
Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many

BATCH_DAYS = 8
SEED = 0
# Held while worker processes are started: who ends them all then ends none that is half-started.
STARTING = Lock()


def no_progress(doing: str, done: int, total: int) -> None:
    """Shows nothing."""


def run(config: Config, day: date) -> dict[str, Any]:
    """All six stages of one day. Returns what `publish` returns, with the warnings of `validate`.

    Raises what the stages raise; what was accepted before stays.
    """
    read = stages.extract(config, day)
    validated = stages.validate(config, read["read"])
    return {**derive(config, day), "warnings": read["warnings"] + validated["warnings"]}


def derive(config: Config, day: date) -> dict[str, Any]:
    """The last four stages of a day whose window is accepted."""
    derivation = stages.build_features(config, day)["derivation"]
    stages.cluster(config, day, derivation)
    stages.compare_segments(config, day, derivation)
    return stages.publish(config, day, derivation)


def backfill(
    config: Config,
    first: date,
    last: date,
    order: Order = "forward",
    workers: int = 1,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Prepare the days and their windows side by side, then derive the days once in date order.

    `order` says in which order days are prepared; the result does not depend on it. Days are skipped, with a warning, that
    have no rows where the configuration refuses that, or that are not complete. Returns the published days' figures, the
    skipped days and the warnings.

    Raises DataContractError for a day whose rows break their contract, after all other days were prepared and the days
    that do not need it were derived.
    """
    for day in (first, last):
        reads.check_day(config, day)
    days = list(days_between(first, last))
    skipped, warnings, failure = prepare(config, days, order, workers, progress)
    store = open_store(config)
    derived = [day for day in days if day not in skipped]
    published = []
    for position, day in enumerate(derived):
        progress("segmenting days", position, len(derived))
        if failure and Derivations(store.state(), store.recipe).asked(day) is None:
            raise failure
        published.append(derive(config, day))
    progress("segmenting days", len(derived), len(derived))
    if failure:
        raise failure
    return {"published": published, "skipped": [day.isoformat() for day in skipped], "warnings": warnings}


def prepare(
    config: Config, days: Sequence[date], order: Order, workers: int, progress: Progress
) -> tuple[list[date], list[str], DataContractError | None]:
    """Extract and validate the days and their windows: first every file is indexed, then every day is split and gated.

    Returns the days that must not be published, the warnings, and the first failure of the data.
    """
    store = open_store(config)
    state = reads.recorded(config, store)
    looked = Looked()
    with _Workers(workers) as pool:
        _look_at(pool, config, days, workers, looked, progress)
        _, refused = reads.read_days(config, days, set(days), looked)
        # As a run of each day by itself: a day that is refused asks for no window.
        wanted = set(days) - set(refused)
        derivations = Derivations(state, store.recipe)
        for day in sorted(wanted):
            wanted.update(derivations.window(day))
        fresh = reads.days_to_read(config, state, sorted(wanted), days[0])
        if any(by_day(source) for source in config.sources.activity().values()):
            _look_at(pool, config, sorted(set(fresh) - set(days)), workers, looked, progress)
        if order == "backward":
            fresh.reverse()
        elif order == "random":
            random.Random(SEED).shuffle(fresh)
        batches = [fresh[start : start + BATCH_DAYS] for start in range(0, len(fresh), BATCH_DAYS)]
        warnings: list[str] = []
        failures: list[DataContractError] = []
        for done, result in enumerate(
            pool.map(_prepare_days, [(config, batch, looked.for_days(batch)) for batch in batches])
        ):
            progress("checking days", min(done * BATCH_DAYS, len(fresh)), len(fresh))
            warnings += result[0]
            failures += result[1]
        progress("checking days", len(fresh), len(fresh))
        warnings += reads.read_days(config, days, set(days), looked)[0]["warnings"]
        warnings += (f"skipped: {refused[day]}" for day in sorted(refused))
    return sorted(refused), sorted(warnings), min(failures, key=str, default=None)


def _look_at(
    pool: "_Workers", config: Config, days: Sequence[date], workers: int, looked: Looked, progress: Progress
) -> None:
    """Index the sources' files, and what those by day have of the days and of those to compare with, side by side; all but
    what was looked at already."""
    store = open_store(config)
    state = store.state()
    latest = store.recipe(state.recipes_in_force()[0])
    known: set[date] = set().union(*looked.days.values())
    wanted = days_to_look_at(days, state) - known
    tables = [
        table
        for table, source in config.sources.tables().items()
        if table in latest.columns
        # Users by day are asked for when a day is accepted.
        and (table != USERS if by_day(source) else (table, latest.reading) not in looked.files)
    ]
    tasks = [(config, tables, wanted, (part, workers)) for part in range(workers)]
    for done, found in enumerate(pool.map(_index_files, tasks)):
        progress("reading files", done, len(tasks))
        for table, files in found.items():
            looked.add(table, latest, files, wanted)
    progress("reading files", len(tasks), len(tasks))


def _index_files(task: tuple[Config, list[str], set[date], tuple[int, int]]) -> dict[str, tuple[FileIndex, ...]]:
    config, tables, days, part = task
    store = open_store(config)
    state = store.state()
    recipes = {name: store.recipe(name) for name in state.recipes_in_force()}
    latest = next(iter(recipes.values()))
    return {
        table: slices.index(
            store.objects, config, table, latest, other_recipes(recipes, latest, state, table), days, part
        )
        for table in tables
    }


def _prepare_days(task: tuple[Config, list[date], Looked]) -> tuple[list[str], list[DataContractError]]:
    config, days, looked = task
    read, _ = reads.read_days(config, days, set(), looked)
    try:
        return stages.validate(config, read["read"])["warnings"], []
    except DataContractError as error:
        return [], [error]


class _Workers:
    """Runs tasks here (one worker) or in processes of their own, which end when this one does, however it ends."""

    def __init__(self, count: int) -> None:
        self._pool = ProcessPoolExecutor(count, get_context("spawn"), _end_with_parent) if count > 1 else None

    def __enter__(self) -> Self:
        return self

    def map(self, work: Callable[[T], R], tasks: Sequence[T]) -> Iterator[R]:
        """Results as they come, in any order."""
        if self._pool is None:
            yield from map(work, tasks)
            return
        with STARTING:
            futures = [self._pool.submit(work, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends them
    # A killed parent cannot tell its workers; they wait for the end of the pipe that its death closes.
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def stale(config: Config) -> list[date]:
    """The published days whose snapshot is not what the state asks for now, in order."""
    store = open_store(config)
    return Derivations(store.state(), store.recipe).stale()


def reconcile(config: Config, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Derive the stale days again, in date order, until none is left. Returns what `publish` returned for each.

    A day whose new snapshot has the same content as the old one leaves later days current.
    """
    store = open_store(config)
    done: list[dict[str, Any]] = []
    while days := stale(config):
        left = [day for day in sorted(store.state().published) if day >= days[0]]
        for position, day in enumerate(left):
            progress("reconciling days", position, len(left))
            state = store.state()
            asked = Derivations(state, store.recipe).asked(day)
            if asked and asked.hash != state.published[day].derivation:
                done.append(derive(config, day))
    progress("reconciling days", len(done), len(done))
    return done


def quiet_for(config: Config, now: datetime) -> float:
    """Seconds from the last record of the log to `now`; infinite for an empty log."""
    at = open_store(config).state().at
    return (now - datetime.fromisoformat(at)).total_seconds() if at else math.inf


def restate(config: Config, first: date, progress: Progress = no_progress) -> dict[str, Any]:
    """Put the configuration as it is now in force from `first` on, and derive the published days from there again.

    Returns what `publish` returned for each day that was derived, and warnings. Raises ConfigError for a time zone that cuts
    the days otherwise unless `first` is the first day of the history, and for a `first` after all published days;
    DataContractError for days whose rows, read anew, break their contract: these keep what they had.
    """
    store = open_store(config)
    published = sorted(store.state().published)
    days = [day for day in published if day >= first]
    if published and not days:
        raise ConfigError(
            f"no day is published from {first} on, the latest is {published[-1]}: there is nothing to restate"
        )
    record_recipe(config, store, first)
    warnings: list[str] = []
    if days:
        _, warnings, failure = prepare(config, days, "forward", 1, progress)
        if failure:
            raise failure
    return {"reconciled": reconcile(config, progress), "warnings": warnings}


def plan(config: Config, first: date | None, progress: Progress = no_progress) -> dict[str, Any]:
    """What `restate` from `first` on (without it: from the latest published day on) would change, on a copy of the store.

    Returns the plan (`monitor.plans.plan`) and warnings. Raises what `restate` raises, and SegmentationError while no day is
    published.
    """
    store = open_store(config)
    first = first or read_models.latest(store.state())
    # Beside the store, so that its files, which nobody ever writes to again, can be in both without being copied.
    with TemporaryDirectory(prefix=".plan-", dir=config.store_path().parent) as folder:
        copy = Path(folder) / "store"
        shutil.copytree(config.store_path(), copy, copy_function=_linked)
        trial = config.model_copy(update={"store": StoreSection(url=f"file:{copy}")})
        done = restate(trial, first, progress)
        return {**plans.plan(store, open_store(trial), first), "warnings": done["warnings"]}


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
