"""Surges of negative stories: a count-aware test with memory.

For each bucket the window of the last ``config.window`` buckets is compared with a baseline made of
older ones:

* count: tail probability of the number of negative stories under a negative binomial whose mean is
  the baseline's and whose spread has two sources, how little the baseline has seen (gamma-Poisson
  predictive) and how much true rates wander (``config.overdispersion``);
* share: tail probability of the same number given all stories of the window, under a beta-binomial
  around the baseline's share. More news of every kind is no surge of bad news.

A bucket enters the baseline only when it leaves the window, clipped, and not at all when it was
part of a suspected or confirmed surge: the baseline does not learn from what it is there to find.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ml_core.detection.tails import beta_binomial_tail, negative_binomial_tail
from ml_core.detection.types import (
    Bucket,
    LateBucket,
    Mean,
    Phase,
    Reason,
    Recent,
    SurgeConfig,
    SurgeState,
    Verdict,
    bucket_length,
)

# A quarter of financial news is negative; believed as much as ten stories. A topic that has had four
# stories, two of them bad, is no topic of which half the news is bad: with a weaker prior its
# baseline share stays so uncertain that not even 31 negative stories of 35 differ from it.
_PRIOR_SHARE = 0.25
_PRIOR_STORIES = 10.0
# A topic that was silent for as long as the baseline remembers still expects something: half a
# negative story in all that time (Jeffreys' prior of a Poisson rate).
_PRIOR_NEGATIVE = 0.5
_MAXIMUM_SIGNIFICANCE = 300.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """The window against the baseline, before the phase is considered."""

    total: int
    negative: int
    expected: float
    baseline_share: float
    count_significance: float
    share_significance: float
    score: float
    reason: Reason

    @property
    def share(self) -> float:
        return self.negative / self.total if self.total else 0.0

    @property
    def hot(self) -> bool:
        return self.reason is Reason.SURGE


@dataclass(slots=True)
class _Change:
    """What happened over the buckets of one update (several when a gap was filled)."""

    raised: bool = False
    cleared: bool = False


class SurgeDetector:
    """Judges buckets of one topic. Holds no state of its own: one detector serves every topic.

    >>> detector = SurgeDetector(SurgeConfig.for_bucket(60))
    >>> state, verdict = detector.update(state, Bucket(minute, total=9, negative=7))
    >>> if verdict.raised: ...
    """

    def __init__(self, config: SurgeConfig) -> None:
        self.config = config
        self._length = bucket_length(config)

    def update(self, state: SurgeState, bucket: Bucket) -> tuple[SurgeState, Verdict]:
        """Advance ``state`` by the next bucket; buckets that are missing in between are empty ones.

        Raises LateBucket when ``bucket`` is not newer than the state (correct the stored buckets
        and use ``rebuild``) and ValueError when it does not lie on the state's grid.
        """
        change = _Change()
        if state.last_start is not None:
            ahead = (bucket.start - state.last_start) / self._length
            steps = round(ahead)
            if steps < 1:
                raise LateBucket(
                    f"bucket {bucket.start.isoformat()} is not after {state.last_start.isoformat()}"
                )
            if abs(ahead - steps) > 1e-6:
                raise ValueError(
                    f"bucket {bucket.start.isoformat()} is not a whole number of "
                    f"{self.config.bucket_seconds:g} s after {state.last_start.isoformat()}"
                )
            state = self._fill_gap(state, steps - 1, change)
        state, reading = self._step(state, bucket, change)
        return state, self._verdict(state, reading, change, bucket)

    def replay(self, buckets: Iterable[Bucket]) -> list[Verdict]:
        """The verdicts of a history judged from the beginning, in order of time."""
        return self.rebuild(buckets)[1]

    def rebuild(self, buckets: Iterable[Bucket]) -> tuple[SurgeState, list[Verdict]]:
        """State and verdicts of a history, for late arrivals: change the stored bucket, rebuild.

        Buckets may come in any order. Raises ValueError when two have the same start.
        """
        state = SurgeState()
        verdicts: list[Verdict] = []
        for bucket in sorted(buckets, key=lambda bucket: bucket.start):
            state, verdict = self.update(state, bucket)
            verdicts.append(verdict)
        return state, verdicts

    def _fill_gap(self, state: SurgeState, empty: int, change: _Change) -> SurgeState:
        """Step over ``empty`` empty buckets; once all is calm the rest is one multiplication."""
        while empty and not self._is_idle(state):
            assert state.last_start is not None  # noqa: S101  a gap needs an end to start from
            start = state.last_start + self._length
            state, _ = self._step(state, Bucket(start, 0, 0), change)
            empty -= 1
        if not empty or state.last_start is None:
            return state
        return replace(
            state,
            last_start=state.last_start + empty * self._length,
            fast=_decayed(state.fast, self.config.fast_half_life, empty),
            slow=_decayed(state.slow, self.config.slow_half_life, empty),
        )

    def _is_idle(self, state: SurgeState) -> bool:
        return (
            state.phase is Phase.NORMAL
            and len(state.recent) == self.config.window
            and not any(recent.total or recent.excluded for recent in state.recent)
        )

    def _step(
        self, state: SurgeState, bucket: Bucket, change: _Change
    ) -> tuple[SurgeState, _Reading]:
        config = self.config
        recent = [*state.recent, Recent(bucket.total, bucket.negative)]
        fast, slow = state.fast, state.slow
        while len(recent) > config.window:
            oldest = recent.pop(0)
            if not oldest.excluded:
                fast = self._learned(fast, oldest, config.fast_half_life)
                slow = self._learned(slow, oldest, config.slow_half_life)
        state = replace(
            state,
            recent=tuple(recent),
            fast=fast,
            slow=slow,
            last_start=bucket.start,
            seen=min(state.seen + 1, config.learning + config.window),
        )
        if state.seen < config.learning + config.window:
            return state, replace(self._read(state), reason=Reason.LEARNING)
        reading = self._read(state)
        state = self._moved(state, reading, bucket, change)
        suspected = state.phase in (Phase.PENDING, Phase.FIRING, Phase.RECOVERING)
        if suspected and state.age <= config.relearn_after:
            state = replace(state, recent=tuple(replace(r, excluded=True) for r in state.recent))
        reason = reading.reason
        if state.phase is Phase.RECOVERING:
            reason = Reason.COOLING
        elif state.phase is Phase.FIRING and not reading.hot:
            reason = Reason.ELEVATED
        return state, replace(reading, reason=reason)

    def _learned(self, mean: Mean, bucket: Recent, half_life: float) -> Mean:
        """``mean`` moved towards one bucket, clipped once the mean is worth comparing with."""
        decay: float = 0.5 ** (1.0 / half_life)
        weight = mean.weight * decay + (1.0 - decay)
        # Bias-corrected (Adam's): the first buckets weigh equally instead of starting from zero.
        gain = (1.0 - decay) / weight
        total, negative = float(bucket.total), float(bucket.negative)
        if mean.weight >= 1.0 - decay**self.config.learning:
            total = min(total, self._ceiling(mean.total))
            negative = min(negative, self._ceiling(mean.negative))
        return Mean(
            total=mean.total + gain * (total - mean.total),
            negative=mean.negative + gain * (negative - mean.negative),
            weight=weight,
        )

    def _ceiling(self, rate: float) -> float:
        spread = math.sqrt(rate + self.config.overdispersion * rate * rate)
        return max(1.0, rate + self.config.clip * spread)

    def _read(self, state: SurgeState) -> _Reading:
        config = self.config
        total = sum(recent.total for recent in state.recent)
        negative = sum(recent.negative for recent in state.recent)

        seen_fast = _buckets_behind(state.fast, config.fast_half_life)
        seen_slow = _buckets_behind(state.slow, config.slow_half_life)
        rate, seen = max(
            ((state.fast.negative * seen_fast + _PRIOR_NEGATIVE) / max(seen_fast, 1.0), seen_fast),
            ((state.slow.negative * seen_slow + _PRIOR_NEGATIVE) / max(seen_slow, 1.0), seen_slow),
        )
        expected = rate * config.window
        size = 1.0 / (1.0 / (rate * max(seen, 1.0)) + config.overdispersion)

        stories = state.slow.total * seen_slow
        baseline_share = (state.slow.negative * seen_slow + _PRIOR_SHARE * _PRIOR_STORIES) / (
            stories + _PRIOR_STORIES
        )
        concentration = min(stories + _PRIOR_STORIES, config.share_concentration)

        count_significance = _significance(
            negative_binomial_tail(negative, mean=expected, size=size)
        )
        share_significance = _significance(
            beta_binomial_tail(negative, total, share=baseline_share, concentration=concentration)
        )
        score = min(
            count_significance / config.count_significance,
            share_significance / config.share_significance,
        )
        share = negative / total if total else 0.0
        if negative < config.minimum_negative or total < config.minimum_total:
            reason = Reason.TOO_FEW
        elif (
            count_significance < config.count_significance
            or negative < config.count_factor * expected
        ):
            reason = Reason.COUNT_NORMAL
        elif share_significance < config.share_significance or share < min(
            1.0, baseline_share + config.share_gain
        ):
            reason = Reason.SHARE_NORMAL
        else:
            reason = Reason.SURGE
        return _Reading(
            total,
            negative,
            expected,
            baseline_share,
            count_significance,
            share_significance,
            score,
            reason,
        )

    def _moved(
        self, state: SurgeState, reading: _Reading, bucket: Bucket, change: _Change
    ) -> SurgeState:
        """The phase after one reading."""
        config = self.config
        if state.phase in (Phase.LEARNING, Phase.NORMAL, Phase.PENDING):
            if not reading.hot:
                return replace(state, phase=Phase.NORMAL, streak=0)
            streak = state.streak + 1
            if streak < config.pending:
                return replace(state, phase=Phase.PENDING, streak=streak)
            change.raised = True
            return replace(state, phase=Phase.FIRING, streak=0, age=0, since=bucket.start)

        age = state.age + 1
        cool = (
            reading.score < config.clear_ratio
            or 2 * reading.negative < config.minimum_negative
            or 2 * reading.total < config.minimum_total
        )
        if not cool:
            return replace(state, phase=Phase.FIRING, streak=0, age=age)
        streak = state.streak + 1
        if streak < config.recovery or age < config.minimum_firing:
            return replace(state, phase=Phase.RECOVERING, streak=streak, age=age)
        change.cleared = True
        return replace(state, phase=Phase.NORMAL, streak=0, age=0, since=None)

    def _verdict(
        self, state: SurgeState, reading: _Reading, change: _Change, bucket: Bucket
    ) -> Verdict:
        return Verdict(
            start=bucket.start,
            phase=state.phase,
            reason=reading.reason,
            score=reading.score,
            expected=reading.expected,
            observed=reading.negative,
            total=reading.total,
            share=reading.share,
            baseline_share=reading.baseline_share,
            count_significance=reading.count_significance,
            share_significance=reading.share_significance,
            window_start=bucket.start - (len(state.recent) - 1) * self._length,
            window_end=bucket.start + self._length,
            raised=change.raised,
            cleared=change.cleared,
            since=state.since,
        )


def _decayed(mean: Mean, half_life: float, buckets: int) -> Mean:
    """``mean`` after so many empty buckets."""
    decay: float = 0.5 ** (buckets / half_life)
    weight = mean.weight * decay + (1.0 - decay)
    remaining = mean.weight * decay / weight if weight else 0.0
    return Mean(mean.total * remaining, mean.negative * remaining, weight)


def _buckets_behind(mean: Mean, half_life: float) -> float:
    """How many buckets' worth of evidence a mean holds: its weight in units of a new bucket's."""
    newest: float = 1.0 - 0.5 ** (1.0 / half_life)
    return mean.weight / newest


def _significance(probability: float) -> float:
    if probability <= 0.0:
        return _MAXIMUM_SIGNIFICANCE
    return min(_MAXIMUM_SIGNIFICANCE, -math.log10(min(1.0, probability)))
