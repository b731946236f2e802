"""The detectors: models of a count series that say how far the latest window is above what is usual.

One protocol for all. ``learn`` takes buckets into the baseline; it is given only those that have left the window and
were no part of a suspected surge. ``judge`` compares the window with the baseline and changes nothing but what must
see every bucket (the sum of CUSUM). The memory of a model is a dictionary of JSON types.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from ml_core.detection.baseline import Memory, Season, moved, seen, stabilised, unstabilised
from ml_core.detection.tails import negative_binomial_tail
from ml_core.detection.types import SurgeConfig

# A series that was silent for as long as the baseline remembers still expects something: half a story in all that
# time (Jeffreys' prior of a Poisson rate).
_PRIOR = 0.5
_MAXIMUM_STRENGTH = 300.0
_POISSON_SIZE = 1e9
# Turns the median of absolute deviations of a normal distribution into its standard deviation.
_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is usual for the window, in stories, and how far above it the window is, in the model's own unit."""

    expected: float
    strength: float


class CountModel(Protocol):
    """A detector of the registry."""

    options: ClassVar[tuple[str, ...]]
    """The fields of ``SurgeConfig`` that this model reads besides those that all do."""

    def __init__(self, config: SurgeConfig) -> None: ...

    def start(self) -> Memory:
        """The memory of a series of which nothing is known."""

    def learn(self, memory: Memory, at: datetime, value: float, times: int = 1) -> Memory:
        """The memory after ``times`` buckets of ``value`` each, the first of them beginning at ``at``."""

    def judge(
        self, memory: Memory, at: Sequence[datetime], values: Sequence[float]
    ) -> tuple[Memory, Judgement]:
        """The window ``values``, oldest first, whose buckets begin at ``at``."""


class _Seasonal:
    """A model that may know the season of the week."""

    def __init__(self, config: SurgeConfig) -> None:
        self.config = config
        self._season = Season(config.season_half_life) if config.season else None

    def _start(self) -> Memory:
        return {"season": Season.start()} if self._season else {}

    def _factor(self, memory: Memory, at: datetime) -> float:
        return self._season.factor(memory["season"], at) if self._season else 1.0

    def _seasoned(self, memory: Memory, at: datetime, value: float, times: int) -> Memory:
        return (
            {"season": self._season.learn(memory["season"], at, value, times)}
            if self._season
            else {}
        )


class NegativeBinomial(_Seasonal):
    """Tail probability of the window's count under a negative binomial, as -log10.

    Its mean is the larger of two exponentially weighted means: the fast one follows the morning, the slow one keeps a
    silent night from making the first story a surge. Its spread has three sources: how little the baseline has seen
    (gamma-Poisson predictive), how much true rates wander at least (``overdispersion``) and how much more than that
    they were seen to wander.
    """

    options: ClassVar[tuple[str, ...]] = (
        "fast_half_life",
        "slow_half_life",
        "overdispersion",
        "learned_spread",
        "season",
    )

    def start(self) -> Memory:
        """Nothing seen."""
        return {"fast": [0.0, 0.0], "slow": [0.0, 0.0], "spread": [0.0, 0.0], **self._start()}

    def learn(self, memory: Memory, at: datetime, value: float, times: int = 1) -> Memory:
        """Both means moved, clipped once they are worth comparing with."""
        config = self.config
        factor = self._factor(memory, at)
        plain = value / factor
        slow, rate = memory["slow"], memory["slow"][0]
        settled = slow[1] >= 1.0 - 0.5 ** (config.learning / config.slow_half_life)
        # Squared deviation beyond what counting explains, relative to the squared rate.
        excess = ((plain - rate) ** 2 - rate) / (rate * rate) if settled and rate > 0 else 0.0
        return {
            "fast": self._moved(memory["fast"], plain, config.fast_half_life, times),
            "slow": self._moved(slow, plain, config.slow_half_life, times),
            "spread": moved(
                memory["spread"], min(excess, config.clip**2), config.slow_half_life, times
            ),
            **self._seasoned(
                memory, at, min(value, self._ceiling(rate) * factor) if settled else value, times
            ),
        }

    def _moved(self, level: list[float], value: float, half_life: float, times: int) -> list[float]:
        if level[1] >= 1.0 - 0.5 ** (self.config.learning / half_life):
            value = min(value, self._ceiling(level[0]))
        return moved(level, value, half_life, times)

    def _ceiling(self, rate: float) -> float:
        spread = math.sqrt(rate + self.config.overdispersion * rate * rate)
        return max(1.0, rate + self.config.clip * spread)

    def judge(
        self, memory: Memory, at: Sequence[datetime], values: Sequence[float]
    ) -> tuple[Memory, Judgement]:
        """Of the sum of the window."""
        config = self.config
        rate, weight = max(
            ((mean[0] * count + _PRIOR) / max(count, 1.0), count)
            for mean, count in (
                (memory["fast"], seen(memory["fast"], config.fast_half_life)),
                (memory["slow"], seen(memory["slow"], config.slow_half_life)),
            )
        )
        expected = rate * sum(self._factor(memory, start) for start in at)
        size = 1.0 / (1.0 / (rate * max(weight, 1.0)) + self._dispersion(memory))
        tail = negative_binomial_tail(round(sum(values)), mean=expected, size=size)
        return memory, Judgement(expected, _strength(tail))

    def _dispersion(self, memory: Memory) -> float:
        """Of the window's rate around the baseline."""
        wandered: float = memory["spread"][0]
        return max(self.config.overdispersion, self.config.learned_spread * wandered)


