"""What users do: the types of event that are known, and a source's own names for them."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe
from segmentation.errors import nearest
from segmentation.tables import EVENTS

# view, cart and purchase make features; the others are activity like any.
KNOWN = (
    *("view", "cart", "purchase", "search", "favourite", "remove", "share"),
    *("login", "logout", "register", "click", "checkout", "refund"),
)


def renamed(column: pa.ChunkedArray, names: Mapping[str, str]) -> pa.ChunkedArray:
    """The types as they are called here. names: the source's own name → ours; what is not among them keeps its name."""
    if not names:
        return column
    place = pc.index_in(column, value_set=pa.array(list(names), pa.string()))
    ours = pc.take(pa.array(list(names.values()), pa.string()), place)
    return pc.coalesce(ours, column)


def known(names: Mapping[str, str]) -> list[str]:
    """The types that count as known. One that a team names as itself (quiz = "quiz") is one of its own."""
    return [*KNOWN, *sorted(ours for ours in set(names.values()) if ours not in KNOWN)]


def faults(recipe: Recipe) -> list[str]:
    """What is wrong with the names that the configuration gives: one that is meant to be ours and is not known."""
    names: Mapping[str, str] = recipe.options.get(EVENTS, {}).get("event_types", {})
    return [
        f"[sources.events.options.event_types] {theirs} = {ours!r}: not a known type; {nearest(ours, KNOWN)} (a type of your "
        f'own is named as itself: {ours} = "{ours}")'
        for theirs, ours in names.items()
        if ours not in KNOWN and ours != theirs and names.get(ours) != ours
    ]
