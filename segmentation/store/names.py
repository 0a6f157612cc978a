"""A person names a segment: a record of the log, beside the history. Segments keep it while their id lives on."""

import unicodedata
from typing import Any

from segmentation.errors import ConfigError, SegmentationError, nearest
from segmentation.store.state import State
from segmentation.store.store import Store

LONGEST = 80  # characters
JOINERS = "\u200c\u200d"  # cannot be seen, but belong to words of some scripts


def name_segment(store: Store, segment_id: str, name: str, who: str) -> str:
    """Record what a segment is to be called in every language, "" for what its profile says. Returns the name as it is kept.

    Does nothing when the log says so already. Raises ConfigError for a name that cannot be shown, is too long, or is another
    segment's, and for an id that no published day has; SegmentationError while no day is published.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if len(name) > LONGEST:
        raise ConfigError(f"the name has {len(name)} characters: give at most {LONGEST}")
    if any(
        unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and letter not in JOINERS
        for letter in name
    ):
        raise ConfigError(
            f"the name {name!r} has a character that cannot be shown: write letters, digits and signs only"
        )
    state = store.state()
    if not state.published:
        raise SegmentationError("no day is published yet: there is no segment to be named")
    known = segments_ever(store, state)
    if segment_id not in known:
        raise ConfigError(f"{segment_id!r} is no segment of a published day; {nearest(segment_id, known)}")
    alike = (one for one, called in state.names.items() if called.casefold() == name.casefold() and one != segment_id)
    other = next(alike, None) if name else None
    if other:
        raise ConfigError(f"{other} is called {name!r} already: no two segments may be called alike")

    def decide(state: State) -> dict[str, Any] | None:
        if state.names.get(segment_id, "") == name:
            return None
        return {"kind": "name", "segment_id": segment_id, "name": name, "who": who}

    store.log.append(decide)
    return name


def segments_ever(store: Store, state: State) -> set[str]:
    """The ids on any published day, also of segments that are no more.

    A model lasts, so that few documents are read: those of the days that changed it.
    """
    days = [day for day, one in state.published.items() if one.summary["decision"] in ("baseline", "restructure")]
    if not days:
        return set()
    models = (store.json(f"{state.published[day].folder}/model.json") for day in {*days, max(state.published)})
    return {segment["segment_id"] for model in models for segment in model["segments"]}
