"""The commands that read a history: each one read model, shown as a table or as JSON."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segmentation.cli.app import CHECK, READ, Day, Json, app, day_option, open_config, open_history, show
from segmentation.texts import Texts

if TYPE_CHECKING:
    from segmentation.store.store import Store


From = Annotated[date | None, day_option("--from", "The earlier day; without it a week before the later one.")]
To = Annotated[date | None, day_option("--to", "The later day; without it the latest published one.")]


class Language(StrEnum):
    en = "en"
    zh = "zh"


@app.command(rich_help_panel=READ)
def report(
    context: typer.Context,
    day: Day = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write, in a folder that exists; else reports/DATE.html beside the configuration."
        ),
    ] = None,
    lang: Annotated[Language, typer.Option(help="The language of the report.")] = Language.en,
    as_json: Json = False,
) -> None:
    """Write one day's report: a single HTML file that needs no network.

    Segment sizes over time, who moved in the last week and why, what each segment is like, and the quality of the data.
    """
    from segmentation.cli import tables
    from segmentation.monitor import read_models
    from segmentation.monitor.report import write_report

    store = open_history(context)
    day = day or read_models.latest(store.state())
    read_models.published_on(store.state(), day)
    path = out or open_config(context).root / "reports" / f"{day}.html"
    if out is None:
        path.parent.mkdir(exist_ok=True)
    write_report(store, day, path, lang.value)
    show({"date": day.isoformat(), "path": str(path)}, as_json, tables.report)


@app.command(rich_help_panel=READ)
def segments(
    context: typer.Context,
    day: Day = None,
    lives: Annotated[
        bool, typer.Option("--history", help="The life of every segment up to the day, also of those that are no more.")
    ] = False,
    lang: Annotated[Language, typer.Option(help="The language.")] = Language.en,
    as_json: Json = False,
) -> None:
    """The segments of a day: name, users, share, revenue, what their users are like on average, and what they are made of."""
    from segmentation.cli import lives as lives_table
    from segmentation.cli import tables
    from segmentation.monitor import lives as lives_record
    from segmentation.monitor import names, read_models

    store = open_history(context)
    day = day or read_models.latest(store.state())
    if lives:
        show(lives_record.lives(store, day), as_json, lives_table.lives, texts=Texts(lang.value))
        return
    rows, features = names.segments(store, day, lang.value), read_models.model_features(store, day)
    show(rows, as_json, tables.segments, features=features, texts=Texts(lang.value))


@app.command(rich_help_panel=READ)
def migrations(context: typer.Context, first: From = None, last: To = None, as_json: Json = False) -> None:
    """Who went from which segment to which between two days, and why.

    behaviour: what the users did since; ageing: only that time went by; model: the segments themselves were redrawn.
    """
    from segmentation.cli import tables
    from segmentation.monitor import read_models

    store = open_history(context)
    show(read_models.migrations(store, *_span(store, first, last)), as_json, tables.migrations)


@app.command(rich_help_panel=READ)
def mobility(context: typer.Context, first: From = None, last: To = None, as_json: Json = False) -> None:
    """How mobile users were between two days: who stays, who goes where, up or down in value, and the revenue that goes along.

    Each figure stands with the bounds that it has when the users are drawn again (95 %).
    """
    from segmentation.cli import mobility as table
    from segmentation.monitor import mobility as record

    store = open_history(context)
    show(record.mobility(store, *_span(store, first, last)), as_json, table.mobility)


def _span(store: "Store", first: date | None, last: date | None) -> tuple[date, date]:
    """Both days of a span: without the later one the latest published day, without the earlier one a week before."""
    from segmentation.errors import SegmentationError
    from segmentation.monitor import read_models

    last = last or read_models.latest(store.state())
    read_models.published_on(store.state(), last)
    first = first or read_models.week_before(store.state(), last)
    if first is None:
        raise SegmentationError(f"{last} is the first day of the history: there is nothing to compare it with yet")
    return first, last


@app.command(rich_help_panel=READ)
def history(context: typer.Context, as_json: Json = False) -> None:
    """The published days: snapshot, parent, users, moves, decision.

    A day is stale when its rows or an earlier day changed after it was published; `segmentation reconcile` settles it.
    """
    from segmentation.cli import tables
    from segmentation.monitor import read_models

    show(read_models.history(open_history(context)), as_json, tables.history)


@app.command(rich_help_panel=READ)
def decisions(
    context: typer.Context,
    lang: Annotated[Language, typer.Option(help="The language of the sentences.")] = Language.en,
    as_json: Json = False,
) -> None:
    """What was decided about the segments on each day, in one sentence.

    Days that kept their segments are one line, and so are proposals for one reason that nobody took: the last of them stands
    there. --json has every day.
    """
    from segmentation.cli import decisions as table
    from segmentation.monitor import decisions as record

    show(record.decisions(open_history(context), lang.value), as_json, table.decisions, texts=Texts(lang.value))


@app.command(rich_help_panel=READ)
def quality(context: typer.Context, day: Day = None, as_json: Json = False) -> None:
    """The rows of a day: read, accepted, quarantined with their reasons, and warnings. Counts only.

    And of each file that they came from: how many of its rows belong to accepted days, wait for days that nobody has asked
    for yet, or have no readable date.
    """
    from segmentation.cli import tables
    from segmentation.monitor import read_models

    store = open_history(context)
    day = day or read_models.latest(store.state())
    show({**read_models.quality(store, day), "files": read_models.files(store, day)}, as_json, tables.quality)


@app.command(rich_help_panel=READ)
def user(
    context: typer.Context,
    user_id: Annotated[str, typer.Argument(metavar="ID", help="The user's id, as in the source.")],
    as_json: Json = False,
) -> None:
    """One user's way through the segments, day by day."""
    from segmentation.cli import tables
    from segmentation.monitor import read_models

    show(read_models.user(open_history(context), user_id), as_json, tables.user)


@app.command(rich_help_panel=READ)
def features(as_json: Json = False) -> None:
    """The features that users can be told apart by: unit, window, formula, columns that each needs, when auto takes it."""
    from segmentation.cli import tables
    from segmentation.monitor import read_models

    show(read_models.features(), as_json, tables.features)


@app.command(rich_help_panel=CHECK)
def verify(context: typer.Context, as_json: Json = False) -> None:
    """Recompute every checksum, count, sum and link of the store. Exit code 1 if anything is wrong."""
    from rich.console import Console

    from segmentation.cli import tables
    from segmentation.cli.running import progress_bars
    from segmentation.store.verify import verify as find_problems

    store = open_history(context)
    with progress_bars(Console(stderr=True)) as progress:
        problems = find_problems(store, progress)
    show({"ok": not problems, "problems": problems}, as_json, tables.verify)
    if problems:
        raise typer.Exit(1)


@app.command(rich_help_panel=CHECK)
def digest(context: typer.Context, as_json: Json = False) -> None:
    """One hash for the whole history: equal digests, equal histories."""
    from segmentation.cli import tables
    from segmentation.monitor import read_models

    show(read_models.digest(open_history(context)), as_json, tables.digest)


@app.command(rich_help_panel=CHECK)
def log(context: typer.Context, as_json: Json = False) -> None:
    """The commit log: what was recorded, when, by whom, with which version."""
    from segmentation.cli import tables
    from segmentation.monitor import read_models

    show(read_models.log(open_history(context)), as_json, tables.log)
