"""What a day says of its segments and users beside where they are: profiles, names, rules, actions."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.config import Recipe
from segmentation.dates import block
from segmentation.errors import ConfigError
from segmentation.features.rows import Flags, Whole
from segmentation.services import actions, bundles, names, rules_table
from segmentation.services.baskets import Baskets, once
from segmentation.services.occurrences import Members
from segmentation.services.profiles import STILL_KNOWN, effects, profiles
from segmentation.services.rules import association_rules
from segmentation.store.content import hash_json

CONSENT = "marketing_consent"
NOT_ATTRIBUTES = ("user_id", "signed_up_at", "excluded", CONSENT)


@dataclass(frozen=True)
class Served:
    """The day's tables by name, and the rules that hold, as a document: since which date, the settings that they were computed
    with (a hash), figures, and why there are none: `nothing` (a `rules.Nothing`, or too_many, and then in words `problem`)."""

    tables: dict[str, pa.Table]
    rules: dict[str, Any]

    @property
    def anew(self) -> bool:
        """Whether the rules were computed on this day."""
        return "rules" in self.tables


@dataclass(frozen=True)
class Before:
    """What the day before carries on: its names, actions, the rules that held, as a document and as the table `rules`, and what
    had been returned (None: it does not say)."""

    names: Mapping[str, names.Name]
    actions: actions.Before
    rules: dict[str, Any] | None
    table: Callable[[], pa.Table]
    returned: pa.Table | None

    @classmethod
    def none(cls) -> "Before":
        return cls({}, actions.Before.none(), None, rules_table.SCHEMA.empty_table, None)


@dataclass(frozen=True)
class Bought:
    """The accepted orders of the window, read when they are asked for.

    baskets: those of the rules' window, without those of more than so many different items. returned: what was returned after
    the day before (see `baskets.RETURNED`), or since the window begins.
    """

    baskets: Callable[[int], Baskets]
    returned: Callable[[bool], pa.Table]


@dataclass(frozen=True)
class Today:
    """The n users who are somewhere today, ascending by id.

    memberships, features: n rows; revenue: n whole numbers of 1/10,000, None where the data has no amounts; users: the table of
    users, None where there is none; segments: the table `segments`; made_of: the features that the segments are made of.
    """

    day: date
    memberships: pa.Table
    features: pa.Table
    revenue: Whole | None
    users: pa.Table | None
    segments: pa.Table
    made_of: tuple[str, ...]


def serve(today: Today, recipe: Recipe, before: Before, bought: Bought) -> Served:
    """The tables `profiles`, `names`, `actions`, `cooldowns`, `returned` and `next_items`; and, on the days on which they are
    computed anew, `rules` and `bundles`."""
    segment_ids = today.segments["segment_id"].to_pylist()
    attributes, consent = _attributes(today)
    found = profiles(
        segment_ids, today.memberships["segment_id"].combine_chunks(), today.features, today.made_of, attributes
    )
    sizes = dict(zip(segment_ids, today.segments["users"].to_pylist(), strict=True))
    told, lasting = effects(found, sizes), effects(found, sizes, STILL_KNOWN)
    given, cooldowns = actions.actions(recipe.actions, _users(today, told, consent), before.actions, today.day)
    tables = {
        "profiles": found,
        "names": names.table(names.names(told, lasting, sizes, before.names, today.day)),
        "actions": given,
        "cooldowns": cooldowns,
        "returned": _returned(recipe, before, bought),
    }
    if before.rules is None or _due(today.day, recipe, before.rules):
        found = bought.baskets(recipe.rules.longest_basket)
        computed, held = _rules(today, recipe, found)
        rules = computed["rules"]
    else:
        computed, held, rules = {}, before.rules, before.table()
    following = _next_items(today, rules, bought, tables["returned"])
    return Served({**tables, **computed, "next_items": following}, held)


def _attributes(today: Today) -> tuple[pa.Table, Flags]:
    """Of each user the attributes; and whether he may be written to: where nobody's consent is known, everyone."""
    ids = today.memberships["user_id"].combine_chunks()
    if today.users is None:
        return pa.table({}), np.ones(len(ids), np.bool_)
    place = pc.index_in(ids, value_set=today.users["user_id"].combine_chunks())
    names = [name for name in today.users.column_names if name not in NOT_ATTRIBUTES]
    attributes = pa.table({name: today.users[name].combine_chunks().take(place) for name in names})
    if CONSENT not in today.users.column_names:
        return attributes, np.ones(len(ids), np.bool_)
    given = today.users[CONSENT].combine_chunks().take(place).fill_null(False)
    return attributes, np.asarray(given.to_numpy(zero_copy_only=False), np.bool_)


