"""The decisions about the segments as a table for people in a terminal: a year in one screen."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from segmentation.cli.tables import headed, labels, whole
from segmentation.monitor.read_models import Record
from segmentation.texts import Texts

KEPT, PROPOSED = "kept", "proposed"


def decisions(console: Console, rows: list[Record], texts: Texts) -> None:
    """Days that only kept their segments are one line until the next day that did more."""
    table = headed(texts, "<date", "<decision", "<why")
    for kind, days in _blocks(rows):
        last = days[-1]
        if kind == KEPT:
            _kept(table, days, texts)
        elif kind:
            _proposed(table, days, texts)
        else:
            table.add_row(last["date"], f"[bold]{texts('terminal.' + last['decision'])}[/]", escape(last["sentence"]))
    console.print(table)


def _blocks(rows: list[Record]) -> list[tuple[str, list[Record]]]:
    """The days that stand together, each with what they have in common.

    Proposals for one reason do so as long as nothing but keeping the segments is between them: nobody has taken those before,
    and what the last one proposes is what the data asks for now. Else a year of a proposal that nobody answers, which is made
    again every month, would be its sentence twelve times.
    """
    blocks: list[tuple[str, list[Record]]] = []
    for row in rows:
        kind = _kind(row)
        if kind not in ("", KEPT) and [block[0] for block in blocks[-2:]] == [kind, KEPT]:
            blocks.pop()
        if kind and blocks and blocks[-1][0] == kind:
            blocks[-1][1].append(row)
        else:
            blocks.append((kind, [row]))
    return blocks


def _kind(row: Record) -> str:
    if row["decision"] != "hold":
        return ""
    return f"{PROPOSED}: {row['evidence']['challenge']['reason']}" if row["reason"] == PROPOSED else KEPT


def _proposed(table: Table, days: list[Record], texts: Texts) -> None:
    last, before = days[-1], len(days) - 1
    why = escape(last["sentence"])
    if before:
        again = texts("terminal.proposed_before", times=whole(before), first=days[0]["date"])
        why += f"\n{again}"
    command = f"segmentation adopt {last['state']['proposals'][-1]['fit'][:12]}"
    why += f"\n[dim]{texts('terminal.to_take', command=command)}[/]"
    table.add_row(last["date"], f"[bold]{texts('terminal.proposal')}[/]", why)


def _kept(table: Table, days: list[Record], texts: Texts) -> None:
    hold = texts("terminal.hold")
    if len(days) == 1:
        table.add_row(days[0]["date"], hold, escape(days[0]["sentence"]))
        return
    lacking = sum(row["reason"] == "lacking" for row in days)
    # Figures of too little data are noted, but nothing is judged by them.
    evaluations = [row for row in days if "evaluation" in row["evidence"] and row["reason"] != "lacking"]
    challenges = sum("challenge" in row["evidence"] for row in evaluations)
    unexplained = sum(row["reason"] == "unexplained" for row in evaluations)
    nobody = sum(row["reason"] == "nobody" for row in days)
    drifted = sorted({name for row in evaluations for name in row["evidence"]["evaluation"]["drift"]})
    told = texts(
        "terminal.kept",
        days=whole(len(days)),
        last=days[-1]["date"],
        evaluated=texts("terminal.kept_evaluated", times=whole(len(evaluations))) if evaluations else "",
        challenged=texts("terminal.kept_challenged", times=whole(challenges)) if challenges else "",
        unexplained=texts("terminal.kept_unexplained", times=whole(unexplained)) if unexplained else "",
        lacking=texts("terminal.kept_lacking", times=whole(lacking)) if lacking else "",
        nobody=texts("terminal.kept_nobody", days=whole(nobody)) if nobody else "",
        drifted=texts("terminal.kept_drifted", features=labels(drifted, texts)) if drifted else "",
    )
    table.add_row(days[0]["date"], hold, escape(told))
