"""Classification scores from a confusion matrix and a table of probabilities."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

_RESAMPLES = 2000
_ECE_BINS = 15


@dataclass(frozen=True)
class LabelScores:
    """Precision, recall and F1 of one label (0 where undefined), and how many texts truly have
    it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Interval:
    """A 95 % percentile bootstrap interval."""

    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, label_count: int) -> np.ndarray:
    """Counts of shape (labels, labels): row = true label, column = predicted label."""
    cells = np.bincount(truth * label_count + predicted, minlength=label_count**2)
    return cells.reshape(label_count, label_count)


def label_f1(confusion: np.ndarray) -> np.ndarray:
    """F1 = 2·tp / (true + predicted) of each label over the last two axes; 0 for a label that
    never occurs."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    total = confusion.sum(-1) + confusion.sum(-2)
    f1: np.ndarray = np.zeros(hits.shape, dtype=float)
    np.divide(2 * hits, total, out=f1, where=total > 0)
    return f1


def macro_f1(confusion: np.ndarray) -> np.ndarray:
    """Mean F1 over the labels that occur as truth or as prediction (as scikit-learn counts
    them)."""
    occurs = (confusion.sum(-1) + confusion.sum(-2)) > 0
    mean: np.ndarray = label_f1(confusion).sum(-1) / np.maximum(occurs.sum(-1), 1)
    return mean


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of texts on the diagonal, over the last two axes."""
    hits: np.ndarray = np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))
    return hits


def per_label_scores(confusion: np.ndarray, labels: tuple[str, ...]) -> dict[str, LabelScores]:
    hits = np.diagonal(confusion)
    true, guessed = confusion.sum(1), confusion.sum(0)
    f1 = label_f1(confusion)
    return {
        label: LabelScores(
            precision=float(hits[i] / guessed[i]) if guessed[i] else 0.0,
            recall=float(hits[i] / true[i]) if true[i] else 0.0,
            f1=float(f1[i]),
            support=int(true[i]),
        )
        for i, label in enumerate(labels)
    }


def bootstrap_intervals(confusion: np.ndarray, *, seed: int = 0) -> tuple[Interval, Interval]:
    """95 % intervals of (accuracy, macro F1).

    Drawing n texts with replacement is drawing the confusion cells from a multinomial distribution,
    which needs no loop over texts.
    """
    count = int(confusion.sum())
    draws = np.random.default_rng(seed).multinomial(
        count, confusion.reshape(-1) / count, size=_RESAMPLES
    )
    tables = draws.reshape(_RESAMPLES, *confusion.shape)
    return _interval(accuracy(tables)), _interval(macro_f1(tables))


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean |accuracy - confidence| over 15 equal-width bins of the top probability, weighted by
    bin size (Guo et al. 2017, "On Calibration of Modern Neural Networks")."""
    confidence = probabilities.max(1)
    correct = probabilities.argmax(1) == truth
    bins = np.minimum((confidence * _ECE_BINS).astype(int), _ECE_BINS - 1)
    size = np.bincount(bins, minlength=_ECE_BINS)
    gap = np.bincount(bins, correct, _ECE_BINS) - np.bincount(bins, confidence, _ECE_BINS)
    return float(np.abs(gap).sum() / size.sum())


def _interval(values: np.ndarray) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))


def rounded(value: Any, digits: int = 6) -> Any:
    """Round every float of a JSON value."""
    if isinstance(value, float):
        return round(value, digits)
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item, digits) for item in value]
    return value
