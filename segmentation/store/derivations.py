"""Which derivation the state asks for: everything that a day's result depends on, as one hash."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from segmentation.config import Recipe
from segmentation.dates import window
from segmentation.store.content import HASH_CHARACTERS, hash_json
from segmentation.store.state import State
from segmentation.tables import USERS

DERIVATION_VERSION = 1


@dataclass(frozen=True)
class Derivation:
    """Everything that a day's result depends on, as plain values; its hash names the day's folder."""

    document: dict[str, Any]
    parent: date | None

    @property
    def hash(self) -> str:
        return hash_json(self.document)

    @property
    def recipe(self) -> str:
        return str(self.document["recipe"])


class Derivations:
    """The derivations that one state asks for. Cost: one pass over the accepted days, then one short hash per day."""

    def __init__(self, state: State, recipe: Callable[[str], Recipe]) -> None:
        self._state = state
        self._recipe = recipe
        self._recipes: dict[str, Recipe] = {}
        # Of the days that were read as the recipe in force on them says: the others are to be read again first.
        self._contents = {
            day: f"{day} {accepted.content}\n"
            for day, accepted in state.accepted.items()
            if (found := self.recipe_on(day)) and found[1].reading == accepted.reading
        }
        self.first_seen = FirstSeenChain(state)
        self._users_days = sorted(day for day, accepted in state.accepted.items() if USERS in accepted.tables)
        self._published = sorted(state.published)

    def recipe_on(self, day: date) -> tuple[str, Recipe] | None:
        name = self._state.recipe_on(day)
        if name is None:
            return None
        if name not in self._recipes:
            self._recipes[name] = self._recipe(name)
        return name, self._recipes[name]

    def parent_of(self, day: date) -> date | None:
        """The latest published day before this one."""
        position = bisect_left(self._published, day)
        return self._published[position - 1] if position else None

    def window(self, day: date) -> list[date]:
        """The days whose rows a day is derived from: its recipe's window, and its parent's where that is longer, because a new
        model is compared with the one before on the same users. [] where no recipe is in force.
        """
        parent = self.parent_of(day)
        recipes = [found[1] for other in (day, parent) if other and (found := self.recipe_on(other))]
        return window(day, max(recipe.features.window_days for recipe in recipes)) if recipes else []

    def missing(self, day: date) -> list[date]:
        """The days of the window that are not accepted yet as their recipe reads them: with any the day cannot be derived."""
        return [other for other in self.window(day) or [day] if other not in self._contents]

    def asked(self, day: date) -> Derivation | None:
        """What the state asks for on a day, or None while its window is not whole."""
        found = self.recipe_on(day)
        if found is None:
            return None
        digest = hashlib.sha256()
        for other in self.window(day):
            line = self._contents.get(other)
            if line is None:
                return None
            digest.update(line.encode())
        parent = self.parent_of(day)
        parent_id = self._state.published[parent].snapshot_id if parent else None
        document = {
            "version": DERIVATION_VERSION,
            "date": day.isoformat(),
            "parent": [parent.isoformat(), parent_id] if parent else None,
            "window": digest.hexdigest()[:HASH_CHARACTERS],
            "users": self._users(day),
            "adopt": self._state.adopted(day, parent),
            "pinned": None,  # the fit that a forgotten user is left out of takes its place here
            "first_seen": self.first_seen.at(day),
            "recipe": found[0],
        }
        return Derivation(document, parent)

    def _users(self, day: date) -> str | None:
        """Partition of the table of users in force (`State.users_on`, for many days)."""
        position = bisect_right(self._users_days, day)
        if not position:
            return None
        return self._state.accepted[self._users_days[position - 1]].tables[USERS].partition

    def stale(self) -> list[date]:
        """The published days, in order, whose derivation is not the one that the state asks for now."""
        found = []
        for day in self._published:
            asked = self.asked(day)
            if asked and asked.hash != self._state.published[day].derivation:
                found.append(day)
        return found


class FirstSeenChain:
    """A running hash over (day, its set of users), in date order: equal hashes, equal first-seen dates.

    Days without users do not count, so that accepting an empty day changes nothing.
    """

    def __init__(self, state: State) -> None:
        self.days = sorted(day for day, accepted in state.accepted.items() if accepted.has_users)
        self._hashes: list[str] = []
        link = ""
        for day in self.days:
            users = {name: table.users for name, table in state.accepted[day].activity.items()}
            link = hash_json([link, day.isoformat(), users])
            self._hashes.append(link)

    def at(self, day: date) -> str:
        """The hash after the last day with users that is not after `day`; "" if there is none."""
        position = bisect_right(self.days, day)
        return self._hashes[position - 1] if position else ""
