"""A person takes a fit: a record of the log, and an input of the history from its day on."""

from datetime import date
from typing import Any

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
    names = [key.rpartition("/")[2].removesuffix(".json") for key in store.objects.keys("fits")]
    meant = [name for name in names if name.startswith(fit)] if fit else []
    if len(meant) != 1:
        found = f"{len(meant)} fits begin with it: {', '.join(meant)}" if meant else "the store has no such fit"
        raise ConfigError(f"{fit!r}: {found}; `segmentation decisions` names the fits that were proposed")
    state = store.state()
    if not state.published:
        raise SegmentationError("no day is published yet: there is no model that another could replace")
    adoption = Adoption(meant[0], from_date or max(state.published) + ONE_DAY, who)
    document = {"fit": adoption.fit, "from_date": adoption.from_date.isoformat(), "who": who}

    def decide(state: State) -> dict[str, Any] | None:
        told = any((known.fit, known.from_date) == (adoption.fit, adoption.from_date) for known in state.adoptions[-1:])
        return None if told else {"kind": "adopt", **document}

    store.log.append(decide)
    return adoption
