from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.detection import (
    Bucket,
    LateBucket,
    Phase,
    Reason,
    SurgeConfig,
    SurgeDetector,
    SurgeState,
    Verdict,
)
from ml_core.detection.tails import beta_binomial_tail, negative_binomial_tail

START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTES = SurgeConfig.for_bucket(60)
FAST = SurgeConfig.for_bucket(5)
COUNTS = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12)).map(lambda p: (p[0] + p[1], p[0])),
    max_size=80,
)


def buckets(counts: list[tuple[int, int]], config: SurgeConfig) -> list[Bucket]:
    """Buckets of ``(total, negative)``."""
    length = timedelta(seconds=config.bucket_seconds)
    return [
        Bucket(START + i * length, total, negative) for i, (total, negative) in enumerate(counts)
    ]


def poisson(rng: random.Random, mean: float) -> int:
    count, product, floor = 0, rng.random(), math.exp(-mean)
    while product > floor:
        count, product = count + 1, product * rng.random()
    return count


def calm(
    rng: random.Random, config: SurgeConfig, days: float, per_day: float
) -> list[tuple[int, int]]:
    """Poisson stories with a daily season, every fourth negative."""
    per_bucket = per_day * config.bucket_seconds / 86400
    counts = []
    for index in range(int(days * 86400 / config.bucket_seconds)):
        hour = index * config.bucket_seconds / 3600 % 24
        total = poisson(rng, per_bucket * (1 + 0.7 * math.cos((hour - 14) / 24 * 2 * math.pi)))
        counts.append((total, sum(rng.random() < 0.25 for _ in range(total))))
    return counts


def learned(config: SurgeConfig, *, total: int = 4, negative: int = 1) -> SurgeState:
    count = config.learning + config.window
    state, _ = SurgeDetector(config).rebuild(buckets([(total, negative)] * count, config))
    assert state.phase is Phase.NORMAL
    return state


def following(
    state: SurgeState, counts: list[tuple[int, int]], config: SurgeConfig
) -> list[Verdict]:
    assert state.last_start is not None
    verdicts = []
    for index, (total, negative) in enumerate(counts, start=1):
        start = state.last_start + timedelta(seconds=config.bucket_seconds)
        state, verdict = SurgeDetector(config).update(state, Bucket(start, total, negative))
        verdicts.append(verdict)
        assert len(verdicts) == index
    return verdicts


def test_tails_agree_with_direct_sums() -> None:
    def negative_binomial(k: int, mean: float, size: float) -> float:
        p = size / (size + mean)
        return math.exp(
            math.lgamma(k + size) - math.lgamma(size) - math.lgamma(k + 1)
            + size * math.log(p) + k * math.log(1 - p)
        )  # fmt: skip

    for mean, size, count in ((0.5, 2.0, 4), (7.0, 10.0, 12), (300.0, 9.0, 500), (2.0, 1e4, 9)):
        direct = 1.0 - sum(negative_binomial(k, mean, size) for k in range(count))
        assert negative_binomial_tail(count, mean=mean, size=size) == pytest.approx(
            direct, rel=1e-6
        )
    # Uniform share: every count from 0 to 10 is equally likely.
    assert beta_binomial_tail(8, 10, share=0.5, concentration=2.0) == pytest.approx(3 / 11)
    assert beta_binomial_tail(0, 10, share=0.5, concentration=2.0) == 1.0
    assert beta_binomial_tail(11, 10, share=0.5, concentration=2.0) == 0.0


def test_learns_first_then_raises_once_and_clears_once() -> None:
    surge = [(4, 1)] * 20 + [(10, 8)] * 30 + [(4, 1)] * 60
    verdicts = following(learned(MINUTES), surge, MINUTES)
    assert sum(verdict.raised for verdict in verdicts) == 1
    assert sum(verdict.cleared for verdict in verdicts) == 1
    raised = next(i for i, verdict in enumerate(verdicts) if verdict.raised)
    cleared = next(i for i, verdict in enumerate(verdicts) if verdict.cleared)
    assert 20 <= raised < 20 + MINUTES.window
    assert 50 < cleared < 50 + MINUTES.window + MINUTES.recovery + 1
    assert all(verdict.is_open for verdict in verdicts[raised:cleared])
    assert not any(verdict.is_open for verdict in verdicts[:raised] + verdicts[cleared:])
    phases = [verdict.phase for verdict in verdicts]
    assert phases[raised - 1] is Phase.PENDING
    assert phases[cleared - 1] is Phase.RECOVERING
    assert verdicts[raised].reason is Reason.SURGE
    assert verdicts[raised].since == verdicts[raised].start
    assert verdicts[cleared].since is None


