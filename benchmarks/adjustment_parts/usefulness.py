"""Part 2: what the groups of a day say about the next 90 days of the same households, of Complete Journey.

Snapshots of four days, households that bought in the 270 days before, nothing after the day used. A group says the mean of its
members: R² is the sum of squares between groups / total, in sample (with some 2,400 households and up to 27 groups chance
alone gives 0.01). The interval of a difference is that of 1,000 draws of households with replacement, the same for both.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from adjustment_parts.journey import COLUMNS, Journey, load
from segmentation.clustering import selection
from segmentation.clustering.model import Fit
from segmentation.clustering.transform import Matrix, Transform
from segmentation.config import Clustering
from segmentation.features.catalogue import model_features

SNAPSHOTS = (date(2017, 6, 30), date(2017, 7, 31), date(2017, 8, 31), date(2017, 9, 30))
ACTIVE, AHEAD = 270, 90
OUTCOMES = ("log spend", "no purchase", "log baskets", "discount share")
DRAWS = 1_000
OURS = "ours: auto, at most 6"
Groups = npt.NDArray[np.int64]

# PyMC-Marketing 0.19, clv.utils.rfm_segments: scores of quartiles of recency (reversed), frequency and mean value of a day.
PYMC = {
    "premium": "334 443 444 344 434 433 343 333",
    "repeat": "244 234 232 332 143 233 243 242",
    "top spender": "424 414 144 314 324 124 224 423 413 133 323 313 134",
    "at risk": "422 223 212 122 222 132 322 312 412 123 214",
    "inactive": "411 111 113 114 112 211 311",
}


@dataclass(frozen=True)
class Figure:
    groups: int  # of the last snapshot
    r2: dict[str, float]  # by outcome, mean over the snapshots

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.r2.values())))


def measure() -> tuple[dict[str, Figure], dict[str, tuple[float, float]]]:
    """Each method's figures; and the 95 % interval of ours less each other's, of the mean over outcomes and snapshots."""
    journey = load([(window, SNAPSHOTS) for window in (30, 90, ACTIVE)])
    groups = {day: _methods(journey, day) for day in SNAPSHOTS}
    outcomes = {day: _outcomes(journey, day) for day in SNAPSHOTS}
    methods = list(groups[SNAPSHOTS[0]])
    found = {}
    for method in methods:
        r2 = {
            name: float(np.mean([_r2(groups[day][method], outcomes[day][name]) for day in SNAPSHOTS]))
            for name in OUTCOMES
        }
        found[method] = Figure(len(np.unique(groups[SNAPSHOTS[-1]][method])), r2)
    dice = np.random.default_rng(0)
    apart: dict[str, list[float]] = {method: [] for method in methods if method != OURS}
    for _ in range(DRAWS):
        means = dict.fromkeys(methods, 0.0)
        for day in SNAPSHOTS:
            size = len(groups[day][OURS])
            drawn = dice.integers(0, size, size)
            for method in methods:
                values = [_r2(groups[day][method][drawn], outcomes[day][name][drawn]) for name in OUTCOMES]
                means[method] += float(np.mean(values)) / len(SNAPSHOTS)
        for method, differences in apart.items():
            differences.append(means[OURS] - means[method])
    return found, {method: tuple(np.quantile(values, [0.025, 0.975])) for method, values in apart.items()}


def _r2(groups: Groups, outcome: Matrix) -> float:
    """Sum of squares between groups / total, of the households that have the outcome."""
    known = ~np.isnan(outcome)
    groups, outcome = groups[known], outcome[known] - outcome[known].mean()
    size = np.bincount(groups)
    there = size > 0
    return float((np.bincount(groups, outcome)[there] ** 2 / size[there]).sum() / (outcome**2).sum())


def _there(journey: Journey, day: date) -> npt.NDArray[np.int64]:
    return journey.rows(journey.features[ACTIVE, day])


def _outcomes(journey: Journey, day: date) -> dict[str, Matrix]:
    """Of the next 90 days; the discount share is unknown (NaN) of those who buy nothing."""
    there = _there(journey, day)
    spend, discount, baskets = (journey.after(name, day, AHEAD)[there] for name in ("amount", "discount", "orders"))
    spend = np.maximum(spend, 0)
    with np.errstate(invalid="ignore"):
        share = np.where(spend + discount > 0, discount / (spend + discount), np.nan)
    values = (np.log1p(spend), (baskets == 0).astype(float), np.log1p(baskets), share)
    return dict(zip(OUTCOMES, values, strict=True))


def _methods(journey: Journey, day: date) -> dict[str, Groups]:
    table = journey.features[ACTIVE, day]
    there = _there(journey, day)
    bought = journey.until("orders", day, ACTIVE)[there] > 0
    recency = np.argmax(bought[:, ::-1], axis=1).astype(float)
    visits = bought.sum(axis=1).astype(float)
    spend = journey.until("amount", day, ACTIVE)[there].sum(axis=1)
    thirds = [pd.qcut(pd.Series(values).rank(method="first"), 3, labels=False) for values in (-recency, visits, spend)]
    scores = [_quartiles(-recency), _quartiles(visits), _quartiles(spend / np.maximum(visits, 1))]
    kinds = {score: name for name, listed in PYMC.items() for score in listed.split()}
    named = pd.Series(["".join(map(str, score)) for score in zip(*scores, strict=True)]).map(kinds).fillna("other")
    return {
        OURS: _ours(table, Clustering(max_segments=6)),
        "ours: 6": _ours(table, Clustering(segments=6)),
        "27 RFM cells": _coded(9 * thirds[0] + 3 * thirds[1] + thirds[2]),
        "spend sextiles": _coded(pd.qcut(pd.Series(spend).rank(method="first"), 6, labels=False)),
        "PyMC-Marketing's rfm_segments": _coded(named),
        "k-means, k = 6, 30/90/270 days": _plain(journey, day),
    }


def _quartiles(values: Matrix) -> list[int]:
    return [1 + int(number) for number in pd.qcut(values, 4, labels=False, duplicates="drop")]


def _coded(groups: "pd.Series[int] | pd.Series[str]") -> Groups:
    return np.asarray(pd.factorize(groups, sort=True)[0], dtype=np.int64)


def _ours(table: object, settings: Clustering) -> Groups:
    names = model_features(settings, COLUMNS)
    segments = selection.choose(Transform.fit(table, names).apply(table), settings).segments
    return np.asarray(np.argmin(Fit.of(table, names, settings, segments).distances(table), axis=1))


def _plain(journey: Journey, day: date) -> Groups:
    """Plain k-means: orders, spend and recency of three windows, log(1 + x), standardised."""
    there = _there(journey, day)
    columns = []
    for window in (30, 90, ACTIVE):
        orders = journey.until("orders", day, window)[there].sum(axis=1)
        amount = np.maximum(journey.until("amount", day, window)[there].sum(axis=1), 0)
        discount = journey.until("discount", day, window)[there].sum(axis=1)
        columns += [orders, amount, discount]
    x = np.log1p(np.column_stack(columns))
    with threadpool_limits(limits=1):
        return np.asarray(KMeans(6, n_init=10, random_state=0).fit_predict((x - x.mean(axis=0)) / x.std(axis=0)))
