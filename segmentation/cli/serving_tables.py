"""Profiles, rules, bundles and actions as tables for people in a terminal, in their language."""

from rich.console import Console
from rich.markup import escape

from segmentation.cli.tables import NOTHING, decimal, headed, whole
from segmentation.monitor import associations
from segmentation.monitor.names import in_unit
from segmentation.monitor.read_models import Record
from segmentation.texts import Texts, share

MOST_RULES = 20


def profiles(console: Console, records: list[Record], texts: Texts) -> None:
    """One table for each segment: the features that set it apart."""
    for record in records:
        since = texts("terminal.called_since", date=record["since"])
        console.print(f"[bold]{escape(record['name'])}[/]  [dim]{record['segment_id']}, {since}[/]")
        if record["before"]:
            console.print(escape(texts("terminal.before", name=record["before"])))
        places = {"users": whole(record["users"]), "share": share(record["share"])}
        if record["revenue_share"] is None:
            console.print(texts("terminal.size", **places))
        else:
            console.print(texts("terminal.size_revenue", part=share(record["revenue_share"]), **places))
        if record["explained"]:
            console.print(escape(record["explained"]))
        table = headed(texts, "<apart", "median", "mean", "others_median", "others_mean", "effect", "<unit")
        for row in record["differs"]:
            label = texts.known("features", row["name"]) + (f" = {row['value']}" if row["value"] else "")
            table.add_row(
                escape(label),
                *(in_unit(row[key], row["unit"]) for key in ("median", "mean", "others_median", "others")),
                decimal(row["effect"], 2),
                escape(texts.known("units", row["unit"])),
            )
        if record["differs"]:
            console.print(table)
        else:
            console.print(f"[dim]{texts('terminal.nothing_apart')}[/]\n")


def rules(console: Console, record: Record, texts: Texts, special: bool) -> None:
    """The rules with the most lift that hold in the whole shop; or in one segment more than in the rest."""
    if _nothing(console, record, texts):
        return
    rows = associations.special(record["rules"]) if special else associations.strongest(record["rules"])
    columns = ["<if_basket", "<then", "both", "first", "confidence", "lift", "q"]
    if special:
        columns += ["<segment", "rest", "ratio"]
    table = headed(texts, *columns)
    for row in rows[:MOST_RULES]:
        cells = [
            escape(" + ".join(row["antecedents"])),
            escape(" + ".join(row["consequents"])),
            whole(row["count"]),
            whole(row["antecedent_count"]),
            share(row["confidence"]),
            decimal(row["lift"]),
            f"{row['q']:.1g}",
        ]
        if special:
            cells += [row["segment_id"], share(row["confidence_outside"]), decimal(row["confidence_ratio"])]
        table.add_row(*cells)
    if rows:
        console.print(table)
    more = texts("terminal.first_shown", count=whole(MOST_RULES)) if len(rows) > MOST_RULES else ""
    console.print(texts(f"terminal.rules_{'special' if special else 'hold'}", count=whole(len(rows)), more=more))
    figures = record["figures"]
    lead = texts(
        "rules.lead",
        date=record["date"],
        **{name: whole(figures.get(name, 0)) for name in ("baskets", "users", "days", "too_long")},
    )
    console.print(f"[dim]{lead}\n{texts('rules.caveat')}[/]")


def _nothing(console: Console, record: Record, texts: Texts) -> bool:
    if record["nothing"]:
        problem = texts.reworded("rules", record["problem"] or "")
        console.print(problem or texts(f"rules.{record['nothing']}"), markup=False)
    return bool(record["nothing"])


def bundles(console: Console, record: Record, texts: Texts) -> None:
    if _nothing(console, record, texts):
        return
    table = headed(texts, "<segment", "rank", "<together", "baskets", "lift")
    for row in record["bundles"]:
        table.add_row(
            row["segment_id"] or f"[bold]{texts('terminal.whole_shop')}[/]",
            whole(row["rank"]),
            escape(" + ".join(row["items"])),
            whole(row["count"]),
            decimal(row["lift"]),
        )
    console.print(table)
    console.print(f"[dim]{texts('terminal.computed', date=record['date'])}[/]")


def actions(console: Console, records: list[Record], texts: Texts) -> None:
    """In the order in which the rules are tried."""
    table = headed(
        texts, "<actions.head_action", "<offer", "users", "actions.head_due", "<actions.head_who", "<actions.head_where"
    )
    for record in records:
        table.add_row(
            *(escape(texts.known("actions", record[kind], f"{kind}_")) for kind in ("action", "offer")),
            whole(record["users"]),
            whole(record["due"]),
            escape(texts("actions.and").join(record["when"])),
            ", ".join(list(record["segments"])[:2]) or NOTHING,
        )
    console.print(table)
    console.print(texts("terminal.with_action", users=whole(sum(record["users"] for record in records))))


def of_user(console: Console, record: Record, texts: Texts) -> None:
    names = {"user": record["user_id"], "segment": record["segment"], "id": record["segment_id"]}
    console.print(escape(texts("terminal.on_day", date=record["date"], **names)))
    if record["action"] is None:
        console.print(texts("terminal.no_action"))
    else:
        told = {kind: texts.known("actions", record[kind], f"{kind}_") for kind in ("action", "offer")}
        days = {name: record[name] or NOTHING for name in ("since", "given")}
        console.print(escape(texts("terminal.given", **told, **days)))
        table = headed(texts, "<because", "<of_him")
        for reason in record["reason"]:
            table.add_row(escape(reason["condition"]), escape(reason["found"]))
        if record["reason"]:
            console.print(table)
    if record["next_items"]:
        items = ", ".join(f"{row['item']} ({share(row['confidence'])})" for row in record["next_items"])
        console.print(escape(texts("terminal.next", items=items)))


def named(console: Console, record: Record) -> None:
    if record["name"]:
        console.print(f"{record['segment_id']} is called {escape(record['name'])}.")
    else:
        console.print(f"{record['segment_id']} is called what its profile says.")


def effect(console: Console, record: Record, texts: Texts) -> None:
    """Each figure with its 95 % bounds."""
    segments = record["segments"]
    kinds = [("conversion", True), ("retention", True), ("spend", False), ("rating", False)]
    shown = [(name, part) for name, part in kinds if any(row[name] for row in segments)]
    table = headed(texts, "<segment", "<name", "users", *(name for name, _ in shown))
    for row in segments:
        figures = [_bounded(row[name], part) for name, part in shown]
        table.add_row(row["segment_id"], escape(row["name"]), whole(row["users"]), *figures)
    console.print(f"[bold]{texts('terminal.days_after', days=str(record['days']), date=record['date'])}[/]")
    console.print(table)
    console.print(f"[dim]{texts('terminal.followed')}[/]")


def _bounded(figure: Record | None, part: bool) -> str:
    if figure is None:
        return NOTHING
    value, low, high = (share(figure[key]) if part else decimal(figure[key], 2) for key in ("value", "low", "high"))
    return f"{value}\n[dim]{low} … {high}[/]"
