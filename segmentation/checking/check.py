"""Tries what a day needs (configuration, sources, store, the day's contract) and tells what is wrong, without a trace.

Nothing is written but copies of parts of large files, to a temporary folder.
"""

import statistics
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from segmentation.action_rules import Actions
from segmentation.checking.day import day_lines
from segmentation.checking.look import Look, look_at
from segmentation.checking.report import OK, SKIPPED, Line, Report, fault_lines
from segmentation.checking.sources import source_lines
from segmentation.checking.store import store_lines
from segmentation.config import Config, Recipe, load
from segmentation.contracts import expectations
from segmentation.errors import ConfigError, SegmentationError
from segmentation.reads import check_actions, check_day, known_segments
from segmentation.tables import EVENTS, ORDERS

NEARLY_EMPTY = 0.1  # of the rows that days usually have: such a day is not the one to try


def check(path: Path, day: date | None = None) -> Report:
    """Try the configuration and what it names; `day`: the day whose rows are held to the contract, else the newest one.

    It goes on after a fault where it can. Nothing is written into the store or beside the configuration.
    """
    try:
        config = load(path)
    except SegmentationError as error:
        left = (
            Line(name, SKIPPED, "not tried: the configuration cannot be read") for name in ("sources", "store", "day")
        )
        return Report((*fault_lines("configuration", error), *left), day)
    lines = list(_configuration(config, path, day))
    try:
        recipe = config.recipe()
    except ConfigError:  # the file of actions, which is told already: the rest can be tried without it
        config = config.model_copy(update={"actions": Actions()})
        recipe = config.recipe()
    with tempfile.TemporaryDirectory() as scratch:
        sources = config.sources.tables()
        looks = {
            table: look_at(config, recipe, table, [day] if day else [], Path(scratch))
            for table, source in sources.items()
            if not source.connection
        }
        day = day or _newest(config, looks)
        for table, source in sources.items():
            if source.connection:
                looks[table] = look_at(config, recipe, table, [day] if day else [], Path(scratch))
        for table in sources:
            lines += source_lines(f"source {table}", looks[table], recipe)
        lines += store_lines(config, recipe)
        lines += day_lines(config, recipe, looks, day)
    return Report(tuple(lines), day)


def _configuration(config: Config, path: Path, day: date | None) -> Iterator[Line]:
    faults: list[Line] = []
    try:
        recipe = config.recipe()
        expectations.check(recipe)
        check_actions(config, recipe, _segments(config, recipe))
    except ConfigError as error:
        faults += fault_lines("configuration", error)
    try:
        if day:
            check_day(config, day)
    except ConfigError as error:
        faults += fault_lines("configuration", error)
    yield from faults
    if not faults:
        tables = ", ".join(config.sources.tables())
        start, end = config.project.start, config.project.end
        span = f", from {start or 'the beginning'} to {end or 'the present'}" if start or end else ""
        yield Line(
            "configuration",
            OK,
            f"{path}: {tables}; days end at midnight in {config.project.timezone}{span}; windows of "
            f"{config.features.window_days} days",
        )


def _segments(config: Config, recipe: Recipe) -> list[str]:
    """The segments that a rule of actions may name; all that are named, if the store cannot be read: that is another fault."""
    try:
        return known_segments(config)
    except SegmentationError:
        return [segment for rule in recipe.actions for segment in rule.segments]


def _newest(config: Config, looks: Mapping[str, Look]) -> date | None:
    """The newest day of orders and events that is not nearly empty, among those that are to be published."""
    counts: Counter[date] = Counter()
    for table in (ORDERS, EVENTS):
        if table in looks:
            counts.update(looks[table].days)
    start, end = config.project.start or date.min, config.project.end or date.max
    inside = {day: rows for day, rows in counts.items() if start <= day <= end} or dict(counts)
    if not inside:
        return None
    usual = statistics.median(inside.values())
    return max(day for day, rows in inside.items() if rows >= NEARLY_EMPTY * usual)
