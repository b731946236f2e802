"""How much each rule is worth: biases on logits, fitted by maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# No rule can outweigh e^8 : 1, however few rows it was seen on.
MAX_WEIGHT = 8.0
# A rule must explain at least one row more than the model does, and more than chance explains in
# 95 of 100 rules that know nothing (one-sided).
_MIN_SCORE = 1.0
_SIGNIFICANCE = 1.645


@dataclass(frozen=True)
class Biases:
    """Parameter ``parameters[i]`` is added to ``logits[rows[i], columns[i]]``; no cell twice for
    one parameter."""

    rows: np.ndarray
    columns: np.ndarray
    parameters: np.ndarray

    def add(self, logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """A copy of ``logits`` with the biases of these weights."""
        adjusted = logits.astype(np.float64, copy=True)
        np.add.at(adjusted, (self.rows, self.columns), weights[self.parameters])
        return adjusted


def fit_weights(
    logits: np.ndarray,
    truth: np.ndarray,
    biases: Biases,
    *,
    count: int,
    multi_label: bool = False,
) -> np.ndarray:
    """The weights (count,) within 0 and 8 that make ``truth`` most likely.

    ``logits`` has the shape (rows, labels); ``truth`` (rows,) label indices, or with
    ``multi_label`` (rows, labels) of 0 and 1. A lasso penalty per weight, as large as the score
    that a rule without knowledge would reach by chance, sets the useless to exactly 0; weights are
    not negative, so that a rule that is wrong counts for nothing instead of against its label.
    """
    from scipy.optimize import minimize

    if not len(biases.rows):
        return np.zeros(count)
    answers = _one_hot(truth, logits.shape[1]) if truth.ndim == 1 else truth.astype(np.float64)
    touched, rows = np.unique(biases.rows, return_inverse=True)
    local = Biases(rows, biases.columns, biases.parameters)
    logits, answers = logits[touched].astype(np.float64), answers[touched]
    started = _probabilities(logits, multi_label)[local.rows, local.columns]
    information = np.bincount(local.parameters, started * (1 - started), minlength=count)
    penalty = np.maximum(_MIN_SCORE, _SIGNIFICANCE * np.sqrt(information))

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        adjusted = local.add(logits, weights)
        errors = _probabilities(adjusted, multi_label) - answers
        gradient = np.bincount(local.parameters, errors[local.rows, local.columns], minlength=count)
        likelihood = _log_likelihood(adjusted, answers, multi_label)
        return penalty @ weights - likelihood, penalty + gradient

    bounds = [(0.0, MAX_WEIGHT)] * count
    found = minimize(loss, np.zeros(count), jac=True, bounds=bounds, method="L-BFGS-B")
    weights: np.ndarray = np.where(found.x < 1e-6, 0.0, found.x)
    return weights


def _one_hot(truth: np.ndarray, labels: int) -> np.ndarray:
    answers = np.zeros((len(truth), labels))
    answers[np.arange(len(truth)), truth] = 1.0
    return answers


def _probabilities(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    from scipy.special import expit, softmax

    values: np.ndarray = expit(logits) if multi_label else softmax(logits, axis=1)
    return values


def _log_likelihood(logits: np.ndarray, answers: np.ndarray, multi_label: bool) -> float:
    from scipy.special import log_expit, log_softmax

    if multi_label:
        likely = answers * log_expit(logits) + (1 - answers) * log_expit(-logits)
        return float(likely.sum())
    return float((answers * log_softmax(logits, axis=1)).sum())
