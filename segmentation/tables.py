"""The canonical tables: what their columns are called, which kind of value each holds, and which a source must have.

In a configuration a column's value is the name that it has in the source. What is not named is looked for under its
canonical name.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

ORDERS, EVENTS, REVIEWS, USERS = "orders", "events", "reviews", "users"
# Names that rows have beside their columns while they are read.
OURS = (
    "row",
    "at",
    "day",
    "file",
    "reason",
    "line",
    "local",
    "instant",
    "wall",
    "possible",
    "earlier",
    "later",
    "time_text",
    "units",
)
ACTIVITY = (ORDERS, EVENTS, REVIEWS)  # tables whose rows happen on a day; `users` describes people


class Kind(StrEnum):
    """What the values of a column are. All are read as text first."""

    TEXT = "text"
    TIME = "time"
    NUMBER = "number"  # int64 in 1/10,000
    SECONDS = "seconds"  # int64 in milliseconds
    FLAG = "flag"


Text = Annotated[str | None, Kind.TEXT]
Time = Annotated[str | None, Kind.TIME]
Number = Annotated[str | None, Kind.NUMBER]
Seconds = Annotated[str | None, Kind.SECONDS]
Flag = Annotated[str | None, Kind.FLAG]


class Section(BaseModel):
    """A part of a configuration: unknown settings are errors, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Columns(Section):
    """Canonical column → the column of the source."""

    TIME: ClassVar[str | None] = None  # the column that says on which day a row happened
    REQUIRED: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: Text = None

    @classmethod
    def kinds(cls) -> dict[str, Kind]:
        """The canonical columns in their order, with the kind of each."""
        return {
            name: next(kind for kind in field.metadata if isinstance(kind, Kind))
            for name, field in cls.model_fields.items()
        }

    def named(self) -> dict[str, str]:
        """The columns that the configuration names, by canonical name."""
        return dict(self.model_dump(exclude_none=True))


class OrdersColumns(Columns):
    """One row per line of an order. Returns and cancellations are rows with a negative quantity or amount."""

    TIME = "ordered_at"
    REQUIRED = ("user_id", "ordered_at")

    ordered_at: Time = None
    order_id: Text = None
    item_id: Text = None
    category: Text = None
    quantity: Number = None
    unit_price: Number = None
    amount: Number = None
    discount: Number = None
    currency: Text = None


class EventsColumns(Columns):
    """One row per thing that a user did: viewed, put into the cart, bought, searched."""

    TIME = "event_at"
    REQUIRED = ("user_id", "event_at", "event_type")

    event_at: Time = None
    event_type: Text = None
    item_id: Text = None
    category: Text = None
    session_id: Text = None
    duration_s: Seconds = None


class ReviewsColumns(Columns):
    """One row per review."""

    TIME = "reviewed_at"
    REQUIRED = ("user_id", "reviewed_at", "rating")

    reviewed_at: Time = None
    rating: Number = None
    item_id: Text = None
    text: Text = None


class UsersColumns(Columns):
    """One row per user. Any other column that is named here is kept as an attribute of the user."""

    model_config = ConfigDict(extra="allow", frozen=True)

    signed_up_at: Time = None
    excluded: Flag = None
    marketing_consent: Flag = None

    @model_validator(mode="after")
    def _attributes(self) -> Self:
        for name, source in (self.model_extra or {}).items():
            if not isinstance(source, str):
                raise ValueError(f"{name} = {source!r}: give the name of a column of the source, as text")
            if name in OURS or not re.fullmatch("[a-z][a-z0-9_]*", name):
                raise ValueError(
                    f"{name!r} cannot be an attribute's name: begin with a small letter, go on with small letters, digits "
                    f"and _, and use none of {', '.join(OURS)}"
                )
        return self


TABLES: dict[str, type[Columns]] = {
    ORDERS: OrdersColumns,
    EVENTS: EventsColumns,
    REVIEWS: ReviewsColumns,
    USERS: UsersColumns,
}


def kinds(table: str, columns: Iterable[str] = ()) -> dict[str, Kind]:
    """The canonical columns of a table in their order, with the kind of each; then, as text, those of `columns` (the ones
    that a configuration names) that are no canonical column: a user's attributes."""
    canonical = TABLES[table].kinds()
    return canonical | {name: Kind.TEXT for name in columns if name not in canonical}
