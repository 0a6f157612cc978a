"""The frame that all commands stand in: the application, the order of its commands, the configuration, the output.

A command's own imports are made when it runs, so that `segmentation --help` answers at once.
"""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from segmentation.dates import parse_day
from segmentation.errors import SegmentationError

if TYPE_CHECKING:
    from rich.console import Console

    from segmentation.config import Config
    from segmentation.store.store import Store

T = TypeVar("T")
P = ParamSpec("P")

BUILD = "Build the history"
READ = "Read it"
CHECK = "Check it"

# The order in which a newcomer needs them.
ORDER = (
    *("init", "check"),
    *("run", "backfill", "reconcile", "plan", "adopt", "name"),
    *(
        "report",
        "segments",
        "profiles",
        "rules",
        "bundles",
        "actions",
        "effect",
        "migrations",
        "mobility",
        "history",
        "decisions",
        "quality",
        "user",
        "features",
    ),
    *("verify", "digest", "log"),
    "simulate",
)
PIPE_WIDTH = 200  # characters; a table in a pipe or a file is not cut to a terminal's width


class Ordered(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        known = {name: position for position, name in enumerate(ORDER)}
        return sorted(self.commands, key=lambda name: known.get(name, len(known)))


app = typer.Typer(
    name="segmentation",
    cls=Ordered,
    help="Segment a shop's users day by day, and see who moved where and why.",
    epilog="Start with `segmentation init SAMPLE`, which writes a configuration, and `segmentation check`; then "
    "`segmentation run --date DATE` or `segmentation backfill --from DATE --to DATE`; then look: "
    "`segmentation report`, `segmentation segments`, `segmentation migrations`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def _frame(
    context: typer.Context,
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="SEGMENTATION_CONFIG", help="The configuration file.")
    ] = Path("segmentation.toml"),
) -> None:
    context.obj = config


def day_option(name: str, text: str) -> Any:
    """An option that takes a day, for an annotation: YYYY-MM-DD → date. Anything else is bad usage, with its reason."""
    return typer.Option(name, parser=parse_day, metavar="DATE", help=text)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Day = Annotated[date | None, day_option("--date", "The day, YYYY-MM-DD; without it the latest published one.")]


def open_config(context: typer.Context) -> "Config":
    """The configuration that --config names. Raises ConfigError for what is wrong with it."""
    from segmentation.config import load

    return load(context.obj)


def open_history(context: typer.Context) -> "Store":
    """The store of the configuration, for a command that only reads: a folder that is not there is not made.

    Raises SegmentationError if there is none.
    """
    from segmentation.store.store import open_store

    config = open_config(context)
    if not config.store_path().is_dir():
        raise SegmentationError(
            f"there is no history yet: {config.store_path()} does not exist; begin with `segmentation run --date DATE`"
        )
    return open_store(config)


def show(
    result: T, as_json: bool, render: "Callable[Concatenate[Console, T, P], None]", *args: P.args, **more: P.kwargs
) -> None:
    """Print a command's result on stdout: as one JSON document, or as `render` draws it with what is given beside."""
    if as_json:
        typer.echo(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        render(output(), result, *args, **more)


def output() -> "Console":
    """The console of stdout."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)
