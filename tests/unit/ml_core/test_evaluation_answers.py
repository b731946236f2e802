"""What was answered row by row: kept, read again, and two models' answers compared."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from ml_core.evaluation import (
    Answers,
    build_classification_report,
    build_generation_report,
    build_language_model_report,
    build_multi_label_report,
    build_ranking_report,
    build_tagging_report,
    compare_answers,
    mcnemar,
)
from ml_core.evaluation.reports.common import Report

LABELS = ("a", "b", "c")


def classified(truth: list[str], said: list[str]) -> Report:
    table = np.full((len(said), 3), 0.1)
    for row, label in enumerate(said):
        table[row, LABELS.index(label)] = 0.8
    return build_classification_report(truth, table, LABELS, lines=range(1, len(said) + 1))


def reports() -> list[Report]:
    sets = [["a"], ["a", "b"], [], ["c"]]
    table = np.array([[0.9, 0.2, 0.1], [0.8, 0.4, 0.2], [0.1, 0.1, 0.6], [0.3, 0.2, 0.9]])
    return [
        classified(["a", "b", "c", "a"], ["a", "b", "a", "a"]),
        build_multi_label_report(sets, table, LABELS, lines=[1, 2, 3, 4]),
        build_tagging_report([["B-X", "O"], ["B-Y"]], [["B-X", "O"], ["O"]], lines=[1, 2]),
        build_generation_report(["a cat sat", "no"], ["a cat sat", "yes"], lines=[1, 2]),
        build_ranking_report([["x", "y"], ["y", "x"]], [["x"], ["x"]], lines=[3, 7]),
    ]


@pytest.mark.parametrize("report", reports(), ids=lambda report: report.kind)
def test_answers_make_the_headline_and_survive_a_file(report: Report, tmp_path: Path) -> None:
    answers = report.answers
    assert answers is not None
    answers.write(tmp_path / "first.gz")
    answers.write(tmp_path / "second.gz")
    assert (tmp_path / "first.gz").read_bytes() == (tmp_path / "second.gz").read_bytes()
    again = Answers.read(tmp_path / "first.gz")
    assert list(again.lines) == list(answers.lines)
    assert list(again.said) == list(answers.said)
    found = compare_answers(answers, again)
    assert found.figure == report.headline
    assert found.difference.first == pytest.approx(report.score, abs=1e-4)
    assert found.difference.difference == pytest.approx(0, abs=1e-3)
    assert (found.won, found.lost, found.tied) == (0, 0, len(answers))
    assert "answers" not in report.to_dict()


def test_a_language_model_has_no_answers() -> None:
    assert build_language_model_report([-3.0], [4]).answers is None


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    answers = classified(["a", "b"], ["a", "b"]).answers
    assert answers is not None
    path = tmp_path / "answers.gz"
    answers.write(path)
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    assert json.loads(lines[1]) == {"line": 1, "said": "a", "score": 1, "confidence": 0.8, "true": "a"}  # fmt: skip
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))
    with pytest.raises(ValueError, match=r"answers\.gz"):
        Answers.read(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"answers\.gz"):
        Answers.read(path)


def test_a_paired_test_sees_what_two_intervals_do_not() -> None:
    """600 rows, of which the second model has 18 more right and none less: 3 points."""
    generator = np.random.default_rng(0)
    truth = [LABELS[number % 3] for number in range(600)]
    wrong = set(generator.choice(600, 150, replace=False).tolist())
    mended = set(sorted(wrong)[:18])
    said = [LABELS[(n + 1) % 3] if n in wrong else truth[n] for n in range(600)]
    better = [truth[n] if n in mended else label for n, label in enumerate(said)]
    first, second = classified(truth, said), classified(truth, better)
    assert first.answers is not None and second.answers is not None
    found = compare_answers(first.answers, second.answers)
    assert found.difference.interval.low > 0
    assert first.intervals["macro_f1"].high > second.intervals["macro_f1"].low, "they overlap"
    assert (found.won, found.lost, found.tied) == (18, 0, 582)
    assert found.mcnemar_p == pytest.approx(2 * 0.5**18)
    again = compare_answers(first.answers, second.answers)
    assert again == found, "the draws are seeded"
    turned = compare_answers(second.answers, first.answers)
    assert turned.difference.difference == pytest.approx(-found.difference.difference)


def test_mcnemar_is_exact() -> None:
    # R: binom.test(3, 13)$p.value
    assert mcnemar(3, 10) == pytest.approx(0.09228516)
    assert mcnemar(10, 3) == mcnemar(3, 10)
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1.0
    assert 0 <= mcnemar(4000, 6000) < 1e-80


def test_answers_to_other_rows_are_not_compared() -> None:
    first = classified(["a", "b"], ["a", "b"]).answers
    second = classified(["b", "a"], ["a", "b"]).answers
    other = build_tagging_report([["O"], ["O"]], [["O"], ["O"]]).answers
    assert first is not None and second is not None and other is not None
    with pytest.raises(ValueError, match="same rows"):
        compare_answers(first, second)
    with pytest.raises(ValueError, match="same figure"):
        compare_answers(first, other)
