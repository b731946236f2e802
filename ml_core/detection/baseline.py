"""What the detectors learn of a series of counts: weighted means and the season of the week.

Both are dictionaries and lists of JSON types, so that the state of a detector can be stored as it is.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

Memory = dict[str, Any]

# The prior of a season: as if each slot had shown that many expected stories at exactly the usual rate. A topic of a
# few stories a day keeps a flat season; one of thousands learns its own within days.
_SEASON_PRIOR = 50.0
_LEAST_FACTOR = 0.05


def moved(level: list[float], value: float, half_life: float, times: int = 1) -> list[float]:
    """``[mean, weight]`` after ``times`` equal values; a weight of 1 is settled.

    Bias-corrected as Adam's means are: the first values weigh equally instead of starting from zero.
    """
    decay: float = 0.5 ** (times / half_life)
    weight = level[1] * decay + (1.0 - decay)
    return [level[0] + (1.0 - decay) / weight * (value - level[0]), weight]


def seen(level: list[float], half_life: float) -> float:
    """How many values' worth of evidence a mean holds: its weight in units of a new value's."""
    newest: float = 1.0 - 0.5 ** (1.0 / half_life)
    return level[1] / newest


def stabilised(count: float) -> float:
    """Anscombe's transform: a Poisson count comes out with a standard deviation of about 1."""
    return 2.0 * math.sqrt(max(0.0, count) + 0.375)


def unstabilised(value: float) -> float:
    """The count that ``stabilised`` made ``value`` of, 0 at least."""
    return max(0.0, (value / 2.0) ** 2 - 0.375)


class Season:
    """The shape of the week: a factor for each hour of the day times one for each day of the week.

    Each is the stories seen in the slot over those expected there, both forgotten with a half-life of weeks, and
    pulled towards 1 by a prior. Between two hours the factor moves evenly, so that no bucket jumps.
    Times are read in their own time zone.
    """

    def __init__(self, half_life: float) -> None:
        self._half_life = half_life

    @staticmethod
    def start() -> Memory:
        """A flat week."""
        return {
            "hours": [[0.0, 0.0] for _ in range(24)],
            "days": [[0.0, 0.0] for _ in range(7)],
            "level": [0.0, 0.0],
        }

    def factor(self, memory: Memory, at: datetime) -> float:
        """How many times the usual rate is usual at this hour of the week."""
        return max(_LEAST_FACTOR, _hour(memory, at) * _slot(memory["days"][at.weekday()]))

    def learn(self, memory: Memory, at: datetime, value: float, times: int) -> Memory:
        """The season after ``times`` equal buckets in the hour of ``at``."""
        hour, day = _hour(memory, at), _slot(memory["days"][at.weekday()])
        level = moved(
            memory["level"], value / max(_LEAST_FACTOR, hour * day), self._half_life, times
        )
        # A slot comes round once a day (once a week): its own clock ticks only then.
        hours, days = list(memory["hours"]), list(memory["days"])
        hours[at.hour] = self._taken(hours[at.hour], value, level[0] * day, times, 24)
        days[at.weekday()] = self._taken(days[at.weekday()], value, level[0] * hour, times, 7)
        return {"hours": hours, "days": days, "level": level}

    def _taken(
        self, slot: list[float], value: float, expected: float, times: int, slots: int
    ) -> list[float]:
        decay: float = 0.5 ** (times * slots / (4.0 * self._half_life))
        return [slot[0] * decay + value * times, slot[1] * decay + expected * times]


def _slot(slot: list[float]) -> float:
    return (slot[0] + _SEASON_PRIOR) / (slot[1] + _SEASON_PRIOR)


def _hour(memory: Memory, at: datetime) -> float:
    hours = memory["hours"]
    past = at.minute / 60.0 - 0.5
    other = hours[(at.hour + (1 if past >= 0 else -1)) % 24]
    return _slot(hours[at.hour]) * (1.0 - abs(past)) + _slot(other) * abs(past)
