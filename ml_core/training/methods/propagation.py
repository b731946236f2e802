"""Learning from texts without labels by way of their neighbours; see `ml_core.label_propagation`."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from ml_core.label_propagation import propagate_labels
from ml_core.tasks.reading_texts import unlabelled_texts
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.methods.head_start import fit_head, fit_logistic_regression, pooled_states

# Of the last layer's fit; lower than on labelled rows alone, as some of the spread labels are wrong.
_INVERSE_PENALTY = 3.0


class LabelPropagation(Method):
    """After the training, labels spread from the rows to the texts of ``unlabelled`` over the graph of the fine-tuned
    embeddings, and the last layer is fitted anew on both.

    A text begins with what a logistic regression on the labelled rows says of it. Training the encoder on the spread
    labels as well makes it learn their errors: with ten rows of each BANKING77 label that is a point worse.
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
        if not self._texts(run):
            raise ConfigError(f"unlabelled: {self.config.unlabelled} has no text that is not known")

    def finish(self, run: Run) -> bool:
        data, texts = run.task.data, self._texts(run)
        run.reporter.report("tokenise")
        place = {label: index for index, label in enumerate(data.labels)}
        truth = np.array([place[row.label] for row in data.train])
        states = pooled_states(run, [*(row.text for row in data.train), *texts])
        labelled, unlabelled = states[: len(truth)], states[len(truth) :]
        weight, bias = fit_logistic_regression(labelled, truth, len(place))
        start = np.concatenate(
            [np.eye(len(place))[truth], softmax(unlabelled @ weight.T + bias, axis=1)]
        )
        shares = propagate_labels(states, start, after_rows=run.reporter.check_stop)[len(truth) :]
        chosen = self._surest(shares)
        fit_head(
            run.task.model,
            np.concatenate([labelled, unlabelled[chosen]]),
            np.concatenate([truth, shares[chosen].argmax(axis=1)]),
            len(place),
            inverse_penalty=_INVERSE_PENALTY,
        )
        run.notes.append(
            f"the last layer learned {len(chosen):,} of {len(texts):,} unlabelled texts with the label of their "
            "neighbours"
        )
        run.records["label_propagation"] = {"texts": len(texts), "taken": len(chosen)}
        return True

    def _texts(self, run: Run) -> list[str]:
        """Those of ``unlabelled`` that neither the training nor the validation part has."""
        assert self.config.unlabelled is not None  # noqa: S101  # `wanted` saw to it
        known = {row.text for row in run.task.data.train}
        known |= {row.text for row in run.task.data.validation}
        found = unlabelled_texts(self.config.unlabelled, self.config.text_column)
        return [text for text in found if text not in known]

    def _surest(self, shares: np.ndarray) -> Any:
        """The places of the wanted part of the rows: those whose first label is furthest from the second."""
        ordered = np.sort(shares, axis=1)
        margin = ordered[:, -1] - ordered[:, -2]
        count = max(1, round(self.config.propagation_share * len(shares)))
        return np.sort(np.argsort(-margin, kind="stable")[:count])
