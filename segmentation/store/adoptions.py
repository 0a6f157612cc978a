"""A person takes a fit: a record of the log, and an input of the history from its day on."""

from datetime import date

from segmentation.dates import ONE_DAY
from segmentation.errors import ConfigError, SegmentationError
from segmentation.store.state import Adoption, State
from segmentation.store.store import Store


def adopt(store: Store, fit: str, from_date: date | None, who: str) -> Adoption:
    """Record that a fit takes force on the first published day that is not before `from_date`; without one, that is the first
    day after the latest published one. Does nothing when the log says so already.

    fit: its name, or the first characters of it. Raises ConfigError if no fit, or more than one, is called so;
    SegmentationError while no day is published.
    """
    adoption = meant(store, fit, from_date, who)
    record(store, adoption)
    return adoption


def meant(store: Store, fit: str, from_date: date | None, who: str) -> Adoption:
    """What `adopt` would record. Any fit that the store keeps may be meant: one that was proposed, also by a day that has been
    derived anew since; or the model of an earlier day, for who wants to go back to it."""
    names = [key.rpartition("/")[2].removesuffix(".json") for key in store.objects.keys("fits")]
    found = [name for name in names if name.startswith(fit)] if fit else []
    if len(found) != 1:
        said = f"{len(found)} fits begin with it: {', '.join(found)}" if found else "the store has no such fit"
        raise ConfigError(f"{fit!r}: {said}; `segmentation decisions` names the fits that were proposed")
    state = store.state()
    if not state.published:
        raise SegmentationError("no day is published yet: there is no model that another could replace")
    return Adoption(found[0], from_date or max(state.published) + ONE_DAY, who)


def refuse_without_effect(store: Store, adoption: Adoption, end: date | None) -> None:
    """Raise ConfigError for a day after the `end` of the history, and for a fit that the day before has already. (Not for one
    that is adopted from that day on: a command may be repeated.)"""
    if end and adoption.from_date > end:
        raise ConfigError(
            f"the history ends on {end} ([project] end): no day from {adoption.from_date} on would take a fit"
        )
    state = store.state()
    parent = max((day for day in state.published if day < adoption.from_date), default=None)
    if state.adopted(adoption.from_date, parent):
        return
    parent = parent or min(state.published)
    if store.json(f"{state.published[parent].folder}/model.json")["fit"] == adoption.fit:
        raise ConfigError(
            f"fit {adoption.fit[:12]} is the model of {parent} already: to adopt it would change nothing; "
            "`segmentation decisions` names the fits that were proposed"
        )


def is_told(state: State, adoption: Adoption) -> bool:
    """Whether the log says so already, with none after it that takes the same day."""
    parent = max((day for day in state.published if day < adoption.from_date), default=date.min)
    takes = min((day for day in state.published if day >= adoption.from_date), default=date.max)
    rivals = [known for known in state.adoptions if parent < known.from_date <= takes]  # of these the last one counts
    return any((known.fit, known.from_date) == (adoption.fit, adoption.from_date) for known in rivals[-1:])


def record(store: Store, adoption: Adoption) -> None:
    """Append the adoption to the log, unless it is told there already."""
    document = {"fit": adoption.fit, "from_date": adoption.from_date.isoformat(), "who": adoption.who}
    store.log.append(lambda state: None if is_told(state, adoption) else {"kind": "adopt", **document})
