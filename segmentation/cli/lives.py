"""The lives of the segments as a table for people in a terminal, in their language."""

from rich.console import Console
from rich.markup import escape

from segmentation.cli.tables import headed, whole
from segmentation.monitor.read_models import Record
from segmentation.texts import Texts


def lives(console: Console, rows: list[Record], texts: Texts) -> None:
    """The segments in the order of their birth, with a line for each thing that happened to them."""
    table = headed(texts, "<segment", "<date", "<lives.happened", "users")
    for life in rows:
        began = life["began"] if life["began"] in ("split", "merged") else "born"
        parents = _all(life["parents"], texts)
        told = texts(f"lives.{began}" + ("_from" if parents else ""), parents=parents)
        name = escape(life["name"])
        table.add_row(f"[bold]{name}[/]" if life["alive"] else name, life["born"], told, whole(life["users_at_birth"]))
        end = "now" if life["alive"] else "last_day" if life["end"] else "last_day_stale"
        lines = [(event["date"], _happened(life["segment_id"], event, texts), "") for event in life["events"]]
        lines.append((life["last_day"], f"[dim]{texts(f'lives.{end}')}[/]", whole(life["users"])))
        for day, what, users in sorted(lines, key=lambda line: line[0]):
            if what and (day, end) != (life["born"], "now"):
                table.add_row("", day, what, users)
    console.print(table)
    alive = sum(life["alive"] for life in rows)
    console.print(texts("lives.total", segments=whole(len(rows)), alive=whole(alive)))


def _happened(name: str, event: Record, texts: Texts) -> str:
    """What an event was to one of the segments that it names, in words; "" for its birth."""
    origins, ends = event["from"], event["to"]
    if name not in origins:  # it is new, or took something in
        if event["event"] == "absorbed":
            share = f"{event['share_of_to'][origins[0]][name]:.0%}"
            return texts("lives.took_in", segment=origins[0], share=share)
        return ""
    went = event["overlap"].get(name, {})
    shares = sorted(went.items(), key=lambda item: (-item[1], item[0]))
    listed = texts("page.comma").join(
        texts("lives.end", segment=texts("lives.itself") if end == name else end, share=f"{share:.0%}")
        for end, share in shares
    )
    match event["event"]:
        case "survived":
            return texts("lives.survived", share=f"{went[name]:.0%}")
        case "split":
            return texts("lives.split_into", ends=listed)
        case "merged":
            if name in ends:
                return texts("lives.merged_into_it", others=_all([one for one in origins if one != name], texts))
            others = _all([one for one in origins if one not in (name, *ends)], texts)
            return texts("lives.merged_with" if others else "lives.merged_into", others=others, ends=listed)
        case "absorbed":
            return texts("lives.absorbed", ends=listed)
        case _:
            return texts("lives.died_to" if listed else "lives.died", ends=listed)


def _all(segments: list[str], texts: Texts) -> str:
    return texts("lives.and").join(segments)
