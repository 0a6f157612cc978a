"""Read models as tables for people in a terminal."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from segmentation.monitor.read_models import MEAN, Record, is_move
from segmentation.store.snapshots import LAPSED, NEW
from segmentation.texts import Texts, counted, observed
from segmentation.tracking.migrations import CAUSES

NOTHING = "–"
REPAIR = (
    "To repair: put the named files back from a backup of the store. Without one, move a day's whole folder below "
    "snapshots/, or all of checkpoints/, first_seen/ or raw/, out of the store, and run `segmentation run --date DAY` (the "
    "earliest damaged day first; the files of the source must be there as they were). For anything else, and what is "
    "still named then, build a new store from the source: another [store] url, then `segmentation backfill`."
)
# Features whose means are in the table of segments.
SHOWN = (
    "recency",
    "frequency",
    "monetary",
    "average_order_value",
    "order_gap",
    "browse_recency",
    "sessions",
    "views_per_session",
    "carts",
    "purchases",
)

MEANS = 5  # as many of them as there is room for


def table_of(*columns: tuple[str, str], title: str = "") -> Table:
    """A table of (heading, "left" or "right") columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title or None, title_justify="left", title_style="bold")
    for heading, justify in columns:
        table.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    return table


def headed(texts: Texts, *columns: str) -> Table:
    """A table with the headings of these keys of [terminal], or with a dot of any section; of those with "<" to the left. A
    heading's second line is dim."""
    named = []
    for column in columns:
        key = column.removeprefix("<")
        heading, _, below = texts(key if "." in key else f"terminal.{key}").partition("\n")
        named.append((heading + (f"\n[dim]{below}[/]" if below else ""), "left" if column != key else "right"))
    return table_of(*named)


def labels(features: Iterable[str], texts: Texts) -> str:
    """Features by their names in the language, as a list."""
    return texts("page.comma").join(texts.known("features", name) for name in features)


def whole(value: int | None) -> str:
    """A whole number with separators; a dash for None."""
    return NOTHING if value is None else f"{value:,}"


def decimal(value: float | None, places: int = 1) -> str:
    """A number with separators and so many decimals; a dash for None."""
    return NOTHING if value is None else f"{value:,.{places}f}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


def report(console: Console, record: Record) -> None:
    console.print(record["path"], soft_wrap=True, markup=False)


def segments(console: Console, rows: list[Record], features: list[str], texts: Texts) -> None:
    """Largest first; revenue is the net amount in the window, the other figures are means over the segment's users.

    features: those that the segments are made of.
    """
    means = [name for name in SHOWN if rows and MEAN + name in rows[0]][:MEANS]
    columns = ("<segment", "<name", "<event", "users", "share", "revenue", *(f"columns.{name}" for name in means))
    table = headed(texts, *columns)
    for row in rows:
        table.add_row(
            escape(row["segment_id"]),
            escape(row["name"]),
            texts(f"terminal.event_{row['event']}"),
            whole(row["users"]),
            _share(row["share"]),
            decimal(row["revenue"], 0),
            *(decimal(row[MEAN + name]) for name in means),
        )
    console.print(table)
    users, part = sum(row["users"] for row in rows), sum(row["share"] for row in rows)
    noise = round(users / part) - users if part else 0  # shares are of everyone
    more = texts("terminal.in_none", users=whole(noise)) if noise else ""
    console.print(texts("terminal.in_segments", users=whole(users), segments=whole(len(rows)), more=more))
    console.print(f"[dim]{escape(texts('terminal.made_of', features=labels(features, texts)))}[/]")