def test_nothing_is_judged_while_learning() -> None:
    verdicts = SurgeDetector(FAST).replay(buckets([(9, 9)] * FAST.learning, FAST))
    assert {verdict.phase for verdict in verdicts} == {Phase.LEARNING}
    assert {verdict.reason for verdict in verdicts} == {Reason.LEARNING}


def test_more_news_of_every_kind_is_no_surge() -> None:
    verdicts = following(learned(MINUTES), [(24, 6)] * 60, MINUTES)
    assert not any(verdict.raised for verdict in verdicts)
    assert Reason.SHARE_NORMAL in {verdict.reason for verdict in verdicts}


def test_a_larger_share_of_the_usual_count_is_no_surge() -> None:
    verdicts = following(learned(MINUTES, total=8, negative=2), [(2, 2)] * 60, MINUTES)
    assert not any(verdict.raised for verdict in verdicts)


def test_one_burst_bucket_between_calm_ones_flaps_nothing() -> None:
    config = replace(MINUTES, window=1)
    counts = [(9, 9) if index % 2 else (4, 1) for index in range(100)]
    assert not any(v.raised for v in following(learned(config), counts, config))


def test_alert_that_hovers_about_the_threshold_stays_one_alert() -> None:
    # Hot, then in between the two thresholds, then hot again: no second alert, no clearing.
    state = learned(MINUTES)
    verdicts = following(state, ([(10, 8)] * 12 + [(6, 4)] * 8) * 5, MINUTES)
    assert sum(verdict.raised for verdict in verdicts) == 1
    assert not any(verdict.cleared for verdict in verdicts)


def test_baseline_does_not_learn_from_the_surge() -> None:
    before = learned(MINUTES)
    verdicts = following(before, [(30, 28)] * 300, MINUTES)
    assert verdicts[-1].phase is Phase.FIRING
    assert verdicts[-1].expected <= 1.1 * MINUTES.window
    assert verdicts[-1].baseline_share < 0.3


def test_a_surge_that_never_ends_becomes_the_new_normal() -> None:
    config = replace(MINUTES, relearn_after=100)
    verdicts = following(learned(config), [(10, 8)] * 4000, config)
    assert sum(verdict.raised for verdict in verdicts) == 1
    assert sum(verdict.cleared for verdict in verdicts) == 1


@given(COUNTS)
@settings(max_examples=60, deadline=None)
def test_never_fires_below_the_minimum_count(counts: list[tuple[int, int]]) -> None:
    state = learned(FAST, total=0, negative=0)
    low = [(total, min(negative, 1)) for total, negative in counts]
    config = replace(FAST, minimum_negative=FAST.window + 1)
    assert not any(verdict.raised for verdict in following(state, low, config))


@given(COUNTS, st.sampled_from([1.0, 60.0, 3600.0]))
@settings(max_examples=40, deadline=None)
def test_only_the_number_of_buckets_matters_not_their_length(
    counts: list[tuple[int, int]], seconds: float
) -> None:
    scaled = replace(FAST, bucket_seconds=seconds)
    one = following(learned(FAST), counts, FAST)
    other = following(learned(scaled), counts, scaled)
    assert [(v.phase, v.score, v.raised) for v in one] == [
        (v.phase, v.score, v.raised) for v in other
    ]


@given(COUNTS)
@settings(max_examples=40, deadline=None)
def test_state_survives_json_at_any_moment(counts: list[tuple[int, int]]) -> None:
    detector = SurgeDetector(FAST)
    direct = stored = SurgeState()
    for bucket in buckets(counts, FAST):
        direct, verdict = detector.update(direct, bucket)
        stored = SurgeState.from_json(json.loads(json.dumps(stored.to_json())))
        stored, again = detector.update(stored, bucket)
        assert again == verdict
        assert stored == direct


@given(COUNTS, st.integers(0, 30), st.integers(0, 29))
@settings(max_examples=60, deadline=None)
def test_score_rises_with_the_negatives(
    counts: list[tuple[int, int]], total: int, negative: int
) -> None:
    state = learned(FAST)
    for bucket in [
        Bucket(START + timedelta(days=1, seconds=5 * i), t, n) for i, (t, n) in enumerate(counts)
    ]:
        state, _ = SurgeDetector(FAST).update(state, bucket)
    assert state.last_start is not None
    start = state.last_start + timedelta(seconds=5)
    negative = min(negative, total)
    _, less = SurgeDetector(FAST).update(state, Bucket(start, total + 1, negative))
    _, more = SurgeDetector(FAST).update(state, Bucket(start, total + 1, negative + 1))
    assert more.score >= less.score - 1e-9
    assert not (less.is_open and not more.is_open)


