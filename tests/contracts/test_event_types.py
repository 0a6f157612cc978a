"""What users did is called by known names; what is not known is accepted, counted, and stops a day if it is too much."""

from typing import Any

import pyarrow as pa
import pytest

from segmentation.config import Config, Recipe, Validation
from segmentation.contracts.expectations import BETWEEN, check
from segmentation.contracts.gate import Figures, Finding, Verdict, gate
from segmentation.contracts.rows import Split, counts, split
from segmentation.errors import ConfigError

TOO_MANY = "too large a share of the events has an event_type that is not known; name the types in event_types"
SOME = "events with an event_type that is not known; event_types can name it, also as itself"


def recipe(**names: str) -> Recipe:
    return Config(sources={"events": {"path": "e.csv", "options": {"event_types": names}}}).recipe()


def parts(types: list[str | None], **names: str) -> Split:
    size = len(types)
    rows: dict[str, Any] = {
        "row": pa.array(range(1, size + 1), pa.int64()),
        "at": pa.array([0] * size, pa.timestamp("us", tz="UTC")),
        "user_id": ["u"] * size,
        "event_type": pa.array(types, pa.string()),
        "file": ["f.csv"] * size,
    }
    return split(pa.table(rows), recipe(**names), "events")


def test_a_source_has_its_own_names() -> None:
    found = parts(["pv", " buy ", "view", "Pv", "", None], pv="view", buy="purchase")
    assert found.accepted["event_type"].to_pylist() == ["view", "purchase", "view", "Pv"]
    assert found.facts == {"event_types": {"view": 2, "purchase": 1}, "unknown_event_type": 1}
    assert found.reasons == {"event_type is missing": 2}


def test_names_are_not_mapped_twice() -> None:
    assert parts(["a", "view"], a="view", view="search").accepted["event_type"].to_pylist() == ["view", "search"]


def test_a_type_of_the_teams_own_is_known_once_it_is_named_as_itself() -> None:
    found = parts(["quiz", "q", "riddle"], quiz="quiz", q="quiz")
    assert found.facts == {"event_types": {"quiz": 2}, "unknown_event_type": 1}


def test_counts_of_events() -> None:
    found = parts(["view", "", "x"])
    assert counts(found, Verdict((), ())) == {
        "rows": 3,
        "accepted": 2,
        "quarantined": 1,
        "reasons": {"event_type is missing": 1},
        "event_types": {"view": 1},
        "unknown_event_type": 1,
        "warnings": [],
    }


@pytest.mark.parametrize(
    ("unknown", "limit", "stops"), [(0, 0.0, False), (1, 0.0, True), (5, 0.5, False), (6, 0.5, True), (10, 1.0, False)]
)
def test_the_share_of_unknown_types_has_a_limit(unknown: int, limit: float, stops: bool) -> None:
    found = parts(["x"] * unknown + ["view"] * (10 - unknown) + [""] * 10)
    validation = Validation(max_unknown_event_share=limit)
    verdict = gate(found.accepted, Figures.of(found, ()), validation, "events", recipe())
    seen = {"unknown_event_share": unknown / 10}
    assert verdict.critical == ((Finding(BETWEEN, TOO_MANY, seen),) if stops else ())
    assert verdict.warnings == ((Finding(BETWEEN, SOME, seen),) if unknown else ())


def test_a_name_for_nothing_known_is_a_mistake() -> None:
    check(recipe(pv="view", quiz="quiz", q="quiz"))
    with pytest.raises(ConfigError) as caught:
        check(recipe(pv="veiw", x="nothing_like_it"))
    first, second = str(caught.value).splitlines()
    assert first == (
        "[sources.events.options.event_types] pv = 'veiw': not a known type; did you mean 'view'? (a type of your own is named "
        'as itself: veiw = "veiw")'
    )
    assert "x = 'nothing_like_it': not a known type; known here: cart, checkout" in second
