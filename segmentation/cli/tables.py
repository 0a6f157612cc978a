"""Read models as tables for people in a terminal."""

from collections import defaultdict
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from segmentation.monitor.read_models import MEAN, Record, is_move
from segmentation.store.snapshots import LAPSED, NEW
from segmentation.texts import observed
from segmentation.tracking.migrations import CAUSES

NOTHING = "–"
REPAIR = (
    "To repair: put the named files back from a backup of the store. Without one, move a day's whole folder below "
    "snapshots/, or all of checkpoints/, first_seen/ or raw/, out of the store, and run `segmentation run --date DAY` (the "
    "earliest damaged day first; the files of the source must be there as they were). For anything else, and what is "
    "still named then, build a new store from the source: another [store] url, then `segmentation backfill`."
)
# Feature → heading and unit in the table of segments.
SHOWN = {
    "recency": ("Recency", "days"),
    "frequency": ("Frequency", "orders"),
    "monetary": ("Spend", "per user"),
    "average_order_value": ("Order", "value"),
    "order_gap": ("Order gap", "days"),
    "browse_recency": ("Browsed", "days ago"),
    "sessions": ("Sessions", "per user"),
    "views_per_session": ("Views", "per session"),
    "carts": ("Carts", "per user"),
    "purchases": ("Purchases", "per user"),
}

MEANS = 5  # as many of them as there is room for


