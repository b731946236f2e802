"""The report of a classifier with one label per example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ml_core.evaluation import calibration, curves, metrics
from ml_core.evaluation.answers import Answers, lines_or_places
from ml_core.evaluation.calibration import ReliabilityBin
from ml_core.evaluation.intervals import Interval, bootstrap_sums, mean_of_sums
from ml_core.evaluation.metrics import LabelScores
from ml_core.evaluation.reports.common import WORST_ERRORS, Report, aligned, json_value, shown
from ml_core.evaluation.slices import Slice, slice_scores


@dataclass(frozen=True)
class WorstError:
    """A text the model was most sure of and wrong about. ``line`` is that of the data file (0:
    unknown)."""

    text: str
    label: str
    predicted: str
    confidence: float
    line: int


@dataclass(frozen=True, kw_only=True)
class ClassificationReport(Report):
    """Scores of one classifier on one set of labelled examples; the headline is macro F1.

    ``confusion`` has a row per true and a column per predicted label, in the order of ``labels``.
    ``auroc`` is the mean over the labels of each against the rest (NaN with a single label).
    ``ece`` and ``classwise_ece`` are calibration errors, ``brier`` is in [0, 2], ``nll`` in nats;
    ``reliability`` are the bins of a reliability diagram.
    """

    kind: ClassVar[str] = "classification"
    not_in_summary: ClassVar[tuple[str, ...]] = (
        "confusion",
        "worst_errors",
        "labels",
        "reliability",
    )

    accuracy: float
    macro_f1: float
    macro_precision: float
    macro_recall: float
    weighted_f1: float
    weighted_precision: float
    weighted_recall: float
    auroc: float
    ece: float
    classwise_ece: float
    brier: float
    nll: float
    labels: tuple[str, ...]
    per_label: dict[str, LabelScores]
    confusion: list[list[int]]
    reliability: tuple[ReliabilityBin, ...]
    worst_errors: tuple[WorstError, ...]

    @property
    def accuracy_interval(self) -> Interval:
        return self.intervals["accuracy"]

    @property
    def macro_f1_interval(self) -> Interval:
        return self.intervals["macro_f1"]

    def to_dict(self) -> dict[str, Any]:
        """See `Report.to_dict`; the intervals of accuracy and macro F1 are also there as
        ``accuracy_interval`` and ``macro_f1_interval`` ({"low", "high"})."""
        named = {
            f"{key}_interval": {"low": self.intervals[key].low, "high": self.intervals[key].high}
            for key in ("accuracy", "macro_f1")
        }
        rounded: dict[str, Any] = json_value(named)
        return super().to_dict() | rounded


def build_classification_report(
    truth: Sequence[str],
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    texts: Sequence[str] | None = None,
    lines: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> ClassificationReport:
    """Compare probabilities of shape (examples, labels) with the true label of each example.

    ``texts`` and ``lines`` (one per example) are shown with the worst errors; ``columns`` (a value
    per example, see `length_column` and `language_column`) make the slices, scored by accuracy.

    Raises ValueError for no examples, columns of different lengths, a label that is not one of
    ``labels``, or probabilities that are not finite.
    """
    labels = tuple(labels)
    aligned(len(truth), probabilities=probabilities, texts=texts, lines=lines)
    true = label_places(truth, labels)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != (len(truth), len(labels)):
        raise ValueError(f"probabilities of shape {probabilities.shape} for {len(labels)} labels")
    if not np.isfinite(probabilities).all():
        raise ValueError("the probabilities are not all finite")
    predicted = probabilities.argmax(1)
    confusion = metrics.confusion_matrix(true, predicted, len(labels))
    counts = metrics.confusion_counts(confusion)
    averages = metrics.averages_of_counts(*counts)
    return ClassificationReport(
        headline="macro_f1",
        count=len(truth),
        intervals=_intervals(confusion),
        slices=_slices(true, predicted, columns),
        accuracy=averages["micro"].f1,
        macro_f1=averages["macro"].f1,
        macro_precision=averages["macro"].precision,
        macro_recall=averages["macro"].recall,
        weighted_f1=averages["weighted"].f1,
        weighted_precision=averages["weighted"].precision,
        weighted_recall=averages["weighted"].recall,
        auroc=curves.one_versus_rest_auroc(probabilities, true),
        ece=calibration.expected_calibration_error(probabilities, true),
        classwise_ece=calibration.classwise_calibration_error(probabilities, true),
        brier=calibration.brier_score(probabilities, true),
        nll=calibration.negative_log_likelihood(probabilities, true),
        labels=labels,
        per_label=metrics.scores_of_counts(*counts, labels),
        confusion=confusion.tolist(),
        reliability=calibration.reliability_bins(probabilities.max(1), predicted == true),
        worst_errors=_worst_errors(true, probabilities, labels, texts, lines),
        answers=Answers(
            headline="macro_f1",
            lines=lines_or_places(lines, len(truth)),
            said=[labels[place] for place in predicted.tolist()],
            scores=(predicted == true).astype(float),
            judged=True,
            confidence=probabilities.max(1).tolist(),
            true=list(truth),
        ),
    )


def label_places(truth: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """The index in ``labels`` of each true label, shape (examples,).

    Raises ValueError for a label that is not there.
    """
    place = {label: index for index, label in enumerate(labels)}
    unknown = next((label for label in truth if label not in place), None)
    if unknown is not None:
        raise ValueError(f"label {unknown!r} is not one of the {len(labels)} labels")
    return np.array([place[label] for label in truth])


def _intervals(confusion: np.ndarray) -> dict[str, Interval]:
    """A resample of the examples is a draw of confusion cells, of which few are not empty."""
    true, predicted = np.nonzero(confusion)
    return bootstrap_sums(
        metrics.label_counts(true, predicted, len(confusion)),
        {
            "accuracy": metrics.accuracy_of_sums,
            "macro_f1": metrics.macro_f1_of_sums,
            "weighted_f1": metrics.weighted_f1_of_sums,
        },
        counts=confusion[true, predicted],
    )


def _slices(
    true: np.ndarray, predicted: np.ndarray, columns: Mapping[str, Sequence[str]] | None
) -> tuple[Slice, ...]:
    rows = np.column_stack([true == predicted, np.ones(len(true))]).astype(float)
    return slice_scores(columns or {}, rows, mean_of_sums, metric="accuracy")


def _worst_errors(
    true: np.ndarray,
    probabilities: np.ndarray,
    labels: tuple[str, ...],
    texts: Sequence[str] | None,
    lines: Sequence[int] | None,
) -> tuple[WorstError, ...]:
    predicted = probabilities.argmax(1)
    confidence = probabilities.max(1)
    wrong = np.flatnonzero(predicted != true)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST_ERRORS]
    return tuple(
        WorstError(
            text=shown(texts[index]) if texts else "",
            label=labels[true[index]],
            predicted=labels[predicted[index]],
            confidence=float(confidence[index]),
            line=lines[index] if lines else 0,
        )
        for index in wrong.tolist()
    )