def migrations(console: Console, record: Record) -> None:
    """The matrix (rows: where users were, columns: where they are), and below it the changes with their causes."""
    cells = record["cells"]
    matrix = _matrix(cells)
    console.print(f"[bold]From {record['from']} (rows) to {record['to']} (columns)[/], users")
    if console.measure(matrix).minimum <= console.width:
        console.print(matrix)
    else:
        console.print("[dim]The matrix is wider than this terminal; the changes:[/]")
    changed = sorted(
        (cell for cell in cells if cell["from_segment_id"] != cell["to_segment_id"]),
        key=lambda cell: (-cell["users"], cell["from_segment_id"], cell["to_segment_id"]),
    )
    table = table_of(
        ("From", "left"),
        ("To", "left"),
        ("Users", "right"),
        ("Of from", "right"),
        ("Revenue\n[dim]in window[/]", "right"),
        *((cause.capitalize(), "right") for cause in CAUSES),
        title="Why",
    )
    for cell in changed:
        table.add_row(
            escape(cell["from_segment_id"]),
            escape(cell["to_segment_id"]),
            whole(cell["users"]),
            _share(cell["share_of_from"]) if cell["from_segment_id"] != NEW else NOTHING,
            decimal(cell["revenue"], 0),
            *(whole(cell[cause]) if cell[cause] else "[dim]·[/]" for cause in CAUSES),
        )
    if changed:
        console.print(table)
    moved = [cell for cell in changed if is_move(cell)]
    users = sum(cell["users"] for cell in moved)
    why = ", ".join(f"{sum(cell[cause] for cell in moved):,} by {cause}" for cause in CAUSES)
    stayed = sum(cell["users"] for cell in cells if cell["from_segment_id"] == cell["to_segment_id"])
    new = sum(cell["users"] for cell in cells if cell["from_segment_id"] == NEW)
    lapsed = sum(cell["users"] for cell in cells if cell["to_segment_id"] == LAPSED)
    console.print(
        f"{counted(users, 'user')} changed segment ({why}); {stayed:,} stayed, {new:,} came ({NEW}), {lapsed:,} left "
        f"({LAPSED})."
    )


def _matrix(cells: list[Record]) -> Table:
    users: dict[str, dict[str, int]] = defaultdict(dict)
    for cell in cells:
        users[cell["from_segment_id"]][cell["to_segment_id"]] = cell["users"]
    rows = sorted(users, key=lambda name: (name == NEW, name))
    columns = sorted({cell["to_segment_id"] for cell in cells}, key=lambda name: (name == LAPSED, name))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=True)
    table.add_column("", footer="all", no_wrap=True)
    for column in columns:
        total = sum(users[row].get(column, 0) for row in rows)
        table.add_column(escape(column), footer=f"{total:,}", justify="right", no_wrap=True)
    table.add_column("all", justify="right", no_wrap=True, footer=f"{sum(cell['users'] for cell in cells):,}")
    for row in rows:
        counts = [_matrix_cell(users[row].get(column, 0), row == column) for column in columns]
        table.add_row(escape(row), *counts, Text(f"{sum(users[row].values()):,}"))
    return table


def _matrix_cell(users: int, diagonal: bool) -> Text:
    if not users:
        return Text("·", style="dim")
    return Text(f"{users:,}", style="dim" if diagonal else "bold")


NOTED = {  # counts of accepted rows that are worth a second look
    "returns": "returns",
    "zero_quantity": "with quantity 0",
    "zero_amount": "with amount 0",
    "unknown_event_type": "of an unknown event type",
    "before_sign_up": "from before the user signed up",
    "excluded": "of users who are left out",
    "excluded_there": "of these, with rows of their own in the window",
}


def history(console: Console, rows: list[Record]) -> None:
    table = table_of(
        ("Date", "left"),
        ("Snapshot", "left"),
        ("Parent", "left"),
        ("Status", "left"),
        ("Users", "right"),
        ("Segments", "right"),
        ("Moved", "right"),
        ("Decision", "left"),
        ("", "left"),
    )
    for row in rows:
        table.add_row(
            row["date"],
            row["snapshot_id"][:12],
            row["parent"] or NOTHING,
            "[bold yellow]stale[/]" if row["status"] == "stale" else row["status"],
            whole(row["users"]),
            whole(row["segments"]),
            whole(row["moved"]),
            row["decision"],
            "new configuration" if row["new_recipe"] else "",
        )
    console.print(table)
    stale = sum(row["status"] == "stale" for row in rows)
    more = f"; {stale:,} stale: run `segmentation reconcile` (later days follow, where these change)" if stale else ""
    console.print(f"{counted(len(rows), 'day')} published{more}.")


