"""Labels that a model gives to unlabelled rows, for training on them as well (Lee 2013), with a
threshold of its own for each class (as in FlexMatch, Zhang et al. 2021, but measured on labelled
rows instead of followed through training)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Below this many validation rows neither calibration nor thresholds can be told.
_MIN_VALIDATION = 30
# A class with fewer predictions on the validation part takes the threshold of all classes together.
_MIN_PREDICTIONS = 10


class PoorCalibration(ValueError):
    """The model's confidence does not say how often it is right, so that it cannot choose rows."""


@dataclass(frozen=True)
class PseudoLabels:
    """Rows to add to the training data: their places in the unlabelled part, the label index and
    the weight (0 to 1) of each. ``thresholds`` has the confidence that each class needed; infinite
    where no confidence was enough.
    """

    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    thresholds: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def pseudo_labels(
    probabilities: np.ndarray,
    *,
    validation_probabilities: np.ndarray,
    validation_truth: np.ndarray,
    precision: float = 0.95,
    max_calibration_error: float = 0.1,
) -> PseudoLabels:
    """Choose the unlabelled rows whose label the model is likely enough to have right.

    ``probabilities`` has the shape (rows, classes), ``validation_probabilities`` (validation rows,
    classes) and ``validation_truth`` (validation rows,) label indices; the validation part must not
    have been trained on. A row is taken when its confidence reaches the lowest one from which the
    validation predictions of its class are right with ``precision``. No class gets a larger share
    of the rows than it has of the validation part, its surest rows first, so that the model's
    favourites do not grow. The weight of a row is its confidence.

    Raises PoorCalibration when the expected calibration error on the validation part is above
    ``max_calibration_error`` (fit a temperature first), ValueError for a validation part of fewer
    than 30 rows or shapes that do not fit.
    """
    _check(probabilities, validation_probabilities, validation_truth)
    from ml_core.evaluation.calibration import expected_calibration_error

    error = expected_calibration_error(validation_probabilities, validation_truth)
    if error > max_calibration_error:
        raise PoorCalibration(
            f"the expected calibration error on the validation part is {error:.3f}, above "
            f"{max_calibration_error}: calibrate the model (temperature scaling) before it labels"
        )
    classes = probabilities.shape[1]
    thresholds = class_thresholds(validation_probabilities, validation_truth, precision=precision)
    confidence = probabilities.max(1)
    predicted = probabilities.argmax(1)
    passing = confidence >= thresholds[predicted]
    shares = np.bincount(validation_truth, minlength=classes) / len(validation_truth)
    chosen: list[int] = []
    for label in range(classes):
        candidates = np.flatnonzero(passing & (predicted == label))
        surest = candidates[np.argsort(-confidence[candidates], kind="stable")]
        chosen.extend(surest[: math.ceil(shares[label] * passing.sum())])
    rows = np.array(sorted(chosen), dtype=np.int64)
    return PseudoLabels(rows, predicted[rows], confidence[rows], thresholds)


def class_thresholds(
    probabilities: np.ndarray, truth: np.ndarray, *, precision: float
) -> np.ndarray:
    """The lowest confidence from which predictions of each class are right with ``precision``.

    Shape (classes,). A class with fewer than ten predictions takes the threshold of all classes
    together; infinite where no confidence is enough.
    """
    confidence = probabilities.max(1)
    predicted = probabilities.argmax(1)
    right = predicted == truth
    overall = _threshold(confidence, right, precision)
    thresholds = np.full(probabilities.shape[1], overall)
    for label in range(probabilities.shape[1]):
        own = predicted == label
        if own.sum() >= _MIN_PREDICTIONS:
            thresholds[label] = _threshold(confidence[own], right[own], precision)
    return thresholds


def _threshold(confidence: np.ndarray, right: np.ndarray, precision: float) -> float:
    order = np.argsort(-confidence, kind="stable")
    reached = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # Rows of one confidence are taken together or not at all.
    last_of_ties = np.append(np.diff(confidence[order]) != 0, True)
    enough = np.flatnonzero((reached >= precision) & last_of_ties)
    # The first few rows are right by luck too easily to make a threshold of.
    enough = enough[enough + 1 >= min(_MIN_PREDICTIONS, len(order))]
    return float(confidence[order][enough[-1]]) if len(enough) else math.inf


def _check(probabilities: np.ndarray, validation: np.ndarray, truth: np.ndarray) -> None:
    if probabilities.ndim != 2 or validation.ndim != 2:
        raise ValueError("probabilities must have the shape (rows, classes)")
    if probabilities.shape[1] != validation.shape[1] or truth.shape != (len(validation),):
        raise ValueError(
            f"probabilities {probabilities.shape}, validation probabilities {validation.shape} and "
            f"validation truth {truth.shape} do not fit together"
        )
    if len(truth) < _MIN_VALIDATION:
        raise ValueError(
            f"{len(truth)} validation rows; at least {_MIN_VALIDATION} are needed to tell how often "
            "the model is right"
        )
