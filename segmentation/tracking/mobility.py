"""How mobile users are between two days: the transition matrix, and the statistics that sum it up.

Matrices of users have a row for each state on the first day and a column for each on the last, in the same order; they may
be stacked: shape (…, k, k). A state without users on the first day has no row to speak of and is left out of every
statistic. Formulas as in PySAL giddy (`giddy.mobility`), after Formby, Smith, Zheng: "Mobility measurement, transition
matrices and statistical inference", Journal of Econometrics 120 (2004).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segmentation.clustering.transform import Matrix
from segmentation.store.snapshots import LAPSED, NEW

Counts = npt.NDArray[np.int64]

DRAWS = 1000
LEVEL = 0.95


def probabilities(users: Counts | Matrix) -> Matrix:
    """Share of each row's users in each column, (…, k, columns); NaN in the rows without users."""
    return _ratio(users, users.sum(axis=-1, keepdims=True))


def stayer_ratio(users: Counts | Matrix) -> Matrix:
    """Share of the users who are in the same state on both days, (…,); NaN without users."""
    return _ratio(np.trace(users, axis1=-2, axis2=-1), users.sum(axis=(-2, -1)))


def prais(users: Counts | Matrix) -> Matrix:
    """(k − Σ p_ii) / (k − 1) over the k states with users (Prais 1955, Shorrocks 1978), (…,): 0 nobody moves, 1 where a user
    ends does not depend on where he was. Every state counts alike, however few its users. NaN for fewer than two states."""
    stays = np.diagonal(probabilities(users), axis1=-2, axis2=-1)
    known = ~np.isnan(stays)
    return _ratio(np.where(known, 1 - stays, 0.0).sum(axis=-1), known.sum(axis=-1) - 1)


def bartholomew(users: Counts | Matrix) -> Matrix:
    """Σ_ij π_i p_ij |i − j|, π the shares of the first day (Bartholomew 1973), (…,): by how many ranks a user moved in the
    mean. The states must be in the order of their rank. (giddy divides it by k − 1.) NaN without users."""
    ranks = np.arange(users.shape[-1])
    return _ratio((users * np.abs(ranks[:, None] - ranks)).sum(axis=(-2, -1)), users.sum(axis=(-2, -1)))


def climbed(users: Counts | Matrix) -> Matrix:
    """Share of the users who ended in a state of higher rank, (…,). NaN without users."""
    return _ratio(np.triu(users, 1).sum(axis=(-2, -1)), users.sum(axis=(-2, -1)))


def descended(users: Counts | Matrix) -> Matrix:
    """Share of the users who ended in a state of lower rank, (…,). NaN without users."""
    return climbed(np.swapaxes(users, -2, -1))


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> Matrix:
    """part / whole; NaN where the whole is not positive."""
    part, whole = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0))


def resampled(users: Counts, seed: int, draws: int = DRAWS) -> Counts:
    """Bootstrap by user: as many users drawn again with replacement, counted in the same cells; (draws, *shape).

    Between two days each user is in exactly one cell, so drawing users is drawing cells with the chances of their counts:
    one multinomial, at a cost that does not depend on the number of users. (It would not be so for the transitions of many
    days together: there one user is in several cells.)
    """
    total = int(users.sum())
    if not total:
        return np.zeros((draws, *users.shape), dtype=np.int64)
    drawn = np.random.default_rng(seed).multinomial(total, users.ravel() / total, size=draws)
    return drawn.reshape(draws, *users.shape)


@dataclass(frozen=True)
class Estimate:
    """A statistic of the users there are, and between which bounds it is in 95 % of the resamples. None: undefined.

    The bounds are percentiles. Where nobody or everybody is counted (0 or 1) both are equal to it: of n users who all
    stayed, each may still leave with a chance of up to 3/n.
    """

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, value: float, draws: Matrix) -> "Estimate":
        draws = draws[~np.isnan(draws)]
        if np.isnan(value) or not len(draws):
            return cls(None, None, None)
        low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return cls(*(round(float(number), 6) for number in (value, low, high)))


@dataclass(frozen=True)
class Mobility:
    """Between two days. Users who came or lapsed in between have a part in `transitions` only."""

    states: tuple[str, ...]  # those with a rank by it, ascending, then the others by id
    ranked: int  # how many have one
    transitions: dict[tuple[str, str], Estimate]  # (from, to or LAPSED), of the users of `from`; where there are users
    stayer_ratio: Estimate
    prais: Estimate
    bartholomew: Estimate  # of the users who were in ranked states on both days, as the next two
    upgraded: Estimate
    downgraded: Estimate

    @classmethod
    def between(cls, cells: Iterable[Mapping[str, Any]], value: Mapping[str, float], seed: int = 0) -> "Mobility":
        """cells: {from_segment_id, to_segment_id, users}, each pair once (`migrations.span`); value: of the states that have
        a rank, for example revenue per user. Equal values have their ranks by id.

        The order of the cells changes nothing.
        """
        users = {(cell["from_segment_id"], cell["to_segment_id"]): int(cell["users"]) for cell in cells}
        found = {state for pair in users for state in pair} - {NEW, LAPSED}
        ladder = sorted(found & value.keys(), key=lambda state: (value[state], state))
        states = (*ladder, *sorted(found - value.keys()))
        counts = np.array(
            [[users.get((start, end), 0) for end in (*states, LAPSED)] for start in states], dtype=np.int64
        ).reshape(len(states), len(states) + 1)
        draws = resampled(counts, seed)
        shares, drawn = probabilities(counts), probabilities(draws)
        both, ranks = slice(len(states)), slice(len(ladder))
        return cls(
            states,
            len(ladder),
            {
                (start, end): Estimate.of(shares[row, column], drawn[:, row, column])
                for row, start in enumerate(states)
                for column, end in enumerate((*states, LAPSED))
                if counts[row, column]
            },
            *(
                Estimate.of(float(statistic(counts[:, both])), statistic(draws[:, :, both]))
                for statistic in (stayer_ratio, prais)
            ),
            *(
                Estimate.of(float(statistic(counts[ranks, ranks])), statistic(draws[:, ranks, ranks]))
                for statistic in (bartholomew, climbed, descended)
            ),
        )
