"""The settings of the association rules: `[rules]`."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Literal, Self

from pydantic import Field, model_validator

from segmentation.tables import Section


class Rules(Section):
    algorithm: Literal["fpgrowth", "apriori", "counting"] = Field(
        "fpgrowth",
        description="How frequent itemsets of three items and more are found, by mlxtend or by counting every candidate; the "
        "rules are the same, Apriori takes longest, counting the least time.",
    )
    level: Literal["item", "category"] = Field("item", description="Rules between items, or between categories.")
    window_days: int = Field(
        90,
        ge=1,
        le=3660,
        description="Baskets of how many days back, the day included; never more than `[features] window_days`.",
    )
    rules_every_days: int = Field(7, ge=1, description="How often the rules are computed anew.")
    min_support: float = Field(
        0.001, gt=0, le=1, description="Items go together if they are in at least this share of the baskets ..."
    )
    min_count: int = Field(10, ge=1, description="... and in at least this many.")
    min_confidence: float = Field(
        0.2, ge=0, le=1, description="Share of the baskets with the one side of a rule that must have the other too."
    )
    max_items: int = Field(3, ge=2, le=10, description="The most items in a rule, both sides together.")
    max_consequents: int = Field(1, ge=1, le=9, description="The most items on the side that follows.")
    longest_basket: int = Field(
        50, ge=2, description="Baskets with more different items are left out (and counted): few, they cost the most."
    )
    max_itemsets: int = Field(
        1_000_000,
        ge=1,
        description="If more itemsets than this could be frequent, none is mined, and the support that fits is told.",
    )

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.max_consequents >= self.max_items:
            raise ValueError(
                f"max_consequents ({self.max_consequents}) leaves nothing for the other side of a rule of at most "
                f"max_items ({self.max_items}) items: set it to {self.max_items - 1} or less"
            )
        return self

    def count_needed(self, baskets: int) -> int:
        """In how many of so many baskets items must be together: min_support and min_count, both."""
        return max(needed(self.min_support, baskets), self.min_count)


def needed(share: float, whole: int) -> int:
    """The smallest count that is at least this share of the whole."""
    return needed_of_each(share, [whole])[0]


def needed_of_each(share: float, wholes: Iterable[int]) -> list[int]:
    """The smallest counts that are at least this share of each whole. As the share is written in decimals: 0.07 of 100 is 7,
    though in binary 0.07 * 100 is above 7."""
    over, under = Fraction(str(share)).as_integer_ratio()
    return [-(-over * whole // under) for whole in wholes]
