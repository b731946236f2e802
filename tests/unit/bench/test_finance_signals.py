"""NAB's score agrees with what its authors published, and the benchmarks' streams are what they say."""

from __future__ import annotations

import pytest

from bench.finance.nab import LOW_FN, LOW_FP, Profile, Stream, nab_raw, nab_score, streams
from bench.training.data import data_directory

# Windows of five rows; a detection at the start of the first, one more in it, one two rows past it.
WINDOWS = [(10, 14), (60, 64)]


def stream(
    name: str = "one", windows: tuple[tuple[int, int], ...] = ((30, 34), (60, 64))
) -> Stream:
    return Stream(name, (), (0,) * 100, windows)


def test_the_worked_example_of_nabs_own_tests() -> None:
    """numenta/NAB, tests/integration/scorer_test.py, testScoringAllMetrics: -0.9540."""
    raw = nab_raw([10, 11, 17], WINDOWS, profile=Profile(false_positive=1.0))
    assert raw == pytest.approx(-0.9540, abs=5e-5)


def test_a_false_alarm_costs_its_weight_before_any_window_and_less_right_after_one() -> None:
    """testRewardLowFalsePositives: one early false alarm is one whole weight."""
    assert nab_raw([0], []) == pytest.approx(-0.11)
    assert nab_raw([0], [], profile=LOW_FP) == pytest.approx(-0.22)
    assert nab_raw([15], [(10, 14)]) > nab_raw([40], [(10, 14)])


def test_silence_is_zero_and_the_first_moment_of_every_window_nearly_a_hundred() -> None:
    assert nab_score({"one": []}, [stream()]) == 0.0
    assert nab_score({"one": []}, [stream()], LOW_FN) == 0.0
    assert nab_score({"one": [30, 60]}, [stream()]) == pytest.approx(100.0, abs=1.0)
    assert nab_score({"one": [34, 64]}, [stream()]) < nab_score({"one": [32, 62]}, [stream()])


def test_only_the_earliest_detection_in_a_window_counts_and_probation_is_free() -> None:
    assert nab_raw([12, 13, 14], WINDOWS) == nab_raw([12], WINDOWS)
    assert nab_raw([3], WINDOWS, probation=5) == nab_raw([], WINDOWS)


def test_the_streams_have_the_rows_that_published_results_count() -> None:
    """TP + FN and TN + FP of ARTime's published table are the rows inside and outside of windows after probation."""
    try:
        found = {stream.name: stream for stream in streams()}
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert data_directory().is_dir()
    assert sum(len(stream.windows) for stream in found.values()) == 33
    for name, inside, outside in (
        ("AMZN", 1580, 13501),
        ("GOOG", 1432, 13660),
        ("CVS", 1526, 13577),
    ):
        stream = found[name]
        rows = range(stream.probation, len(stream.counts))
        within = sum(any(left <= n <= right for left, right in stream.windows) for n in rows)
        assert (within, len(rows) - within) == (inside, outside)
