"""Every detector of the registry keeps the same promises, whatever it computes."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.detection import (
    DETECTORS,
    THRESHOLDS,
    Bucket,
    Measure,
    Phase,
    Reason,
    SurgeConfig,
    SurgeDetector,
    SurgeState,
    Verdict,
)
from ml_core.detection.baseline import Season, stabilised, unstabilised

START = datetime(2026, 1, 5, tzinfo=UTC)
NAMES = sorted(DETECTORS)


def poisson(rng: random.Random, mean: float) -> int:
    return sum(rng.random() < mean / 50 for _ in range(50))


def calm(config: SurgeConfig, count: int, *, mean: float = 4.0, seed: int = 1) -> list[Bucket]:
    """Poisson stories, every fourth negative."""
    rng = random.Random(seed)
    found = []
    for place in range(count):
        total = poisson(rng, mean)
        bad = sum(rng.random() < 0.25 for _ in range(total))
        found.append(Bucket(START + place * timedelta(seconds=config.bucket_seconds), total, bad))
    return found


def hot(config: SurgeConfig, after: list[Bucket], count: int, total: int, bad: int) -> list[Bucket]:
    length = timedelta(seconds=config.bucket_seconds)
    return [Bucket(after[-1].start + (n + 1) * length, total, bad) for n in range(count)]


def judged(config: SurgeConfig, buckets: list[Bucket]) -> list[Verdict]:
    return SurgeDetector(config).replay(buckets)


def test_the_registry_and_the_thresholds_name_the_same() -> None:
    assert set(DETECTORS) == set(THRESHOLDS)


@pytest.mark.parametrize("name", NAMES)
def test_every_detector_raises_once_on_a_surge_and_clears_after_it(name: str) -> None:
    config = SurgeConfig.for_bucket(300, detector=name)
    before = calm(config, 400)
    surge = hot(config, before, 12, 16, 14)
    after = hot(config, surge, 100, 4, 1)
    verdicts = judged(config, [*before, *surge, *after])
    raised = [n for n, verdict in enumerate(verdicts) if verdict.raised and n >= 400]
    assert len(raised) == 1
    assert raised[0] < 409
    assert any(verdict.cleared for verdict in verdicts[raised[0] :])
    assert verdicts[raised[0]].expected < verdicts[raised[0]].observed


@pytest.mark.parametrize("name", NAMES)
def test_volume_alone_is_enough_for_that_measure_and_not_for_negatives(name: str) -> None:
    for measure, wanted in ((Measure.VOLUME, True), (Measure.NEGATIVES, False)):
        config = SurgeConfig.for_bucket(300, detector=name, measure=measure)
        before = calm(config, 400)
        verdicts = judged(config, [*before, *hot(config, before, 12, 40, 10)])
        assert any(verdict.raised for verdict in verdicts[400:]) is wanted


def test_the_share_alone_is_enough_for_that_measure() -> None:
    config = SurgeConfig.for_bucket(300, measure=Measure.SHARE)
    before = calm(config, 400)
    verdicts = judged(config, [*before, *hot(config, before, 12, 4, 4)])
    assert any(verdict.raised for verdict in verdicts[400:])
    by_count = SurgeConfig.for_bucket(300, count_factor=8.0)
    verdicts = judged(by_count, [*before, *hot(by_count, before, 12, 4, 4)])
    assert not any(verdict.raised for verdict in verdicts[400:])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("season", [False, True])
@given(counts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
@settings(max_examples=10, deadline=None)
def test_state_survives_json_and_score_never_falls_with_the_count(
    name: str, season: bool, counts: list[tuple[int, int]]
) -> None:
    config = SurgeConfig.for_bucket(900, detector=name, season=season, learning=18)
    detector = SurgeDetector(config)
    direct = stored = detector.rebuild(calm(config, 60))[0]
    assert direct.last_start is not None
    for bad, more in counts:
        start = direct.last_start + timedelta(minutes=15)
        _, low = detector.update(direct, Bucket(start, bad + more, bad))
        _, high = detector.update(direct, Bucket(start, bad + more + 1, bad + 1))
        assert high.strength >= low.strength - 1e-9
        direct, verdict = detector.update(direct, Bucket(start, bad + more, bad))
        stored = SurgeState.from_json(json.loads(json.dumps(stored.to_json())))
        stored, again = detector.update(stored, Bucket(start, bad + more, bad))
        assert again == verdict
        assert stored == direct


@pytest.mark.parametrize("name", NAMES)
def test_a_long_silence_is_the_same_stepped_over_or_judged(name: str) -> None:
    config = SurgeConfig.for_bucket(3600, detector=name, season=True, slow_half_life=48.0)
    before = calm(config, 120)
    detector = SurgeDetector(config)
    state, _ = detector.rebuild(before)
    later = Bucket(before[-1].start + timedelta(days=4), 6, 2)
    _, skipped = detector.update(state, later)
    steps = [*before, *hot(config, before, 95, 0, 0), later]
    stepped = judged(config, steps)[-1]
    assert skipped.phase is stepped.phase
    assert skipped.expected == pytest.approx(stepped.expected, rel=0.02, abs=0.02)


def test_nothing_is_judged_while_learning_and_the_verdict_says_so() -> None:
    config = SurgeConfig.for_bucket(300, detector="cusum")
    verdicts = judged(config, [Bucket(START + n * timedelta(minutes=5), 9, 9) for n in range(18)])
    assert {verdict.phase for verdict in verdicts} == {Phase.LEARNING}
    assert {verdict.reason for verdict in verdicts} == {Reason.LEARNING}


def test_a_learned_week_expects_the_morning_and_not_the_night() -> None:
    season = Season(half_life=14 * 24.0)
    memory = season.start()
    for place in range(24 * 28):
        at = START + timedelta(hours=place)
        memory = season.learn(memory, at, 30.0 if 8 <= at.hour < 12 else 4.0, 1)
    morning = season.factor(memory, START.replace(hour=10, minute=30))
    night = season.factor(memory, START.replace(hour=3, minute=30))
    assert morning > 3 * night
    assert json.loads(json.dumps(memory)) == memory


@given(st.integers(0, 100_000))
def test_the_transform_comes_back(count: int) -> None:
    assert unstabilised(stabilised(count)) == pytest.approx(count, abs=1e-6)


def test_impossible_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="no detector 'magic'"):
        SurgeConfig(detector="magic")
    with pytest.raises(ValueError, match="slack"):
        SurgeConfig(slack=-1.0)
    with pytest.raises(ValueError, match="history"):
        SurgeConfig(history=3)
