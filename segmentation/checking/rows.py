"""Rows that go into quarantine, as a person is told of them: where, what was found, what to do."""

from collections.abc import Mapping
from typing import Any

from segmentation.config import Recipe
from segmentation.tables import USERS, Kind, kinds

VALUE_SHOWN = 60  # characters


def rows_said(table: str, reason: str, count: int, rows: int, file: str, row: Mapping[str, Any], recipe: Recipe) -> str:
    """Where rows are wrong, what was found there, and what to do: "orders.csv row 17: amount is not a number: '1,5' …"."""
    column = reason.split(" ")[0]
    known = kinds(table, recipe.columns[table])
    theirs = recipe.columns[table].get(column, column)
    value = row.get(column)
    # Ids and texts may be personal; times, numbers and flags tell what is wrong with them.
    shown = f", found {str(value)[:VALUE_SHOWN]!r}" if value and known.get(column, Kind.TEXT) != Kind.TEXT else ""
    of = f" (column {theirs!r})" if column in known and theirs != column else ""
    much = f"{count:,} of {rows:,} rows go" if count > 1 else "this row goes"
    return f"{file} row {row['row']}: {reason}{of}{shown}; {much} into quarantine. {_advice(table, reason, column)}"


def _advice(table: str, reason: str, column: str) -> str:
    options, columns = f"[sources.{table}.options]", f"[sources.{table}.columns]"
    if reason.startswith("malformed line"):
        return f"Check the quotes and the number of fields in that line, or {options} delimiter"
    if "is not a time" in reason or "is not in the years" in reason:
        return (
            f"Set {options} time_format or time_unit to how they are written, or {columns} {column} to another column"
        )
    if "clocks skipped" in reason:
        return "Check [project] timezone, or write times with their offset"
    if "is missing" in reason:
        return f"If they are many, set {columns} {column} to the right column"
    if "is not a number" in reason:
        return (
            f"Set {options} decimal and thousands to how they are written, or take out of the column what is no number"
        )
    if "is not a flag" in reason:
        return f"Write true or false, or set {columns} {column} to another column"
    if "duplicate" in reason and table == USERS:
        return "Of a user's rows the first one counts; remove the others from the source"
    if "duplicate" in reason:
        return f"Remove them from the source, or a column from {options} unique"
    return "Correct them in the source; what is right there may need another setting"
