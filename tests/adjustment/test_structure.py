"""Segments are added where users are far from all, and left out where nobody is left; all others stay as they are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans

from segmentation.adjustment import evaluation
from segmentation.adjustment.evaluation import PARTED
from segmentation.adjustment.structure import Piecewise, _grown, piecewise, saved
from segmentation.clustering import kmeans
from segmentation.clustering.model import Fit
from segmentation.clustering.transform import Transform
from segmentation.config import Clustering

NAMES = ("x", "y")
CENTRES = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
SETTINGS = Clustering()


def crowd(places: Sequence[tuple[float, float, int]], seed: int = 0) -> np.ndarray:
    """Users about these places: x, y, how many."""
    dice = np.random.default_rng(seed)
    return np.vstack([np.array([x, y]) + dice.normal(0, 1, (count, 2)) for x, y, count in places])


def table(points: np.ndarray) -> pa.Table:
    users = [f"u{number:05}" for number in range(len(points))]
    return pa.table({"user_id": users, "x": points[:, 0], "y": points[:, 1]})


def founded(points: np.ndarray, segments: int) -> tuple[Fit, float]:
    """A fit of these users, and its 99 % distance."""
    fit = Fit.of(table(points), NAMES, SETTINGS, segments)
    return fit, float(np.quantile(fit.reach(table(points)), 0.99))


def changed(
    fit: Fit,
    far: float,
    points: np.ndarray,
    faded: Mapping[int, float] | None = None,
    saved_then: float = 0.0,
    parted: bool = False,
    settling: Collection[int] = (),
    saves: float = PARTED,
    **settings: int,
) -> Piecewise:
    clustering = SETTINGS.model_copy(update=settings)
    every = range(len(fit.centres)) if parted else ()
    return piecewise(fit, fit, settling, far, table(points), faded or {}, 0.02, saved_then, every, saves, clustering)


def own_units(fit: Fit) -> np.ndarray:
    """The centres in the units of the features."""
    axes = fit.transform.axes
    return fit.centres * [axis.sd for axis in axes] + [axis.mean for axis in axes]


FOUR = [(float(x), float(y), 250) for x, y in CENTRES]


def test_a_group_where_nobody_was_gets_a_segment_and_the_others_stay() -> None:
    """By hand: 100 users about (25, 4), far beyond the ends of the frozen scale; the four others are where they were."""
    fit, far = founded(crowd(FOUR), 4)
    found = changed(fit, far, np.vstack([crowd(FOUR), crowd([(25, 4, 100)], seed=1)]))
    assert found.fit is not None
    centres = own_units(found.fit)
    assert len(centres) == 5
    new = centres[np.argmax(centres[:, 0])]
    assert new == pytest.approx([25, 4], abs=0.6)
    old = centres[np.argsort(centres[:, 0])][:4]
    assert np.sort(old, axis=0) == pytest.approx(np.sort(own_units(fit), axis=0), abs=0.1)
    assert found.evidence["now"] == pytest.approx(0.1, abs=0.01)
    assert found.evidence["grown"][0] < 0.015


def test_two_new_groups_get_two_segments() -> None:
    fit, far = founded(crowd(FOUR), 4)
    found = changed(fit, far, np.vstack([crowd(FOUR), crowd([(25, 4, 100), (4, -20, 100)], seed=1)]))
    assert found.fit is not None
    centres = own_units(found.fit)
    assert len(centres) == 6
    for place in (*CENTRES, (25, 4), (4, -20)):
        assert np.abs(centres - np.array(place)).sum(axis=1).min() < 0.6
    assert not found.still_far


@pytest.mark.parametrize(
    ("newcomers", "settings"),
    [
        (crowd([(25, 4, 25)], seed=1), {}),  # 2.4 % of the users are too few for a segment
        (np.random.default_rng(2).uniform(-60, 60, (60, 2)), {}),  # far from each other, too: no one place is theirs
        (crowd([(25, 4, 100)], seed=1), {"max_segments": 4}),
    ],
)
def test_no_segment_is_added_for_a_few_for_the_scattered_or_beyond_the_most(
    newcomers: np.ndarray, settings: dict[str, int]
) -> None:
    fit, far = founded(crowd(FOUR), 4)
    assert changed(fit, far, np.vstack([crowd(FOUR), newcomers]), **settings).fit is None


def test_a_segment_that_is_left_out_does_not_explain_far_users() -> None:
    fit, far = founded(crowd([*FOUR, (4.5, 4.5, 250)]), 5)
    faded = {int(np.argmin(np.abs(own_units(fit) - 4.5).sum(axis=1))): np.inf}
    last = [*FOUR, (4.5, 4.5, 10)]
    today = np.vstack([crowd(last), crowd([(25, 4, 100)], seed=1)])
    (saves,) = changed(fit, far, today).evidence["saved"]
    without = changed(fit, far, today, faded=faded, saved_then=saves)
    assert without.fit is not None
    assert len(without.fit.centres) == 4
    assert without.still_far
    both = changed(fit, far, today, faded=faded, saved_then=saves / 2)
    assert both.fit is not None
    assert len(both.fit.centres) == 5
    assert not both.still_far
    assert not changed(fit, far, crowd(last), faded=faded).still_far


def test_a_faded_segment_whose_users_would_be_far_from_all_others_is_not_left_out() -> None:
    fit, far = founded(crowd(FOUR), 4)
    assert changed(fit, far, crowd([*FOUR[:3], (9, 9, 80)]), faded={3: np.inf}).fit is None
    found = changed(fit, far, crowd([*FOUR[:3], (9, 9, 20)]), faded={3: np.inf})
    assert found.fit is not None
    assert len(found.fit.centres) == 3


@pytest.mark.parametrize("parted", [False, True])
def test_who_does_not_come_any_more_is_no_new_segment(parted: bool) -> None:
    """100 newcomers, as bots that were there for a few days: seen 9 days ago, all others within the last week."""
    fit, far = founded(crowd(FOUR), 4)
    there = table(np.vstack([crowd(FOUR), crowd([(25, 4, 100)], seed=1)]))

    def grown(newcomers: float | None, others: float | None, name: str = "recency") -> bool:
        days = pa.array([others] * 750 + [0.0] * 250 + [newcomers] * 100, pa.float64())
        today = there.append_column(name, days)
        return (
            piecewise(fit, fit, (), far, today, {}, 0.02, 0.0, range(4) if parted else (), PARTED, SETTINGS).fit
            is not None
        )

    assert grown(newcomers=2.0, others=5.0)
    assert not grown(newcomers=9.0, others=5.0)
    assert not grown(newcomers=9.0, others=5.0, name="browse_recency")
    assert not grown(newcomers=None, others=5.0)  # nothing known of them, and the others do come
    assert grown(newcomers=9.0, others=5.0, name="views")  # no feature says when anybody was seen


def test_far_users_get_no_segment_that_saves_less_than_half_again_what_one_always_would() -> None:
    fit, far = founded(crowd(FOUR), 4)
    today = np.vstack([crowd(FOUR), crowd([(25, 4, 100)], seed=1)])
    (saves,) = changed(fit, far, today).evidence["saved"]
    assert changed(fit, far, today, saved_then=saves * 0.66).fit is not None
    assert changed(fit, far, today, saved_then=saves * 0.67).fit is None


def test_what_moving_the_centres_along_explains_is_no_new_segment() -> None:
    """Everybody is 2.5 further right: with centres that are, too, nobody is far."""
    fit, far = founded(crowd(FOUR), 4)
    today = crowd(FOUR) + np.array([2.5, 0.0])
    assert changed(fit, far, today).evidence["now"] > 0.05
    moved = replace(fit, centres=fit.centres + np.array([2.5 / fit.transform.axes[0].sd, 0.0]))
    found = piecewise(fit, moved, (), far, table(today), {}, 0.02, 0.0, (), PARTED, SETTINGS)
    assert (found.fit, found.still_far, found.moved) == (None, False, True)
    assert not changed(fit, far, crowd(FOUR)).moved  # nobody is far


@pytest.mark.parametrize("settling", [False, True])
def test_what_is_far_in_a_segment_that_has_not_settled_is_its_own(settling: bool) -> None:
    """A group of newcomers spreads, as the window fills: it is no two groups, and gets the place that it needs."""
    fit, far = founded(crowd([*FOUR, (18, 4.5, 200)]), 5)
    number = int(np.argmax(own_units(fit)[:, 0]))
    today = crowd([*FOUR, (18, 1.5, 100), (18, 7.5, 100)])
    for limit, parted, those in ((far, False, [number]), (100 * far, True, range(5))):
        found = changed(fit, limit, today, parted=parted, settling=those if settling else [])
        assert (found.fit is None, found.moved, found.still_far) == (settling, False, False)
    elsewhere = changed(fit, far, np.vstack([today, crowd([(25, -9, 100)], seed=1)]), settling=[number])
    assert elsewhere.fit is not None


def test_a_segment_that_parted_becomes_two() -> None:
    fit, far = founded(crowd(FOUR), 4)
    parted = [(0.0, 0.0, 250), (9.0, 0.0, 250), (0.0, 9.0, 250), (9.0, 14.0, 125), (14.0, 9.0, 125)]
    found = changed(fit, far, crowd(parted, seed=3))
    assert found.fit is not None
    centres = own_units(found.fit)
    assert len(centres) == 5
    for place in ((9, 14), (14, 9), (0, 0)):
        assert np.abs(centres - np.array(place)).sum(axis=1).min() < 1


def test_a_faded_segment_is_left_out_and_the_others_stay_exactly() -> None:
    """Its last users stand between the others, who take them."""
    fit, far = founded(crowd([*FOUR, (4.5, 4.5, 250)]), 5)
    middle = int(np.argmin(np.abs(own_units(fit) - 4.5).sum(axis=1)))
    found = changed(fit, 5 * far, crowd([*FOUR, (4.5, 4.5, 30)]), faded={middle: np.inf})
    assert found.fit is not None
    assert np.array_equal(found.fit.centres, np.delete(fit.centres, middle, axis=0))


def test_a_segment_is_added_where_one_has_parted_although_nobody_is_far() -> None:
    fit, far = founded(crowd(FOUR), 4)
    before = saved(fit, table(crowd(FOUR)), SETTINGS)
    assert before is not None
    today = crowd([*FOUR[:3], (6.5, 9.0, 125), (11.5, 9.0, 125)], seed=3)
    assert changed(fit, 2 * far, today, saved_then=before.mean).fit is None
    found = changed(fit, 2 * far, today, saved_then=before.mean, parted=True)
    assert found.fit is not None
    assert len(found.fit.centres) == 5
    assert len(found.evidence["saved"]) == 2
    assert found.evidence["saved"][1] < 3 * before.mean < found.evidence["saved"][0]
    for place in ((6.5, 9), (11.5, 9)):
        assert np.abs(own_units(found.fit) - np.array(place)).sum(axis=1).min() < 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.1, 0.7, 1.1, 2.3])
@pytest.mark.parametrize("users", [3, 6, 7, 11])
def test_a_segment_of_equal_users_is_not_halved(value: float, users: int) -> None:
    """The mean of equal numbers may be above or below all of them."""
    points = np.full((users, 1), value)
    assert _grown(points, np.array([[value]])).centres.tolist() == [[value]]


def test_what_one_segment_more_saves_is_the_inertia_that_k_means_with_one_more_has_less() -> None:
    """Four groups in three segments: the best fourth centre is that of scikit-learn's K-means with four."""
    points = crowd(FOUR)
    fit, _ = founded(points, 3)
    scaled = fit.points(table(points))
    four = KMeans(4, n_init=10, random_state=0).fit(scaled)
    three = (kmeans.distances(scaled, fit.centres).min(axis=1) ** 2).mean()
    found = saved(fit, table(points), SETTINGS)
    assert found is not None
    assert found.mean == pytest.approx(three - four.inertia_ / len(points), rel=0.01)
    sizes = np.bincount(np.argmin(kmeans.distances(scaled, fit.centres), axis=1))
    assert found.segment == np.argmax(sizes)
    assert 0 < found.error < found.mean / 20


