"""Who is in the shop, of which kind, and how active: as it changes from day to day."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from segmentation.simulation.happenings import Numbers
from segmentation.simulation.scenario import Scenario

Ints = NDArray[Any]  # of whole numbers
CHANNELS = ("search", "friends", "advertisement", "newsletter")
REGIONS = ("north", "east", "south", "west")
DAY_S = 86_400
BEFORE_DAYS = 730  # the first users signed up within so many days before the shop's first
NIGHT_S = 6 * 3600  # sign-ups are before the day's first session


class Population:
    """The users, numbered from 0 in the order of their sign-up; arrays have one value per user.

    kind: number of the user's kind in `scenario.names`. rate: what the kind's rates are multiplied by. taste: where, 0 … 1,
    the user's favourite is among the kind's categories. bought: numbers of the users who ordered on the last day.
    """

    def __init__(self, scenario: Scenario, users: int) -> None:
        self._scenario = scenario
        self._users = users
        self._shape = 1 / np.maximum(scenario.numbers("spread"), 1e-9) ** 2
        self._moves = self._chances("moves")
        self._after_order = self._chances("after_order")
        self.kind = np.empty(0, np.uint8)
        self.rate: Numbers = np.empty(0)
        self.taste: Numbers = np.empty(0)
        self.bought: Ints = np.empty(0, np.int64)
        self._first_kind = self.kind
        self._arrived: Ints = np.empty(0, np.int64)
        self._signed_up: Ints = np.empty(0, np.int64)  # seconds since the beginning of the shop's first day
        self._marks: Numbers = np.empty((3, 0))  # three numbers 0 … 1: consent, channel, region
        self._moved: list[tuple[Ints, Ints, Ints, Ints]] = []  # users, day, from, to

    def step(self, day: int, draw: np.random.Generator) -> None:
        """Begin the day, the next one: users change their kind, others arrive."""
        before = self.kind.copy()
        self._move(self.bought, self._after_order, draw)
        everyone = np.arange(len(self.kind))
        self._move(everyone, self._moves, draw)
        self._arrive(day, draw)
        happening = np.zeros_like(self._moves)
        for happens in self._scenario.happenings:
            for kind, into in happens.moves(day):
                self._fill(happening, kind, into)
        if happening.any():
            self._move(np.arange(len(self.kind)), happening, draw)
        moved = np.flatnonzero(before != self.kind[: len(before)])
        self._moved.append((moved, np.full(len(moved), day), before[moved], self.kind[moved]))
        self._first_kind = np.append(self._first_kind, self.kind[len(before) :])

    def _chances(self, key: str) -> Numbers:
        """A row per kind: the chance of becoming each of the kinds."""
        chances = np.zeros((len(self._scenario.names),) * 2)
        for name, kind in self._scenario.kinds.items():
            self._fill(chances, name, getattr(kind, key))
        return chances

    def _fill(self, chances: Numbers, kind: str, into: dict[str, float]) -> None:
        names = self._scenario.names
        for name, chance in into.items():
            chances[names.index(kind), names.index(name)] += chance

    def _move(self, users: Ints, chances: Numbers, draw: np.random.Generator) -> None:
        reached = chances.cumsum(axis=1)
        luck = draw.random(len(users))
        kinds = self.kind[users]
        lucky = np.flatnonzero(luck < reached[:, -1][kinds])
        into = (luck[lucky, None] >= reached[kinds[lucky]]).sum(axis=1)
        moving = users[lucky]
        self.kind[moving] = into
        self.rate[moving] = self._rates(into, draw)

    def _rates(self, kinds: Ints, draw: np.random.Generator) -> Numbers:
        shape = self._shape[kinds]
        rates: Numbers = draw.gamma(shape) / shape
        return rates

    def _arrive(self, day: int, draw: np.random.Generator) -> None:
        counts = self._counts(day, draw)
        kinds = draw.permutation(np.repeat(np.arange(len(counts), dtype=np.uint8), counts))
        count = len(kinds)
        back = draw.integers(1, BEFORE_DAYS, count) if day == 0 else 0
        self.kind = np.append(self.kind, kinds)
        self.rate = np.append(self.rate, self._rates(kinds.astype(np.int64), draw))
        self.taste = np.append(self.taste, draw.random(count))
        self._arrived = np.append(self._arrived, np.full(count, day))
        self._signed_up = np.append(self._signed_up, (day - back) * DAY_S + draw.integers(NIGHT_S, size=count))
        self._marks = np.append(self._marks, draw.random((3, count)), axis=1)

    def _counts(self, day: int, draw: np.random.Generator) -> Ints:
        """How many users of each kind are there from this day on."""
        names = self._scenario.names
        if day == 0:
            total = np.rint(self._scenario.numbers("share").cumsum() * self._users)
            counts = np.diff(total, prepend=0)
        else:
            counts = draw.poisson(self._scenario.numbers("arrivals") * self._users)
        for happening in self._scenario.happenings:
            for kind, share in happening.born(day).items():
                earlier = happening.born(day - 1)[kind]
                counts[names.index(kind)] += round(share * self._users) - round(earlier * self._users)
        whole: Ints = counts.astype(np.int64)
        return whole

    def users(self, start: np.datetime64) -> pa.Table:
        """The table `users`: user_id, signed_up_at, excluded, marketing_consent, channel, region."""
        consent, channel, region = self._marks
        names = pa.array(CHANNELS), pa.array(REGIONS)
        columns = {
            "user_id": user_ids(np.arange(len(self.kind))),
            "signed_up_at": start.astype("datetime64[s]") + self._signed_up,
            "excluded": self._scenario.numbers("excluded").astype(bool)[self._first_kind],
            "marketing_consent": consent < self._scenario.numbers("consent")[self._first_kind],
            "channel": names[0].take(pa.array((channel * len(CHANNELS)).astype(np.int64))),
            "region": names[1].take(pa.array((region * len(REGIONS)).astype(np.int64))),
        }
        return pa.table(columns)

    def truth(self, start: np.datetime64) -> tuple[pa.Table, pa.Table]:
        """Users: user_id, kind, date (the first of that kind in the shop). Moves: user_id, date, from_kind, to_kind."""
        kinds = pa.array(self._scenario.names)
        users, days, before, after = (np.concatenate(parts) for parts in zip(*self._moved, strict=True))
        arrived = {
            "user_id": user_ids(np.arange(len(self.kind))),
            "kind": kinds.take(pa.array(self._first_kind)),
            "date": start + self._arrived,
        }
        moved = {
            "user_id": user_ids(users),
            "date": start + days,
            "from_kind": kinds.take(pa.array(before)),
            "to_kind": kinds.take(pa.array(after)),
        }
        return pa.table(arrived), pa.table(moved)


def user_ids(users: Ints) -> pa.Array:
    """0 → u0000001."""
    return texts("u", users + 1, 7)


def texts(prefix: str, numbers: Ints, width: int) -> pa.Array:
    """Numbers as texts of at least `width` digits behind a prefix."""
    digits = pc.utf8_lpad(pa.array(numbers, pa.int64()).cast(pa.string()), width, "0")
    return pc.binary_join_element_wise(prefix, digits, "")
