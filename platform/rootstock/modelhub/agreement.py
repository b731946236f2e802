"""How far people agree. Pure functions over what they said about each example.

A *unit* is what several people said about one thing; people who said nothing are left out of it. Values are anything
hashable: a label, a frozenset of labels, a number, a tag of one token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import combinations

Units = Sequence[Sequence[Hashable]]
Distance = Callable[[Hashable, Hashable], float]


def nominal(first: Hashable, second: Hashable) -> float:
    """0 for equal values, else 1."""
    return float(first != second)


def interval(first: Hashable, second: Hashable) -> float:
    """The squared difference of two numbers."""
    return float((float(first) - float(second)) ** 2)  # type: ignore[arg-type]


def masi(first: Hashable, second: Hashable) -> float:
    """How different two sets are, 0 (equal) to 1 (nothing shared): 1 - Jaccard x monotonicity (Passonneau 2006)."""
    one, other = frozenset(first), frozenset(second)  # type: ignore[call-overload]
    if not one and not other:
        return 0.0
    shared = one & other
    if one == other:
        monotone = 1.0
    elif one <= other or other <= one:
        monotone = 2 / 3
    elif shared:
        monotone = 1 / 3
    else:
        monotone = 0.0
    return 1.0 - len(shared) / len(one | other) * monotone


def raw_agreement(units: Units) -> float | None:
    """Mean share of pairs that agree, over units that two people or more saw; None when there is no such unit."""
    shares = [
        sum(a == b for a, b in combinations(values, 2)) / (len(values) * (len(values) - 1) / 2)
        for values in units
        if len(values) >= 2
    ]
    return sum(shares) / len(shares) if shares else None


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Agreement of two people beyond chance (Cohen 1960): 1 always, 0 as by chance, below 0 worse.

    None when there is nothing to compare, or when chance alone agrees always (both said one and the same value).

    Raises:
        ValueError: they did not say something about equally many things.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values cannot be compared")
    count = len(first)
    if not count:
        return None
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / count
    ones, others = Counter(first), Counter(second)
    expected = sum(ones[value] * others[value] for value in ones) / count**2
    return None if expected == 1.0 else (observed - expected) / (1.0 - expected)


def fleiss_kappa(units: Units) -> float | None:
    """Agreement of more than two people beyond chance (Fleiss 1971), who may be others for each unit.

    None when there is nothing to compare or only one value occurs.

    Raises:
        ValueError: not every unit has equally many values; use `krippendorff_alpha`.
    """
    if not units:
        return None
    raters = len(units[0])
    if any(len(values) != raters for values in units):
        raise ValueError("every unit needs equally many values")
    if raters < 2:
        return None
    total: Counter[Hashable] = Counter()
    observed = 0.0
    for values in units:
        counts = Counter(values)
        total.update(counts)
        observed += sum(n * (n - 1) for n in counts.values()) / (raters * (raters - 1))
    observed /= len(units)
    expected = sum((n / (len(units) * raters)) ** 2 for n in total.values())
    return None if expected == 1.0 else (observed - expected) / (1.0 - expected)


def krippendorff_alpha(units: Units, *, distance: Distance = nominal) -> float | None:
    """Agreement beyond chance for any number of people, with gaps (Krippendorff 2011).

    `1 - observed / expected` disagreement; a value counts in as many pairs as its unit has others. None when no unit
    has two values, or when all values are equal.
    """
    pairable = [values for values in units if len(values) >= 2]
    counts: Counter[Hashable] = Counter()
    observed = 0.0
    for values in pairable:
        counts.update(values)
        unit = Counter(values)
        observed += sum(
            2 * unit[a] * unit[b] * distance(a, b) for a, b in combinations(unit, 2)
        ) / (len(values) - 1)
    total = sum(counts.values())
    if total < 2:
        return None
    expected = sum(2 * counts[a] * counts[b] * distance(a, b) for a, b in combinations(counts, 2))
    expected /= total - 1
    return None if not expected else 1.0 - observed / expected
