"""The commands that add to the history: run, backfill, reconcile, plan, adopt."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segmentation.cli.app import BUILD, Json, app, day_option, open_config, open_history, show
from segmentation.cli.interrupts import interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from segmentation.history import Progress


class Order(StrEnum):
    forward = "forward"
    backward = "backward"
    random = "random"


@app.command(rich_help_panel=BUILD)
@interruptible()
def run(
    context: typer.Context,
    day: Annotated[date, day_option("--date", "The day to segment, YYYY-MM-DD.")],
    as_json: Json = False,
) -> None:
    """Segment the users as of one day: read, check, build features, assign, compare, publish.

    Safe to repeat: what is there already is not made twice, and a day whose rows have changed is published anew.
    """
    from segmentation import history
    from segmentation.cli import tables

    config = open_config(context)
    result = history.run(config, day)
    tell(result["warnings"])
    show({**result, "stale": [other.isoformat() for other in history.stale(config)]}, as_json, tables.published)


@app.command(rich_help_panel=BUILD)
def backfill(
    context: typer.Context,
    first: Annotated[date, day_option("--from", "The first day, YYYY-MM-DD.")],
    last: Annotated[date, day_option("--to", "The last day, YYYY-MM-DD.")],
    order: Annotated[
        Order, typer.Option(help="In which order days are prepared; the result does not depend on it.")
    ] = Order.forward,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes prepare days side by side.")] = 1,
    as_json: Json = False,
) -> None:
    """Segment the users as of every day of a span: days are prepared side by side, then derived once in date order."""
    with interruptible(workers):
        from rich.console import Console

        from segmentation import history
        from segmentation.cli import tables
        from segmentation.errors import ConfigError

        if last < first:
            raise ConfigError(f"--to {last} is before --from {first}: give the earlier day to --from")
        config = open_config(context)
        with progress_bars(Console(stderr=True)) as progress:
            result = history.backfill(config, first, last, order.value, workers, progress)
        tell(result["warnings"])
        show({**result, "stale": [other.isoformat() for other in history.stale(config)]}, as_json, tables.backfilled)


class RecipeName(StrEnum):
    current = "current"


@app.command(rich_help_panel=BUILD)
@interruptible()
def reconcile(
    context: typer.Context,
    recipe: Annotated[
        RecipeName | None,
        typer.Option(
            help="current: put the configuration as it is now in force from --from on, for days that are published."
        ),
    ] = None,
    first: Annotated[date | None, day_option("--from", "With --recipe: the first day to restate, YYYY-MM-DD.")] = None,
    as_json: Json = False,
) -> None:
    """Derive again, in date order, the days that became stale: a gap was filled, rows changed or came late.

    A changed configuration counts from the day after the latest published one; with --recipe current --from DAY it restates
    the days from there on, which `segmentation plan` shows before.
    """
    from rich.console import Console

    from segmentation import history
    from segmentation.cli import tables
    from segmentation.errors import ConfigError

    if (recipe is None) != (first is None):
        raise ConfigError(
            "--recipe current and --from DAY go together: from which day on is the history to be restated?"
        )
    config = open_config(context)
    with progress_bars(Console(stderr=True)) as progress:
        if first:
            done = history.restate(config, first, progress)
            tell(done["warnings"])
        else:
            done = {"reconciled": history.reconcile(config, progress)}
    show({"reconciled": done["reconciled"]}, as_json, tables.reconciled)


@app.command(rich_help_panel=BUILD)
@interruptible()
def plan(
    context: typer.Context,
    first: Annotated[
        date | None, day_option("--from", "The first day to restate; without it the latest published one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What the configuration as it is now would change: segments, users, decisions. Nothing is published.

    The published days from --from on are derived again on a copy of the store, as `reconcile --recipe current --from DAY`
    would do it.
    """
    from rich.console import Console

    from segmentation import history
    from segmentation.cli import tables

    open_history(context)
    with progress_bars(Console(stderr=True)) as progress:
        planned = history.plan(open_config(context), first, progress)
    tell(planned.pop("warnings"))
    show(planned, as_json, tables.planned)


@app.command(rich_help_panel=BUILD)
def adopt(
    context: typer.Context,
    fit: Annotated[
        str,
        typer.Argument(
            help="The proposed fit, as `segmentation decisions` names it; or another of the store, such as an earlier model."
        ),
    ],
    first: Annotated[
        date | None,
        day_option("--from", "From which day on; without it, from the day after the latest published one."),
    ] = None,
    who: Annotated[str, typer.Option(help="Who has decided it, for the log.")] = "command line",
    as_json: Json = False,
) -> None:
    """Take a model that was proposed: it is in force from the first published day that is not before --from.

    Any fit that the store keeps can be taken. To go back to the model of an earlier day, give the `fit` that is in the
    model.json of its snapshot. With a --from in the past that day and all published days after it are derived again.

    An id that has ended does not come back: where segments had ended since, going back to an older fit makes new ones.
    """
    from segmentation import history
    from segmentation.cli import tables
    from segmentation.store import adoptions

    store = open_history(context)
    adoption = adoptions.meant(store, fit, first, who)
    adoptions.refuse_without_effect(store, adoption, open_config(context).project.end)
    told = adoptions.is_told(store.state(), adoption)
    adoptions.record(store, adoption)
    stale = history.stale(open_config(context))
    published = sorted(store.state().published)
    taken = {
        "fit": adoption.fit,
        "from_date": adoption.from_date.isoformat(),
        "who": adoption.who,
        "told_before": told,
        "first_day": published[0].isoformat(),
        "last_day": published[-1].isoformat(),
        "stale": [day.isoformat() for day in stale],
        # Each day depends on the one before it.
        "derived_again": [day.isoformat() for day in published if stale and day >= stale[0]],
    }
    show(taken, as_json, tables.adopted)


def tell(messages: list[str]) -> None:
    """Warnings, on stderr."""
    for message in messages:
        print(f"segmentation: {message}", file=sys.stderr)


@contextmanager
def progress_bars(console: "Console") -> Iterator["Progress"]:
    """One bar for each kind of work, on stderr; nothing where stderr is not a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def tick(doing: str, done: int, total: int) -> None:
            if doing not in tasks:
                tasks[doing] = bars.add_task(doing, total=total)
            bars.update(tasks[doing], completed=done, total=total)

        yield tick
