"""Are the probabilities right? Measures of it, temperature scaling, and thresholds per label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_core.evaluation.curves import best_f1_threshold

_BINS = 15
_SMALLEST = 1e-12
_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class ReliabilityBin:
    """Examples whose confidence lies in [low, high): how many, their mean confidence, and the
    share that is right."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class TemperatureFit:
    """The temperature, and what dividing the logits by it did on the rows it was fitted on."""

    temperature: float
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, in float64."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(-1, keepdims=True))
    probabilities: np.ndarray = shifted / shifted.sum(-1, keepdims=True)
    return probabilities


def _bins(confidence: np.ndarray, bins: int) -> np.ndarray:
    places: np.ndarray = np.minimum((confidence * bins).astype(int), bins - 1)
    return places


def calibration_gap(confidence: np.ndarray, right: np.ndarray, *, bins: int = _BINS) -> float:
    """Mean |share right - confidence| over ``bins`` equal-width bins, weighted by bin size.

    ``confidence`` in [0, 1] and ``right`` (0/1), both (examples,).
    """
    places = _bins(confidence, bins)
    gap = np.bincount(places, right, bins) - np.bincount(places, confidence, bins)
    return float(np.abs(gap).sum() / max(1, len(confidence)))


def expected_calibration_error(
    probabilities: np.ndarray, truth: np.ndarray, *, bins: int = _BINS
) -> float:
    """ECE of the top probability (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    ``probabilities`` (examples, labels), ``truth`` label indices (examples,).
    """
    right = probabilities.argmax(1) == truth
    return calibration_gap(probabilities.max(1), right, bins=bins)


def classwise_calibration_error(
    probabilities: np.ndarray, truth: np.ndarray, *, bins: int = _BINS
) -> float:
    """The calibration gap of each label's own probability, averaged over the labels (Kull et al.
    2019, "Beyond temperature scaling")."""
    gaps = [
        calibration_gap(probabilities[:, label], truth == label, bins=bins)
        for label in range(probabilities.shape[1])
    ]
    return float(np.mean(gaps))


def brier_score(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared distance to the one-hot truth, summed over labels: 0 is perfect, 2 the worst
    (Brier 1950)."""
    chosen = probabilities[np.arange(len(truth)), truth]
    return float(((probabilities**2).sum(1) - 2 * chosen + 1).mean())


def negative_log_likelihood(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean -ln p(true label) in nats; probabilities below 1e-12 count as that."""
    chosen = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(chosen, _SMALLEST)).mean())


def reliability_bins(
    confidence: np.ndarray, right: np.ndarray, *, bins: int = _BINS
) -> tuple[ReliabilityBin, ...]:
    """The bins of a reliability diagram that hold any example, lowest first."""
    places = _bins(confidence, bins)
    size = np.bincount(places, minlength=bins)
    sure, hits = np.bincount(places, confidence, bins), np.bincount(places, right, bins)
    return tuple(
        ReliabilityBin(
            low=at / bins,
            high=(at + 1) / bins,
            count=int(size[at]),
            confidence=float(sure[at] / size[at]),
            accuracy=float(hits[at] / size[at]),
        )
        for at in np.flatnonzero(size).tolist()
    )


def smoothed_truth(truth: np.ndarray, labels: int) -> np.ndarray:
    """Targets (examples, labels) for label indices (examples,): 1 - 1 / (n + 2) at the truth, the
    rest alike at the other labels (Platt 1999)."""
    rest = 1 / (len(truth) + 2) if labels > 1 else 0.0
    targets = np.full((len(truth), labels), rest / max(1, labels - 1))
    targets[np.arange(len(truth)), truth] = 1 - rest
    return targets


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> TemperatureFit:
    """The temperature T > 0 for which softmax(logits / T) has the least cross-entropy with the
    smoothed truth.

    ``logits`` (examples, labels) of rows that were not trained on, ``truth`` label indices
    (examples,). Guo et al. 2017, with the targets of Platt 1999: 1 - 1 / (n + 2) for a row's label,
    the rest spread over the other labels alike. Of n right answers in a row the best guess of the
    next one is not certainty, and the plain likelihood would have T fall to 0 where all rows are
    right. The cross-entropy is convex in 1/T, so the root of its slope is found by bisection (no
    step size, no failure to converge); T stays within 0.05 and 20.

    Raises ValueError for no rows, other shapes, or logits that are not finite.
    """
    logits, truth = np.asarray(logits, dtype=np.float64), np.asarray(truth)
    if logits.ndim != 2 or truth.shape != logits.shape[:1] or not len(truth):
        raise ValueError(f"logits of shape {logits.shape} for truth of shape {truth.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("the logits are not all finite")
    wanted = (smoothed_truth(truth, logits.shape[1]) * logits).sum(1)

    def slope(inverse: float) -> float:
        """Derivative of the mean cross-entropy in 1/T; it only ever rises."""
        expected = (softmax(logits * inverse) * logits).sum(1)
        return float((expected - wanted).mean())

    low, high = np.log(1 / _TEMPERATURES[1]), np.log(1 / _TEMPERATURES[0])
    for _ in range(50):
        middle = (low + high) / 2
        if slope(float(np.exp(middle))) > 0:
            high = middle
        else:
            low = middle
    temperature = float(np.exp(-(low + high) / 2))
    before, after = softmax(logits), softmax(logits / temperature)
    return TemperatureFit(
        temperature=temperature,
        nll_before=negative_log_likelihood(before, truth),
        nll_after=negative_log_likelihood(after, truth),
        ece_before=expected_calibration_error(before, truth),
        ece_after=expected_calibration_error(after, truth),
    )


def tune_thresholds(
    probabilities: np.ndarray, truth: np.ndarray, *, minimum_support: int = 5
) -> np.ndarray:
    """One threshold per label, each with the best F1 of its label on the validation rows.

    ``probabilities`` and the 0/1 ``truth`` are (examples, labels); a probability at or above its
    threshold is a yes. A label with fewer than ``minimum_support`` positives says too little: it
    gets the threshold that is best for all labels pooled (Lewis et al. 2004, RCV1, "SCut").

    Raises ValueError when the shapes differ or there are no rows.
    """
    probabilities, truth = np.asarray(probabilities), np.asarray(truth)
    if probabilities.ndim != 2 or probabilities.shape != truth.shape or not len(truth):
        raise ValueError(
            f"probabilities of shape {probabilities.shape} for truth of shape {truth.shape}"
        )
    _, pooled = best_f1_threshold(probabilities.ravel(), truth.ravel())
    return np.array(
        [
            best_f1_threshold(probabilities[:, label], truth[:, label])[1]
            if truth[:, label].sum() >= minimum_support
            else pooled
            for label in range(truth.shape[1])
        ]
    )
