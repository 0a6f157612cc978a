"""The commands to start with: init and check."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from segmentation.cli.app import Json, app, day_option, show

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


@app.command(rich_help_panel=START)
def check(
    context: typer.Context,
    day: Annotated[
        date | None, day_option("--date", "The day whose rows are tried, YYYY-MM-DD; without it the newest one found.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Try the configuration, the sources, the store and one day's contract, and explain every fault. Writes nothing.

    Exit code 2 if the configuration is at fault, 1 if the data, a source or the store is, 0 if all is well.
    """
    from segmentation.checking.check import check as try_all

    report = try_all(Path(context.obj), day)
    result = {
        "ok": report.exit_code == 0,
        "date": report.day.isoformat() if report.day else None,
        "checks": [
            {"check": line.check, "status": line.status, "message": line.message, "of_configuration": line.of_config}
            for line in report.lines
        ],
    }
    show(result, as_json, _checked)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


MARKS = {"ok": "[green]✓[/]", "warning": "[bold yellow]![/]", "fault": "[bold red]✗[/]", "skipped": "[dim]–[/]"}


def _checked(console: "Console", result: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    shown = ""
    for line in result["checks"]:
        name = line["check"] if line["check"] != shown else ""
        shown = line["check"]
        table.add_row(MARKS[line["status"]], escape(name), escape(line["message"]))
    console.print(table)
    counts = {status: sum(line["status"] == status for line in result["checks"]) for status in MARKS}
    if counts["fault"]:
        console.print(f"[bold red]{counts['fault']} at fault[/], {counts['warning']} to look at.")
    else:
        more = f", {counts['warning']} to look at" if counts["warning"] else ""
        console.print(f"All is well{more}.")
