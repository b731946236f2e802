"""A last layer that knows something before the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from ml_core.tasks.text import evaluation_batches
from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.methods.label_words import label_sentences

# Inverse of the L2 penalty of the logistic regression, on embeddings of unit length.
_INVERSE_PENALTY = 10.0
# The logit of a label without rows.
_NEVER = -100.0
# Cosines are too close to each other for a softmax; CLIP's scale.
_LABEL_SCALE = 20.0


class HeadStart(Method):
    """``fitted``: multinomial logistic regression on the pooled states. ``labels``: the pooled states of the labels'
    descriptions, so that logits are scaled cosines (as in Yin, Hay and Roth 2019, with a bi-encoder)."""

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.head_start != "random"

    def prepare_model(self, run: Run) -> None:
        if run.resuming:
            return
        if self.config.head_start == "fitted":
            self._fit(run)
        else:
            self._read_labels(run)

    def _fit(self, run: Run) -> None:
        rows = run.task.data.train
        states = pooled_states(run, [row.text for row in rows])
        place = {label: index for index, label in enumerate(run.task.data.labels)}
        targets = np.array([place[row.label] for row in rows])
        fit_head(run.task.model, states, targets, len(place))

    def _read_labels(self, run: Run) -> None:
        labels = run.task.data.labels
        sentences = label_sentences(self.config, labels)
        states = pooled_states(run, sentences)
        texts = pooled_states(run, [row.text for row in run.task.data.train[:1000]])
        length = float(np.linalg.norm(texts, axis=1).mean())
        weight = states / np.linalg.norm(states, axis=1, keepdims=True) * _LABEL_SCALE / length
        # A label near to every text would be given to all of them.
        bias = -(texts @ weight.T).mean(0)
        _set_head(run.task.model, weight, bias, rows=np.arange(len(labels)))


def fit_head(
    model: Any,
    states: np.ndarray,
    targets: np.ndarray,
    labels: int,
    *,
    inverse_penalty: float = _INVERSE_PENALTY,
) -> None:
    """Make ``model``'s last layer a logistic regression on pooled states (rows, hidden) and label indices (rows,);
    that of a label without rows stays as it is."""
    weight, bias = fit_logistic_regression(states, targets, labels, inverse_penalty)
    seen = np.unique(targets)
    _set_head(model, weight[seen], bias[seen], rows=seen)


def fit_logistic_regression(
    states: np.ndarray, targets: np.ndarray, labels: int, inverse_penalty: float = _INVERSE_PENALTY
) -> tuple[np.ndarray, np.ndarray]:
    """(weight (labels, hidden), bias (labels,)) of a multinomial logistic regression on pooled states; a label that is
    not among ``targets`` has weight 0 and a bias that rules it out. Raises ValueError for targets of one kind."""
    length = float(np.linalg.norm(states, axis=1).mean())
    found = LogisticRegression(C=inverse_penalty, max_iter=1000).fit(states / length, targets)
    own_weight, own_bias = found.coef_ / length, found.intercept_
    if len(own_weight) == 1:
        # Of two labels scikit-learn keeps one row; ± half of it gives the same probabilities.
        own_weight = np.concatenate([-own_weight, own_weight]) / 2
        own_bias = np.concatenate([-own_bias, own_bias]) / 2
    weight = np.zeros((labels, states.shape[1]))
    bias = np.full(labels, _NEVER)
    weight[found.classes_], bias[found.classes_] = own_weight, own_bias
    return weight, bias


def pooled_states(run: Run, texts: Sequence[str]) -> np.ndarray:
    """The pooled states (texts, hidden) of the model as it is, without dropout, on the run's device."""
    task: Any = run.task
    model = task.model.to(run.device).eval()
    features = task.read_texts(texts)
    states = np.empty((len(texts), model.classifier.in_features), dtype=np.float32)
    with torch.no_grad():
        for places in evaluation_batches(features, run.device, run.reporter.check_stop):
            batch = task.collate_texts([features[place] for place in places])
            found = model.pool(
                batch["input_ids"].to(run.device), batch["attention_mask"].to(run.device)
            )
            states[places] = found.float().cpu().numpy()
    return states


@torch.no_grad()
def _set_head(model: Any, weight: np.ndarray, bias: np.ndarray, *, rows: np.ndarray) -> None:
    places = torch.as_tensor(rows, device=model.classifier.weight.device)
    model.classifier.weight[places] = torch.as_tensor(weight).to(model.classifier.weight)
    model.classifier.bias[places] = torch.as_tensor(bias).to(model.classifier.bias)