class Poisson(NegativeBinomial):
    """The same tail with no spread but that of counting and of a baseline that has seen little.

    Only for a series whose rate hardly wanders; on news it cries wolf.
    """

    options: ClassVar[tuple[str, ...]] = ("fast_half_life", "slow_half_life", "season")

    def _dispersion(self, memory: Memory) -> float:
        return 1.0 / _POISSON_SIZE


class EwmaZ(_Seasonal):
    """Standard deviations of the window above its exponentially weighted mean, of variance-stabilised counts.

    The spread is that of whole windows, so what neighbouring buckets have in common is in it; it is never less than
    that of counting.
    """

    options: ClassVar[tuple[str, ...]] = ("slow_half_life", "season")

    def start(self) -> Memory:
        """Nothing seen."""
        return {"mean": [0.0, 0.0], "square": [1.0, 0.0], "recent": [], **self._start()}

    def learn(self, memory: Memory, at: datetime, value: float, times: int = 1) -> Memory:
        """Mean and spread of windows moved by the window that ends with this bucket, clipped."""
        config = self.config
        factor = self._factor(memory, at)
        recent = [*memory["recent"], *[value / factor] * min(times, config.window)][
            -config.window :
        ]
        mean, spread = memory["mean"], self._spread(memory)
        level = stabilised(sum(recent) * config.window / len(recent))
        settled = mean[1] >= 1.0 - 0.5 ** (config.learning / config.slow_half_life)
        if settled:
            level = min(level, mean[0] + config.clip * spread)
        square = (level - mean[0]) ** 2 if mean[1] else 1.0
        usual = unstabilised(mean[0]) / config.window * factor
        learnt = min(value, unstabilised(stabilised(usual) + config.clip)) if settled else value
        return {
            "mean": moved(mean, level, config.slow_half_life, times),
            "square": moved(memory["square"], square, config.slow_half_life, times),
            "recent": recent,
            **self._seasoned(memory, at, learnt, times),
        }

    @staticmethod
    def _spread(memory: Memory) -> float:
        return math.sqrt(max(1.0, memory["square"][0]))

    def _plain(self, memory: Memory, at: Sequence[datetime], values: Sequence[float]) -> float:
        """The window's count without its season, as of a whole window."""
        total = sum(
            value / self._factor(memory, start) for start, value in zip(at, values, strict=True)
        )
        return total * self.config.window / len(values)

    def _expected(self, memory: Memory, at: Sequence[datetime]) -> float:
        usual = unstabilised(memory["mean"][0]) / self.config.window
        return usual * sum(self._factor(memory, start) for start in at)

    def judge(
        self, memory: Memory, at: Sequence[datetime], values: Sequence[float]
    ) -> tuple[Memory, Judgement]:
        """Of the window's count."""
        z = (stabilised(self._plain(memory, at, values)) - memory["mean"][0]) / self._spread(memory)
        return memory, Judgement(self._expected(memory, at), min(_MAXIMUM_STRENGTH, max(0.0, z)))


