"""The two commits of a day: its rows are accepted, its snapshot is published. Each is one record of the log."""

from collections.abc import Iterable
from datetime import date
from functools import partial
from typing import Any

from segmentation.store.derivations import Derivations
from segmentation.store.state import (
    AcceptedDay,
    Alias,
    Published,
    State,
    accept_document,
    publish_document,
)
from segmentation.store.store import Store


def accept(store: Store, day: date, accepted: AcceptedDay, instead_of: str | None) -> str:
    """Record the day's rows as accepted, unless the log says the same already. Returns the outcome.

    `instead_of`: hash of what was accepted for the day when its files were looked at (None: nothing). `accepted`: a record
    was written; `current`: the log says the same; `outdated`: another run has accepted something else in between, and may
    have seen newer files.
    """
    outcome = ""

    def decide(state: State) -> dict[str, Any] | None:
        nonlocal outcome
        current = state.accepted.get(day)
        outcome = "current"
        if not _differs(current, accepted):
            return None
        outcome = "accepted" if (current.hash if current else None) == instead_of else "outdated"
        if outcome == "outdated":
            return None
        return {"kind": "accept", "date": day.isoformat(), "accepted": accept_document(accepted)}

    store.log.append(decide)
    return outcome


def _differs(old: AcceptedDay | None, new: AcceptedDay) -> bool:
    # Not by the files: the same rows from a file that has grown by other days are the same rows.
    return (
        old is None
        or old.reading != new.reading
        or old.content != new.content
        or any(old.tables[name].quarantine != table.quarantine for name, table in new.tables.items())
    )


def publish(store: Store, day: date, published: Published, aliases: Iterable[Alias]) -> tuple[str, Published]:
    """Make the snapshot the day's current one. Returns the outcome and what is current after it.

    `published`: it is; `current`: this derivation was already; `superseded`: the current one is what the state asks for,
    so the late-comer is dropped. A day without a snapshot takes any, even one that is stale already.
    """
    outcome = ""

    def decide(state: State) -> dict[str, Any] | None:
        nonlocal outcome
        current = state.published.get(day)
        outcome = "published"
        if current and current.derivation == published.derivation:
            outcome = "current"
        elif current:
            asked = Derivations(state, store.recipe).asked(day)
            if asked and asked.hash == current.derivation:
                outcome = "superseded"
        if outcome != "published":
            return None
        return {"kind": "publish", "date": day.isoformat(), "published": publish_document(published)}

    def told(state: State, alias: Alias) -> dict[str, Any] | None:
        """Say once for each id that is replaced where its users are; nothing is replaced by what is dropped."""
        known = any((other.old, other.new) == (alias.old, alias.new) for other in state.aliases)
        return None if known or decide(state) is None else {"kind": "alias", **vars(alias)}

    for alias in aliases:  # before the snapshot, so that a kill between the two loses none
        store.log.append(partial(told, alias=alias))
    state = store.log.append(decide)
    return outcome, state.published[day]
