"""The figures of association rules, each made of whole numbers: of n baskets a have the antecedents, c the consequents, k both.

Where a figure is not defined it is NaN. All arguments are int64 arrays of one length; 0 < n ≤ 2^31, 0 < a ≤ n, 0 ≤ c ≤ n,
max(0, a + c − n) ≤ k ≤ min(a, c).
"""

import numpy as np

from segmentation.features.rows import Whole

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
TOGETHER = 50_000  # rules whose probabilities are computed together


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
    one-sided.

    As `scipy.stats.hypergeom.sf(k - 1, n, c, a)`, to about nine digits; that takes half a minute for a million rules, where
    there are less than 100,000 baskets.
    """
    p = np.empty(len(k))
    for begin in range(0, len(k), TOGETHER):
        part = slice(begin, begin + TOGETHER)
        p[part] = _by_chance(*(values[part].astype(np.float64) for values in (n, a, c, k)))
    return p


def _by_chance(n: Floats, a: Floats, c: Floats, k: Floats) -> Floats:
    above = k * n > a * c  # below the mean: those not among the c are more than by chance, or as many
    tail = _upper_tail(n, a, np.where(above, c, n - c), np.where(above, k, a - k + 1))
    return np.where(above, tail, 1 - tail).clip(0, 1)


def _upper_tail(n: Floats, a: Floats, c: Floats, k: Floats) -> Floats:
    """The same for k above the mean: a sum of terms that become smaller, each made from the one before."""
    from scipy.special import gammaln

    def choose(whole: Floats, some: Floats) -> Floats:
        return np.asarray(gammaln(whole + 1) - gammaln(some + 1) - gammaln(whole - some + 1))

    tail = np.zeros(len(k))
    rows = np.flatnonzero(k <= np.minimum(a, c))
    n, a, c, k = (values[rows] for values in (n, a, c, k))
    term = np.exp(choose(c, k) + choose(n - c, a - k) - choose(n, a))
    while len(rows):
        tail[rows] += term
        term = term * (c - k) * (a - k) / ((k + 1) * (n - a - c + k + 1))
        more = term > 1e-16 * tail[rows]
        rows = rows[more]
        term, n, a, c, k = (values[more] for values in (term, n, a, c, k + 1))
    return tail


def false_discoveries(p: Floats) -> Floats:
    """For each p the share of false ones to be expected among those as small: q of Benjamini and Hochberg (1995)."""
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p, method="bh")) if len(p) else p
