"""The hooks by which a method changes a training run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ml_core.tasks.base import Batch, LossFunction, Task
from ml_core.training.config import TrainConfig
from ml_core.training.progress import Reporter
from ml_core.training.reporting import Tracker


@dataclass
class Run:
    """What the hooks see of a run. ``notes`` become lines of the model card and ``records`` of the manifest."""

    config: TrainConfig
    task: Task
    reporter: Reporter
    device: torch.device
    # The weights come from a checkpoint, so what only prepares them need not be done.
    resuming: bool = False
    # Optimiser steps of all epochs, in an ensemble of each training; known before the model is prepared.
    steps: int = 0
    # Further text files of the artefact, by name.
    files: dict[str, str] = field(default_factory=dict)
    # Programs that follow the run.
    trackers: list[Tracker] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: dict[str, Any] = field(default_factory=dict)


class Method:
    """A method that changes nothing; subclasses override the hooks they need.

    Randomness comes from torch's global generator or from ``config.seed`` and the step, so that a run taken up from a
    checkpoint goes on as it would have.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        """Whether the options switch it on."""
        raise NotImplementedError

    def prepare_rows(self, run: Run) -> None:
        """Before the training rows are tokenised; may change ``run.task.data.train``."""

    def prepare_model(self, run: Run) -> None:
        """Before the optimiser is made; may freeze, replace or add parameters of ``run.task.model``."""

    def learning_rate_factor(self) -> float:
        """By how much a task's default learning rate is multiplied; a rate that was given is left alone."""
        return 1.0

    def begin(self) -> None:
        """Before each further training of an ensemble: forget what belongs to the last one."""

    def wrap_loss(self, loss: LossFunction) -> LossFunction:
        """The loss that is trained on, made from the one of the methods before."""
        return loss

    def after_backward(self, model: nn.Module, batch: Batch, backward: Callable[[], None]) -> None:
        """After a batch's gradients were added up; ``backward()`` adds those of the same batch at the weights as they
        are now."""

    def after_step(self, model: nn.Module, step: int, total_steps: int) -> None:
        """After optimiser step ``step`` (from 1)."""

    def evaluation_weights(self, model: nn.Module) -> AbstractContextManager[None]:
        """Around an evaluation and the keeping of the best weights: the weights to be judged."""
        return nullcontext()

    def finish(self, run: Run) -> bool:
        """After training, with the best weights in place, before the model is saved; says whether the model's answers
        are others now."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of it: JSON values and tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
