"""The command that makes up a shop: simulate."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segmentation.cli.app import Json, app, day_option, show
from segmentation.texts import counted

if TYPE_CHECKING:
    from rich.console import Console

TRY = "Try it out"


class Format(StrEnum):
    parquet = "parquet"
    csv = "csv"


@app.command(rich_help_panel=TRY)
def simulate(
    folder: Annotated[Path, typer.Option("--out", help="A new folder for the shop.")],
    users: Annotated[int, typer.Option(help="Users of the first day; more arrive.")],
    days: Annotated[int, typer.Option(help="How many days.")],
    start: Annotated[date, day_option("--start", "The first day, YYYY-MM-DD.")],
    scenario: Annotated[
        str, typer.Option(help="A scenario that comes with the package, or a file NAME.toml.")
    ] = "stationary",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same shop.")] = 0,
    form: Annotated[Format, typer.Option("--format", help="The format of the tables.")] = Format.parquet,
    as_json: Json = False,
) -> None:
    """Make up a shop to try things on: orders, events, reviews, users, a configuration, and the planted truth apart."""
    from rich.console import Console

    from segmentation.cli.running import progress_bars
    from segmentation.simulation import scenario as scenarios
    from segmentation.simulation import shop

    chosen = scenarios.load(scenario)
    with progress_bars(Console(stderr=True)) as progress:
        result = shop.simulate(folder, chosen, users, days, start, seed, form.value, progress)
    show(result, as_json, _made)


def _made(console: "Console", result: dict[str, Any]) -> None:
    rows = ", ".join(f"{counted(count, 'row')} of {name}" for name, count in result["rows"].items())
    console.print(f"{counted(result['users'], 'user')}, {rows} in {result['folder']}", markup=False, soft_wrap=True)
    config = Path(result["folder"]) / "segmentation.toml"
    first, last = result["published"]
    going_on = f"segmentation --config {config} backfill --from {first} --to {last}"
    console.print(f"Go on: {going_on}", markup=False, soft_wrap=True)
