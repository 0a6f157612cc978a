"""Every decision can be said in one sentence in every language, and no sentence is kept that no decision uses."""

from typing import Any

import pytest
from languages import Recording, entries

from segmentation.adjustment.wording import sentence
from segmentation.texts import LANGUAGES, Texts

EVALUATION = {
    "date": "2026-03-02",
    "users": 1200,
    "far": 0.034,
    "halved": ["0a1b2c3d"],
    "parted": "4e5f6a7b",
    "drift": ["recency"],
}
EVENTS = [{"event": name, "from": [], "to": []} for name in ("survived", "split", "merged", "absorbed", "died", "born")]
IMPACT = {"users": 0.31, "revenue": 0.4}


def decided(decision: str, reason: str, events: list[dict[str, Any]] | None = None, **evidence: Any) -> dict[str, Any]:
    known = {"users": 1200, "segments": 4, "model_born": "2026-01-05", "features": ["recency", "frequency"]}
    proposals = [{"events": EVENTS, "segments": 5}] if reason == "proposed" else []
    return {
        "decision": decision,
        "reason": reason,
        "evidence": {**known, "segments_asked": "auto", **evidence},
        "events": events or [],
        "state": {"proposals": proposals},
    }


def challenged(reason: str, decision: str = "challenged", impact: dict[str, float] | None = None) -> dict[str, Any]:
    challenge = {"reason": reason, "impact": impact or IMPACT, "structure": "natural"}
    return decided("hold", decision, evaluation=EVALUATION, challenge=challenge)


LACKS = {"users": [12, 100], "days": [3, 7]}
FILLING = {"reason": "filling", "segments": ["aa", "bb"], "shift": 0.361}
DECISIONS = [
    *(
        decided("baseline", "first_day", structure=name, segments_asked=4)
        for name in ("natural", "reproducible", "constructive", "given", "adopted", "density")
    ),
    decided("baseline", "first_day", structure="given", segments_asked=9),
    decided("baseline", "first_day", structure="given", segments_asked=4, lacks=LACKS),
    decided("baseline", "lacking", lacks=LACKS),
    decided("baseline", "nobody"),
    *(decided("hold", reason) for reason in ("ordinary", "nobody")),
    decided("hold", "lacking", lacks=LACKS),
    decided("hold", "evaluated", evaluation=EVALUATION),
    decided("hold", "evaluated", evaluation={**EVALUATION, "drift": []}),
    *(challenged(reason) for reason in ("far", "halved", "parted", "scheduled", "moved", "lone")),
    decided("hold", "unexplained", evaluation=EVALUATION, alarms=[{"reason": "far", "share": 0.04}]),
    challenged("far", "proposed"),
    challenged("far", "proposed", {"users": 0.31}),  # a shop without amounts
    challenged("far", "waiting"),
    decided("update", "drift", evaluation=EVALUATION, centre_shift=0.182),
    decided("update", "settled", evaluation=EVALUATION, alarms=[{"reason": "drift"}], settles={"reason": "far"}),
    decided("update", "settled", evaluation=EVALUATION, alarms=[], settles=FILLING),
    decided("update", "renewed", evaluation=EVALUATION, centre_shift=0.41),
    *(decided("restructure", reason, EVENTS, evaluation=EVALUATION, impact=IMPACT) for reason in ("far", "halved")),
    *(decided("restructure", reason, EVENTS, impact=IMPACT) for reason in ("recipe", "adopted", "young")),
]


CANDIDATES = [{"segments": number, "stable": number in (3, 4)} for number in range(2, 6)]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_text_about_decisions_is_used(lang: str) -> None:
    texts = Recording(lang)
    said = [sentence(decision, texts) for decision in DECISIONS]
    assert {key for key in entries(lang) if key.startswith("decision.")} <= texts.asked
    assert not [text for text in said if "{" in text or "None" in text]
    if lang != "en":
        assert not [text for text in said if "segment" in text or "user" in text]


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (
            decided("baseline", "first_day", structure="natural"),
            "First day of the history: 4 segments were founded on 1,200 users, by recency, frequency. "
            "There are gaps between them: they are natural.",
        ),
        (
            decided("baseline", "first_day", structure="reproducible", candidates=CANDIDATES),
            "First day of the history: 4 segments were founded on 1,200 users, by recency, frequency. "
            "There are no gaps between them: their number and their borders are a convention, one of those that other "
            "samples of the users repeat (3, 4).",
        ),
        (
            decided("baseline", "first_day", structure="density", segments=1, users=1),
            "First day of the history: 1 segment was founded on 1 user, by recency, frequency. "
            "A segment is a place where users are dense; users elsewhere are noise.",
        ),
        (
            decided("baseline", "lacking", lacks={"users": [1, 100], "days": [1, 7]}),
            "First day of the history: there is too little data to tell segments apart (1 user of 100, 1 day with rows of 7), "
            "so everyone is in one.",
        ),
        (
            decided("hold", "ordinary", segments=1, users=1),
            "The segments of 5 January 2026 were kept: 1 user was placed among 1 segment.",
        ),
        (
            decided("hold", "ordinary"),
            "The segments of 5 January 2026 were kept: 1,200 users were placed among 4 segments.",
        ),
        (
            decided("baseline", "lacking", lacks=LACKS),
            "First day of the history: there is too little data to tell segments apart (12 users of 100, 3 days with rows "
            "of 7), so everyone is in one.",
        ),
        (
            decided("baseline", "first_day", structure="given", segments_asked=4, lacks=LACKS),
            "First day of the history: 4 segments were founded on 1,200 users, by recency, frequency. 4 is the number that was "
            "asked for. There is too little data to rely on them (12 users of 100, 3 days with rows of 7).",
        ),
        (
            decided("update", "settled", evaluation=EVALUATION, alarms=[], settles={"reason": "far"}),
            "The segments were moved to where their users are (3.4% of the users were far from every segment): that explains "
            "it, and no segment more or fewer is needed.",
        ),
        (
            decided("update", "settled", evaluation=EVALUATION, alarms=[], settles=FILLING),
            "New segments went on to where their users are by now, up to 0.36 standard deviations: aa, bb came, or parted, "
            "less than a window ago. The segments are the same.",
        ),
        (
            decided("update", "drift", evaluation=EVALUATION, centre_shift=0.182),
            "The data has moved (recency drifted), and the centres with it; the furthest would be 0.18 standard deviations "
            "from where it was founded. The segments are the same.",
        ),
        (
            challenged("halved", "proposed"),
            "Another model was fitted (a segment has lost half of its weight: 0a1b2c3d): 1 absorbed, 1 born, 1 died, 1 merged, "
            "1 split, 1 survived. By it 31.0% of the users, with 40.0% of the revenue would be nearest to another segment, too "
            "many to take it unasked: it is proposed, and the segments of 5 January 2026 were kept.",
        ),
    ],
)
def test_the_sentence(decision: dict[str, Any], text: str) -> None:
    assert sentence(decision, Texts("en")) == text
