"""How many segments: which numbers of them the data bear, and which of these gives the most to act on.

K-means returns k segments for every k. Two questions tell the numbers apart. Do the same segments come back when other users
of the same shop are drawn (Hennig 2007; Dolnicar and Leisch 2010)? Is there a gap between them?
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from segmentation.clustering import kmeans
from segmentation.clustering.transform import Matrix
from segmentation.config import Clustering

Structure = Literal["natural", "reproducible", "constructive", "kept", "given"]
Labels = npt.NDArray[np.int64]

STABLE = 0.8  # median adjusted Rand index of the bootstrap
SEGMENT_STABLE = 0.6  # every segment's mean Jaccard index over the bootstrap (Hennig 2007: below it, it dissolves)
SMALLEST_SHARE = 0.03
VALLEY = 0.5  # least density between two segments over the lower of their peaks
BETWEEN_TWO = 0.07  # the same as it was counted, without what chance may have left out, where there is only one gap
CONVENTIONAL = 6  # the most segments that are taken without gaps between them
# More segments than have gaps between them are taken if all are highly stable (Hennig 2007: from this Jaccard index on), and
# the density dips between every two of them: the halves of one long group are as stable, and have no dip.
HIGHLY_STABLE, DIP = 0.85, 1.0
BOOTSTRAPS = 20
RESTARTS = 5  # of K-means on a resample
DRAWN_USERS = 5_000  # that the candidates are tried on: more make every k look stable


@dataclass(frozen=True)
class Choice:
    """The number of segments, why it is this one, and the figures of every number that was tried (plain values).

    * natural: stable, with a valley between every two segments;
    * reproducible: stable, without gaps: the borders are a convention;
    * constructive: nothing is stable, the fewest segments;
    * kept: the number of before, which is stable still;
    * given: by the configuration, nothing was tried.
    """

    segments: int
    structure: Structure
    candidates: list[dict[str, Any]]


def choose(points: Matrix, settings: Clustering, keep: int | None = None) -> Choice:
    """How many segments K-means should make of the points, (users, features), in standard deviations.

    Candidates are the numbers from `min_segments` to `max_segments` that are stable: median adjusted Rand index of the
    bootstrap ≥ 0.8, every segment's mean Jaccard index ≥ 0.6 and share ≥ 3 %. Of those with a valley between every two
    segments, half as dense as the lower peak or less (between two alone: 7 %), the largest is taken: natural. A larger
    one up to 6 goes before it if each of its segments is highly stable (Jaccard index ≥ 0.85: Hennig 2007) and between every
    two the density dips by more than chance, and where there are no gaps the largest up to 6 does: reproducible. Without any:
    `min_segments`, constructive.

    keep: the number of segments of now. It is taken while it is a candidate, and also else if nothing natural takes its place:
    where there are no gaps borders are a convention, and one that is there already is not given up for another. A number that
    has a stability of 0.81 on one day has 0.79 or 0.5 on another, in shops in which nothing happens.

    With fewer users than `min_users` everyone is in one segment; there are never more segments than different points.
    Neither the order of the points nor the number of threads counts. Cost: bounded, on a draw of 5,000 points.

    Why a valley must be that deep: shallow ones are everywhere (a tenth of customers who never use a discount, a count of
    orders that is 1 or 2), and stop at 2 to 4 segments. In the simulated shop of 7 kinds of users, with a valley of 0.9
    half-way as the rule, k was 2 to 4 with an adjusted Rand index to the truth of 0.19 to 0.29; with this rule it is 6, and
    0.30 to 0.42.
    Blobs 4 standard deviations apart have valleys of 0.3. Why a gap is not all: in shops of four kinds of users, of which two
    or three lie nearer to each other, two segments had gaps and four were highly stable; two hid what happened in them.
    Why two must have next to nobody between them: one gap, between those who came once and all others, is
    in every shop that knows only orders. In nine shops of five kinds of users it had valleys of 0.2 to 0.3; two segments had
    an adjusted Rand index of 0.33, the 5 or 6 that are stable 0.51, and a birth and a death that two hid are found with them.
    """
    if settings.segments != "auto":
        return Choice(int(settings.segments), "given", [])
    if len(points) < settings.min_users:
        return Choice(1, "constructive", [])
    drawn = _drawn(points, settings.seed)
    most = min(settings.max_segments, len(np.unique(drawn, axis=0)))
    fewest = min(settings.min_segments, most)
    figures = [_figures(drawn, segments, settings.seed) for segments in range(max(fewest, 2), most + 1)]
    stable = [figure["segments"] for figure in figures if figure["stable"]]
    natural = [figure["segments"] for figure in figures if figure["stable"] and _has_gaps(figure)]
    conventional = [segments for segments in stable if segments <= max(CONVENTIONAL, fewest)]
    if keep is not None and keep in stable:
        return Choice(keep, "kept", figures)
    if natural:
        sure = {one["segments"] for one in figures if one["jaccard"] >= HIGHLY_STABLE and one["valley"] < DIP}
        found = max([*natural, *sure.intersection(conventional)])
        return Choice(found, "natural" if found in natural else "reproducible", figures)
    if keep is not None and keep <= most:
        return Choice(keep, "kept", figures)
    if conventional:
        return Choice(max(conventional), "reproducible", figures)
    return Choice(fewest, "constructive", figures)


def _has_gaps(figure: dict[str, Any]) -> bool:
    return bool(figure["valley"] <= VALLEY and (figure["segments"] > 2 or figure["between"] <= BETWEEN_TWO))


def _drawn(points: Matrix, seed: int) -> Matrix:
    """At most `DRAWN_USERS` of the points, drawn at random; the same ones whatever the order of the rows."""
    ordered = points[np.lexsort(points.T[::-1])]
    if len(points) <= DRAWN_USERS:
        return ordered
    return ordered[np.sort(np.random.default_rng(seed).permutation(len(points))[:DRAWN_USERS])]


def _figures(points: Matrix, segments: int, seed: int) -> dict[str, Any]:
    """What can be said about one number of segments, rounded.

    * stability: the median over `BOOTSTRAPS` resamples of the adjusted Rand index between the segments of all and those that
      K-means makes of the resample, both on all points;
    * jaccard: the mean over the resamples of |A ∩ B| / |A ∪ B|, where B is the resample's segment that is most like A; of
      the segment A for which it is least;
    * smallest_share, inertia (mean squared distance to the centre);
    * valley, between: see `valley`, of the two segments for which it is largest;
    * stable: whether the first three hold.
    """
    centres = kmeans.fit(points, segments, seed)
    labels, inertia = _assigned(points, centres)
    sizes = np.bincount(labels, minlength=len(centres))
    indices = []
    overlaps = np.zeros(len(centres))
    for number in range(BOOTSTRAPS):
        draw = np.random.default_rng((seed, segments, number))
        again = kmeans.fit(
            points[np.sort(draw.integers(0, len(points), len(points)))], segments, seed + number, RESTARTS
        )
        table = _contingency(labels, _assigned(points, again)[0], len(centres), len(again))
        indices.append(_adjusted_rand(table))
        overlaps += (table / (table.sum(axis=1, keepdims=True) + table.sum(axis=0) - table)).max(axis=1)
    stability = round(float(np.median(indices)), 6)
    jaccard = round(float(overlaps.min() / BOOTSTRAPS), 6)
    smallest = round(float(sizes.min() / len(points)), 6)
    deepest, between = _largest_valley(points, centres, labels)
    return {
        "segments": segments,
        "stability": stability,
        "jaccard": jaccard,
        "smallest_share": smallest,
        "valley": deepest,
        "between": between,
        "inertia": round(inertia, 6),
        "stable": stability >= STABLE and jaccard >= SEGMENT_STABLE and smallest >= SMALLEST_SHARE,
    }


def _assigned(points: Matrix, centres: Matrix) -> tuple[Labels, float]:
    distances = kmeans.distances(points, centres)
    return np.argmin(distances, axis=1), float(np.mean(distances.min(axis=1) ** 2))


def _contingency(labels: Labels, others: Labels, rows: int, columns: int) -> npt.NDArray[np.int64]:
    return np.bincount(labels * columns + others, minlength=rows * columns).reshape(rows, columns)


def _adjusted_rand(table: npt.NDArray[np.int64]) -> float:
    """Adjusted Rand index (Hubert and Arabie 1985) of a contingency table; 1 where there is nothing to tell apart."""

    def pairs(counts: npt.NDArray[np.int64]) -> float:
        return float((counts * (counts - 1) // 2).sum())

    both, rows, columns = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = rows * columns / pairs(table.sum(keepdims=True))
    most = (rows + columns) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def _largest_valley(points: Matrix, centres: Matrix, labels: Labels) -> tuple[float, float]:
    """Of the two segments that are least apart; 0 where there are no two."""
    valleys = [
        valley(points[(labels == one) | (labels == other)], centres[one], centres[other])
        for one, other in combinations(range(len(centres)), 2)
    ]
    return max(valleys, default=(0.0, 0.0))


def valley(points: Matrix, one: Matrix, other: Matrix) -> tuple[float, float]:
    """How deep the density falls between two centres: its least over the lower of its two peaks, 1 for no valley, as it may be
    at the most and as it was counted, rounded.

    points: those of the two segments. Their density along the line through the centres (at 0 and 1) is the number within
    ±0.1 of a place, every 0.05; a peak is the highest place on each side of half-way. The least between the peaks, not the
    value half-way, because beside a large segment the valley of a small one is nearer to the small one. At the most it is the
    largest that chance may have thinned out to what is seen: √(n + 3/8) of a count varies by ½, whatever the count
    (Anscombe 1948), and twice that is added.
    """
    along = np.zeros(len(points))
    length = 0.0
    for axis, (start, end) in enumerate(zip(one, other, strict=True)):
        along += (points[:, axis] - start) * (end - start)
        length += (end - start) ** 2
    place = np.sort(np.round(along / length, 6))
    density = np.searchsorted(place, _PLACES + 0.1, "right") - np.searchsorted(place, _PLACES - 0.1)
    half_way = len(_PLACES) // 2
    left = int(np.argmax(density[:half_way]))
    right = half_way + 1 + int(np.argmax(density[half_way + 1 :]))
    least, peak = density[left + 1 : right].min(), min(density[left], density[right])
    most = float((np.sqrt(least + 0.375) + 1) ** 2 / (peak + 0.375))
    return round(most, 6), round(float(least / max(peak, 1)), 6)


_PLACES = np.arange(-10, 31) / 20
