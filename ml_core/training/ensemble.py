"""Several trainings from one start, with other orders and dropout, averaged into one model.

Greedy soup (Wortsman et al. 2022): from the best training on, the weights of each are taken into the mean only when
the validation part does not lose by it. In a run with checkpoints the start and the weights of each finished training
are kept in ``ensemble/``, sealed as checkpoints are; one that was killed goes on with the training it was in.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ml_core.tasks.base import Evaluation, Feature
from ml_core.training.checkpoints import (
    ENSEMBLE,
    discard_broken,
    is_whole,
    newest_checkpoint,
    seal,
)
from ml_core.training.distributed import is_first, wait_for_all
from ml_core.training.engine import FineTuner
from ml_core.training.methods import Method, Run
from ml_core.training.weights import changing_weights, put_back, read_weights, write_weights

_START = "start"
_WEIGHTS = "weights.safetensors"


def has_begun(directory: Path, marks: dict[str, Any]) -> bool:
    """Whether a killed run has left the start of its trainings in a directory of checkpoints; raises ConfigError for
    that of another run."""
    return is_whole(directory / ENSEMBLE / _START, marks, directory)


class Ensemble:
    """The trainings of a run whose model is prepared: the first by `train_first`, then all others and the mean of
    their weights by `average`. ``directory`` has the checkpoints, ``marks`` are what two runs must have in common."""

    def __init__(
        self,
        context: Run,
        methods: list[Method],
        features: Sequence[Feature],
        *,
        directory: Path,
        marks: dict[str, Any],
    ) -> None:
        self._context = context
        self._methods = methods
        self._features = features
        self._directory = directory
        self._marks = marks
        self._keeps = context.config.checkpoints is not None and bool(marks)
        kept = self._kept(_START)
        wait_for_all()  # or one process could find what another has just written
        if kept is None:
            self._start = changing_weights(context.task.model)
            if self._keeps:
                self._keep(_START, self._start)
        else:
            self._start = kept
            put_back(context.task.model, kept)

    def train_first(self, checkpoint: Path | None) -> Evaluation:
        """Make the first training, from ``checkpoint`` when there is one; leaves the model with its weights."""
        best, _ = self._train(0, self._directory, checkpoint)
        return best

    def average(self, first: Evaluation) -> Evaluation:
        """Make the other trainings and leave the model with the mean; returns its evaluation. ``first`` is that of
        the model as it is, after `train_first`."""
        context, model = self._context, self._context.task.model
        members = [(first, changing_weights(model))]
        for number in range(1, context.config.ensemble):
            put_back(model, self._start)
            for method in self._methods:
                method.begin()
            directory = self._directory / ENSEMBLE / f"training-{number + 1}"
            checkpoint = newest_checkpoint(directory, self._marks) if self._keeps else None
            wait_for_all()
            if is_first():
                discard_broken(directory)
            evaluation, tuner = self._train(number, directory, checkpoint)
            members.append((evaluation, changing_weights(model)))
            if is_first():
                shutil.rmtree(directory, ignore_errors=True)
        members.sort(key=lambda member: _score(member[0]), reverse=True)
        best, taken = members[0][0], [members[0][1]]
        for _, weights in members[1:]:
            put_back(model, _mean([*taken, weights]))
            tried = tuner.evaluate_now(model)
            if _score(tried) >= _score(best):
                best, taken = tried, [*taken, weights]
        put_back(model, _mean(taken))
        context.records["ensemble"] = {"trained": len(members), "averaged": len(taken)}
        context.notes.append(f"the mean of {len(taken)} of {len(members)} trainings' weights")
        return best

    def _train(
        self, number: int, directory: Path, checkpoint: Path | None
    ) -> tuple[Evaluation, FineTuner]:
        """Training ``number`` (from 0); one that is finished is only evaluated."""
        context, model = self._context, self._context.task.model
        config = context.config
        reporter = context.reporter.part(number, config.ensemble, config.epochs)
        tuner = FineTuner(
            replace(context, reporter=reporter),
            self._methods,
            self._features,
            directory=directory,
            fingerprint=self._marks,
            seed_offset=number,
        )
        name = f"trained-{number + 1}"
        kept = self._kept(name)
        if kept is not None:
            put_back(model, kept)
            return tuner.evaluate_now(model), tuner
        tuner.fit(checkpoint)
        if self._keeps:
            self._keep(name, changing_weights(model))
        return tuner.best_evaluation, tuner

    def _kept(self, name: str) -> dict[str, Tensor] | None:
        directory = self._directory / ENSEMBLE / name
        if self._keeps and is_whole(directory, self._marks, self._directory):
            return read_weights(directory / _WEIGHTS)
        return None

    def _keep(self, name: str, weights: dict[str, Tensor]) -> None:
        directory = self._directory / ENSEMBLE / name
        if is_first():
            directory.mkdir(parents=True, exist_ok=True)
            write_weights(weights, directory / _WEIGHTS)
            seal(directory, self._marks)
        wait_for_all()


def _score(evaluation: Evaluation) -> tuple[float, float]:
    return float(evaluation.report.summary()[evaluation.report.headline]), -evaluation.loss


def _mean(members: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {
        name: torch.stack([member[name].float() for member in members]).mean(0).to(tensor.dtype)
        for name, tensor in members[0].items()
    }