def planned(console: Console, record: Record) -> None:
    """What would change: the days, then the segments of the latest day, then who would be where."""
    table = table_of(("Date", "left"), ("Now", "left"), ("Then", "left"), ("Segments", "right"), ("Moved", "right"))
    for day in record["days"]:
        now, then = day["now"], day["then"]
        if now != then:
            table.add_row(
                day["date"],
                now["decision"],
                then["decision"],
                f"{now['segments']} → {then['segments']}",
                f"{now['moved']:,} → {then['moved']:,}",
            )
    changed = table.row_count
    if changed:
        console.print(table)
        console.print(_matrix(record["cells"]))
    elsewhere, total = record["elsewhere"], record["users"]
    told = f"{elsewhere:,} of {counted(total, 'user')} ({_share(elsewhere / max(total, 1))}) would be elsewhere"
    console.print(
        f"From {record['from']} on {counted(changed, 'day')} of {len(record['days']):,} would change; {told}."
    )
    for day in [day for day in record["days"] if day["now"]["sentence"] != day["then"]["sentence"]][:1]:
        console.print(f"{day['date']}: {escape(day['then']['sentence'])}")
    console.print(
        f"[dim]Nothing was published. To do it: segmentation reconcile --recipe current --from {record['from']}[/]"
    )


def adopted(console: Console, record: Record) -> None:
    fit, begins, first, last = record["fit"][:12], record["from_date"], record["first_day"], record["last_day"]
    if record["told_before"]:
        told = f"is adopted from {begins} on already: to adopt it again changes nothing"
    elif begins > last:
        told = f"will be in force from the first published day from {begins} on: the days up to {last} stay as they are"
    elif begins <= first:
        told = f"is in force from the first day of the history on, {first}"
    else:
        told = f"is in force from the first published day from {begins} on"
    console.print(f"Fit {fit} {told}.")
    days = record["derived_again"]
    if days:
        span = days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}"
        which = "All " if days[0] == first and len(days) > 1 else ""
        console.print(f"{which}{counted(len(days), 'day')} to be derived again ({span}): run `segmentation reconcile`.")


def quality(console: Console, record: Record) -> None:
    for name, counts in record["tables"].items():
        table = table_of(("Rows", "left"), ("Count", "right"), ("Share", "right"), title=f"{name} of {record['date']}")
        read = counts["rows"]

        def row(label: str, count: int, table: Table = table, read: int = read) -> None:
            table.add_row(label, whole(count), _share(count / read) if read else NOTHING)

        row("read", read)
        row("accepted", counts["accepted"])
        row("quarantined", counts["quarantined"])
        for reason, count in sorted(counts["reasons"].items(), key=lambda pair: (-pair[1], pair[0])):
            row(f"  [dim]{escape(reason)}[/]", count)
        for key, label in NOTED.items():
            if counts.get(key):
                row(f"[dim]accepted {label}[/]", counts[key])
        lines: list[RenderableType] = [table]
        lines += [
            f"[bold yellow]warning[/] {escape(warning['reason'])}: {escape(observed(warning['observed'], Texts('en')))}"
            for warning in counts["warnings"]
        ]
        if counts.get("quarantine"):
            lines.append(f"[dim]The quarantined rows, as they came: {escape(counts['quarantine'])} in the store[/]")
        console.print(Group(*lines))
    columns = ("File", "Rows", "Of accepted days", "Waiting", "Undated")
    table = table_of(
        (columns[0], "left"), *((column, "right") for column in columns[1:]), title="Files, all their days"
    )
    for file in record["files"]:
        counts = (file["rows"], file["of_accepted_days"], file["waiting"], file["undated"])
        table.add_row(escape(file["file"]), *(whole(count) for count in counts))
        for reason, count in file["undated_reasons"].items():
            table.add_row(f"  [dim]{escape(reason)}[/]", "", "", "", whole(count))
        if file["elsewhere"]:
            said = f"{file['elsewhere']:,} of another day than its name says, not counted"
            table.add_row(f"  [dim]{said}[/]", "", "", "", "")
    if record["files"]:
        console.print(table)


