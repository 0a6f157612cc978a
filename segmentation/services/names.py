"""What a segment is called: the few features that set it apart, each with its direction. Words are found when they are read.

The table `names`: segment_id, tags (such as "frequency+ monetary+ recency-", the most telling first; "" where nothing sets the
segment apart), since (the day from which on it is called so).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from itertools import count as numbers

import pyarrow as pa

# Cliff's delta from which an effect is called medium (Romano, Kromrey, Coraggio and Skowronek, 2006), and one for a name that
# is there already: a name does not come and go with users at the border. What is said where nothing is telling, or to tell two
# segments apart, is well above that, too.
TELLING, WEAK, STAYS = 0.33, 0.265, 0.2
MOST_TAGS = 3
SCHEMA = pa.schema([("segment_id", pa.string()), ("tags", pa.string()), ("since", pa.date32())])
# What says nearly the same: a name has one of each line, the first that is telling. Every feature of the catalogue is in one.
FAMILIES = (
    ("recency",),
    ("trend",),
    ("frequency", "active_days", "repeat_days", "days_first_to_last", "order_gap"),
    ("monetary", "average_order_value", "mean_repeat_day_value", "category_spread"),
    ("discount_share",),
    ("return_share",),
    ("days_since_first",),
    ("browse_recency",),
    ("browse_trend",),
    ("sessions", "browse_days", "views", "browse_time", "views_per_session", "minutes_per_session"),
    ("view_to_cart", "carts", "cart_to_purchase", "view_to_purchase", "purchases"),
    ("reviews",),
    ("mean_rating", "low_rating_share"),
)
FAMILY = {name: number for number, family in enumerate(FAMILIES) for name in family}
Effects = Mapping[str, float]


@dataclass(frozen=True)
class Name:
    tags: tuple[str, ...]
    since: date


def names(
    effects: Mapping[str, Effects],
    lasting: Mapping[str, Effects],
    users: Mapping[str, int],
    before: Mapping[str, Name],
    day: date,
) -> dict[str, Name]:
    """The name of each segment: yesterday's while it fits, else a new one from today on. No two are alike.

    effects: of each segment (see `profiles.effects`); lasting: those that may still be in a name; users: of each; before: the
    names of the day before. A name fits while each of its features still sets the segment apart in the same direction; one
    without a feature, while nothing does.
    """
    # The largest first: a smaller one is told apart from it.
    order = sorted(users, key=lambda segment: (-users[segment], segment))
    found: dict[str, Name] = {}
    for segment in order:
        old = before.get(segment)
        if old and _fits(old.tags, lasting[segment]):
            found[segment] = old
    taken = {_alike(name.tags) for name in found.values()}
    for segment in order:
        if segment not in found:
            tags = _tags(effects[segment], taken)
            old = before.get(segment)
            found[segment] = old if old and _alike(old.tags) == _alike(tags) else Name(tags, day)
            taken.add(_alike(tags))
    return found


def _fits(tags: Sequence[str], effects: Effects) -> bool:
    said = [effects.get(tag[:-1], 0.0) * (1 if tag[-1] == "+" else -1) for tag in tags if tag[0] != "#"]
    return min(said) >= STAYS if said else all(abs(effect) < TELLING for effect in effects.values())


def _alike(tags: Sequence[str]) -> frozenset[str]:
    return frozenset(tags)


def _tags(effects: Effects, taken: Collection[frozenset[str]]) -> tuple[str, ...]:
    """The most telling families, each by its first telling feature; more of them, then a number, where that is another
    segment's name."""
    best = {}
    for place, family in enumerate(FAMILIES):
        known = [name for name in family if abs(effects.get(name, 0.0)) >= WEAK]
        telling = [name for name in known if abs(effects[name]) >= TELLING]
        if known:
            best[place] = (telling or sorted(known, key=lambda name: -abs(effects[name])))[0]
    ranked = sorted(best, key=lambda place: (-max(abs(effects.get(name, 0.0)) for name in FAMILIES[place]), place))
    tags = [best[place] + ("+" if effects[best[place]] > 0 else "-") for place in ranked]
    count = max(sum(abs(effects[tag[:-1]]) >= TELLING for tag in tags[:MOST_TAGS]), min(len(tags), 1))
    more = (tuple(tags[:length]) for length in range(count, len(tags) + 1))
    numbered = ((*tags[:count], f"#{number}") for number in numbers(2))
    return next(tags for tags in chain(more, [tuple(tags[:count])], numbered) if _alike(tags) not in taken)


def table(found: Mapping[str, Name]) -> pa.Table:
    """The table `names`, sorted by segment_id."""
    rows = [
        {"segment_id": segment, "tags": " ".join(name.tags), "since": name.since}
        for segment, name in sorted(found.items())
    ]
    return pa.Table.from_pylist(rows, SCHEMA)


def of_table(names: pa.Table) -> dict[str, Name]:
    """The names in a table, by segment."""
    return {row["segment_id"]: Name(tuple(row["tags"].split()), row["since"]) for row in names.to_pylist()}