def test_of_two_groups_that_have_become_one_one_keeps_its_segment() -> None:
    """Each is worth next to nothing while the other is there; without the other it is worth what a group is."""
    fit, far = founded(crowd([*FOUR, (30, 0, 250), (30, 9, 250)]), 6)
    two = np.argsort(own_units(fit)[:, 0])[4:]
    before, today = (table(crowd([*FOUR, *ends])) for ends in ([(30, 0, 250), (30, 9, 250)], [(30, 4.5, 500)]))
    limits = dict(zip(two.tolist(), evaluation.worths(fit.distances(before))[0][two] / 2, strict=True))
    assert all(evaluation.worths(fit.distances(today))[0][number] < limit for number, limit in limits.items())
    found = changed(fit, far, crowd([*FOUR, (30, 4.5, 500)]), faded=limits)
    assert found.fit is not None
    assert len(found.fit.centres) == 5


def test_there_are_never_fewer_segments_than_the_configuration_allows() -> None:
    fit, far = founded(crowd(FOUR), 4)
    assert changed(fit, 100 * far, crowd(FOUR), faded=dict.fromkeys(range(3), np.inf), min_segments=4).fit is None


def test_the_order_of_the_rows_changes_nothing() -> None:
    fit, far = founded(crowd(FOUR), 4)
    today = table(np.vstack([crowd(FOUR), crowd([(25, 4, 100)], seed=1)]))
    reordered = today.take(np.random.default_rng(0).permutation(today.num_rows))
    first, again = (
        piecewise(fit, fit, (), far, rows, {}, 0.02, 0.0, (), PARTED, SETTINGS) for rows in (today, reordered)
    )
    assert first.fit is not None
    assert again.fit is not None
    assert first.fit.document() == again.fit.document()


def test_a_widened_space_has_its_ends_further_out_and_everybody_inside_where_he_was() -> None:
    dice = np.random.default_rng(4)
    before = table(np.column_stack([dice.lognormal(0, 1, 2_000), dice.normal(0, 1, 2_000)]))
    today = table(np.column_stack([dice.lognormal(2, 1, 2_000), dice.normal(0, 1, 2_000)]))
    frozen = Transform.fit(before, NAMES)
    assert frozen.axes[0].log
    wide = frozen.widened(today)
    old, new = frozen.apply(today), wide.apply(today)
    cut = old[:, 0] == old[:, 0].max()
    ends = np.isin(old[:, 1], [old[:, 1].min(), old[:, 1].max()])
    assert cut.sum() > 100
    assert np.array_equal(old[~cut & ~ends], new[~cut & ~ends])
    assert (new[cut, 0] > old[cut, 0]).mean() > 0.95
    # The end is the 99.5 % quantile of today's values, on the frozen scale.
    (end,) = np.log1p(np.quantile(today["x"].to_numpy(), [0.995]))
    axis = frozen.axes[0]
    assert new[:, 0].max() == pytest.approx((end - axis.mean) / axis.sd, abs=1e-3)
