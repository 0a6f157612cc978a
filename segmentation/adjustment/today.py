"""What a day decides by: what it has of its own, and what its parent's snapshot carries on to it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from segmentation.adjustment.challenge import Fitted, fitted
from segmentation.clustering.model import Fit, MadeBy, Model
from segmentation.config import Features, Recipe

CLOSED = 3 / 4  # of the days with rows that a model was founded on: with fewer in the window the shop was closed
Document = dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """What a snapshot carries on to the next: its model with its fit and what it was founded on (`reference`), its decision,
    the bins of the days before, and who is in which segment (`memberships`)."""

    day: date
    model: Model
    fit: Fit
    reference: Document
    decision: Document
    drift_bins: pa.Table
    memberships: Callable[[], pa.Table]


@dataclass(frozen=True)
class Today:
    """What a day decides by.

    features: today's users by today's recipe, sorted by user_id, with `revenue` where there are amounts. wanted: the names of
    the features that a new model is to be made of. active_days: how many days of the window have rows. as_before: today's
    users by other [features] settings.
    """

    day: date
    features: pa.Table
    recipe: Recipe
    active_days: int
    wanted: Callable[[], tuple[str, ...]]
    as_before: Callable[[Features], pa.Table]

    @property
    def made_by(self) -> MadeBy:
        return MadeBy(self.recipe.features, self.recipe.clustering)

    def lacks(self, founded: int = 0) -> dict[str, list[int]]:
        """Of what there is too little to tell segments apart, as [there, needed]; empty if of nothing. founded: how many days
        had rows when the model was made: with far fewer the shop was closed, and what its users did not do says nothing."""
        settings = self.recipe.clustering
        days = min(settings.min_days, self.recipe.features.window_days)  # more can never be in the window
        days = max(days, math.ceil(CLOSED * founded))
        found = {"users": [self.features.num_rows, settings.min_users], "days": [self.active_days, days]}
        return {name: pair for name, pair in found.items() if pair[0] < pair[1]}

    def fitted(self, keep: int | None) -> Fitted:
        """A model's fit from today's users; one segment where there is too little data to choose a number."""
        auto = self.recipe.clustering.segments == "auto"
        names = self.wanted() if self.features.num_rows else ()
        return fitted(self.features, names, self.recipe.clustering, keep, one=auto and bool(self.lacks()))