class Cusum(EwmaZ):
    """Page's cumulative sum: what the standardised counts are above ``slack`` adds up until it is beyond chance.

    Sees a rise that is weak but lasts. Each bucket adds ``clip`` at most, so one bucket alone never raises.
    """

    options: ClassVar[tuple[str, ...]] = ("slow_half_life", "slack", "season")

    def start(self) -> Memory:
        """Nothing added up."""
        return {**super().start(), "sum": 0.0}

    def learn(self, memory: Memory, at: datetime, value: float, times: int = 1) -> Memory:
        """The baseline as EWMA's; in a long silence the sum is used up."""
        total = 0.0 if times > self.config.window else memory["sum"]
        return {**super().learn(memory, at, value, times), "sum": total}

    def judge(
        self, memory: Memory, at: Sequence[datetime], values: Sequence[float]
    ) -> tuple[Memory, Judgement]:
        """The sum after the window's newest bucket."""
        z = (stabilised(self._plain(memory, at, values)) - memory["mean"][0]) / self._spread(memory)
        # Once it is far above its threshold it says nothing more, and would take as long to come down again.
        most = 2.0 * self.config.threshold
        total = min(most, max(0.0, memory["sum"] + min(z, self.config.clip) - self.config.slack))
        return {**memory, "sum": total}, Judgement(self._expected(memory, at), total)


class SeasonalHybridEsd:
    """Seasonal hybrid ESD (Hochenbaum, Vallis & Kejariwal, 2017), on the newest window instead of a whole history.

    The past is the last ``history`` windows. The season is the median of each hour of the day; the newest window's
    deviation from it is divided by the median of absolute deviations and by the critical value of the extreme
    studentised deviate at 5 %, so 1 is that test's own threshold.
    """

    options: ClassVar[tuple[str, ...]] = ("history", "season")

    def __init__(self, config: SurgeConfig) -> None:
        self.config = config

    def start(self) -> Memory:
        """No window seen."""
        return {"past": [], "part": [0.0, 0], "season": [0.0] * 24, "median": 0.0, "scale": 1.0}

    def learn(self, memory: Memory, at: datetime, value: float, times: int = 1) -> Memory:
        """Buckets add up to whole windows; each of them lets season, median and scale be found again."""
        window = self.config.window
        total, count = memory["part"][0] + value * times, memory["part"][1] + times
        if count < window:
            return {**memory, "part": [total, count]}
        whole = min(count // window, self.config.history)
        past = [*memory["past"], *[[at.hour, stabilised(total * window / count)]] * whole]
        return {**self._found(past[-self.config.history :]), "part": [0.0, 0]}

    def _found(self, past: list[list[float]]) -> Memory:
        season = [0.0] * 24
        median = statistics.median(level for _hour, level in past)
        if self.config.season:
            by_hour: list[list[float]] = [[] for _ in range(24)]
            for hour, level in past:
                by_hour[int(hour)].append(level - median)
            season = [statistics.median(levels) if len(levels) > 2 else 0.0 for levels in by_hour]
        deviations = [abs(level - season[int(hour)] - median) for hour, level in past]
        scale = max(1.0, _MAD_TO_SIGMA * statistics.median(deviations))
        return {"past": past, "season": season, "median": median, "scale": scale}

    def judge(
        self, memory: Memory, at: Sequence[datetime], values: Sequence[float]
    ) -> tuple[Memory, Judgement]:
        """Of the window's count."""
        usual = memory["median"] + memory["season"][at[-1].hour]
        level = stabilised(sum(values) * self.config.window / len(values))
        deviate = (level - usual) / memory["scale"] / _critical(len(memory["past"]))
        strength = min(_MAXIMUM_STRENGTH, max(0.0, deviate))
        return memory, Judgement(unstabilised(usual) * len(values) / self.config.window, strength)


def _critical(count: int) -> float:
    """Grubbs' critical value for the largest of ``count`` deviates at 5 %, one-sided."""
    n = max(count, 4)
    z = statistics.NormalDist().inv_cdf(1.0 - 0.05 / n)
    # Student's t from the normal quantile (Cornish-Fisher, Abramowitz & Stegun 26.7.5).
    v = n - 2
    t = z + (z**3 + z) / (4 * v) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v * v)
    return (n - 1) * t / math.sqrt(n * (v + t * t))


def _strength(probability: float) -> float:
    if probability <= 0.0:
        return _MAXIMUM_STRENGTH
    return min(_MAXIMUM_STRENGTH, -math.log10(min(1.0, probability)))


# Every detector that a rule may choose.
DETECTORS: dict[str, type[CountModel]] = {
    "negative-binomial": NegativeBinomial,
    "poisson": Poisson,
    "ewma-z": EwmaZ,
    "cusum": Cusum,
    "s-h-esd": SeasonalHybridEsd,
}
