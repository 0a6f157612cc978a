"""The commands to start with: init and check."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segmentation.cli.app import Json, app, show

if TYPE_CHECKING:
    from rich.console import Console

START = "Start"


@app.command(rich_help_panel=START)
def init(
    context: typer.Context,
    samples: Annotated[
        list[str],
        typer.Argument(
            metavar="SAMPLE…", help="Files of the shop (CSV, also .gz; Parquet; JSON lines), folders, or globs."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The configuration to write; else the one of --config (segmentation.toml).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at samples of a shop's data and write a first configuration that reads them.

    It guesses which table each sample is, which column is which, and how times and numbers are written, and says what it is
    not sure of. A file that is there is never overwritten.
    """
    from segmentation.errors import ConfigError
    from segmentation.sources.first_configuration import first_configuration

    path = out or Path(context.obj)
    there = f"{path} is there already and is not overwritten; name another file with --out, or remove it"
    if path.exists():
        raise ConfigError(there)
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} to write {path.name} into; make it first")
    first = first_configuration(samples, path.parent)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(first.text)
    except FileExistsError:
        raise ConfigError(there) from None
    command = "segmentation" if path == Path("segmentation.toml") else f"segmentation --config {path}"
    following = [f"{command} check"]
    if first.backfill:
        following.append(f"{command} backfill --from {first.backfill[0]} --to {first.backfill[1]}")
    result = {
        "config": str(path),
        "sources": [
            {
                "table": each.table,
                "samples": [str(sample) for sample in each.guess.glimpse.paths],
                "rows": each.guess.glimpse.rows,
                "whole": each.guess.glimpse.whole,
                "days": [day.isoformat() for day in each.days] if each.days else None,
                "columns": each.names,
            }
            for each in first.planned
        ],
        "unsure": list(first.unsure),
        "left_out": list(first.left_out),
        "next": following,
    }
    show(result, as_json, _written)


def _written(console: "Console", result: dict[str, Any]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Table", "Sample", "Rows seen", "Days seen", "Columns"):
        table.add_column(heading, justify="right" if heading == "Rows seen" else "left", overflow="fold")
    for source in result["sources"]:
        names = [Path(sample).name for sample in source["samples"]]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        days = source["days"] or ["–", "–"]
        table.add_row(
            f"[bold]{source['table']}[/]",
            escape(names[0] + more),
            f"{source['rows']:,}{'' if source['whole'] else ' …'}",
            days[0] if days[0] == days[1] else f"{days[0]} … {days[1]}",
            escape(", ".join(_pair(ours, theirs) for ours, theirs in source["columns"].items())),
        )
    console.print(table)
    for left in result["left_out"]:
        console.print(f"[dim]left out[/] {escape(left)}", soft_wrap=True)
    for unsure in result["unsure"]:
        console.print(f"[bold yellow]unsure[/] {escape(unsure)}", soft_wrap=True)
    console.print(f"Wrote {escape(result['config'])}. Look at it, then:", soft_wrap=True)
    for command in result["next"]:
        console.print(f"  {escape(command)}", soft_wrap=True)


def _pair(ours: str, theirs: str) -> str:
    return ours if ours == theirs else f"{ours} = {theirs}"
