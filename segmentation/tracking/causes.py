"""Why a user's nearest segment changed: what the user did, only that time went by, or a new model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.tracking.memberships import Assignment

Placed = Callable[[], tuple[pa.Array, Assignment]]  # users, and where the parent's model puts them; asked for if needed


@dataclass(frozen=True)
class Causes:
    """The causes of crossings, by where the parent's model puts users today.

    A crossing is `ageing` if the features that the user would have today had he done nothing since the parent's day put him
    where he is; else `behaviour` if today's features do; else it is the new model's (`model`). Who would have no row left in
    the window had he done nothing is not there by ageing.

    users: today's, one per row that `__call__` is asked about. idle: who has a row left, had they done nothing. now: by
    today's features; None where the model is still the parent's, so that no crossing is its doing.
    """

    users: pa.Array
    idle: Placed
    now: Placed | None = None

    def __call__(self, crossed: npt.NDArray[np.bool_], published: pa.Array, nearest: pa.Array) -> npt.NDArray[np.str_]:
        """The causes of the users of the mask, in order; `published` and `nearest` are their segment ids."""
        if not crossed.any():
            return np.array([], dtype="<U9")
        users = self.users.filter(pa.array(crossed))
        behaved = np.full(len(users), True) if self.now is None else _puts(self.now(), users, published, nearest)
        aged = _puts(self.idle(), users, published, nearest)
        return np.where(aged, "ageing", np.where(behaved, "behaviour", "model"))


def _puts(
    placed: tuple[pa.Array, Assignment], users: pa.Array, published: pa.Array, nearest: pa.Array
) -> npt.NDArray[np.bool_]:
    """Whether each user is among the placed, and put into the segment `nearest`; a tie goes to `published`."""
    there, assignment = placed
    place = pc.index_in(users, value_set=there)
    found = np.asarray(place.is_valid().to_numpy(zero_copy_only=False))
    mine = Assignment(assignment.ids, assignment.distances[place.drop_null().to_numpy()])
    put = mine.named(mine.nearest(mine.codes(published.filter(pa.array(found)))))
    result = np.full(len(users), False)
    result[found] = pc.equal(put, nearest.filter(pa.array(found))).to_numpy(zero_copy_only=False)
    return result
