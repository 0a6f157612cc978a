"""Segments by density, DBSCAN and HDBSCAN: places where users are dense, and the noise between them.

Both are read off one hierarchy of a bounded sample. Its cores, the users with enough others near them, then stand for the
segments: who is within reach of a core belongs to the nearest one's segment, everyone else is noise.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt

from segmentation.clustering.transform import Matrix
from segmentation.config import Clustering

Labels = npt.NDArray[np.int64]

SAMPLE_USERS = 5_000  # of the hierarchy, whose cost grows with their square
SMALLEST_SHARE = 0.03  # of the sample that a segment has at the least
MIN_SAMPLES = 5
MOST_NOISE = 0.3  # of the sample, for eps = auto
# Of the core distances: from the one on eps = auto tries, up to the other in any case, and beyond it while there are segments.
QUANTILES = (0.3, 0.995)
TRIED = 32  # values between the two
FACTOR = 1.05  # from one value to the next at the least


@dataclass(frozen=True)
class Cores:
    """points: of each segment's cores, (cores, features); reach: in frozen standard deviations; samples: how many users within
    reach make one a core."""

    points: tuple[Matrix, ...]
    reach: float
    samples: int

    def distances(self, points: Matrix) -> Matrix:
        """To the nearest core of each segment, (users, segments + 1). The last column, the same for everyone, is that of the
        noise: just beyond reach."""
        from scipy.spatial import cKDTree

        result = np.full((len(points), len(self.points) + 1), np.nextafter(self.reach, np.inf))
        for number, cores in enumerate(self.points):
            _, nearest = cKDTree(cores).query(points)
            squares = np.zeros(len(points))
            for axis in range(
                cores.shape[1]
            ):  # as kmeans.distances: the tree's own distances may differ in the last digit
                squares += (points[:, axis] - cores[nearest, axis]) ** 2
            result[:, number] = np.sqrt(squares)
        return result

    def apart(self, points: Matrix) -> Matrix:
        """How far each user who is out of reach of all cores, but in company there, is from the nearest core, (users,); 0 for
        everyone else.

        In company: with `samples` users within reach, of those that are out of reach of all cores. A group that is born is;
        the noise, which there always is, is not.
        """
        from scipy.spatial import cKDTree

        distance = self.distances(points)[:, :-1].min(axis=1)
        away = np.flatnonzero(distance > self.reach)
        result = np.zeros(len(points))
        if len(away):
            near = cKDTree(points[away]).query_ball_point(points[away], self.reach, return_length=True)
            company = away[near >= self.samples]
            result[company] = distance[company]
        return result


def fit(points: Matrix, settings: Clustering) -> tuple[Cores, Matrix] | None:
    """Cores and centres, (segments, features), of the segments in ascending order of their centres; None when there are no
    two. A centre is the mean of the segment's users: a density segment need not be around it.

    points: a sample of users, (users, features), in frozen standard deviations. Their order changes nothing.

    DBSCAN (Ester et al. 1996): users with `min_samples` users within `eps`, themselves included, are cores; cores within `eps`
    are of one segment. HDBSCAN (Campello et al. 2013): the segments that persist longest as eps grows; reach is the distance
    within which 95 % of their users have `min_samples` others. Segments of less than 3 % of the sample are noise.

    min_samples = auto: 5. (Twice the number of features, the usual rule, left 27 to 50 % noise on the households of a grocery
    chain.) eps = auto: values are tried, each the same factor above the one before, until no two segments are left. Those
    count that give 2 to `max_segments` segments and at most 30 % noise. The number of segments that most of them give is
    taken (the larger one of equals), and of its values the one with least noise.
    """
    from scipy.spatial import cKDTree
    from sklearn.cluster import HDBSCAN
    from threadpoolctl import threadpool_limits

    points = points[np.lexsort(points.T[::-1])]
    samples = MIN_SAMPLES if settings.min_samples == "auto" else int(settings.min_samples)
    smallest = max(2, samples, int(np.ceil(SMALLEST_SHARE * len(points))))
    if len(points) < 2 * smallest:
        return None
    core_distances = cKDTree(points).query(points, k=[samples])[0][:, 0]
    with threadpool_limits(limits=1):
        hierarchy = HDBSCAN(min_cluster_size=smallest, min_samples=samples, copy=True).fit(points)
    if settings.algorithm == "hdbscan":
        labels = np.asarray(hierarchy.labels_, dtype=np.int64)
        reach = float(np.quantile(core_distances[labels >= 0], 0.95)) if (labels >= 0).any() else 0.0
        return _cores(points, labels, round(reach, 6), samples)
    if settings.eps != "auto":
        return _cores(points, hierarchy.dbscan_clustering(float(settings.eps), smallest), float(settings.eps), samples)
    found = []
    known = core_distances[core_distances > 0]
    low, high = map(float, np.quantile(known, QUANTILES)) if len(known) else (1.0, 1.0)
    factor = max((high / low) ** (1 / (TRIED - 1)), FACTOR)
    for power in count():
        eps = round(low * factor**power, 6)
        labels = hierarchy.dbscan_clustering(eps, smallest)
        segments = int(labels.max()) + 1
        if segments < 2 and eps > high:
            break
        if not 2 <= segments <= settings.max_segments or not (cut := _cores(points, labels, eps, samples)):
            continue
        # Beyond the distances within a group everyone is a core, and nobody need be looked for.
        alone = bool((labels < 0).any())
        noise = float(np.mean(np.argmin(cut[0].distances(points), axis=1) == segments)) if alone else 0.0
        if noise <= MOST_NOISE:
            found.append((segments, noise, eps, cut))
    if not found:
        return None
    given = Counter(segments for segments, *_ in found)
    most = max(given, key=lambda segments: (given[segments], segments))
    return min((one for one in found if one[0] == most), key=lambda one: one[1:3])[3]


def _cores(points: Matrix, labels: npt.NDArray[np.generic], reach: float, samples: int) -> tuple[Cores, Matrix] | None:
    numbers = [number for number in np.unique(labels) if number >= 0]
    if len(numbers) < 2 or not reach:
        return None
    members = [points[labels == number] for number in numbers]
    centres = np.array([np.round(cores.mean(axis=0), 6) + 0.0 for cores in members])
    order = sorted(range(len(numbers)), key=lambda number: tuple(centres[number]))
    cores = tuple(np.unique(members[number], axis=0) for number in order)
    return Cores(cores, reach, samples), centres[order]
