"""Surges: a test of count and share with memory.

For each bucket the window of the last ``config.window`` buckets is compared with a baseline made of
older ones:

* count: how far the number of stories is above what one of the models of ``counters`` expects;
* share: tail probability of the number of negative stories given all stories of the window, under a
  beta-binomial around the baseline's share. More news of every kind is no surge of bad news.

A bucket enters the baseline only when it leaves the window, clipped, and not at all when it was
part of a suspected or confirmed surge: the baseline does not learn from what it is there to find.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from ml_core.detection.baseline import moved, seen
from ml_core.detection.counters import DETECTORS
from ml_core.detection.tails import beta_binomial_tail
from ml_core.detection.types import (
    Bucket,
    LateBucket,
    Mean,
    Measure,
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
_MAXIMUM_SIGNIFICANCE = 300.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """The window against the baseline, before the phase is considered."""

    total: int
    negative: int
    observed: int
    expected: float
    baseline_share: float
    strength: float
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
    """Judges buckets of one subject. Holds no state of its own: one detector serves every subject.

    >>> detector = SurgeDetector(SurgeConfig.for_bucket(60))
    >>> state, verdict = detector.update(state, Bucket(minute, total=9, negative=7))
    >>> if verdict.raised: ...
    """

    def __init__(self, config: SurgeConfig) -> None:
        self.config = config
        self._length = bucket_length(config)
        self._model = DETECTORS[config.detector](config)

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

    def walk(
        self,
        state: SurgeState,
        buckets: Iterable[Bucket],
        *,
        since: datetime,
        until: datetime,
        stops: Iterable[datetime] = (),
    ) -> Iterator[tuple[SurgeState, Verdict]]:
        """State and verdict after each bucket in [since, until) that matters, where ``buckets`` are those with stories.

        Empty ones are judged one by one only while an alert is pending or open, and at ``stops`` (starts of buckets);
        the others are stepped over. A state that is new begins at ``since``.
        """
        by_start = {bucket.start: bucket for bucket in buckets}
        wanted = {*by_start, *stops, *([since] if state.last_start is None else [])}
        for start in sorted(wanted):
            if not since <= start < until or (state.last_start and start <= state.last_start):
                continue
            while state.last_start and state.phase not in (Phase.LEARNING, Phase.NORMAL):
                following = state.last_start + self._length
                if following >= start:
                    break
                state, verdict = self.update(state, Bucket(following, 0, 0))
                yield state, verdict
            state, verdict = self.update(state, by_start.get(start, Bucket(start, 0, 0)))
            yield state, verdict

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
            share=_moved(state.share, 0.0, 0.0, self.config.slow_half_life, empty),
            memory=self._silence(state.memory, state.last_start + self._length, empty),
        )

    def _silence(self, memory: dict[str, Any], start: datetime, empty: int) -> dict[str, Any]:
        """The model's memory after so many empty buckets: at once, or by the hour where hours matter."""
        while empty:
            rest = timedelta(hours=1) - timedelta(minutes=start.minute, seconds=start.second)
            times = min(empty, max(1, rest // self._length)) if self.config.season else empty
            memory = self._model.learn(memory, start, 0.0, times)
            start, empty = start + times * self._length, empty - times
        return memory

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
        share, memory = state.share, state.memory or self._model.start()
        while len(recent) > config.window:
            oldest = recent.pop(0)
            if not oldest.excluded:
                share = self._learned(share, oldest)
                start = bucket.start - config.window * self._length
                memory = self._model.learn(memory, start, float(self._counted(oldest)))
        state = replace(
            state,
            recent=tuple(recent),
            share=share,
            memory=memory,
            last_start=bucket.start,
            seen=min(state.seen + 1, config.learning + config.window),
        )
        judged, reading = self._read(state)
        if state.seen < config.learning + config.window:
            return state, replace(reading, reason=Reason.LEARNING)
        state = self._moved(replace(state, memory=judged), reading, bucket, change)
        suspected = state.phase in (Phase.PENDING, Phase.FIRING, Phase.RECOVERING)
        if suspected and state.age < config.relearn_after:
            state = replace(state, recent=tuple(replace(r, excluded=True) for r in state.recent))
        reason = reading.reason
        if state.phase is Phase.RECOVERING:
            reason = Reason.COOLING
        elif state.phase is Phase.FIRING and not reading.hot:
            reason = Reason.ELEVATED
        return state, replace(reading, reason=reason)

    def _counted(self, bucket: Recent) -> int:
        return bucket.total if self.config.measure is Measure.VOLUME else bucket.negative

    def _learned(self, mean: Mean, bucket: Recent) -> Mean:
        """``mean`` moved towards one bucket, clipped once the mean is worth comparing with."""
        config = self.config
        total, negative = float(bucket.total), float(bucket.negative)
        if mean.weight >= 1.0 - 0.5 ** (config.learning / config.slow_half_life):
            total = min(total, self._ceiling(mean.total))
            negative = min(negative, self._ceiling(mean.negative))
        return _moved(mean, total, negative, config.slow_half_life)

    def _ceiling(self, rate: float) -> float:
        spread = math.sqrt(rate + self.config.overdispersion * rate * rate)
        return max(1.0, rate + self.config.clip * spread)

    def _read(self, state: SurgeState) -> tuple[dict[str, Any], _Reading]:
        """The model's memory after it has seen the window, and the window against the baseline."""
        config = self.config
        assert state.last_start is not None  # noqa: S101  a window needs an end
        total = sum(recent.total for recent in state.recent)
        negative = sum(recent.negative for recent in state.recent)
        count = len(state.recent)
        memory, judgement = self._model.judge(
            state.memory,
            [state.last_start - back * self._length for back in reversed(range(count))],
            [float(self._counted(recent)) for recent in state.recent],
        )
        baseline_share, share_significance = self._share(state.share, total, negative)
        reading = _Reading(
            total,
            negative,
            total if config.measure is Measure.VOLUME else negative,
            judgement.expected,
            baseline_share,
            judgement.strength,
            share_significance,
            self._score(judgement.strength, share_significance),
            Reason.SURGE,
        )
        return memory, replace(reading, reason=self._reason(reading))

    def _share(self, mean: Mean, total: int, negative: int) -> tuple[float, float]:
        """The usual share of negative stories, and how little that of the window fits it."""
        stories = mean.total * _buckets_behind(mean, self.config.slow_half_life)
        bad = mean.negative * _buckets_behind(mean, self.config.slow_half_life)
        usual = (bad + _PRIOR_SHARE * _PRIOR_STORIES) / (stories + _PRIOR_STORIES)
        concentration = min(stories + _PRIOR_STORIES, self.config.share_concentration)
        tail = beta_binomial_tail(negative, total, share=usual, concentration=concentration)
        return usual, _significance(tail)

    def _score(self, strength: float, share_significance: float) -> float:
        count = strength / self.config.threshold
        share = share_significance / self.config.share_significance
        measures = {Measure.VOLUME: count, Measure.SHARE: share}
        return measures.get(self.config.measure, min(count, share))

    def _reason(self, reading: _Reading) -> Reason:
        """The first thing that speaks against a surge."""
        config = self.config
        if reading.total < config.minimum_total:
            return Reason.TOO_FEW
        if config.measure is not Measure.VOLUME and reading.negative < config.minimum_negative:
            return Reason.TOO_FEW
        if config.measure is not Measure.SHARE and (
            reading.strength < config.threshold
            or reading.observed < config.count_factor * reading.expected
        ):
            return Reason.COUNT_NORMAL
        if config.measure is not Measure.VOLUME and (
            reading.share_significance < config.share_significance
            or reading.share < min(1.0, reading.baseline_share + config.share_gain)
        ):
            return Reason.SHARE_NORMAL
        return Reason.SURGE

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
        few = (
            config.measure is not Measure.VOLUME and 2 * reading.negative < config.minimum_negative
        )
        cool = reading.score < config.clear_ratio or few or 2 * reading.total < config.minimum_total
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
            observed=reading.observed,
            total=reading.total,
            share=reading.share,
            baseline_share=reading.baseline_share,
            strength=reading.strength,
            share_significance=reading.share_significance,
            window_start=bucket.start - (len(state.recent) - 1) * self._length,
            window_end=bucket.start + self._length,
            raised=change.raised,
            cleared=change.cleared,
            since=state.since,
        )


def _moved(mean: Mean, total: float, negative: float, half_life: float, times: int = 1) -> Mean:
    """``mean`` after ``times`` equal buckets."""
    both = moved([mean.total, mean.weight], total, half_life, times)
    bad = moved([mean.negative, mean.weight], negative, half_life, times)
    return Mean(both[0], bad[0], both[1])


def _buckets_behind(mean: Mean, half_life: float) -> float:
    return seen([0.0, mean.weight], half_life)


def _significance(probability: float) -> float:
    if probability <= 0.0:
        return _MAXIMUM_SIGNIFICANCE
    return min(_MAXIMUM_SIGNIFICANCE, -math.log10(min(1.0, probability)))
