"""Pseudo-labels (Lee 2013): a first model labels the texts it is sure enough about, a second one learns from both.

Sure enough is measured on the validation part, label by label; see `ml_core.pseudo_labels`.
"""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from ml_core.data.examples import Example
from ml_core.pseudo_labels import PoorCalibration, pseudo_labels
from ml_core.tasks.reading_texts import unlabelled_texts
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.methods.base import Method, Run
from ml_core.training.progress import TrainingError


class SelfTraining(Method):
    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        if config.pseudo_labels and config.unlabelled is None:
            raise ConfigError("unlabelled: missing; pseudo_labels needs texts to label")
        return config.pseudo_labels

    def prepare_rows(self, run: Run) -> None:
        if self.config.unlabelled is None:
            return
        known = {row.text for row in run.task.data.train}
        found = unlabelled_texts(self.config.unlabelled, self.config.text_column)
        texts = [text for text in found if text not in known]
        chosen = self._label(run, texts)
        labels = run.task.data.labels
        taken = [
            Example(texts[place], labels[label])
            for place, label in zip(chosen.rows.tolist(), chosen.labels.tolist(), strict=True)
        ]
        run.task.data.train = [*run.task.data.train, *taken]
        run.notes.append(
            f"{len(taken):,} of {len(texts):,} unlabelled texts labelled by a first model"
        )
        run.records["pseudo_labels"] = {"texts": len(texts), "taken": len(taken)}

    def _label(self, run: Run, texts: list[str]) -> Any:
        from ml_core.training.run import fit

        config = dataclasses.replace(
            self.config, pseudo_labels=False, checkpoints=None, out_of_scope_score="none"
        )
        teacher: Any = type(run.task)(config, copy.copy(run.task.data))
        first = Run(config=config, task=teacher, reporter=run.reporter.inner(), device=run.device)
        with tempfile.TemporaryDirectory() as directory:
            best = fit(first, directory=Path(directory), checkpoint=None, marks={})
        best, calibration = teacher.calibrate(best)
        temperature = calibration.get("temperature", 1.0)
        with torch.no_grad():
            logits = teacher.logits(
                teacher.model.eval(), texts, run.device, run.reporter.check_stop
            )
        place = {label: index for index, label in enumerate(run.task.data.labels)}
        truth = np.array([place[row.label] for row in run.task.data.validation])
        try:
            return pseudo_labels(
                softmax(logits / temperature, axis=1),
                validation_probabilities=softmax(best.logits, axis=1),
                validation_truth=truth,
                precision=self.config.pseudo_label_precision,
            )
        except PoorCalibration as error:
            raise TrainingError(f"pseudo_labels: {error}") from error
        except ValueError as error:
            raise ConfigError(f"pseudo_labels: {error}") from error
