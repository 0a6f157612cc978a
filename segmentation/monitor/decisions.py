"""What was decided about the segments, day by day."""

from datetime import date

from segmentation.adjustment.wording import sentence
from segmentation.monitor.read_models import Record, published_on
from segmentation.store.state import Published
from segmentation.store.store import Store
from segmentation.texts import Texts


def decisions(store: Store, lang: str = "en") -> list[Record]:
    """The decision of every published day, in order: date, decision, evidence in numbers, one sentence in the language.

    In English as it was written on the day.
    """
    found = [decision_of(store, published) for _, published in sorted(store.state().published.items())]
    if lang == "en":
        return found
    texts = Texts(lang)
    return [{**decision, "sentence": sentence(decision, texts)} for decision in found]


def decision(store: Store, day: date) -> Record:
    """The day's decision. Raises SegmentationError if the day is not published."""
    return decision_of(store, published_on(store.state(), day))


def decision_of(store: Store, published: Published) -> Record:
    """The decision of a published day."""
    return store.json(f"{published.folder}/decision.json")
