"""The evaluation report: what a table of probabilities says against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml_core.data.examples import Example
from ml_core.evaluation import metrics
from ml_core.evaluation.metrics import Interval, LabelScores

_WORST_ERRORS = 20
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class WorstError:
    """A text the model was most sure of and wrong about. ``line`` is that of the data file."""

    text: str
    label: str
    predicted: str
    confidence: float
    line: int


@dataclass(frozen=True)
class Report:
    """Scores of one model on one set of labelled texts.

    ``confusion`` has a row per true and a column per predicted label, in the order of ``labels``;
    ``ece`` is the expected calibration error; the intervals are 95 % bootstrap intervals.
    """

    count: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval
    weighted_f1: float
    ece: float
    labels: tuple[str, ...]
    per_label: dict[str, LabelScores]
    confusion: list[list[int]]
    worst_errors: tuple[WorstError, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON value; floats are rounded to six digits."""
        values: dict[str, Any] = metrics.rounded(asdict(self))
        return values

    def summary(self) -> dict[str, Any]:
        """The numbers that belong in a manifest: everything but the confusion matrix and the
        texts."""
        values = self.to_dict()
        for key in ("confusion", "worst_errors", "labels"):
            del values[key]
        return values


def build_report(
    examples: Sequence[Example], probabilities: np.ndarray, labels: tuple[str, ...]
) -> Report:
    """Compare probabilities of shape (examples, labels) with the examples' labels, which must
    all be known."""
    place = {label: index for index, label in enumerate(labels)}
    truth = np.array([place[example.label] for example in examples])
    predicted = probabilities.argmax(1)
    confusion = metrics.confusion_matrix(truth, predicted, len(labels))
    accuracy_interval, macro_interval = metrics.bootstrap_intervals(confusion)
    support = confusion.sum(1)
    return Report(
        count=len(examples),
        accuracy=float(metrics.accuracy(confusion)),
        accuracy_interval=accuracy_interval,
        macro_f1=float(metrics.macro_f1(confusion)),
        macro_f1_interval=macro_interval,
        weighted_f1=float(metrics.label_f1(confusion) @ support / support.sum()),
        ece=metrics.expected_calibration_error(probabilities, truth),
        labels=labels,
        per_label=metrics.per_label_scores(confusion, labels),
        confusion=confusion.tolist(),
        worst_errors=_worst_errors(examples, probabilities, truth, labels),
    )


def _worst_errors(
    examples: Sequence[Example],
    probabilities: np.ndarray,
    truth: np.ndarray,
    labels: tuple[str, ...],
) -> tuple[WorstError, ...]:
    predicted = probabilities.argmax(1)
    confidence = probabilities.max(1)
    wrong = np.flatnonzero(predicted != truth)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:_WORST_ERRORS]
    return tuple(
        WorstError(
            text=examples[index].text[:_SHOWN_CHARACTERS],
            label=examples[index].label,
            predicted=labels[predicted[index]],
            confidence=float(confidence[index]),
            line=examples[index].line,
        )
        for index in wrong.tolist()
    )
