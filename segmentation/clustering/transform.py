"""The frozen transform: features in their own units → the space that distances are measured in.

Fitted once with a model and kept in it, so that a user's place changes only when the user's features do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Matrix = npt.NDArray[np.float64]

SKEWED = 1.0  # sample skewness beyond which a feature is taken on a logarithmic scale
CLIP = (0.005, 0.995)  # quantiles beyond which a value counts as the quantile


@dataclass(frozen=True)
class Axis:
    """One feature's transform: undefined → fill, then sign(x)·log(1 + |x|) if `log`, clipped, standardised."""

    feature: str
    fill: float
    log: bool
    low: float
    high: float
    mean: float
    sd: float

    def apply(self, values: Matrix) -> Matrix:
        x = np.where(np.isnan(values), self.fill, values)
        if self.log:
            x = _signed_log(x)
        # Rounded, so that the last digit of a processor's logarithm never decides a segment.
        return np.round((np.clip(x, self.low, self.high) - self.mean) / self.sd, 6) + 0.0


@dataclass(frozen=True)
class Transform:
    axes: tuple[Axis, ...]

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(axis.feature for axis in self.axes)

    @classmethod
    def fit(cls, table: pa.Table, features: Sequence[str]) -> Self:
        """Fit on a table with a float64 column per feature (null where undefined), rows in a fixed order."""
        return cls(tuple(_fit_axis(name, column(table, name)) for name in features))

    def apply(self, table: pa.Table) -> Matrix:
        """The users as points: shape (users, features), in frozen standard deviations, rounded to 1e-6."""
        return np.column_stack([axis.apply(column(table, axis.feature)) for axis in self.axes])

    def uncut(self) -> Self:
        """The same space without its ends: how far out a user is shows."""
        return type(self)(tuple(replace(axis, low=-np.inf, high=np.inf) for axis in self.axes))

    def widened(self, table: pa.Table) -> Self:
        """The same space with its ends further out where the table's are: nobody who is inside is elsewhere."""
        wider = type(self).fit(table, self.features)
        axes = []
        for axis, today in zip(self.axes, wider.axes, strict=True):
            ends = np.array([today.low, today.high])
            if today.log and not axis.log:
                ends = np.copysign(np.expm1(np.abs(ends)), ends)
            if axis.log and not today.log:
                ends = _signed_log(ends)
            low, high = (round(float(end), 6) for end in ends)
            axes.append(replace(axis, low=min(axis.low, low), high=max(axis.high, high)))
        return type(self)(tuple(axes))

    def document(self) -> list[dict[str, Any]]:
        return [dict(vars(axis)) for axis in self.axes]

    @classmethod
    def from_document(cls, document: list[dict[str, Any]]) -> Self:
        return cls(tuple(Axis(**axis) for axis in document))


def column(table: pa.Table, name: str) -> Matrix:
    """A float column as NumPy, null as NaN."""
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)


def _fit_axis(name: str, values: Matrix) -> Axis:
    known = values[~np.isnan(values)]
    fill = round(float(np.median(known)), 6) if len(known) else 0.0
    x = np.where(np.isnan(values), fill, values)
    log = _skewness(x) > SKEWED
    if log:
        x = _signed_log(x)
    low, high = (round(float(bound), 6) for bound in np.quantile(x, CLIP))
    x = np.clip(x, low, high)
    sd = round(float(np.std(x)), 6)
    return Axis(name, fill, log, low, high, round(float(np.mean(x)), 6), sd or 1.0)


def _signed_log(x: Matrix) -> Matrix:
    return np.asarray(np.copysign(np.log1p(np.abs(x)), x))


def _skewness(x: Matrix) -> float:
    """Third standardised moment; 0 for a constant."""
    sd = float(np.std(x))
    return float(np.mean(((x - np.mean(x)) / sd) ** 3)) if sd > 0 else 0.0
