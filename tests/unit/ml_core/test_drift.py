"""Drift: quiet on what is usual, awake on what is not, and the same however the rows are cut up."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.__main__ import main
from ml_core.detection import DriftError, DriftReference, DriftRows, DriftStream, DriftWindow

DIMENSIONS = 40
_AXES = np.random.default_rng(1).normal(size=(DIMENSIONS, DIMENSIONS)) / 6


def made(
    count: int, seed: int, *, shift: float = 0.0, chinese: float = 0.0, sure: float = 8.0
) -> DriftRows:
    """Rows with skewed, correlated vectors; `shift` in standard deviations of a coordinate, `chinese` a share."""
    random = np.random.default_rng(seed)
    vectors = random.gamma(2.0, size=(count, DIMENSIONS)) @ _AXES + shift
    return DriftRows(
        vectors=vectors.astype(np.float32),
        lengths=random.lognormal(4, 0.6, size=count).round(),
        languages=["zh" if part < chinese else "en" for part in random.random(count)],
        labels=list(random.choice(["down", "flat", "up"], p=[0.2, 0.7, 0.1], size=count)),
        confidences=random.beta(sure, 1.0, size=count),
    )


@cache
def reference() -> DriftReference:
    return DriftReference.fit(made(2000, 0), draws=2000)


def reported(rows: DriftRows) -> list[str]:
    """The signals that any look at the rows reports."""
    verdicts = DriftStream(reference()).feed(rows)
    return [s.signal for verdict in verdicts for s in verdict.signals if s.drifted]


def test_at_most_one_clean_window_in_twenty_is_reported() -> None:
    alarms = sum(bool(reported(made(500, seed))) for seed in range(100, 300))
    assert alarms <= 10


@pytest.mark.parametrize(
    ("what", "signal"),
    [({"shift": 0.3}, "text"), ({"chinese": 0.1}, "language"), ({"sure": 3.0}, "confidence")],
)
def test_each_kind_of_drift_is_reported_by_its_signal_within_a_window(
    what: dict[str, float], signal: str
) -> None:
    for seed in range(5):
        assert signal in reported(made(500, 1000 + seed, **what))


def test_one_row_in_a_language_never_seen_is_no_drift() -> None:
    rows = made(500, 4)
    languages = ["zh", *(["en"] * 499)]
    changed = DriftRows(rows.vectors, rows.lengths, languages, rows.labels, rows.confidences)
    assert "language" not in reported(changed)


def test_a_verdict_says_what_moved_and_by_how_much() -> None:
    window = reference().summarise(made(500, 7, chinese=0.4))
    language = next(s for s in reference().judge(window).signals if s.signal == "language")
    assert language.effect == pytest.approx(0.4, abs=0.08)
    name, before, now = language.moved[0]
    assert name in ("en", "…")
    assert abs(now - before) > 0.3


@given(st.lists(st.integers(1, 60), min_size=3, max_size=6), st.randoms())
@settings(max_examples=30, deadline=None)
def test_windows_merge_in_any_order_and_grouping(sizes: list[int], random: Any) -> None:
    rows = made(sum(sizes), 5)
    parts, start = [], 0
    for size in sizes:
        parts.append(reference().summarise(rows[start : start + size]))
        start += size
    whole = reference().summarise(rows)
    first, second, *rest = parts
    left = first.merge(second)
    for each in rest:
        left = left.merge(each)
    random.shuffle(parts)
    right = parts.pop()
    while parts:
        right = parts.pop().merge(right)
    for merged in (left, right):
        assert merged.count == whole.count
        np.testing.assert_allclose(merged.sums, whole.sums, atol=1e-6)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_a_stream_says_the_same_however_it_is_cut_up(sizes: list[int]) -> None:
    rows = made(sum(sizes), 6)
    whole = list(DriftStream(reference()).feed(rows))
    stream, start = DriftStream(reference()), 0
    parts: list[Any] = []
    for size in sizes:
        parts += stream.feed(rows[start : start + size])
        start += size

    def summary(verdicts: list[Any]) -> list[Any]:
        return [(each.number, each.rows, each.drifted, round(each.p_value, 3)) for each in verdicts]

    assert [each.rows for each in whole] == [100, 200, 300, 400, 500] * (sum(sizes) // 500) + [
        look for look in (100, 200, 300, 400) if look <= sum(sizes) % 500
    ]
    assert summary(parts) == summary(whole)


def test_a_reference_is_the_same_after_being_kept() -> None:
    kept = reference().to_bytes()
    again = DriftReference.from_bytes(kept)
    assert len(kept) < 1_000_000
    rows = made(300, 8, shift=0.1)
    before, after = (each.judge(each.summarise(rows)) for each in (reference(), again))
    for first, second in zip(before.signals, after.signals, strict=True):
        assert first.drifted == second.drifted
        assert first.p_value == pytest.approx(second.p_value, abs=0.002)


def test_rows_that_moved_most_are_named() -> None:
    usual, moved = made(95, 9), made(5, 10, shift=3.0)
    rows = DriftRows(vectors=np.concatenate([np.asarray(usual.vectors), np.asarray(moved.vectors)]))
    alone = DriftReference.fit(DriftRows(vectors=made(2000, 0).vectors), draws=200)
    window = alone.summarise(rows)
    assert set(alone.outstanding(rows, window, 5)) == {95, 96, 97, 98, 99}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: DriftReference.fit(made(50, 0)), "at least 200"),
        (lambda: DriftReference.fit(made(300, 0), looks=(200, 100)), "looks"),
        (lambda: DriftRows(lengths=[1.0], languages=["en", "zh"]), "one value a row"),
        (DriftRows, "at least one signal"),
        (lambda: DriftRows(vectors=np.full((2, 3), np.nan)), "finite"),
        (lambda: reference().summarise(DriftRows(lengths=[1.0])), "signal text"),
        (lambda: reference().judge(reference().empty()), "first look"),
        (lambda: reference().empty().merge(DriftWindow(1, np.zeros(2))), "different references"),
        (lambda: DriftReference.from_bytes(b"no"), "not a drift reference"),
        (lambda: DriftReference.fit(DriftRows(vectors=np.ones((300, 4)))), "the same"),
    ],
)
def test_what_does_not_fit_is_said(wrong: Callable[[], Any], says: str) -> None:
    with pytest.raises(DriftError, match=says):
        wrong()


def test_the_command_reports_windows_in_another_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_base: Path
) -> None:
    def write(name: str, texts: list[str]) -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return path

    random = np.random.default_rng(0)
    words = ["bank", "card", "money", "transfer", "top", "up", "lost", "account", "pay", "when"]
    english = [" ".join(random.choice(words, size=random.integers(3, 9))) for _ in range(500)]
    usual = write("usual.jsonl", english[:300])
    now = write("now.jsonl", [*english[300:400], *["银行卡丢了怎么办"] * 100])
    arguments = ["drift", "--reference", str(usual), "--data", str(now), "--window", "100"]
    assert main([*arguments, "--base", str(tiny_base), "--device", "cpu"]) == 0
    *found, summary = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [window["drifted"] for window in found] == [False, True]
    assert summary["windows"] == 2
    assert {s["signal"] for s in found[1]["signals"] if s["drifted"]} >= {"text", "language"}


def test_the_command_says_what_is_wrong_with_its_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(tmp_path / "none.jsonl")
    assert main(["drift", "--reference", missing, "--data", missing, "--window", "3"]) == 2
    assert "--window" in capsys.readouterr().err
