"""Drift: whether a feature's values are still distributed as they were when the model was made.

Every day each feature of the model is counted into a frozen grid and compared with the reference, by two measures that
must agree: the population stability index (PSI) says whether the difference is more than noise, the Wasserstein-1
distance whether it is large enough to matter.

Two things make a plain comparison wrong. Recency follows the week, for ever and without any change: between two weekdays
lie up to 0.16 standard deviations at a grocer's and 0.6 where most buy at weekends. So a day is compared with the same
weekdays around the reference as well, and the nearest of them counts. And the same users are counted day after day, while
everybody is moved by the same weather: the noise is not that of two independent samples. So PSI is held against what it was
between earlier quiet days, too.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from segmentation.clustering.transform import Matrix, Transform
from segmentation.config import Adjustment

Counts = npt.NDArray[np.int64]

CELLS = 200
BINS = 10
WEEK = 7
HISTORY_DAYS = 35
REFERENCE_DAYS = 14  # so long after the reference a day can stand for its weekday
# Times the distance is needed on a weekday that was not seen yet: in the first week of a model, when a shop that is closed
# on Sundays gives some false alarms all the same.
UNKNOWN_WEEKDAY = 2
QUIET_QUANTILE = 0.95
# The 99.9 % quantiles of χ² with 0 to 9 degrees of freedom.
CHI_SQUARE = (0.0, 10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322, 26.124, 27.877)

DRIFT = pa.schema(
    [
        ("feature", pa.string()),
        ("psi", pa.float64()),
        ("floor", pa.float64()),
        ("wasserstein", pa.float64()),
        ("alarm", pa.bool_()),
        ("compared_with", pa.date32()),
    ]
)
HISTORY = pa.schema(
    [("date", pa.date32()), ("feature", pa.string()), ("counts", pa.list_(pa.int64())), ("quiet", pa.bool_())]
)


@dataclass(frozen=True)
class Scale:
    """One feature's grid: CELLS equal cells from `low` to `high`, in frozen standard deviations, and the bins made of them.

    `bins` are the first cells of the bins, ascending from 0: at most BINS, frozen with the model.
    """

    feature: str
    low: float
    high: float
    bins: tuple[int, ...]

    @property
    def width(self) -> float:
        """Of a cell; 0 for a feature that was constant when the model was made."""
        return (self.high - self.low) / CELLS

    def count(self, values: Matrix) -> Counts:
        """Users per cell. A value at or beyond an end counts in the cell at that end."""
        if not self.width:
            return np.bincount(np.zeros(len(values), dtype=np.int64), minlength=CELLS)
        cells = np.clip((values - self.low) / self.width, 0, CELLS - 1).astype(np.int64)
        return np.bincount(cells, minlength=CELLS)

    def psi(self, one: Counts, other: Counts) -> float:
        """The population stability index of two days' cells, on the bins: Σ (p − q) · ln(p / q). It is symmetric.

        An empty bin counts as half a user: the usual correction of the logarithm of a count that can be 0 (Haldane 1956,
        Anscombe 1956).
        """
        shares = []
        for cells in (one, other):
            users = np.add.reduceat(cells, self.bins)
            half = np.where(users == 0, 0.5, users)
            shares.append(half / half.sum())
        p, q = shares
        return round(math.fsum((p - q) * np.log(p / q)), 6)

    def wasserstein(self, one: Counts, other: Counts) -> float:
        """Wasserstein-1 distance of two days' cells in frozen standard deviations: the area between the two cumulative
        distributions. Right to one cell (1/200 of the range: about 0.025)."""
        users, others = int(one.sum()), int(other.sum())
        area = int(np.abs(np.cumsum(one) * others - np.cumsum(other) * users).sum())
        return round(area / (users * others) * self.width, 6)

    def noise(self, users: int, others: int) -> float:
        """What PSI of two independent samples of one distribution exceeds once in a thousand times: χ²(B − 1) · (1/N + 1/M).

        (Yurdakul 2018, Statistical properties of the population stability index.)
        """
        return CHI_SQUARE[len(self.bins) - 1] * (1 / users + 1 / others)


@dataclass(frozen=True)
class Reference:
    """How the features were distributed on the day the model was made: users per cell, (features, CELLS)."""

    day: date
    scales: tuple[Scale, ...]
    counts: Counts

    @classmethod
    def of(cls, points: Matrix, transform: Transform, day: date) -> Self:
        """From the users' places, (users, features), as the transform gives them: between its clips.

        Bins hold equal numbers of users as far as ties allow, their edges lie on the grid; where values tie, there are fewer.
        """
        scales = []
        counts = np.zeros((len(transform.axes), CELLS), dtype=np.int64)
        for number, axis in enumerate(transform.axes):
            low, high = (round((bound - axis.mean) / axis.sd, 6) for bound in (axis.low, axis.high))
            scale = Scale(axis.feature, low, high, (0,))
            counts[number] = scale.count(points[:, number])
            scales.append(replace(scale, bins=_bins(counts[number])))
        return cls(day, tuple(scales), counts)

    def renewed(self, points: Matrix, day: date) -> "Reference":
        """The same grid and bins with another day's users: after an update, whose transform is the same."""
        return replace(self, day=day, counts=self.count(points))

    def count(self, points: Matrix) -> Counts:
        """Users per cell, (features, CELLS)."""
        return np.array([scale.count(points[:, number]) for number, scale in enumerate(self.scales)], dtype=np.int64)

    def document(self) -> dict[str, Any]:
        return {
            "day": self.day.isoformat(),
            "features": [
                {**vars(scale), "bins": list(scale.bins), "counts": counts.tolist()}
                for scale, counts in zip(self.scales, self.counts, strict=True)
            ],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        scales = tuple(
            Scale(one["feature"], one["low"], one["high"], tuple(one["bins"])) for one in document["features"]
        )
        counts = np.array([one["counts"] for one in document["features"]], dtype=np.int64).reshape(len(scales), CELLS)
        return cls(date.fromisoformat(document["day"]), scales, counts)


def _bins(counts: Counts) -> tuple[int, ...]:
    """First cells of at most BINS bins with equal numbers of users, as far as cells can be parted; none is empty."""
    until = np.cumsum(counts)
    users = int(until[-1])
    quantiles = [int(np.searchsorted(until * BINS, users * part)) + 1 for part in range(1, BINS)]
    return (0, *sorted({cell for cell in quantiles if cell < CELLS and until[cell - 1] < users}))


def measure(
    points: Matrix, reference: Reference, history: pa.Table | None, day: date, settings: Adjustment
) -> tuple[pa.Table, pa.Table]:
    """How far each feature is from the reference today, and the history that the next day needs.

    points: today's users, (users, features), as the reference's transform gives them. history: what this function returned
    for the parent's day; None when the grid is new (first day, restructure).

    Returns a row per feature, sorted by feature: psi, floor, wasserstein (in frozen standard deviations), alarm, and
    compared_with, the day that today was compared with: of the reference and the known days of today's weekday the one at
    the smallest distance. There is an alarm when psi > floor and wasserstein ≥ `drift_distance`; as long as no day of
    today's weekday is known (the first week of a model), at twice that distance. No row when there are no users to compare.

    The floor is the larger of the noise of independent samples (`Scale.noise`) and the 95 % quantile of PSI over the pairs
    of quiet days of the history that are a week apart.
    """
    today = reference.count(points)
    history = HISTORY.empty_table() if history is None else history
    rows = []
    for number, scale in enumerate(reference.scales):
        past = _Past.of(scale.feature, history, reference.day, reference.counts[number])
        rows.extend(_compare(scale, today[number], past, day, settings.drift_distance))
    oldest = day - timedelta(days=HISTORY_DAYS - 1)
    kept = [one < day and (one >= oldest or _around(reference.day, one)) for one in history["date"].to_pylist()]
    alarms = {row["feature"] for row in rows if row["alarm"]}
    whole = pa.concat_tables([history.filter(pa.array(kept, pa.bool_())), _observed(reference, today, day, alarms)])
    return (
        pa.Table.from_pylist(rows, DRIFT).sort_by("feature"),
        whole.sort_by([("date", "ascending"), ("feature", "ascending")]).combine_chunks(),
    )


def _observed(reference: Reference, counts: Counts, day: date, alarms: Collection[str]) -> pa.Table:
    """One day's rows of the history."""
    rows = [
        {"date": day, "feature": scale.feature, "counts": cells.tolist(), "quiet": scale.feature not in alarms}
        for scale, cells in zip(reference.scales, counts, strict=True)
    ]
    return pa.Table.from_pylist(rows, HISTORY)


def _around(reference: date, day: date) -> bool:
    """Whether a day is near enough to the reference to stand for its weekday."""
    return -WEEK < (day - reference).days < REFERENCE_DAYS


@dataclass(frozen=True)
class _Past:
    """One feature's reference and the earlier days that have users: their cells, and which of them were quiet."""

    reference: date
    counts: dict[date, Counts]
    quiet: frozenset[date]

    @classmethod
    def of(cls, feature: str, history: pa.Table, reference: date, counts: Counts) -> Self:
        rows = history.filter(pc.equal(history["feature"], feature))
        cells = np.array(pc.list_flatten(rows["counts"]), dtype=np.int64).reshape(rows.num_rows, CELLS)
        days = {day: users for day, users in zip(rows["date"].to_pylist(), cells, strict=True) if users.any()}
        quiet = {day for day, quiet in zip(rows["date"].to_pylist(), rows["quiet"].to_pylist(), strict=True) if quiet}
        return cls(reference, {**days, reference: counts}, frozenset(quiet & days.keys()))

    def known(self, day: date) -> list[date]:
        """The days that show how the weekday of `day` was when the model was made, in order.

        A day of the two weeks after the reference does once a later day of the reference's own weekday was quiet: what came
        and went again is the week, or a thing that passes. What stays is a change, and must not become its own measure.
        A day of the week before the reference (there are some after an update) does if it was quiet.
        """
        if _lag(self.reference, day) == 0:
            return [self.reference]
        returned = max((one for one in self.quiet if _lag(self.reference, one) == 0), default=self.reference)
        return [
            one
            for one in sorted(self.counts)
            if _lag(one, day) == 0
            and _around(self.reference, one)
            and (one in self.quiet if one < self.reference else one < returned)
        ]

    def a_week_apart(self) -> list[tuple[Counts, Counts]]:
        """The pairs of quiet days that are a week apart."""
        earlier = ((day, day - timedelta(days=WEEK)) for day in sorted(self.quiet))
        return [(self.counts[day], self.counts[before]) for day, before in earlier if before in self.quiet]


def _lag(one: date, other: date) -> int:
    """Days from one weekday to the other, 0 to 6."""
    return (other - one).days % WEEK


def _compare(scale: Scale, today: Counts, past: _Past, day: date, distance: float) -> list[dict[str, Any]]:
    """The feature's row of the table; none when there are no users to compare."""
    if not today.any() or not past.counts[past.reference].any():
        return []
    known = past.known(day)
    wasserstein, nearest = min((scale.wasserstein(past.counts[one], today), one) for one in {past.reference, *known})
    psi = scale.psi(past.counts[nearest], today)
    floor = scale.noise(int(past.counts[nearest].sum()), int(today.sum()))
    if pairs := past.a_week_apart():
        floor = max(floor, float(np.quantile([scale.psi(*pair) for pair in pairs], QUIET_QUANTILE)))
    floor = round(floor, 6)
    needed = distance if known else UNKNOWN_WEEKDAY * distance
    return [
        {
            "feature": scale.feature,
            "psi": psi,
            "floor": floor,
            "wasserstein": wasserstein,
            "alarm": psi > floor and wasserstein >= needed,
            "compared_with": nearest,
        }
    ]
