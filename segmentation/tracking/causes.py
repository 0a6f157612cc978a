"""Why a user's nearest segment changed: what the user did, or only that time went by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.clustering.model import Fit
from segmentation.tracking.memberships import Assignment, Codes


@dataclass(frozen=True)
class HadTheyDoneNothing:
    """The causes of crossings, by the features that users would have today had they done nothing since the parent's day.

    A crossing is `ageing` if these alone put the user where he is today; else `behaviour`. So it is too for a user who
    would have no row left in the window. (A day that keeps its parent's model has no crossing by the model.)
    """

    users: pa.Array
    features: Callable[[], pa.Table]  # as of today, from rows up to the parent's day; asked for only if anyone crossed
    fit: Fit
    ids: Sequence[str]

    def __call__(self, crossed: npt.NDArray[np.bool_], published: Codes, nearest: Codes) -> npt.NDArray[np.str_]:
        """The causes of the users of the mask, in order; codes count segment ids in ascending order."""
        if not crossed.any():
            return np.array([], dtype="<U9")
        features = self.features()
        place = pc.index_in(self.users.filter(pa.array(crossed)), value_set=features["user_id"].combine_chunks())
        there = np.asarray(place.is_valid().to_numpy(zero_copy_only=False))
        idle = Assignment.of(self.ids, self.fit.distances(features.take(place.drop_null())))
        causes = np.full(len(there), "behaviour")
        ageing = idle.nearest(published[crossed][there]) == nearest[crossed][there]
        causes[np.flatnonzero(there)[ageing]] = "ageing"
        return causes
