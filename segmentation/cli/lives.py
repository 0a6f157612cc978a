"""The lives of the segments as a table for people in a terminal."""

from rich.console import Console
from rich.markup import escape

from segmentation.cli.tables import table_of, whole
from segmentation.monitor.read_models import Record
from segmentation.texts import counted


def lives(console: Console, rows: list[Record]) -> None:
    """The segments in the order of their birth, with a line for each thing that happened to them."""
    table = table_of(("Segment", "left"), ("Date", "left"), ("What happened", "left"), ("Users", "right"))
    for life in rows:
        began = {"split": "split off", "merged": "merged"}.get(life["began"], "born")
        if life["parents"]:
            began += f" from {' and '.join(life['parents'])}"
        name = escape(life["name"])
        table.add_row(f"[bold]{name}[/]" if life["alive"] else name, life["born"], began, whole(life["users_at_birth"]))
        end = "now" if life["alive"] else "last day" if life["end"] else "last day, in days that are stale"
        lines = [(event["date"], _happened(life["segment_id"], event), "") for event in life["events"]]
        lines.append((life["last_day"], f"[dim]{end}[/]", whole(life["users"])))
        for day, what, users in sorted(lines, key=lambda line: line[0]):
            if what and (day, end) != (life["born"], "now"):
                table.add_row("", day, what, users)
    console.print(table)
    alive = sum(life["alive"] for life in rows)
    told = f"{counted(len(rows), 'segment')}, {alive:,} alive (bold)."
    console.print(f"{told} Shares are of the users to whom it was the nearest.")


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
            return f"died; its users went to {listed}" if listed else "died: it was nobody's nearest any more"