def test_missing_buckets_are_empty_ones() -> None:
    detector = SurgeDetector(MINUTES)
    surge, _ = detector.rebuild(
        buckets([(4, 1)] * (MINUTES.learning + MINUTES.window) + [(10, 9)] * 12, MINUTES)
    )
    assert surge.phase is Phase.FIRING
    assert surge.last_start is not None
    later = Bucket(surge.last_start + timedelta(days=3), 4, 1)
    skipped, verdict = detector.update(surge, later)
    stepped, cleared = surge, 0
    moment = surge.last_start
    while moment < later.start - timedelta(minutes=1):
        moment += timedelta(minutes=1)
        stepped, step = detector.update(stepped, Bucket(moment, 0, 0))
        cleared += step.cleared
    stepped, _ = detector.update(stepped, later)
    assert cleared == 1
    assert verdict.cleared
    assert skipped.phase is stepped.phase
    assert skipped.recent == stepped.recent
    assert skipped.share.negative == pytest.approx(stepped.share.negative, rel=1e-6)
    assert skipped.memory["fast"] == pytest.approx(stepped.memory["fast"], rel=1e-6, abs=1e-12)


def test_late_and_misplaced_buckets_are_refused_and_change_nothing() -> None:
    detector = SurgeDetector(MINUTES)
    history = buckets([(4, 1)] * 30, MINUTES)
    state, verdicts = detector.rebuild(history)
    with pytest.raises(LateBucket, match="is not after"):
        detector.update(state, history[10])
    with pytest.raises(ValueError, match="not a whole number of 60 s"):
        detector.update(state, Bucket(history[-1].start + timedelta(seconds=90), 1, 0))
    assert detector.replay(reversed(history)) == verdicts
    with pytest.raises(LateBucket):
        detector.replay([*history, history[3]])


def test_bad_numbers_are_refused_with_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="3 negative of 2 stories"):
        Bucket(START, 2, 3)
    with pytest.raises(ValueError, match="no time zone"):
        Bucket(datetime(2026, 1, 5), 2, 1)  # noqa: DTZ001
    with pytest.raises(ValueError, match="window must be at least 1"):
        SurgeConfig(window=0)
    with pytest.raises(ValueError, match="seconds must be positive"):
        SurgeConfig.for_bucket(0)
    with pytest.raises(ValueError, match="version 99"):
        SurgeState.from_json({"version": 99})
    with pytest.raises(ValueError, match="damaged"):
        SurgeState.from_json({"version": 2, "phase": "normal"})


@pytest.mark.parametrize("seconds", [1, 5, 10, 30, 60, 300, 600, 3600, 86400])
def test_settings_exist_for_every_clock(seconds: int) -> None:
    config = SurgeConfig.for_bucket(seconds, minimum_negative=7)
    assert config.bucket_seconds == seconds
    assert config.minimum_negative == 7


@pytest.mark.parametrize(("seconds", "per_day"), [(60, 200), (300, 2000), (3600, 200)])
def test_thirty_calm_days_with_a_daily_season_raise_at_most_one_alert(
    seconds: int, per_day: int
) -> None:
    config = SurgeConfig.for_bucket(seconds)
    counts = calm(random.Random(seconds), config, 30, per_day)
    raised = sum(v.raised for v in SurgeDetector(config).replay(buckets(counts, config)))
    print(f"{raised} false alarms in 30 days of {per_day} stories a day, {seconds} s buckets")
    assert raised <= 1


def test_injected_surges_are_found_within_a_window() -> None:
    rng = random.Random(3)
    counts = calm(rng, MINUTES, 12, 200)
    starts = [1440 * day + rng.randrange(300, 1200) for day in range(2, 12)]
    for start in starts:
        for index in range(start, start + 60):
            extra = poisson(rng, 1.0)
            counts[index] = (counts[index][0] + extra, counts[index][1] + extra)
    verdicts = SurgeDetector(MINUTES).replay(buckets(counts, MINUTES))
    raised = [index for index, verdict in enumerate(verdicts) if verdict.raised]
    delays = [min((r - s for r in raised if s <= r < s + 60), default=None) for s in starts]
    print(f"alerts {len(raised)}, surges {len(starts)}, delays in minutes {delays}")
    assert all(delay is not None and delay <= MINUTES.window for delay in delays)
    assert len(raised) <= len(starts) + 1
    assert sum(verdict.cleared for verdict in verdicts) == len(raised)
