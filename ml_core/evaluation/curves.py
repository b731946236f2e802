"""Scores of a ranking of positives and negatives: AUROC, average precision and what goes with
them.

All take ``scores`` of shape (examples,), higher meaning more positive, ``truth`` (examples,) of 0/1
or booleans, and optional ``weights`` of shape (…, examples), whose leading axes the result keeps
(one score per bootstrap resample). Tied scores are one step of the curve, so the order of ties
never counts. Without a positive, or where one is needed a negative, the score is NaN.
"""

from __future__ import annotations

import numpy as np


def _steps(
    scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the true and the false positives above each distinct score, best score first."""
    scores, truth = np.asarray(scores, dtype=float), np.asarray(truth, dtype=float)
    if scores.shape != truth.shape or scores.ndim != 1:
        raise ValueError(f"scores of shape {scores.shape} for truth of shape {truth.shape}")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    # != and not a difference: two scores of the same infinity are tied.
    ends = np.append(np.flatnonzero(scores[order][1:] != scores[order][:-1]), len(scores) - 1)
    ordered = weights[..., order]
    hits = np.cumsum(ordered * truth[order], -1)[..., ends]
    misses = np.cumsum(ordered * (1 - truth[order]), -1)[..., ends]
    return hits, misses


def auroc(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Area under the receiver operating characteristic: the chance that a positive scores above a
    negative, a tie counting half (Hanley and McNeil 1982)."""
    if not len(scores):
        return np.asarray(np.nan)
    hits, misses = _steps(scores, truth, weights)
    before = np.concatenate([np.zeros((*hits.shape[:-1], 1)), hits[..., :-1]], -1)
    gained = np.diff(misses, axis=-1, prepend=0.0)
    area = (gained * (hits + before) / 2).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray = area / (hits[..., -1] * misses[..., -1])
    return result


def average_precision(
    scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Mean precision at each gain of recall, without interpolation (as scikit-learn has it)."""
    if not len(scores):
        return np.asarray(np.nan)
    hits, misses = _steps(scores, truth, weights)
    gained = np.diff(hits, axis=-1, prepend=0.0)
    taken = hits + misses
    precision = np.divide(hits, taken, out=np.zeros_like(hits), where=taken > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: np.ndarray = (gained * precision).sum(-1) / hits[..., -1]
    return result


def fpr_at_tpr(scores: np.ndarray, truth: np.ndarray, tpr: float = 0.95) -> float:
    """Smallest share of negatives accepted with a threshold that accepts at least ``tpr`` of the
    positives."""
    if not len(scores):
        return float("nan")
    hits, misses = _steps(scores, truth, None)
    if not hits[-1] or not misses[-1]:
        return float("nan")
    # The tolerance keeps 0.95 · 20 = 19.0 from being missed by rounding.
    at = int(np.argmax(hits >= tpr * hits[-1] - 1e-9))
    return float(misses[at] / misses[-1])


def best_f1_threshold(scores: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """(best F1, the threshold that gives it): a score at or above the threshold is a positive.

    The threshold lies half way to the next lower score; of several equally good the one nearest to
    0.5. Without a positive: (0, 0.5).
    """
    truth = np.asarray(truth, dtype=float)
    if not truth.any():
        return 0.0, 0.5
    hits, misses = _steps(scores, truth, None)
    distinct = np.unique(scores)[::-1].astype(float)
    f1 = 2 * hits / (hits + misses + truth.sum())
    lower = np.append(distinct[1:], distinct[-1])
    thresholds = (distinct + lower) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    chosen = best[np.argmin(np.abs(thresholds[best] - 0.5))]
    return float(f1[chosen]), float(thresholds[chosen])


def one_versus_rest_auroc(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean AUROC of each label against all others over the labels that some examples have and some
    have not; NaN without such a label.

    ``probabilities`` (examples, labels), ``truth`` label indices (examples,).
    """
    values = [
        float(auroc(probabilities[:, label], truth == label))
        for label in range(probabilities.shape[1])
        if 0 < int((truth == label).sum()) < len(truth)
    ]
    return float(np.mean(values)) if values else float("nan")
