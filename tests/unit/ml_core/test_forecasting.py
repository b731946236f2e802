"""Forecasts beat the season's repetition where there is something to learn, and intervals hold what they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.forecasting import FORECASTERS, SeriesTooShort, direction_backtest, forecast


def weekly(count: int = 250, *, seed: int = 3, spread: float = 3.0) -> list[float]:
    """A week with a quiet end around a level that wanders."""
    rng = np.random.default_rng(seed)
    level = 40 + np.cumsum(rng.normal(0, 0.4, count))
    shape = np.array([1.2, 1.1, 1.0, 1.1, 1.2, 0.5, 0.4])
    values = level * shape[np.arange(count) % 7] + rng.normal(0, spread, count)
    return [float(value) for value in np.maximum(values, 0)]


@pytest.mark.parametrize("model", sorted(set(FORECASTERS) - {"seasonal-naive"}))
def test_every_model_beats_the_last_week_on_a_noisy_week(model: str) -> None:
    test = forecast(weekly(), season=7, horizon=7, model=model).backtest
    assert test.skill > 0.1
    assert test.mase < test.naive_mase
    assert test.origins > 50
    assert test.values == 7 * test.origins


def test_the_naive_forecast_has_no_skill_over_itself() -> None:
    test = forecast(weekly(), season=7, horizon=7, model="seasonal-naive", counts=False).backtest
    assert test.skill == pytest.approx(0.0)


def test_intervals_hold_about_as_many_values_as_they_say() -> None:
    for level in (0.5, 0.8):
        test = forecast(weekly(400, seed=8), season=7, horizon=3, level=level, origins=250).backtest
        assert test.coverage == pytest.approx(level, abs=0.08)


def test_the_backtest_never_sees_the_future() -> None:
    values = weekly(150)
    changed = [*values[:-1], values[-1] + 1000]
    one = forecast(values, season=7, horizon=1, origins=40).backtest.one_step
    other = forecast(changed, season=7, horizon=1, origins=40).backtest.one_step
    assert [(at, interval) for at, _actual, interval in one] == [
        (at, interval) for at, _actual, interval in other
    ]


def test_counts_are_never_negative_and_shares_stay_between_their_bounds() -> None:
    rng = np.random.default_rng(1)
    rare = [float(value) for value in rng.poisson(0.4, 120)]
    made = forecast(rare, season=7, horizon=7)
    assert all(0 <= interval.low <= interval.middle <= interval.high for interval in made.ahead)
    shares = [float(value) for value in rng.beta(1, 9, 120)]
    made = forecast(shares, season=7, horizon=7, counts=False, bounds=(0, 1))
    assert all(0 <= interval.low <= interval.high <= 1 for interval in made.ahead)


@given(
    st.lists(st.floats(0, 1e6), min_size=60, max_size=90),
    st.sampled_from(sorted(FORECASTERS)),
)
@settings(max_examples=25, deadline=None)
def test_whatever_the_series_is_the_answer_is_finite(values: list[float], model: str) -> None:
    made = forecast(values, season=5, horizon=4, model=model)
    numbers = [
        number
        for interval in made.ahead
        for number in (interval.middle, interval.low, interval.high)
    ]
    assert all(math.isfinite(number) for number in [*numbers, made.backtest.mase])


def test_bad_input_says_what_is_wrong() -> None:
    with pytest.raises(SeriesTooShort, match="10 values; a forecast with a backtest needs 48"):
        forecast([1.0] * 10, season=7, horizon=7)
    with pytest.raises(ValueError, match="no forecaster 'oracle'"):
        forecast(weekly(), season=7, horizon=7, model="oracle")
    with pytest.raises(ValueError, match="no finite numbers"):
        forecast([*weekly(), float("nan")], season=7, horizon=7)


def test_a_direction_that_can_be_known_is_found_and_one_that_cannot_is_not() -> None:
    rng = np.random.default_rng(4)
    sign = rng.normal(0, 1, 600)
    noise = rng.normal(0, 1, 600)
    days = np.arange(600)
    known = direction_backtest(sign[:, None], sign + 0.5 * noise > 0, days, start=200)
    assert known.accuracy > 0.8
    assert known.low < known.accuracy < known.high
    unknown = direction_backtest(sign[:, None], noise > 0, days, start=200)
    assert unknown.low < 0.5 < unknown.high
    with pytest.raises(ValueError, match="before the start"):
        direction_backtest(sign[:, None], sign > 0, days, start=0)
