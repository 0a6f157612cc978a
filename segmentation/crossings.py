"""Who crosses a border between segments today, and why: by behaviour, by ageing, or because something was defined anew."""

from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.adjustment.today import Standing
from segmentation.clustering.model import Model
from segmentation.config import Recipe
from segmentation.inputs import Inputs
from segmentation.tracking import memberships as tracking
from segmentation.tracking.causes import Causes


def causes(inputs: Inputs, day: date, features: pa.Table, before: Standing, model: Model) -> Causes:
    """Why users cross borders today, by where the parent's model puts them."""
    settings = before.model.made_by.features

    def placed(found: pa.Table) -> tuple[pa.Array, tracking.Assignment]:
        states = before.model.states(before.fit)
        return found["user_id"].combine_chunks(), tracking.Assignment.of(states, before.fit.distances(found))

    def now() -> tuple[pa.Array, tracking.Assignment]:
        same = settings == model.made_by.features
        return placed(features if same else inputs.features(day, day, settings))

    def idle() -> tuple[pa.Array, tracking.Assignment]:
        return placed(inputs.features(day, before.day, settings))

    return Causes(features["user_id"].combine_chunks(), idle, None if before.model.fit == model.fit else now)


def nobody_crossed(crossed: npt.NDArray[np.bool_], *_: pa.Array) -> npt.NDArray[np.str_]:
    """The causes where the parent's day had no segments to come from."""
    return np.array([], dtype="<U9")


def redefined(
    inputs: Inputs, day: date, users: pa.Array, before: Standing | None, recipe: Recipe
) -> tracking.Redefined:
    """Who comes or goes only because the team counts or excludes him now, or because the window is another one."""
    excluded = inputs.excluded()
    parent = inputs.of_parent()
    counted = parent.excluded() if parent else excluded
    if before and before.model.made_by.features.window_days != recipe.features.window_days:
        others = inputs.sums(day, day, before.model.made_by.features)["user_id"].combine_chunks()
        excluded = pa.concat_arrays([excluded, _without(others, users)])
        counted = pa.concat_arrays([counted, _without(users, others)])
    return tracking.Redefined.of(excluded, counted)


def _without(users: pa.Array, others: pa.Array) -> pa.Array:
    return users.filter(pc.invert(pc.is_in(users, value_set=others)))
