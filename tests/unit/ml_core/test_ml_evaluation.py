"""The scores are those that scikit-learn computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_core_helpers import make_rows, write_csv
from sklearn import metrics as reference

from ml_core.data import DataError
from ml_core.evaluation import (
    build_classification_report,
    evaluate,
    expected_calibration_error,
)
from ml_core.registry import Artifact


@settings(deadline=None, max_examples=50)
@given(pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_scores_equal_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    labels = ("a", "b", "c", "d")
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    probabilities = np.full((len(pairs), 4), 0.1)
    probabilities[np.arange(len(pairs)), predicted] = 0.7
    report = build_classification_report([labels[t] for t in truth], probabilities, labels)
    assert report.accuracy == pytest.approx(reference.accuracy_score(truth, predicted))
    for average in ("macro", "weighted"):
        expected = reference.f1_score(truth, predicted, average=average, zero_division=0)
        assert getattr(report, f"{average}_f1") == pytest.approx(expected)
    assert (
        report.confusion == reference.confusion_matrix(truth, predicted, labels=range(4)).tolist()
    )
    expected = reference.precision_recall_fscore_support(
        truth, predicted, labels=range(4), zero_division=0
    )
    for place, label in enumerate(labels):
        scores = report.per_label[label]
        found = (scores.precision, scores.recall, scores.f1, scores.support)
        assert found == pytest.approx(tuple(column[place] for column in expected))
    assert len(report.worst_errors) == min(20, int((truth != predicted).sum()))
    assert report.accuracy_interval.low <= report.accuracy <= report.accuracy_interval.high + 1e-9


def test_the_interval_narrows_as_theory_says() -> None:
    truth = ["a"] * 500 + ["b"] * 500
    likely, unlikely = [0.9, 0.1], [0.1, 0.9]
    probabilities = np.array([likely] * 400 + [unlikely] * 100 + [likely] * 100 + [unlikely] * 400)
    interval = build_classification_report(truth, probabilities, ["a", "b"]).accuracy_interval
    half_width = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert interval.low == pytest.approx(0.8 - half_width, abs=0.005)
    assert interval.high == pytest.approx(0.8 + half_width, abs=0.005)


def test_calibration_error() -> None:
    sure = np.array([[0.9, 0.1]] * 10)
    assert expected_calibration_error(sure, np.array([0] * 9 + [1])) == pytest.approx(0.0)
    assert expected_calibration_error(sure, np.array([1] * 10)) == pytest.approx(0.9)
    assert expected_calibration_error(np.array([[1.0, 0.0]]), np.array([0])) == pytest.approx(0.0)


def test_a_report_of_a_file(artifact: Artifact, test_csv: Path) -> None:
    report = evaluate(artifact.path, test_csv)
    assert report.count == 90
    assert report.accuracy > 0.6, "the tiny model learned its task"
    values = report.to_dict()
    json.dumps(values)
    assert {
        "accuracy", "macro_f1", "weighted_f1", "per_label", "confusion", "ece", "count",
        "worst_errors", "accuracy_interval", "macro_f1_interval",
    } <= set(values)  # fmt: skip
    confidences = [error.confidence for error in report.worst_errors]
    assert confidences == sorted(confidences, reverse=True)
    lines = test_csv.read_text().splitlines()
    for error in report.worst_errors:
        assert lines[error.line - 1] == f"{error.text},{error.label}"


def test_a_label_the_model_does_not_know_is_named(artifact: Artifact, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [*make_rows(2), ("bank", "furious")])
    with pytest.raises(DataError, match="'furious' is unknown to the model") as caught:
        evaluate(artifact, path)
    assert caught.value.line == 4
