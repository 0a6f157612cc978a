"""Mobility between two days as tables for people in a terminal."""

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from segmentation.cli.tables import NOTHING, decimal, table_of, whole
from segmentation.monitor.read_models import Record
from segmentation.store.snapshots import LAPSED
from segmentation.texts import counted


def mobility(console: Console, record: Record) -> None:
    """The states by rank; the matrix, by rank too (rows: where users were, columns: where they are); statistics; flows."""
    states = record["states"]
    targets = [*(state["segment_id"] for state in states), LAPSED]
    cells = {(cell["from_segment_id"], cell["to_segment_id"]): cell for cell in record["transitions"]}
    table = table_of(
        *(("Rank", "right"), ("Segment", "left"), ("Revenue\n[dim]per user[/]", "right"), ("Users", "right")),
        *(("Stay", "right"), ("95 %", "right"), ("Lapsed", "right"), ("95 %", "right")),
        title=f"From {record['from']} to {record['to']}",
    )
    matrix = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title="Of 100 users of a row, in a column"
    )
    matrix.title_justify, matrix.title_style = "left", "bold"
    for heading in ("", *map(_rank, states), LAPSED):
        matrix.add_column(escape(heading), justify="right", no_wrap=True)
    for state in states:
        name = state["segment_id"]
        stay, lapse = (cells.get((name, target)) for target in (name, LAPSED))
        worth, users = decimal(state["revenue_per_user"], 0), whole(state["users"])
        table.add_row(_rank(state), escape(name), worth, users, *_probability(stay), *_probability(lapse))
        if state["users"]:
            shares = (_percent(cells.get((name, target)), name == target) for target in targets)
            matrix.add_row(escape(_rank(state)), *shares)
    console.print(table)
    console.print("[bold]Of 100 users in a row, how many ended in a column[/]")
    console.print(matrix)
    statistics = table_of(
        ("Mobility", "left"), ("", "right"), ("95 %", "right"), ("Of the users there on both days", "left")
    )
    for name, unit, meaning in STATISTICS:
        if record[name]["value"] is not None:
            statistics.add_row(name.replace("_", " ").capitalize(), *_estimate(record[name], unit), meaning)
    console.print(statistics)
    flows = table_of(
        ("Flow", "left"),
        ("Users", "right"),
        ("Revenue\n[dim]window before[/]", "right"),
        ("Revenue\n[dim]window after[/]", "right"),
        ("Change", "right"),
    )
    for flow in record["flows"]:
        before, after = flow["revenue_before"], flow["revenue_after"]
        change = NOTHING if before is None or after is None else f"{after - before:+,.0f}"
        flows.add_row(flow["flow"].capitalize(), whole(flow["users"]), decimal(before, 0), decimal(after, 0), change)
    console.print(flows)
    if record["by_model"]:
        console.print(f"{counted(record['by_model'], 'user')} changed segment only because the model was redrawn.")


STATISTICS = (  # name, format, what it says
    ("stayer_ratio", ".1%", "share who are in the same segment"),
    ("upgraded", ".1%", "share who went to a segment of more revenue per user"),
    ("downgraded", ".1%", "share who went to one of less"),
    ("bartholomew", ".3f", "ranks moved, up or down, in the mean"),
    ("prais", ".3f", "0: nobody moves; 1: where a user ends does not depend on where he was"),
)


def _rank(state: Record) -> str:
    """How the matrix calls a state: by its rank, if it has one."""
    return str(state["rank"] or state["segment_id"])


def _estimate(found: Record, unit: str) -> tuple[str, str]:
    """A figure and its bounds; these are left out where the resamples cannot tell: at 0 or 1."""
    bounds = f"{found['low']:{unit}}–{found['high']:{unit}}" if found["low"] < found["high"] else NOTHING
    return f"{found['value']:{unit}}", bounds


def _probability(cell: Record | None) -> tuple[str, str]:
    return _estimate({**cell, "value": cell["probability"]}, ".0%") if cell else (NOTHING, NOTHING)


def _percent(cell: Record | None, diagonal: bool) -> Text:
    if cell is None:
        return Text("·", style="dim")
    share = cell["probability"]
    return Text("<1" if share < 0.005 else f"{100 * share:.0f}", style="dim" if diagonal else "bold")
