"""The decisions of a year fit in one screen, and nothing that happened is left out of them."""

from datetime import date, timedelta
from typing import Any

import pytest
from rich.console import Console

from segmentation.adjustment.wording import sentence
from segmentation.cli.decisions import decisions
from segmentation.texts import Texts

FIRST = date(2024, 1, 1)
FEATURES = ["recency", "frequency", "average_order_value", "discount_share", "sessions", "views_per_session"]
EVENTS = [{"event": name, "from": [], "to": []} for name in ("survived", "survived", "split", "born", "merged")]
FIGURES: dict[str, Any] = {"far": 0.104, "halved": ["0a1b2c3d"], "drift": FEATURES}


def day(offset: int, decision: str = "hold", reason: str = "ordinary", challenge: str = "far") -> dict[str, Any]:
    evidence: dict[str, Any] = {
        "users": 1250,
        "segments": 4,
        "segments_asked": "auto",
        "structure": "natural",
        "features": FEATURES,
        "model_born": FIRST.isoformat(),
    }
    if decision != "baseline" and reason != "ordinary":
        evidence |= {
            "evaluation": FIGURES,
            "alarms": [{"reason": challenge, "segments": FIGURES["halved"]}],
            "impact": {"users": 0.03},
            "centre_shift": 0.1,
        }
    if reason in ("proposed", "waiting"):
        evidence["challenge"] = {"reason": challenge, "impact": {"users": 0.289}}
    proposals = [{"fit": f"{offset:032x}"[::-1], "events": EVENTS}] if reason == "proposed" else []
    row = {
        "date": (FIRST + timedelta(days=offset)).isoformat(),
        "decision": decision,
        "reason": reason,
        "evidence": evidence,
        "events": EVENTS,
        "state": {"proposals": proposals},
    }
    return {**row, "sentence": sentence(row)}


def shown(rows: list[dict[str, Any]], lang: str = "en") -> str:
    console = Console(width=100, no_color=True, highlight=False)
    with console.capture() as capture:
        decisions(console, rows, Texts(lang))
    return capture.get()


def year(of: dict[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """366 days, the first of them a baseline, that keep their segments but for those named: (reason, what led to it)."""
    named = {offset: day(offset, "hold", *what) for offset, what in of.items()}
    return [day(0, "baseline", "first_day"), *(named.get(offset) or day(offset) for offset in range(1, 366))]


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_year_of_proposals_that_nobody_takes_fits_in_a_screen(lang: str) -> None:
    """The same one is made again every four weeks, waits in the weeks between, and its reason changes now and then."""
    weeks = range(14, 366, 7)
    reasons = {week: "far" if week < 150 or week > 300 else "halved" for week in weeks}
    of = {week: ("waiting" if place % 4 else "proposed", reasons[week]) for place, week in enumerate(weeks)}
    assert shown(year(of), lang).count("\n") <= 45


def test_proposals_for_one_reason_are_told_by_the_last_one() -> None:
    text = shown(
        year({14: ("proposed", "far"), 21: ("waiting", "far"), 42: ("proposed", "far"), 70: ("proposed", "far")})
    )
    assert text.count("proposal ") == 2  # its name and its sentence
    assert "2024-03-11   proposal" in text
    assert "on 2 days before, on 2024-01-15 first; the segments were kept all along." in words(text)
    assert f"segmentation adopt {f'{70:032x}'[::-1][:12]}" in text
    assert "295 days until 2024-12-31: the segments were kept." in words(text)


def test_a_proposal_for_another_reason_or_after_another_decision_stands_alone() -> None:
    rows = year({14: ("proposed", "far"), 42: ("proposed", "halved"), 70: ("proposed", "far"), 98: ("proposed", "far")})
    rows[84] = day(84, "update", "drift")
    text = shown(rows)
    assert text.count("To take it: ") == 4
    assert "before, on" not in text


def test_days_that_kept_their_segments_say_what_they_were_asked() -> None:
    rows = [day(0, "baseline", "first_day"), *(day(offset) for offset in range(1, 7)), day(7, "hold", "unexplained")]
    rows += [day(8, "hold", "waiting"), day(9, "hold", "unexplained")]
    assert (
        "9 days until 2024-01-10: the segments were kept; held against the data 3 times; challenged by another model 1 time; "
        "alarmed 2 times and no segment more or fewer explained it; drifted: Average order value,"
    ) in words(shown(rows))
    assert "；漂移：平均订单金额、折扣占比、" in words(shown(rows, "zh")).replace(" ", "")


def test_days_without_anybody_or_with_too_little_to_judge_are_told() -> None:
    rows = [day(0, "baseline", "first_day"), *(day(offset) for offset in range(1, 7)), day(7, "hold", "lacking")]
    rows += [day(8, "hold", "nobody"), day(9, "hold", "nobody")]
    for row in rows[-2:]:
        del row["evidence"]["evaluation"]
    kept = "9 days until 2024-01-10: the segments were kept"
    lacking = "too little data to judge them 1 time; nobody there on 2 days"
    assert f"{kept}; {lacking}." in words(shown(rows))
    rows[3] = day(3, "hold", "evaluated")
    assert f"{kept}; held against the data 1 time; {lacking}; drifted: " in words(shown(rows))


def test_a_single_day_says_its_own_sentence() -> None:
    rows = [day(0, "baseline", "first_day"), day(1, "hold", "unexplained")]
    assert "were kept, though 10.4% of the users were far from every segment" in words(shown(rows))
