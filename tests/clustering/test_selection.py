"""How many segments: of made-up users whose structure is known."""

import numpy as np
import pytest

from segmentation.clustering import selection
from segmentation.clustering.selection import choose
from segmentation.config import Clustering

SETTINGS = Clustering(max_segments=6)


def blobs(sizes: list[int], apart: float, seed: int = 0) -> np.ndarray:
    """Groups of users on the corners of a square, `apart` standard deviations of a group from each other."""
    dice = np.random.default_rng(seed)
    corners = apart * np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    return np.round(np.vstack([dice.normal(corners[place], 1, (size, 2)) for place, size in enumerate(sizes)]), 6)


@pytest.mark.parametrize("sizes", [[60, 60], [100, 20], [150, 150, 150], [150, 150, 150, 150], [400, 150, 40]])
def test_groups_with_gaps_between_them_are_natural(sizes: list[int]) -> None:
    choice = choose(blobs(sizes, 6), SETTINGS)
    assert (choice.segments, choice.structure) == (len(sizes), "natural")
    (figures,) = [one for one in choice.candidates if one["segments"] == len(sizes)]
    assert figures["stability"] >= 0.8
    assert figures["valley"] <= 0.5
    assert figures["smallest_share"] == pytest.approx(min(sizes) / sum(sizes), abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_kinds_that_are_told_apart_every_time_count_though_only_some_have_gaps_between_them(seed: int) -> None:
    """Four groups in two pairs: between the pairs is a gap, within each a dip. Two long groups are cut nowhere."""
    dice = np.random.default_rng(seed)
    points = np.vstack([dice.normal(place, 1, (250, 2)) for place in ([0, 0], [3.2, 0], [12, 0], [12, 3.2])])
    choice = choose(np.round(points, 6), SETTINGS)
    valley = {one["segments"]: one["valley"] for one in choice.candidates}
    assert valley[2] <= 0.5 < valley[4]
    assert (choice.segments, choice.structure) == (4, "reproducible")
    long = np.vstack([dice.normal(place, [1, 3], (500, 2)) for place in ([0, 0], [12, 0])])
    choice = choose(np.round(long, 6), SETTINGS)
    assert {one["segments"] for one in choice.candidates if one["jaccard"] >= 0.85} > {2}
    assert (choice.segments, choice.structure) == (2, "natural")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("apart", "structure"), [(5, "reproducible"), (6, "natural")])
def test_one_gap_alone_is_natural_only_if_it_is_empty(apart: int, structure: str, seed: int) -> None:
    """Two long groups. Nothing says that those between whom are some users are two, and not four or six."""
    dice = np.random.default_rng(seed)
    choice = choose(np.round(np.vstack([dice.normal(x, [1, 3], (500, 2)) for x in ([0, 0], [apart, 0])]), 6), SETTINGS)
    assert choice.candidates[0]["valley"] <= 0.5
    assert choice.structure == structure
    assert (choice.segments == 2) == (structure == "natural")


@pytest.mark.parametrize("seed", range(3))
def test_a_cloud_without_gaps_is_never_natural(seed: int) -> None:
    dice = np.random.default_rng(seed)
    for points in (dice.normal(0, 1, (600, 3)), dice.uniform(-1, 1, (600, 2))):
        assert choose(np.round(points, 6), SETTINGS).structure in ("reproducible", "constructive")


def test_the_number_of_now_is_kept_while_it_is_stable() -> None:
    points = blobs([150, 150, 150, 150], 6)
    assert (choose(points, SETTINGS, keep=2).segments, choose(points, SETTINGS, keep=2).structure) == (2, "kept")
    assert choose(points, SETTINGS, keep=6).segments == 4  # six are not stable, and four have gaps between them


def test_a_convention_that_does_not_repeat_itself_is_kept_while_nothing_natural_takes_its_place() -> None:
    cloud = np.round(np.random.default_rng(0).normal(0, 1, (600, 3)), 6)
    choice = choose(cloud, SETTINGS, keep=5)
    (figures,) = [one for one in choice.candidates if one["segments"] == 5]
    assert not figures["stable"]
    assert (choice.segments, choice.structure) == (5, "kept")
    assert choose(cloud, SETTINGS).segments != 5


def test_too_few_users_are_one_segment_and_a_number_that_is_given_is_taken() -> None:
    assert choose(blobs([50, 49], 6), SETTINGS).segments == 1
    given = choose(blobs([50, 49], 6), Clustering(segments=5))
    assert (given.segments, given.structure, given.candidates) == (5, "given", [])


def test_there_are_no_more_segments_than_different_users() -> None:
    assert choose(np.zeros((200, 2)), SETTINGS).segments == 1
    two = choose(np.repeat([[0.0, 0.0], [1.0, 1.0]], 100, axis=0), SETTINGS)
    assert two.segments == 2


def test_the_order_of_users_changes_nothing() -> None:
    points = blobs([150, 100, 80], 4)
    assert choose(points, SETTINGS) == choose(np.random.default_rng(1).permutation(points), SETTINGS)


def test_the_adjusted_rand_index_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import adjusted_rand_score

    dice = np.random.default_rng(2)
    for _ in range(20):
        one, other = dice.integers(0, 4, 60), dice.integers(0, 3, 60)
        table = selection._contingency(one, other, 4, 3)
        assert selection._adjusted_rand(table) == pytest.approx(adjusted_rand_score(one, other))
