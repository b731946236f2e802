"""Single-label classification scores from a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LabelScores:
    """Precision, recall and F1 of one label (0 where undefined), and how many truly have it."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 averaged over labels."""

    precision: float
    recall: float
    f1: float


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, label_count: int) -> np.ndarray:
    """Counts of shape (labels, labels) from two arrays of label indices of shape (examples,):
    row = true label, column = predicted label."""
    cells = np.bincount(truth * label_count + predicted, minlength=label_count**2)
    return cells.reshape(label_count, label_count)


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Elementwise quotient with broadcasting, 0 where the denominator is 0."""
    top, bottom = np.broadcast_arrays(
        np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    )
    quotient: np.ndarray = np.zeros(top.shape)
    np.divide(top, bottom, out=quotient, where=bottom > 0)
    return quotient


def f1_of_counts(hits: np.ndarray, guessed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """F1 = 2·hits / (guessed + true), elementwise; 0 where nothing is guessed or true."""
    return divide(2 * np.asarray(hits), np.asarray(guessed) + np.asarray(true))


def macro_f1_of_counts(hits: np.ndarray, guessed: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean F1 over the last axis (labels), of the labels that occur as truth or as prediction (as
    scikit-learn counts them)."""
    occurs = (np.asarray(guessed) + np.asarray(true)) > 0
    mean: np.ndarray = f1_of_counts(hits, guessed, true).sum(-1) / np.maximum(occurs.sum(-1), 1)
    return mean


def scores_of_counts(
    hits: np.ndarray, guessed: np.ndarray, true: np.ndarray, labels: tuple[str, ...]
) -> dict[str, LabelScores]:
    """The scores of each label from its counts, arrays of shape (labels,)."""
    precision, recall = divide(hits, guessed), divide(hits, true)
    f1 = f1_of_counts(hits, guessed, true)
    return {
        label: LabelScores(
            precision=float(precision[i]),
            recall=float(recall[i]),
            f1=float(f1[i]),
            support=int(true[i]),
        )
        for i, label in enumerate(labels)
    }


def averages_of_counts(
    hits: np.ndarray, guessed: np.ndarray, true: np.ndarray
) -> dict[str, Averages]:
    """Micro, macro and weighted averages of precision, recall and F1.

    The counts are arrays of shape (labels,). Micro pools the counts; macro is the plain mean over
    the labels that occur as truth or prediction; weighted is the mean weighted by how often each
    label is true. Labels without predictions have precision 0, as in scikit-learn with
    ``zero_division=0``.
    """
    precision, recall = divide(hits, guessed), divide(hits, true)
    f1 = f1_of_counts(hits, guessed, true)
    occurs = (guessed + true) > 0
    weights = {"macro": occurs / max(1, occurs.sum()), "weighted": true / max(1, true.sum())}
    pooled = [np.asarray(counts.sum()) for counts in (hits, guessed, true)]
    found = {
        "micro": Averages(
            precision=float(divide(pooled[0], pooled[1])),
            recall=float(divide(pooled[0], pooled[2])),
            f1=float(f1_of_counts(*pooled)),
        )
    }
    for name, weight in weights.items():
        found[name] = Averages(
            precision=float(precision @ weight),
            recall=float(recall @ weight),
            f1=float(f1 @ weight),
        )
    return found


def confusion_counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hits, guessed, true) per label, each of shape (labels,)."""
    return np.diagonal(confusion), confusion.sum(0), confusion.sum(1)


def label_counts(truth: np.ndarray, predicted: np.ndarray, label_count: int) -> np.ndarray:
    """Rows of (hits, guessed, true) per example, for `bootstrap_sums`: shape
    (examples, 3 · labels), the three blocks side by side."""
    places = np.arange(len(truth))
    rows = np.zeros((len(truth), 3 * label_count), dtype=np.float32)
    right = truth == predicted
    rows[places[right], truth[right]] = 1
    rows[places, label_count + predicted] = 1
    rows[places, 2 * label_count + truth] = 1
    return rows


def split_counts(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(hits, guessed, true) from sums of `label_counts` rows, each of shape (…, labels)."""
    hits, guessed, true = np.split(sums, 3, axis=-1)
    return hits, guessed, true


def accuracy_of_sums(sums: np.ndarray) -> np.ndarray:
    """Accuracy from sums of `label_counts` rows, over the last axis."""
    hits, _, true = split_counts(sums)
    return divide(hits.sum(-1), true.sum(-1))


def macro_f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """Macro F1 from sums of `label_counts` rows, over the last axis."""
    return macro_f1_of_counts(*split_counts(sums))


def micro_f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """Micro F1 from sums of (hits, guessed, true) rows, over the last axis."""
    hits, guessed, true = split_counts(sums)
    return f1_of_counts(hits.sum(-1), guessed.sum(-1), true.sum(-1))


def weighted_f1_of_sums(sums: np.ndarray) -> np.ndarray:
    """Weighted F1 from sums of `label_counts` rows, over the last axis."""
    hits, guessed, true = split_counts(sums)
    return divide((f1_of_counts(hits, guessed, true) * true).sum(-1), true.sum(-1))


def macro_f1(truth: np.ndarray, predicted: np.ndarray, label_count: int) -> float:
    """Macro F1 of label indices, both of shape (examples,)."""
    confusion = confusion_matrix(truth, predicted, label_count)
    return float(macro_f1_of_counts(*confusion_counts(confusion)))
