"""Mobility statistics against published numbers, hand-made matrices, and a resampling of the users themselves."""

from typing import Any

import numpy as np
import pytest

from segmentation.tracking.mobility import (
    Estimate,
    Mobility,
    bartholomew,
    climbed,
    descended,
    prais,
    probabilities,
    resampled,
    stayer_ratio,
)

# PySAL giddy: per capita incomes of 48 US states, 1929 to 2009, in quintiles. Matrix and figures as printed in its
# documentation (giddy.mobility.markov_mobility and the notebook "Measures of Income Mobility").
GIDDY = np.array(
    [
        [0.91011236, 0.0886392, 0.00124844, 0, 0],
        [0.09972299, 0.78531856, 0.11080332, 0.00415512, 0],
        [0, 0.10125, 0.78875, 0.1075, 0.0025],
        [0, 0.00417827, 0.11977716, 0.79805014, 0.07799443],
        [0, 0, 0.00125156, 0.07133917, 0.92740926],
    ]
)
GIDDY_PRAIS = 0.19758992000997844
GIDDY_DETERMINANT = 0.6068485462369559  # 1 − |det P|
GIDDY_START = np.array([0.1, 0.2, 0.2, 0.4, 0.1])
GIDDY_BARTHOLOMEW_1 = 0.2277675878319787  # (k − k Σ π_i p_ii) / (k − 1)
GIDDY_BARTHOLOMEW_2 = 0.04636660119478926  # Σ π_i p_ij |i − j| / (k − 1)

# By hand: of 10, 7 stay, 2 go up by one, 1 by two; of 20, 5 go down, 15 stay; of 10, 4 go down by two, 6 stay.
HAND = np.array([[7, 2, 1], [5, 15, 0], [4, 0, 6]])


def cells(users: dict[str, dict[str, int]]) -> list[dict[str, Any]]:
    return [
        {"from_segment_id": start, "to_segment_id": end, "users": count}
        for start, ends in users.items()
        for end, count in ends.items()
    ]


def test_the_published_matrix_of_us_incomes() -> None:
    assert 1 - abs(np.linalg.det(GIDDY)) == pytest.approx(GIDDY_DETERMINANT, abs=1e-7)  # it is typed rightly
    assert prais(GIDDY) == pytest.approx(GIDDY_PRAIS, abs=1e-8)
    users = GIDDY_START[:, None] * GIDDY
    assert prais(users) == pytest.approx(GIDDY_PRAIS, abs=1e-8)
    assert bartholomew(users) == pytest.approx(4 * GIDDY_BARTHOLOMEW_2, abs=1e-8)
    assert (5 - 5 * stayer_ratio(users)) / 4 == pytest.approx(GIDDY_BARTHOLOMEW_1, abs=1e-8)


def test_a_matrix_by_hand() -> None:
    assert probabilities(HAND).tolist() == [[0.7, 0.2, 0.1], [0.25, 0.75, 0.0], [0.4, 0.0, 0.6]]
    assert stayer_ratio(HAND) == pytest.approx(28 / 40)
    assert prais(HAND) == pytest.approx((3 - 2.05) / 2)
    assert bartholomew(HAND) == pytest.approx((2 + 2 * 1 + 5 + 2 * 4) / 40)
    assert climbed(HAND) == pytest.approx(3 / 40)
    assert descended(HAND) == pytest.approx(9 / 40)


def test_nobody_moves_and_where_users_end_is_chance() -> None:
    still, mixed = np.diag([5, 7, 9]), np.array([[2, 3, 5], [4, 6, 10], [2, 3, 5]])
    assert (stayer_ratio(still), prais(still), bartholomew(still)) == (1, 0, 0)
    assert prais(mixed) == pytest.approx(1)


def test_a_state_without_users_on_the_first_day_changes_no_statistic() -> None:
    wider = np.insert(np.insert(HAND, 3, 0, axis=1), 3, 0, axis=0)
    for statistic in (stayer_ratio, prais, bartholomew, climbed, descended):
        assert statistic(wider) == pytest.approx(statistic(HAND))
    assert np.isnan(probabilities(wider)[3]).all()


def test_stacked_matrices_are_measured_one_by_one() -> None:
    stack = np.array([HAND, HAND.T, np.zeros_like(HAND)])
    for statistic in (stayer_ratio, prais, bartholomew, climbed, descended):
        assert statistic(stack)[:2].tolist() == [float(statistic(HAND)), float(statistic(HAND.T))]
        assert np.isnan(statistic(stack)[2])


def test_resampling_cells_is_resampling_users() -> None:
    # The same in full: every user has a number, numbers are drawn with replacement, and their cells counted.
    drawn = resampled(HAND, seed=1, draws=4000)
    assert (drawn.sum(axis=(1, 2)) == 40).all()
    cell_of_user = np.repeat(np.arange(9), HAND.ravel())
    random = np.random.default_rng(2)
    users = np.array([np.bincount(cell_of_user[random.integers(0, 40, 40)], minlength=9) for _ in range(4000)])
    users = users.reshape(-1, 3, 3)
    # Six standard errors of a mean of 4,000 draws, and of their standard deviation.
    for statistic in (stayer_ratio, prais, bartholomew):
        one, other = statistic(drawn), statistic(users)
        assert abs(one.mean() - other.mean()) < 6 * one.std() * np.sqrt(2 / 4000)
        assert one.std() == pytest.approx(other.std(), rel=6 / np.sqrt(4000))