def _users(today: Today, told: dict[str, dict[str, float]], consent: Flags) -> actions.Users:
    revenue = np.zeros(today.memberships.num_rows, np.int64) if today.revenue is None else today.revenue
    return actions.Users(today.memberships, today.features, revenue, consent, told, _worth(today))


def _worth(today: Today) -> dict[str, float]:
    """Of each segment the revenue per user, or where there are no amounts the purchases, or the sessions."""
    table = today.segments
    if today.revenue is None:
        measures = [f"mean_{name}" for name in ("frequency", "purchases", "sessions")]
        measure = next((name for name in measures if name in table.column_names), None)
        worth = table[measure].fill_null(0.0).to_pylist() if measure else []
    else:
        worth = [
            float(revenue or 0) / max(users, 1)
            for revenue, users in zip(table["revenue"].to_pylist(), table["users"].to_pylist(), strict=True)
        ]
    return dict(zip(table["segment_id"].to_pylist(), worth, strict=False))


def _due(day: date, recipe: Recipe, before: Mapping[str, Any]) -> bool:
    """Whether the rules are computed anew: on the first published day of each calendar block, and with other settings."""
    if before["settings"] != _settings(recipe):
        return True
    every = recipe.rules.rules_every_days
    return block(day, every) != block(date.fromisoformat(before["date"]), every)


def _settings(recipe: Recipe) -> str:
    return hash_json(recipe.rules.model_dump(mode="json"))


def _members(today: Today, baskets: Baskets) -> Members:
    return Members.of(
        baskets, today.memberships["user_id"].combine_chunks(), today.memberships["segment_id"].combine_chunks()
    )


def _returned(recipe: Recipe, before: Before, bought: Bought) -> pa.Table:
    """What was returned since the first day's window began: also by users who are gone, who may come back."""
    if before.returned is None or before.rules is None or before.rules["level"] != recipe.rules.level:
        found = bought.returned(False)
    else:
        found = pa.concat_tables([before.returned, bought.returned(True)])
    return once(found)


def _next_items(today: Today, rules: pa.Table, bought: Bought, returned: pa.Table) -> pa.Table:
    if not bundles.leading(rules).num_rows:
        return bundles.NEXT_ITEMS.empty_table()
    found = bought.baskets(sys.maxsize)
    return bundles.next_items(rules, found, _members(today, found), returned)


def _rules(today: Today, recipe: Recipe, found: Baskets) -> tuple[dict[str, pa.Table], dict[str, Any]]:
    days = min(recipe.rules.window_days, recipe.features.window_days)
    held: dict[str, Any] = {
        "date": today.day.isoformat(),
        "settings": _settings(recipe),
        "level": recipe.rules.level,
        "problem": None,
    }
    try:
        rules = association_rules(found, _members(today, found), recipe.rules)
    except ConfigError as error:  # too many: the segments are right all the same
        table = rules_table.SCHEMA.empty_table()
        held |= {"figures": {"baskets": len(found), "days": days}, "nothing": "too_many", "problem": str(error)}
    else:
        table = rules.table
        held |= {"figures": {**rules.figures, "days": days}, "nothing": rules.nothing and str(rules.nothing)}
    return {"rules": table, "bundles": bundles.bundles(table)}, held
