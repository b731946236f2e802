"""From which match on a prepared answer is given as it is: what the organisation's own questions say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

# A wrong direct answer costs as much as so many right ones gain.
COST = 4.0
# Fewer questions than this choose nothing.
LEAST = 10
_GRID = [step / 100 for step in range(50, 100)]


class Match(NamedTuple):
    """The best prepared answer of a question: how sure the match is, and whether it is the right one."""

    probability: float
    right: bool


class Direct(NamedTuple):
    """What a threshold gives: direct answers, and how many of them are right."""

    answered: int
    right: int


def direct(matches: Sequence[Match], threshold: float) -> Direct:
    """What would have been answered directly."""
    given = [match.right for match in matches if match.probability >= threshold]
    return Direct(len(given), sum(given))


def tune_threshold(matches: Sequence[Match], current: float) -> float:
    """The threshold of the greatest gain: a right direct answer counts 1, a wrong one -COST.

    `current` stays unless another gains more by more than the standard error of the difference, so that a few lucky
    questions do not decide; of thresholds that gain the same, the middle one.
    """
    if len(matches) < LEAST:
        return current
    gains = {threshold: fmean(_gains(matches, threshold)) for threshold in _GRID}
    most = max(gains.values())
    best = [threshold for threshold, gain in gains.items() if gain >= most - 1e-9]
    chosen = best[len(best) // 2]
    apart = [
        new - old
        for new, old in zip(_gains(matches, chosen), _gains(matches, current), strict=True)
    ]
    return chosen if fmean(apart) > stdev(apart) / math.sqrt(len(apart)) else current


def _gains(matches: Sequence[Match], threshold: float) -> list[float]:
    return [
        0.0 if match.probability < threshold else 1.0 if match.right else -COST for match in matches
    ]
