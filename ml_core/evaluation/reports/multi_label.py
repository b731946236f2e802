"""The report of a classifier with any number of labels per example."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_core.evaluation import calibration, curves, metrics
from ml_core.evaluation.answers import Answers, lines_or_places
from ml_core.evaluation.calibration import ReliabilityBin
from ml_core.evaluation.intervals import bootstrap_mean, bootstrap_sums
from ml_core.evaluation.reports.common import WORST_ERRORS, Report, aligned, shown
from ml_core.evaluation.slices import slice_scores


@dataclass(frozen=True)
class MultiLabelScores:
    """Scores of one label at its threshold; ``auroc`` and ``average_precision`` are without one."""

    precision: float
    recall: float
    f1: float
    support: int
    threshold: float
    auroc: float
    average_precision: float


@dataclass(frozen=True)
class MultiLabelError:
    """A text with labels that the model surely missed or surely made up. ``confidence`` is the
    probability with which the worst of them was wrong."""

    text: str
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    confidence: float
    line: int


@dataclass(frozen=True, kw_only=True)
class MultiLabelReport(Report):
    """Scores of one multi-label classifier; the headline is micro F1.

    ``subset_accuracy``: share of texts whose set of labels is right as a whole; ``samples_f1``:
    mean F1 of the sets (1 where both are empty); ``hamming_loss``: share of wrong yes/no
    answers; ``auroc`` and ``mean_average_precision``: means over the labels that some texts have;
    ``ece``: calibration error of all yes/no answers pooled.
    """

    kind: ClassVar[str] = "multi-label"
    not_in_summary: ClassVar[tuple[str, ...]] = ("worst_errors", "labels", "reliability")

    micro_f1: float
    micro_precision: float
    micro_recall: float
    macro_f1: float
    weighted_f1: float
    samples_f1: float
    subset_accuracy: float
    hamming_loss: float
    auroc: float
    mean_average_precision: float
    ece: float
    labels: tuple[str, ...]
    per_label: dict[str, MultiLabelScores]
    reliability: tuple[ReliabilityBin, ...]
    worst_errors: tuple[MultiLabelError, ...]


def label_matrix(truth: Sequence[Collection[str]], labels: Sequence[str]) -> np.ndarray:
    """0/1 of shape (examples, labels) from the label sets.

    Raises ValueError for a label that is not one of ``labels``.
    """
    place = {label: index for index, label in enumerate(labels)}
    matrix = np.zeros((len(truth), len(labels)), dtype=np.int8)
    for row, names in enumerate(truth):
        for name in names:
            if name not in place:
                raise ValueError(f"label {name!r} is not one of the {len(labels)} labels")
            matrix[row, place[name]] = 1
    return matrix


def build_multi_label_report(
    truth: Sequence[Collection[str]],
    probabilities: np.ndarray,
    labels: Sequence[str],
    *,
    thresholds: float | np.ndarray = 0.5,
    texts: Sequence[str] | None = None,
    lines: Sequence[int] | None = None,
    columns: Mapping[str, Sequence[str]] | None = None,
) -> MultiLabelReport:
    """Compare probabilities of shape (examples, labels) with the set of labels of each example.

    A probability at or above its threshold (one, or one per label; see `tune_thresholds`) is a yes.
    ``texts``, ``lines`` and ``columns`` as in `build_classification_report`; slices are scored by
    micro F1.

    Raises ValueError for no examples, columns of different lengths, an unknown label, or
    probabilities that are not finite.
    """
    labels = tuple(labels)
    aligned(len(truth), probabilities=probabilities, texts=texts, lines=lines)
    true = label_matrix(truth, labels)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != true.shape:
        raise ValueError(f"probabilities of shape {probabilities.shape} for {len(labels)} labels")
    if not np.isfinite(probabilities).all():
        raise ValueError("the probabilities are not all finite")
    limits = np.broadcast_to(np.asarray(thresholds, dtype=float), (len(labels),))
    predicted = (probabilities >= limits).astype(np.int8)
    rows = np.hstack([true & predicted, predicted, true]).astype(np.float32)
    hits, guessed, supported = metrics.split_counts(rows.sum(0, dtype=np.float64))
    averages = metrics.averages_of_counts(hits, guessed, supported)
    right_sets = (true == predicted).all(1)
    intervals = bootstrap_sums(
        rows, {"micro_f1": metrics.micro_f1_of_sums, "macro_f1": metrics.macro_f1_of_sums}
    )
    intervals["subset_accuracy"] = bootstrap_mean(right_sets.astype(float))
    per_label = {
        label: MultiLabelScores(
            precision=scores.precision,
            recall=scores.recall,
            f1=scores.f1,
            support=scores.support,
            threshold=float(limits[at]),
            auroc=float(curves.auroc(probabilities[:, at], true[:, at])),
            average_precision=float(curves.average_precision(probabilities[:, at], true[:, at])),
        )
        for at, (label, scores) in enumerate(
            metrics.scores_of_counts(hits, guessed, supported, labels).items()
        )
    }
    certainty = np.maximum(probabilities, 1 - probabilities).ravel()
    answered = ((probabilities >= 0.5) == true).ravel()
    both = predicted.sum(1) + true.sum(1)
    samples = np.where(both > 0, metrics.divide(2 * (true & predicted).sum(1), both), 1.0)
    return MultiLabelReport(
        headline="micro_f1",
        count=len(truth),
        intervals=intervals,
        slices=slice_scores(columns or {}, rows, metrics.micro_f1_of_sums, metric="micro_f1"),
        micro_f1=averages["micro"].f1,
        micro_precision=averages["micro"].precision,
        micro_recall=averages["micro"].recall,
        macro_f1=averages["macro"].f1,
        weighted_f1=averages["weighted"].f1,
        samples_f1=float(samples.mean()),
        subset_accuracy=float(right_sets.mean()),
        hamming_loss=float((true != predicted).mean()),
        auroc=_mean([scores.auroc for scores in per_label.values()]),
        mean_average_precision=_mean([scores.average_precision for scores in per_label.values()]),
        ece=calibration.calibration_gap(certainty, answered),
        labels=labels,
        per_label=per_label,
        reliability=calibration.reliability_bins(certainty, answered),
        worst_errors=_worst_errors(
            true=true,
            predicted=predicted,
            probabilities=probabilities,
            labels=labels,
            texts=texts,
            lines=lines,
        ),
        answers=Answers(
            headline="micro_f1",
            lines=lines_or_places(lines, len(truth)),
            said=[[labels[at] for at in np.flatnonzero(row)] for row in predicted],
            scores=samples,
            judged=True,
            confidence=np.where(predicted, probabilities, 1 - probabilities).min(1).tolist(),
            sums=np.column_stack([(true & predicted).sum(1), predicted.sum(1), true.sum(1)]),
        ),
    )


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _worst_errors(
    *,
    true: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    labels: tuple[str, ...],
    texts: Sequence[str] | None,
    lines: Sequence[int] | None,
) -> tuple[MultiLabelError, ...]:
    mistaken = np.where(true == predicted, 0.0, np.abs(probabilities - true)).max(1)
    worst = np.argsort(-mistaken, kind="stable")[:WORST_ERRORS]
    return tuple(
        MultiLabelError(
            text=shown(texts[index]) if texts else "",
            labels=tuple(labels[at] for at in np.flatnonzero(true[index])),
            predicted=tuple(labels[at] for at in np.flatnonzero(predicted[index])),
            confidence=float(mistaken[index]),
            line=lines[index] if lines else 0,
        )
        for index in worst.tolist()
        if mistaken[index] > 0
    )
