"""DBSCAN and HDBSCAN: checked against scikit-learn's own, and against what they are for."""

import json

import numpy as np
import pyarrow as pa
import pytest

from segmentation.clustering import density
from segmentation.clustering.model import Fit
from segmentation.config import Clustering
from segmentation.store.content import canonical_json

Matrix = np.ndarray


def moons(seed: int = 0, users: int = 600, noise: int = 40) -> Matrix:
    """Two arcs, which no centres tell apart, and users anywhere around them."""
    dice = np.random.default_rng(seed)
    angle = dice.uniform(0, np.pi, users)
    arc = np.column_stack([np.cos(angle), np.sin(angle)]) + dice.normal(0, 0.05, (users, 2))
    arc[::2] = [1.0, 0.4] - arc[::2]
    return np.round(np.vstack([arc, dice.uniform(-3, 3, (noise, 2))]), 6)


@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan"])
def test_segments_of_any_form_are_found_and_what_is_far_from_them_is_noise(algorithm: str) -> None:
    points = moons()
    cores, centres = density.fit(points, Clustering(algorithm=algorithm))
    assert len(centres) == 2
    states = np.argmin(cores.distances(points), axis=1)
    upper = np.arange(600) % 2 == 1
    agreed = [np.mean(states[:600][upper] == state) for state in (0, 1)]
    assert max(agreed) > 0.95
    assert np.mean(states[:600] == 2) < 0.05
    assert np.mean(states[600:] == 2) > 0.5


def test_the_cores_are_those_of_scikit_learns_dbscan() -> None:
    from sklearn.cluster import DBSCAN

    points = moons(seed=3)
    eps = 0.2
    cores, _ = density.fit(points, Clustering(algorithm="dbscan", eps=eps, min_samples=8))
    theirs = DBSCAN(eps=eps, min_samples=8).fit(points)
    kept = [number for number in set(theirs.labels_) if number >= 0 and np.sum(theirs.labels_ == number) >= 20]
    inside = [points[np.intersect1d(theirs.core_sample_indices_, np.flatnonzero(theirs.labels_ == n))] for n in kept]
    assert sorted(map(len, cores.points)) == sorted(len(np.unique(one, axis=0)) for one in inside)
    # Who is within reach of a core belongs to it: DBSCAN's border points too.
    states = np.argmin(cores.distances(points), axis=1)
    assert np.array_equal(states == len(kept), ~np.isin(theirs.labels_, kept))


def test_noise_is_just_beyond_reach() -> None:
    cores = density.Cores((np.array([[0.0]]), np.array([[10.0]])), 1.0, 5)
    distances = cores.distances(np.array([[1.0], [1.000001], [9.5], [5.0]]))
    assert np.argmin(distances, axis=1).tolist() == [0, 2, 1, 2]
    assert distances[1].tolist() == pytest.approx([1.000001, 8.999999, 1.0])


def test_one_crowd_has_no_segments_by_density() -> None:
    dice = np.random.default_rng(4)
    crowd = np.round(dice.normal(0, 1, (500, 2)), 6)
    assert density.fit(crowd, Clustering(algorithm="dbscan")) is None
    assert density.fit(crowd[:20], Clustering(algorithm="hdbscan")) is None
    table = pa.table({"user_id": [f"u{n:03}" for n in range(500)], "recency": crowd[:, 0], "frequency": crowd[:, 1]})
    fit = Fit.of(table, ("recency", "frequency"), Clustering(algorithm="dbscan"), None)
    assert (len(fit.centres), fit.has_noise) == (1, False)  # everyone is in one, nobody is noise


@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan"])
def test_the_order_of_users_changes_nothing_and_a_fit_comes_back_from_its_document(algorithm: str) -> None:
    points = moons(seed=5)
    ids = np.array([f"u{number:04}" for number in range(len(points))])
    table = pa.table({"user_id": ids, "recency": points[:, 0], "frequency": points[:, 1]})
    names, settings = ("recency", "frequency"), Clustering(algorithm=algorithm)
    fit = Fit.of(table, names, settings, None)
    again = Fit.from_document(json.loads(canonical_json(fit.document())))
    assert np.array_equal(again.distances(table), fit.distances(table))
    turned = np.random.default_rng(6).permutation(len(points))
    other = density.fit(points[turned], settings)
    assert other is not None
    same = density.fit(points, settings)
    assert same is not None
    assert np.array_equal(other[1], same[1])
    assert (other[0].reach, other[0].samples) == (same[0].reach, same[0].samples)
    assert all(np.array_equal(*pair) for pair in zip(other[0].points, same[0].points, strict=True))
    alone = fit.distances(table.slice(7, 1))
    assert np.array_equal(alone[0], fit.distances(table)[7])


def twelve(day: int, users: int = 720) -> Matrix:
    """Twelve groups in a lattice whose rows are 2 apart and whose columns are 6: a place for each user, each day a new one."""
    dice = np.random.default_rng(day)
    number = np.arange(users) % 12
    return np.round(np.column_stack([number // 4 * 2.0, number % 4 * 6.0]) + dice.normal(0, 0.1, (users, 2)), 6)


@pytest.mark.parametrize(("most", "segments"), [(14, 12), (10, 4)])
def test_tight_groups_are_the_same_segments_every_day_also_where_there_are_more_than_may_be(
    most: int, segments: int
) -> None:
    """With at most ten, the columns: they are apart at all distances from 2 to 6, far beyond those within a group."""
    for day in range(8):
        found = density.fit(twelve(day), Clustering(algorithm="dbscan", max_segments=most))
        assert found is not None
        assert len(found[1]) == segments
        noise = np.argmin(found[0].distances(twelve(day + 100)), axis=1) == segments
        assert noise.mean() < 0.02


@pytest.mark.parametrize("algorithm", ["dbscan", "hdbscan"])
def test_whoever_is_in_company_out_of_reach_is_far_and_the_noise_is_not(algorithm: str) -> None:
    """Counted over all pairs; then other users of the same shop, and 40 who come together in the middle of the noise."""
    dice = np.random.default_rng(3)

    def shop(seed: int, *more: Matrix) -> pa.Table:
        points = np.vstack([moons(seed), *more])
        ids = [f"u{number:04}" for number in range(len(points))]
        return pa.table({"user_id": ids, "recency": points[:, 0], "frequency": points[:, 1]})

    fit = Fit.of(shop(0), ("recency", "frequency"), Clustering(algorithm=algorithm), None)
    reach = fit.cores.reach

    def far(table: pa.Table) -> float:
        points = fit.points(table)
        away = points[np.argmin(fit.distances(table), axis=1) == len(fit.centres)]
        near = (np.linalg.norm(away[:, None] - away[None], axis=2) <= reach).sum(axis=1)
        share = float(np.mean(fit.reach(table) > reach))
        assert share == np.sum(near >= 5) / len(points)
        return share

    assert max(far(shop(seed)) for seed in range(1, 8)) < far(shop(0)) + 0.03
    assert far(shop(8, np.array([2.5, -2.0]) + dice.normal(0, 0.1, (40, 2)))) > far(shop(0)) + 0.04