def user(console: Console, record: Record) -> None:
    table = table_of(
        ("Date", "left"),
        ("Segment", "left"),
        ("Status", "left"),
        ("Since", "left"),
        ("Cause", "left"),
        ("Nearest", "left"),
        ("Points", "right"),
        ("Margin", "right"),
        title=f"User {escape(record['user_id'])}",
    )
    for day in record["days"]:
        elsewhere = day["nearest_segment_id"] != day["segment_id"]
        table.add_row(
            day["date"],
            escape(day["segment_id"] or NOTHING),
            day["status"] if day["status"] == "stayed" else f"[bold]{day['status']}[/]",
            day["since"],
            day["cause"],
            escape(day["nearest_segment_id"]) if elsewhere and day["nearest_segment_id"] else "[dim]·[/]",
            decimal(day["points"] / 1000) if day["points"] else "[dim]·[/]",
            _share(day["margin"] / 1000),
        )
    console.print(table)
    console.print(
        "[dim]Nearest: where the model puts the user, if elsewhere; with enough points the user moves there.[/]"
    )


def features(console: Console, rows: list[Record]) -> None:
    headings = ("Feature", "Unit", "Formula", "Window", "Needs", "Auto")
    table = table_of(*((heading, "left") for heading in headings))
    for row in rows:
        values: list[Any] = [
            row["name"],
            row["unit"],
            row["formula"],
            row["window"],
            ", ".join(row["needs"]),
            row["auto"],
        ]
        table.add_row(*map(escape, values))
    console.print(table)
    console.print('[dim]Auto: \\[clustering] features = "auto" takes it, of a shop that has these rows.[/]')


def verify(console: Console, record: Record) -> None:
    if record["ok"]:
        console.print("The store is whole: every checksum, count, sum and link is what it should be.")
    for problem in record["problems"]:
        console.print(problem, markup=False, soft_wrap=True)
    if record["problems"]:
        console.print(f"[bold red]{counted(len(record['problems']), 'problem')}.[/]")
        console.print(REPAIR, markup=False, soft_wrap=True)


def digest(console: Console, record: Record) -> None:
    console.print(record["digest"])


def log(console: Console, rows: list[Record]) -> None:
    table = table_of(
        ("Record", "right"), ("At (UTC)", "left"), ("By", "left"), ("Kind", "left"), ("Date", "left"), ("What", "left")
    )
    for row in rows:
        at = row["at"][:19].replace("T", " ")
        table.add_row(whole(row["number"]), at, escape(row["by"]), row["kind"], row["date"] or NOTHING, row["what"])
    console.print(table)


def published(console: Console, record: Record) -> None:
    console.print(_published_line(record))
    _stale(console, record["stale"])


def backfilled(console: Console, record: Record) -> None:
    for day in record["published"]:
        console.print(_published_line(day))
    _stale(console, record["stale"])


def reconciled(console: Console, record: Record) -> None:
    for day in record["reconciled"]:
        console.print(_published_line(day))
    console.print(f"{counted(len(record['reconciled']), 'day')} derived again; no day is stale.")


OUTCOMES = {
    "published": "published",
    "current": "unchanged",
    "superseded": "dropped: another run had published what is asked for now",
}


def _published_line(day: Record) -> str:
    what = f"{counted(day['users'], 'user')} in {counted(day['segments'], 'segment')}, {day['moved']:,} moved"
    return (
        f"{day['date']}  {day['snapshot_id'][:12]}  {what} ({_share(day['share_moved'])})  {OUTCOMES[day['outcome']]}"
    )


def _stale(console: Console, days: list[str]) -> None:
    if days:
        span = days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}"
        console.print(f"{counted(len(days), 'stale day')} ({span}); settle with `segmentation reconcile`.")
