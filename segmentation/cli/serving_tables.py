"""Profiles, rules, bundles and actions as tables for people in a terminal."""

from rich.console import Console
from rich.markup import escape

from segmentation.cli.tables import NOTHING, counted, decimal, table_of, whole
from segmentation.monitor import associations
from segmentation.monitor.names import in_unit
from segmentation.monitor.read_models import Record
from segmentation.services.rules import NO_RULES
from segmentation.texts import Texts, share

MOST_RULES = 20


def profiles(console: Console, records: list[Record]) -> None:
    """One table for each segment: the features that set it apart."""
    texts = Texts("en")
    for record in records:
        part = f", {share(record['revenue_share'])} of the revenue" if record["revenue_share"] is not None else ""
        console.print(
            f"[bold]{escape(record['name'])}[/]  [dim]{record['segment_id']}, called so since {record['since']}[/]"
        )
        if record["before"]:
            console.print(f"Until the day before it was called: {escape(record['before'])}.")
        console.print(f"{counted(record['users'], 'user')}, {share(record['share'])} of all{part}.")
        if record["explained"]:
            console.print(escape(record["explained"]))
        table = table_of(
            ("What sets it apart", "left"),
            ("Median", "right"),
            ("Mean", "right"),
            ("Median of\n[dim]all others[/]", "right"),
            ("Mean of\n[dim]all others[/]", "right"),
            ("Effect\n[dim]−1 … 1[/]", "right"),
            ("Unit", "left"),
        )
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
            console.print("[dim]Nothing sets it apart.[/]\n")


def rules(console: Console, record: Record, special: bool) -> None:
    """The rules with the most lift that hold in the whole shop; or in one segment more than in the rest."""
    if _nothing(console, record):
        return
    rows = associations.special(record["rules"]) if special else associations.strongest(record["rules"])
    columns = [
        ("If a basket has", "left"),
        ("then", "left"),
        ("Baskets\n[dim]with both[/]", "right"),
        ("of\n[dim]with the first[/]", "right"),
        ("Confidence", "right"),
        ("Lift", "right"),
        ("q", "right"),
    ]
    if special:
        columns += [("Segment", "left"), ("In the rest", "right"), ("Ratio", "right")]
    table = table_of(*columns)
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
    which = "hold in a segment more than in the rest of the shop" if special else "hold (q ≤ 0.05, lift above 1)"
    more = f"; the first {MOST_RULES} are shown" if len(rows) > MOST_RULES else ""
    console.print(f"{counted(len(rows), 'rule')} {which}{more}.")
    _told(console, record)


def _told(console: Console, record: Record) -> None:
    figures = record["figures"]
    left = f"; {figures['too_long']:,} longer ones were left out" if figures.get("too_long") else ""
    console.print(
        f"[dim]Computed on {record['date']} from {figures['baskets']:,} baskets of {figures.get('users', 0):,} users{left}. "
        "Baskets of one user are not independent of each other: where few users have many, q is too small.[/]"
    )


def _nothing(console: Console, record: Record) -> bool:
    if record["nothing"]:
        console.print(record["problem"] or NO_RULES[record["nothing"]], markup=False)
    return bool(record["nothing"])


def bundles(console: Console, record: Record) -> None:
    if _nothing(console, record):
        return
    table = table_of(
        ("Segment", "left"), ("Rank", "right"), ("Show together", "left"), ("Baskets", "right"), ("Lift", "right")
    )
    for row in record["bundles"]:
        table.add_row(
            row["segment_id"] or "[bold]whole shop[/]",
            whole(row["rank"]),
            escape(" + ".join(row["items"])),
            whole(row["count"]),
            decimal(row["lift"]),
        )
    console.print(table)
    console.print(f"[dim]Computed on {record['date']}.[/]")


def actions(console: Console, records: list[Record]) -> None:
    """In the order in which the rules are tried."""
    table = table_of(
        ("Action", "left"),
        ("Offer", "left"),
        ("Users", "right"),
        ("Due today", "right"),
        ("Who", "left"),
        ("Mostly in", "left"),
    )
    for record in records:
        table.add_row(
            escape(record["action"]),
            escape(record["offer"]),
            whole(record["users"]),
            whole(record["due"]),
            escape("; ".join(record["when"])),
            ", ".join(list(record["segments"])[:2]) or NOTHING,
        )
    console.print(table)
    console.print(f"{counted(sum(record['users'] for record in records), 'user')} with an action.")


def of_user(console: Console, record: Record) -> None:
    console.print(
        f"[bold]{escape(record['user_id'])}[/] on {record['date']}: {escape(record['segment'])} ({record['segment_id']})"
    )
    if record["action"] is None:
        console.print("No action: he meets no rule.")
    else:
        console.print(f"{record['action']}: {record['offer']}, since {record['since']}, given on {record['given']}.")
        table = table_of(("Because", "left"), ("of him", "left"))
        for reason in record["reason"]:
            table.add_row(escape(reason["condition"]), escape(reason["found"]))
        if record["reason"]:
            console.print(table)
    if record["next_items"]:
        console.print(
            "Next: " + ", ".join(escape(f"{row['item']} ({share(row['confidence'])})") for row in record["next_items"])
        )


def named(console: Console, record: Record) -> None:
    if record["name"]:
        console.print(f"{record['segment_id']} is called {escape(record['name'])}.")
    else:
        console.print(f"{record['segment_id']} is called what its profile says.")


def effect(console: Console, record: Record) -> None:
    """Each figure with its 95 % bounds."""
    segments = record["segments"]
    kinds = [("conversion", True), ("retention", True), ("spend", False), ("rating", False)]
    shown = [(name, part) for name, part in kinds if any(row[name] for row in segments)]
    table = table_of(
        ("Segment", "left"),
        ("Name", "left"),
        ("Users", "right"),
        *((f"{name.capitalize()}\n[dim]95 %[/]", "right") for name, _ in shown),
    )
    for row in segments:
        figures = [_bounded(row[name], part) for name, part in shown]
        table.add_row(row["segment_id"], escape(row["name"]), whole(row["users"]), *figures)
    console.print(f"[bold]{record['days']} days after {record['date']}[/], by the segment on that day")
    console.print(table)
    console.print("[dim]What followed, not what an action has caused: that needs users who were left without it.[/]")


def _bounded(figure: Record | None, part: bool) -> str:
    if figure is None:
        return NOTHING
    value, low, high = (share(figure[key]) if part else decimal(figure[key], 2) for key in ("value", "low", "high"))
    return f"{value}\n[dim]{low} … {high}[/]"
