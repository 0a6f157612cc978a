"""The figures of association rules, each made of whole numbers: of n baskets a have the antecedents, c the consequents, k both.

Where a figure is not defined it is NaN. All arguments are int64 arrays of one length; 0 < n ≤ 2^31, 0 < a ≤ n, 0 ≤ c ≤ n,
max(0, a + c − n) ≤ k ≤ min(a, c).
"""

import numpy as np

from segmentation.features.rows import Whole

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


def ratio(over: Whole | Floats, under: Whole | Floats) -> Floats:
    """NaN where it is divided by 0."""
    shares: Floats = np.divide(over, under, out=np.full(len(over), np.nan), where=under != 0)
    return shares


def lift(n: Whole, a: Whole, c: Whole, k: Whole) -> Floats:
    """(k / a) / (c / n), how many times as often as by chance; NaN where c = 0."""
    return ratio(k * n, a * c)


def leverage(n: Whole, a: Whole, c: Whole, k: Whole) -> Floats:
    """k / n − (a / n) (c / n): the share of baskets that have both, beyond chance (Piatetsky-Shapiro, 1991)."""
    return ratio(k * n - a * c, n * n)


def conviction(n: Whole, a: Whole, c: Whole, k: Whole) -> Floats:
    """(1 − c / n) / (1 − k / a); NaN where a = k, and it is infinite (Brin, Motwani, Ullman and Tsur, 1997)."""
    return ratio(a * (n - c), n * (a - k))


def zhang(n: Whole, a: Whole, c: Whole, k: Whole) -> Floats:
    """From −1, never together, by 0, by chance, to 1, always together: leverage over the most that it could be, which is
    max(k (n − a), a (c − k)) / n²; 0 where that is 0 (Zhang, 2000)."""
    most = np.maximum(k * (n - a), a * (c - k))
    return np.nan_to_num(ratio(k * n - a * c, most), nan=0.0)


def by_chance(n: Whole, a: Whole, c: Whole, k: Whole) -> Floats:
    """The probability that k or more of a baskets, drawn from n without replacement, are among the c: Fisher's exact test,
    one-sided."""
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.sf(k - 1, n, c, a)).clip(0, 1)


def false_discoveries(p: Floats) -> Floats:
    """For each p the share of false ones to be expected among those as small: q of Benjamini and Hochberg (1995)."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p, method="bh")) if len(p) else p
