"""What a source has, and what of it cannot be read or dated."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from segmentation.checking.look import Look
from segmentation.checking.report import FAULT, OK, SKIPPED, WARNING, Line, fault_lines
from segmentation.checking.rows import rows_said
from segmentation.config import Recipe
from segmentation.texts import counted

FAULTS_SHOWN = 3  # of files that cannot be read


def source_lines(name: str, look: Look, recipe: Recipe) -> Iterator[Line]:
    table = name.split()[-1]
    if look.unasked:
        yield Line(name, SKIPPED, look.unasked)
        return
    yield from _unreadable(name, look)
    undated = Counter[str]()
    examples: dict[str, tuple[str, Mapping[str, Any]]] = {}
    rows = 0
    columns: dict[str, None] = {}
    for file, found in look.reads:
        rows += found.undated.num_rows + sum(count for _, count in found.days.values())
        columns.update(dict.fromkeys(found.columns))
        reasons = found.undated["reason"].to_pylist()
        undated.update(reasons)
        for place, reason in enumerate(reasons):
            if reason not in examples:
                examples[reason] = file.name, found.undated.slice(place, 1).to_pylist()[0]
    if rows:
        days = look.days
        when = f" on {counted(len(days), 'day')}, {min(days)} to {max(days)}" if days else ""
        part = "" if look.whole else " in the part looked at"
        files = f"{len(look.reads)} of {look.files} files read" if look.files > 1 else "read"
        yield Line(name, OK, f"{files}: {counted(rows, 'row')}{when}{part}; columns {', '.join(columns)}")
    elif look.reads:
        yield Line(name, WARNING, f"{look.files} files, and none of those looked at has a row")
    elif not look.errors:
        yield Line(name, WARNING, "no file for the days looked for")
    for copy, original in look.copies:
        yield Line(
            name, WARNING, f"{copy} has the same bytes as {original}, they count once: remove the one that is a copy"
        )
    for reason, count in undated.most_common():
        file_name, row = examples[reason]
        status = FAULT if count == rows else WARNING
        yield Line(name, status, rows_said(table, reason, count, rows, file_name, row, recipe))


def _unreadable(name: str, look: Look) -> Iterator[Line]:
    """Why files could not be read: what is wrong with many in the same way is told of the first one."""
    same: dict[str, list[Exception]] = {}
    for file, error in look.errors:
        same.setdefault(str(error).replace(file, "") if file else str(error), []).append(error)
    for errors in list(same.values())[:FAULTS_SHOWN]:
        for line in fault_lines(name, errors[0]):
            more = f" (and {len(errors) - 1} more files like it)" if len(errors) > 1 else ""
            yield replace(line, message=line.message + more)
    if left := sum(map(len, list(same.values())[FAULTS_SHOWN:])):
        yield Line(name, FAULT, f"{left} more files cannot be read for other reasons")
