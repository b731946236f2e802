"""Upper tail probabilities of count distributions, without scipy."""

from __future__ import annotations

import math

_TINY = 1e-300
_PRECISION = 1e-14


def _continued_fraction(a: float, b: float, x: float) -> float:
    """Lentz's method for the incomplete beta function (Numerical Recipes, section 6.4)."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    value = d
    # It converges in about sqrt(max(a, b)) steps.
    for m in range(1, 200 + 10 * int(math.sqrt(max(a, b)))):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + numerator / c
            c = c if abs(c) > _TINY else _TINY
            step = c * d
            value *= step
        if abs(step - 1.0) < _PRECISION:
            break
    return value


def _regularised_incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, 1.0 - x) / b


def negative_binomial_tail(count: int, *, mean: float, size: float) -> float:
    """``P(X >= count)`` for a negative binomial with variance ``mean + mean ** 2 / size``.

    It is the predictive distribution of a Poisson count whose rate is known only as a gamma
    distribution of shape ``size``; ``size`` to infinity is Poisson.
    """
    if count <= 0:
        return 1.0
    return _regularised_incomplete_beta(count, size, mean / (mean + size))


def beta_binomial_tail(count: int, total: int, *, share: float, concentration: float) -> float:
    """``P(X >= count)`` for ``total`` draws whose success probability is itself
    Beta(``share * concentration``, ``(1 - share) * concentration``) distributed."""
    if count <= 0:
        return 1.0
    if count > total:
        return 0.0
    a, b = share * concentration, (1.0 - share) * concentration

    def log_beta(p: float, q: float) -> float:
        return math.lgamma(p) + math.lgamma(q) - math.lgamma(p + q)

    term = math.exp(
        math.lgamma(total + 1)
        - math.lgamma(count + 1)
        - math.lgamma(total - count + 1)
        + log_beta(a + count, b + total - count)
        - log_beta(a, b)
    )
    tail = term
    for k in range(count, total):
        term *= (total - k) / (k + 1) * (a + k) / (b + total - k - 1)
        tail += term
        if term < tail * 1e-17:
            break
    return min(1.0, tail)
