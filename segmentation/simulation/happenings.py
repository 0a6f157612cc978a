"""What can happen in a scenario. Each class is one `type` of [[happenings]]."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

GONE = "gone"  # the kind of those who never come again
Numbers = NDArray[Any]
Share = Annotated[float, Field(ge=0, le=1)]
Mean = Annotated[float, Field(ge=0, le=1000)]
Level = Literal[
    "orders",
    "sessions",
    "lines",
    "quantity",
    "views",
    "searches",
    "carts",
    "dwell",
    "discounted",
    "returned",
    "reviewed",
    "rating",
]
LEVELS: tuple[str, ...] = get_args(Level)
Levels = dict[str, Numbers]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Happening(Section):
    """Something that happens once. `days` counts from `after_days`."""

    after_days: int = Field(ge=0, description="Which day of the shop is the first of it; the shop's first day is 0.")
    days: int = Field(1, ge=1, description="How many days it takes or lasts.")

    def done(self, day: int) -> float:
        """Which share of it is done at the end of the day, 0 … 1."""
        return float(np.clip((day - self.after_days + 1) / self.days, 0, 1))

    def lasts(self, day: int) -> bool:
        return self.after_days <= day < self.after_days + self.days

    def change(self, day: int, levels: Levels, kinds: list[str]) -> None:
        """Change the levels of a day: level → one value per kind."""

    def price(self, day: int, category: str) -> float:
        """What prices are multiplied by."""
        return 1.0

    def born(self, day: int) -> dict[str, float]:
        """Kind → how many users of it have come by the end of the day, as a share of the users of the first day."""
        return {}

    def moves(self, day: int) -> Iterator[tuple[str, dict[str, float]]]:
        """(kind, {kind: chance of becoming it on this day})."""
        yield from ()

    def named(self) -> set[str]:
        """The kinds that it is about."""
        return {name for key in ("kind", "kinds", "into") for name in _names(getattr(self, key, ()))}

    def _leave(self, day: int, into: dict[str, float]) -> dict[str, float]:
        # The chance of those still there, so that by the last day the given shares have left, evenly. Where all leave,
        # whoever becomes of this kind later leaves at once.
        total = sum(into.values())
        before, after = (total * self.done(other) for other in (day - 1, day))
        stay = 1 - before
        chance = 1.0 if total and after >= 1 - 1e-9 else (after - before) / stay
        return {name: chance * share / total for name, share in into.items()} if chance else {}


class PriceRise(Happening):
    """Prices rise (or fall) and stay there."""

    type: Literal["price_rise"]
    factor: float = Field(gt=0, le=100, description="What prices are multiplied by in the end.")
    categories: tuple[str, ...] = Field((), description="Of these categories; none given: of all.")

    def price(self, day: int, category: str) -> float:
        return self.factor ** self.done(day) if not self.categories or category in self.categories else 1.0


class Sale(Happening):
    """For some days people buy more, at a discount."""

    type: Literal["sale"]
    orders: Mean = Field(2.0, description="What the rate of orders is multiplied by.")
    sessions: Mean = Field(1.5, description="What the rate of other sessions is multiplied by.")
    discounted: Share = Field(0.8, description="Share of lines at a discount, at least.")

    def change(self, day: int, levels: Levels, kinds: list[str]) -> None:
        if self.lasts(day):
            levels["orders"] *= self.orders
            levels["sessions"] *= self.sessions
            np.maximum(levels["discounted"], self.discounted, out=levels["discounted"])


class Drift(Happening):
    """A feature of the users shifts and stays there."""

    type: Literal["drift"]
    feature: Level = Field(description=f"One of {', '.join(LEVELS)}.")
    factor: float = Field(ge=0, le=100, description="What it is multiplied by in the end.")
    kinds: tuple[str, ...] = Field((), description="Of these kinds; none given: of all.")

    def change(self, day: int, levels: Levels, kinds: list[str]) -> None:
        change = 1 + (self.factor - 1) * self.done(day)
        levels[self.feature] *= [change if not self.kinds or kind in self.kinds else 1.0 for kind in kinds]


class Outage(Happening):
    """The shop is down for some days, most of the time."""

    type: Literal["outage"]
    lost: Share = Field(0.95, description="Share of the rows of a day that are missing.")

    def change(self, day: int, levels: Levels, kinds: list[str]) -> None:
        if self.lasts(day):
            for name in ("orders", "sessions", "due"):
                levels[name] *= 1 - self.lost


class Coming(Happening):
    kind: str = Field(description="Which kind.")
    share: float = Field(gt=0, le=10, description="How many, as a share of the users of the first day.")


class Born(Coming):
    """Users of a kind come who were not there."""

    type: Literal["born"]

    def born(self, day: int) -> dict[str, float]:
        return {self.kind: self.share * self.done(day)}


class Split(Happening):
    """Users of one kind become users of others."""

    type: Literal["split"]
    kind: str = Field(description="Which kind.")
    into: dict[str, Share] = Field(min_length=1, description="Kind → which share becomes it; the rest stays.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not 0 < sum(self.into.values()) <= 1 + 1e-9:
            raise ValueError(f"into adds up to {sum(self.into.values()):g}; it must be above 0 and at most 1")
        return self

    def moves(self, day: int) -> Iterator[tuple[str, dict[str, float]]]:
        yield self.kind, self._leave(day, self.into)


class Merged(Happening):
    """All users of some kinds become users of another."""

    type: Literal["merged"]
    kinds: tuple[str, ...] = Field(min_length=1, description="Which kinds end.")
    into: str = Field(description="Which kind they become.")

    def moves(self, day: int) -> Iterator[tuple[str, dict[str, float]]]:
        for kind in self.kinds:
            yield kind, self._leave(day, {self.into: 1.0})


class Dying(Happening):
    """All users of a kind stop, one after the other."""

    type: Literal["dying"]
    kind: str = Field(description="Which kind.")

    def moves(self, day: int) -> Iterator[tuple[str, dict[str, float]]]:
        yield self.kind, self._leave(day, {GONE: 1.0})


class Bots(Coming):
    """Users come all at once, and are gone after some days."""

    type: Literal["bots"]

    def born(self, day: int) -> dict[str, float]:
        return {self.kind: self.share if day >= self.after_days else 0.0}

    def moves(self, day: int) -> Iterator[tuple[str, dict[str, float]]]:
        if day >= self.after_days + self.days:
            yield self.kind, {GONE: 1.0}


AnyHappening = PriceRise | Sale | Drift | Outage | Born | Split | Merged | Dying | Bots


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
