"""Association rules: what is bought together, in the whole shop and in each segment.

The shop's rules are mined once and counted in each segment. Rules that are mined in a segment and then tested against the
shop are falsely special to it.
"""

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from segmentation.rules_settings import Rules
from segmentation.services.baskets import Baskets
from segmentation.services.confident import Found, confident_rules
from segmentation.services.mining import frequent_itemsets
from segmentation.services.occurrences import Members, in_segments, in_the_shop
from segmentation.services.rules_table import rules_table


class Nothing(StrEnum):
    """Why there is no rule."""

    NO_ORDERS = "no_orders"  # in the window
    NO_ITEMS = "no_items"  # no purchase line names one
    TOO_LONG = "too_long"  # all baskets were left out
    ONE_ITEM = "one_item"  # no basket has two
    NOT_FREQUENT = "not_frequent"  # no two items are together in as many baskets as are asked for
    NOT_CONFIDENT = "not_confident"  # some are, but nothing follows from any of them as often as is asked for


@dataclass(frozen=True)
class Associations:
    """The table (see `rules_table`), the whole numbers behind it, and why it is empty, if it is.

    figures: baskets, users, items; too_long, without_items, of_one_item (see `Baskets`); count_needed: in how many baskets
    items had to be together; itemsets, rules: how many there are.
    """

    table: pa.Table
    figures: dict[str, int]
    nothing: Nothing | None


def association_rules(baskets: Baskets, members: Members, settings: Rules) -> Associations:
    """The rules of the shop that `settings` asks for, and how they hold in each segment.

    Raises ConfigError, naming the support that fits, if more than max_itemsets itemsets could be frequent.
    """
    itemsets = frequent_itemsets(baskets.holds, settings)
    rules = confident_rules(itemsets, settings)
    inside = in_segments(rules, baskets, members)
    figures = {
        "baskets": len(baskets),
        "users": len(baskets.users),
        "items": len(baskets.items),
        "too_long": baskets.too_long,
        "without_items": baskets.without_items,
        "of_one_item": baskets.of_one_item,
        "count_needed": settings.count_needed(len(baskets)),
        "itemsets": len(itemsets),
        "rules": len(rules),
    }
    table = rules_table(baskets, rules, in_the_shop(rules), inside, members.segments)
    return Associations(table, figures, _nothing(baskets, rules))


def _nothing(baskets: Baskets, rules: Found) -> Nothing | None:
    if len(rules):
        return None
    if not len(baskets):
        if baskets.too_long:
            return Nothing.TOO_LONG
        return Nothing.NO_ITEMS if baskets.without_items else Nothing.NO_ORDERS
    if baskets.of_one_item == len(baskets):
        return Nothing.ONE_ITEM
    return Nothing.NOT_CONFIDENT if len(rules.itemsets.members) > 1 else Nothing.NOT_FREQUENT
