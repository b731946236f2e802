"""Learning from texts without labels by way of their neighbours; see `ml_core.label_propagation`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml_core.data.examples import Example, read_examples
from ml_core.label_propagation import propagate_labels
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.methods.head_start import fit_logistic_regression, pooled_states


class LabelPropagation(Method):
    """The training rows' labels spread to the texts of ``unlabelled``, and all of them are learned from.

    The graph is that of the base's embeddings; a text begins with what a logistic regression on the labelled rows'
    embeddings says of it.
    """

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        if not config.label_propagation:
            return False
        if config.unlabelled is None:
            raise ConfigError("unlabelled: missing; label_propagation needs texts to label")
        if config.pseudo_labels:
            raise ConfigError("label_propagation: cannot be had together with pseudo_labels")
        return True

    def prepare_rows(self, run: Run) -> None:
        data = run.task.data
        known = {row.text for row in data.train} | {row.text for row in data.validation}
        texts = [text for text in self._texts() if text not in known]
        if not texts:
            raise ConfigError(f"unlabelled: {self.config.unlabelled} has no text that is not known")
        run.reporter.report("tokenise")
        place = {label: index for index, label in enumerate(data.labels)}
        truth = np.array([place[row.label] for row in data.train])
        states = pooled_states(run, [*(row.text for row in data.train), *texts])
        labelled, unlabelled = states[: len(truth)], states[len(truth) :]
        weight, bias = fit_logistic_regression(labelled, truth, len(data.labels))
        shares = propagate_labels(
            states,
            np.concatenate(
                [np.eye(len(data.labels))[truth], _softmax(unlabelled @ weight.T + bias)]
            ),
            after_rows=run.reporter.check_stop,
        )[len(truth) :]
        chosen = self._surest(shares)
        found = [Example(texts[row], data.labels[shares[row].argmax()]) for row in chosen]
        data.train = [*data.train, *found]
        run.notes.append(
            f"{len(found):,} of {len(texts):,} unlabelled texts learned with the label of their neighbours"
        )
        run.records["label_propagation"] = {"texts": len(texts), "taken": len(found)}

    def _texts(self) -> list[str]:
        assert self.config.unlabelled is not None  # noqa: S101  # `wanted` saw to it
        rows = read_examples(
            self.config.unlabelled, text=self.config.text_column, require_label=False
        )
        return list(dict.fromkeys(row.text for row in rows))

    def _surest(self, shares: np.ndarray) -> Any:
        """The places of the wanted part of the rows: those whose first label is furthest from the second."""
        ordered = np.sort(shares, axis=1)
        margin = ordered[:, -1] - ordered[:, -2]
        count = max(1, round(self.config.propagation_share * len(shares)))
        return np.sort(np.argsort(-margin, kind="stable")[:count])


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return found
