"""The figures of a rule against numbers by hand, scipy and mlxtend."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, hypergeom
from small_shops import brute_force, random_sets

from segmentation.services import measures


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_the_figures_of_one_rule_by_hand() -> None:
    """Of 10 baskets 4 have the antecedents, 5 the consequents, 3 both."""
    four = whole(10), whole(4), whole(5), whole(3)
    assert measures.lift(*four)[0] == pytest.approx(0.75 / 0.5)
    assert measures.leverage(*four)[0] == pytest.approx(0.3 - 0.4 * 0.5)
    assert measures.conviction(*four)[0] == pytest.approx(0.5 / 0.25)
    assert measures.zhang(*four)[0] == pytest.approx(0.1 / (0.3 * 0.6))
    assert measures.by_chance(*four)[0] == pytest.approx((10 * 5 + 5 * 1) / 210)  # C(5,3) C(5,1) + C(5,4), of C(10,4)


def test_what_is_not_defined_is_nothing() -> None:
    assert np.isnan(measures.conviction(whole(10), whole(4), whole(5), whole(4)))[0]
    assert np.isnan(measures.lift(whole(10), whole(4), whole(0), whole(0)))[0]
    assert measures.zhang(whole(10), whole(10), whole(5), whole(5))[0] == 0
    assert measures.by_chance(whole(10, 10), whole(4, 10), whole(0, 10), whole(0, 10)).tolist() == [1, 1]


def test_p_is_fishers_for_every_table_of_twelve_baskets() -> None:
    n = 12
    tables = [(a, c, k) for a in range(1, n + 1) for c in range(n + 1) for k in range(max(0, a + c - n), min(a, c) + 1)]
    expected = [fisher_exact([[k, a - k], [c - k, n - a - c + k]], "greater").pvalue for a, c, k in tables]
    a, c, k = np.array(tables).T
    assert measures.by_chance(np.full(len(a), n), a, c, k) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n", [300, 50_000, 3_000_000])
def test_p_is_scipys_for_many_baskets_on_both_sides_of_the_mean(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "TOGETHER", 100)
    draw = np.random.default_rng(n)
    a, c = draw.integers(1, n // 3, (2, 400))
    mean, spread = a * c / n, np.sqrt(a * c / n)
    k = np.rint(mean + spread * draw.normal(0, 3, 400)).astype(np.int64).clip(0, np.minimum(a, c))
    found = measures.by_chance(np.full(400, n), a, c, k)
    assert found == pytest.approx(hypergeom.sf(k - 1, n, c, a), rel=1e-7, abs=1e-300)
    assert (found < 1e-3).any()
    assert (found > 0.999).any()


def test_q_is_the_smallest_rate_at_which_the_rule_is_kept() -> None:
    """The example of Benjamini and Hochberg (1995): fifteen tests, of which four are kept at 5 %."""
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    q = measures.false_discoveries(np.array(p))
    assert (q <= 0.05).sum() == 4
    assert q[:4] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625])
    assert len(measures.false_discoveries(np.array([]))) == 0


def test_the_figures_are_mlxtends() -> None:
    from mlxtend.frequent_patterns import association_rules

    sets = random_sets(11)
    counts = brute_force(sets, 2, 4)
    n = len(sets)
    mined = pd.DataFrame({"support": [count / n for count in counts.values()], "itemsets": list(counts)})
    theirs = association_rules(mined, metric="support", min_threshold=0)
    assert len(theirs) > 500
    a = np.array([counts[itemset] for itemset in theirs["antecedents"]])
    c = np.array([counts[itemset] for itemset in theirs["consequents"]])
    k = np.rint(theirs["support"] * n).to_numpy(np.int64)
    all_of = np.full(len(a), n), a, c, k
    assert measures.lift(*all_of) == pytest.approx(theirs["lift"].to_numpy())
    assert measures.leverage(*all_of) == pytest.approx(theirs["leverage"].to_numpy(), abs=1e-12)
    assert measures.zhang(*all_of) == pytest.approx(theirs["zhangs_metric"].to_numpy(), abs=1e-12)
    finite = np.isfinite(theirs["conviction"].to_numpy())
    ours = measures.conviction(*all_of)
    assert np.isnan(ours[~finite]).all()
    assert ours[finite] == pytest.approx(theirs["conviction"].to_numpy()[finite])