def _table(*columns: tuple[str, str], title: str = "") -> Table:
    """A table of (heading, "left" or "right") columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title or None, title_justify="left", title_style="bold")
    for heading, justify in columns:
        table.add_column(heading, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    return table


def _whole(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _decimal(value: float | None, places: int = 1) -> str:
    return NOTHING if value is None else f"{value:,.{places}f}"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def report(console: Console, record: Record) -> None:
    console.print(record["path"], soft_wrap=True, markup=False)


def segments(console: Console, rows: list[Record], features: list[str]) -> None:
    """Largest first; revenue is the net amount in the window, the other figures are means over the segment's users.

    features: those that the segments are made of.
    """
    means = [name for name in SHOWN if rows and MEAN + name in rows[0]][:MEANS]
    table = _table(
        ("Segment", "left"),
        ("Event", "left"),
        ("Users", "right"),
        ("Share", "right"),
        ("Revenue\n[dim]in window[/]", "right"),
        *((f"{SHOWN[name][0]}\n[dim]{SHOWN[name][1]}[/]", "right") for name in means),
    )
    for row in rows:
        table.add_row(
            escape(row["name"]),
            row["event"],
            _whole(row["users"]),
            _share(row["share"]),
            _decimal(row["revenue"], 0),
            *(_decimal(row[MEAN + name]) for name in means),
        )
    console.print(table)
    console.print(f"{_count(sum(row['users'] for row in rows), 'user')} in {_count(len(rows), 'segment')}.")
    console.print(f"[dim]Made of: {escape(', '.join(features))}.[/]")


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
    table = _table(
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
            _whole(cell["users"]),
            _share(cell["share_of_from"]) if cell["from_segment_id"] != NEW else NOTHING,
            _decimal(cell["revenue"], 0),
            *(_whole(cell[cause]) if cell[cause] else "[dim]·[/]" for cause in CAUSES),
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
        f"{_count(users, 'user')} changed segment ({why}); {stayed:,} stayed, {new:,} came ({NEW}), {lapsed:,} left "
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
    table = _table(
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
            _whole(row["users"]),
            _whole(row["segments"]),
            _whole(row["moved"]),
            row["decision"],
            "new configuration" if row["new_recipe"] else "",
        )
    console.print(table)
    stale = sum(row["status"] == "stale" for row in rows)
    more = f"; {stale:,} stale: run `segmentation reconcile`" if stale else ""
    console.print(f"{_count(len(rows), 'day')} published{more}.")


def decisions(console: Console, rows: list[Record]) -> None:
    """A year in one screen: days that only kept their segments are one line until the next day that did more."""
    table = _table(("Date", "left"), ("Decision", "left"), ("Why", "left"))
    kept: list[Record] = []
    for row in rows:
        if row["decision"] == "hold" and row["reason"] != "proposed":
            kept.append(row)
            continue
        _kept(table, kept)
        kept = []
        why = escape(row["sentence"])
        if row["reason"] == "proposed":
            why += f"\n[dim]To take it: segmentation adopt {row['state']['proposals'][-1]['fit'][:12]}[/]"
        table.add_row(row["date"], f"[bold]{'proposal' if row['reason'] == 'proposed' else row['decision']}[/]", why)
    _kept(table, kept)
    console.print(table)


def _kept(table: Table, rows: list[Record]) -> None:
    if not rows:
        return
    if len(rows) == 1:
        table.add_row(rows[0]["date"], "hold", escape(rows[0]["sentence"]))
        return
    evaluations = [row for row in rows if "evaluation" in row["evidence"]]
    challenges = sum("challenge" in row["evidence"] for row in evaluations)
    drifted = sorted({name for row in evaluations for name in row["evidence"]["evaluation"]["drift"]})
    told = f"{_count(len(rows), 'day')}: the segments were kept"
    if evaluations:
        told += f"; held against the data {_count(len(evaluations), 'time')}"
    if challenges:
        told += f", challenged by another model {_count(challenges, 'time')}"
    if drifted:
        told += f"; drifted: {', '.join(drifted)}"
    table.add_row(f"{rows[0]['date']} … {rows[-1]['date']}", "hold", escape(told) + ".")


def planned(console: Console, record: Record) -> None:
    """What would change: the days, then the segments of the latest day, then who would be where."""
    table = _table(("Date", "left"), ("Now", "left"), ("Then", "left"), ("Segments", "right"), ("Moved", "right"))
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
    total = record["users"]
    told = (
        f"{record['elsewhere']:,} of {total:,} users ({_share(record['elsewhere'] / max(total, 1))}) would be elsewhere"
    )
    console.print(f"From {record['from']} on {_count(changed, 'day')} of {len(record['days']):,} would change; {told}.")
    for day in [day for day in record["days"] if day["now"]["sentence"] != day["then"]["sentence"]][:1]:
        console.print(f"{day['date']}: {escape(day['then']['sentence'])}")
    console.print(
        f"[dim]Nothing was published. To do it: segmentation reconcile --recipe current --from {record['from']}[/]"
    )


def adopted(console: Console, record: Record) -> None:
    console.print(f"Fit {record['fit'][:12]} is in force from the first published day from {record['from_date']} on.")
    if record["stale"]:
        console.print(f"{_count(len(record['stale']), 'day')} stale now: run `segmentation reconcile`.")


def quality(console: Console, record: Record) -> None:
    for name, counts in record["tables"].items():
        table = _table(("Rows", "left"), ("Count", "right"), ("Share", "right"), title=f"{name} of {record['date']}")
        read = counts["rows"]

        def row(label: str, count: int, table: Table = table, read: int = read) -> None:
            table.add_row(label, _whole(count), _share(count / read) if read else NOTHING)

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
            f"[bold yellow]warning[/] {escape(warning['reason'])}: {escape(observed(warning['observed']))}"
            for warning in counts["warnings"]
        ]
        if counts.get("quarantine"):
            lines.append(f"[dim]The quarantined rows, as they came: {escape(counts['quarantine'])} in the store[/]")
        console.print(Group(*lines))
    columns = ("File", "Rows", "Of accepted days", "Waiting", "Undated")
    table = _table((columns[0], "left"), *((column, "right") for column in columns[1:]), title="Files, all their days")
    for file in record["files"]:
        counts = (file["rows"], file["of_accepted_days"], file["waiting"], file["undated"])
        table.add_row(escape(file["file"]), *(_whole(count) for count in counts))
        for reason, count in file["undated_reasons"].items():
            table.add_row(f"  [dim]{escape(reason)}[/]", "", "", "", _whole(count))
        if file["elsewhere"]:
            said = f"{file['elsewhere']:,} of another day than its name says, not counted"
            table.add_row(f"  [dim]{said}[/]", "", "", "", "")
    if record["files"]:
        console.print(table)


def user(console: Console, record: Record) -> None:
    table = _table(
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
            _decimal(day["points"] / 1000) if day["points"] else "[dim]·[/]",
            _share(day["margin"] / 1000),
        )
    console.print(table)
    console.print(
        "[dim]Nearest: where the model puts the user, if elsewhere; with enough points the user moves there.[/]"
    )


def features(console: Console, rows: list[Record]) -> None:
    headings = ("Feature", "Unit", "Formula", "Window", "Needs", "Auto")
    table = _table(*((heading, "left") for heading in headings))
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
        console.print(f"[bold red]{_count(len(record['problems']), 'problem')}.[/]")
        console.print(REPAIR, markup=False, soft_wrap=True)


def digest(console: Console, record: Record) -> None:
    console.print(record["digest"])


def log(console: Console, rows: list[Record]) -> None:
    table = _table(
        ("Record", "right"), ("At (UTC)", "left"), ("By", "left"), ("Kind", "left"), ("Date", "left"), ("What", "left")
    )
    for row in rows:
        at = row["at"][:19].replace("T", " ")
        table.add_row(_whole(row["number"]), at, escape(row["by"]), row["kind"], row["date"] or NOTHING, row["what"])
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
    console.print(f"{_count(len(record['reconciled']), 'day')} derived again; no day is stale.")


OUTCOMES = {
    "published": "published",
    "current": "unchanged",
    "superseded": "dropped: another run had published what is asked for now",
}


def _published_line(day: Record) -> str:
    what = f"{_count(day['users'], 'user')} in {_count(day['segments'], 'segment')}, {day['moved']:,} moved"
    return (
        f"{day['date']}  {day['snapshot_id'][:12]}  {what} ({_share(day['share_moved'])})  {OUTCOMES[day['outcome']]}"
    )


def _stale(console: Console, days: list[str]) -> None:
    if days:
        span = days[0] if len(days) == 1 else f"{days[0]} … {days[-1]}"
        console.print(f"{_count(len(days), 'stale day')} ({span}); settle with `segmentation reconcile`.")


def lives(console: Console, rows: list[Record]) -> None:
    """The segments in the order of their birth, with a line for each thing that happened to them."""
    table = _table(("Segment", "left"), ("Date", "left"), ("What happened", "left"), ("Users", "right"))
    for life in rows:
        began = {"split": "split off", "merged": "merged"}.get(life["began"], "born")
        if life["parents"]:
            began += f" from {' and '.join(life['parents'])}"
        name = escape(life["name"])
        table.add_row(
            f"[bold]{name}[/]" if life["alive"] else name, life["born"], began, _whole(life["users_at_birth"])
        )
        end = "now" if life["alive"] else "last day" if life["end"] else "last day, in days that are stale"
        lines = [(event["date"], _happened(life["segment_id"], event), "") for event in life["events"]]
        lines.append((life["last_day"], f"[dim]{end}[/]", _whole(life["users"])))
        for day, what, users in sorted(lines, key=lambda line: line[0]):
            if what and (day, end) != (life["born"], "now"):
                table.add_row("", day, what, users)
    console.print(table)
    alive = sum(life["alive"] for life in rows)
    console.print(f"{_count(len(rows), 'segment')}, {alive:,} alive (bold).")


def _happened(name: str, event: Record) -> str:
    """What an event was to one of the segments that it names, in words; "" for its birth."""
    origins, ends = event["from"], event["to"]
    if name not in origins:  # it is new, or took something in
        if event["event"] == "absorbed":
            return f"took in {origins[0]}, now {event['share_of_to'][origins[0]][name]:.0%} of it"
        return ""
    went = event["overlap"].get(name, {})
    shares = sorted(went.items(), key=lambda item: (-item[1], item[0]))
    listed = ", ".join(f"{'itself' if end == name else end} ({share:.0%})" for end, share in shares)
    match event["event"]:
        case "survived":
            return f"survived a new model ({went[name]:.0%})"
        case "split":
            return f"split into {listed}"
        case "merged":
            if name in ends:
                return f"{' and '.join(other for other in origins if other != name)} merged into it"
            others = " and ".join(other for other in origins if other not in (name, *ends))
            return f"merged with {others} into {listed}" if others else f"merged into {listed}"
        case "absorbed":
            return f"absorbed by {listed}"
        case _:
            return f"died; its users went to {listed}" if listed else "died: it had no users any more"


def mobility(console: Console, record: Record) -> None:
    """The states by rank; the matrix, by rank too (rows: where users were, columns: where they are); statistics; flows."""
    states = record["states"]
    targets = [*(state["segment_id"] for state in states), LAPSED]
    cells = {(cell["from_segment_id"], cell["to_segment_id"]): cell for cell in record["transitions"]}
    table = _table(
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
        worth, users = _decimal(state["revenue_per_user"], 0), _whole(state["users"])
        table.add_row(_rank(state), escape(name), worth, users, *_probability(stay), *_probability(lapse))
        if state["users"]:
            shares = (_percent(cells.get((name, target)), name == target) for target in targets)
            matrix.add_row(escape(_rank(state)), *shares)
    console.print(table)
    console.print("[bold]Of 100 users in a row, how many ended in a column[/]")
    console.print(matrix)
    statistics = _table(
        ("Mobility", "left"), ("", "right"), ("95 %", "right"), ("Of the users there on both days", "left")
    )
    for name, unit, meaning in STATISTICS:
        if record[name]["value"] is not None:
            statistics.add_row(name.replace("_", " ").capitalize(), *_estimate(record[name], unit), meaning)
    console.print(statistics)
    flows = _table(
        ("Flow", "left"),
        ("Users", "right"),
        ("Revenue\n[dim]window before[/]", "right"),
        ("Revenue\n[dim]window after[/]", "right"),
        ("Change", "right"),
    )
    for flow in record["flows"]:
        before, after = flow["revenue_before"], flow["revenue_after"]
        change = NOTHING if before is None or after is None else f"{after - before:+,.0f}"
        flows.add_row(flow["flow"].capitalize(), _whole(flow["users"]), _decimal(before, 0), _decimal(after, 0), change)
    console.print(flows)
    if record["by_model"]:
        console.print(f"{_count(record['by_model'], 'user')} changed segment only because the model was redrawn.")


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