def test_the_bounds_hold_the_true_value_in_about_95_of_100_worlds() -> None:
    true = np.array([[0.2, 0.06, 0.04], [0.05, 0.3, 0.05], [0.02, 0.08, 0.2]])
    random = np.random.default_rng(3)
    worlds = random.multinomial(400, true.ravel(), size=300).reshape(-1, 3, 3)
    for statistic in (stayer_ratio, prais, bartholomew, climbed):
        held = 0
        for number, world in enumerate(worlds):
            estimate = Estimate.of(float(statistic(world)), statistic(resampled(world, number, 400)))
            assert estimate.low is not None
            assert estimate.high is not None
            held += estimate.low <= float(statistic(true)) <= estimate.high
        # 300 worlds: three standard errors of 0.95 are 0.038; a percentile bootstrap is a little short.
        assert 0.90 <= held / 300 <= 0.99


def test_the_same_seed_gives_the_same_bounds_and_another_one_others() -> None:
    given = cells({"a": {"a": 70, "b": 30}, "b": {"a": 20, "b": 80}})
    assert Mobility.between(given, {}, 5) == Mobility.between(given[::-1], {}, 5)
    assert Mobility.between(given, {}, 5) != Mobility.between(given, {}, 6)


def test_the_states_are_ranked_by_value_and_noise_has_no_rank() -> None:
    # a is worth more than b; c is as b; NOISE has no value.
    mobility = Mobility.between(
        cells(
            {
                "NEW": {"a": 1000, "NOISE": 3},
                "a": {"a": 6, "b": 2, "NOISE": 1, "LAPSED": 1},
                "b": {"b": 5, "a": 3, "c": 2},
                "c": {"c": 10},
                "NOISE": {"NOISE": 4, "a": 1, "LAPSED": 5},
            }
        ),
        {"a": 50.0, "b": 10.0, "c": 10.0, "x": 1.0},
    )
    assert (mobility.states, mobility.ranked) == (("b", "c", "a", "NOISE"), 3)
    shares = {pair: estimate.value for pair, estimate in mobility.transitions.items()}
    assert shares == {
        ("a", "a"): 0.6,
        ("a", "b"): 0.2,
        ("a", "NOISE"): 0.1,
        ("a", "LAPSED"): 0.1,
        ("b", "b"): 0.5,
        ("b", "a"): 0.3,
        ("b", "c"): 0.2,
        ("c", "c"): 1.0,
        ("NOISE", "NOISE"): 0.4,
        ("NOISE", "a"): 0.1,
        ("NOISE", "LAPSED"): 0.5,
    }
    assert mobility.stayer_ratio.value == pytest.approx(25 / 34, abs=1e-6)
    assert mobility.prais.value == pytest.approx((4 - 6 / 9 - 5 / 10 - 1 - 4 / 5) / 3, abs=1e-6)
    assert mobility.bartholomew.value == pytest.approx((2 * 2 + 3 * 2 + 2 * 1) / 28, abs=1e-6)
    assert mobility.upgraded.value == pytest.approx(5 / 28, abs=1e-6)
    assert mobility.downgraded.value == pytest.approx(2 / 28, abs=1e-6)
    assert mobility.transitions["c", "c"] == Estimate(1.0, 1.0, 1.0)
    for estimate in (*mobility.transitions.values(), mobility.stayer_ratio, mobility.prais, mobility.upgraded):
        assert estimate.low <= estimate.value <= estimate.high  # type: ignore[operator]


def test_resamples_without_a_user_of_a_row_say_nothing_about_the_row() -> None:
    mobility = Mobility.between(cells({"a": {"a": 400, "b": 100}, "b": {"b": 1}}), {})  # b is empty in 37 % of them
    assert mobility.transitions["b", "b"] == Estimate(1.0, 1.0, 1.0)
    assert mobility.prais.low is not None


@pytest.mark.parametrize(
    "users",
    [{}, {"NEW": {"a": 5}}, {"a": {"LAPSED": 5}}],
    ids=["nobody", "all came", "all lapsed"],
)
def test_where_there_is_nothing_to_measure_nothing_is_said(users: dict[str, dict[str, int]]) -> None:
    mobility = Mobility.between(cells(users), {"a": 1.0})
    nothing = Estimate(None, None, None)
    found = (mobility.stayer_ratio, mobility.prais, mobility.bartholomew, mobility.upgraded, mobility.downgraded)
    assert found == (nothing,) * 5


def test_of_one_state_it_is_known_who_stayed_but_not_how_mobile_they_are() -> None:
    mobility = Mobility.between(cells({"a": {"a": 5}}), {})
    assert mobility.stayer_ratio == Estimate(1.0, 1.0, 1.0)
    assert mobility.prais == Estimate(None, None, None)
    assert mobility.bartholomew == Estimate(None, None, None)
