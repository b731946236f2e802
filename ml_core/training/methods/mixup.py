"""mixup (Zhang et al. 2018): rows and their labels in pairs, by one share λ ~ Beta(α, α) for each batch.

Images are mixed as pixels; texts after pooling, before the last layer (senMixup of Guo, Mao and Zhang 2019), as
words cannot be mixed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ml_core.tasks.base import Batch, Loss, LossFunction, Task
from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method, Run


class Mixup(Method):
    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._partner: Tensor | None = None
        self._share = 1.0
        self._task: Task | None = None

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.mixup > 0

    def prepare_model(self, run: Run) -> None:
        self._task = run.task
        if run.config.task != "image-classification":
            run.task.model.classifier.register_forward_pre_hook(self._mix_pooled)

    def wrap_loss(self, loss: LossFunction) -> LossFunction:
        def mixed(model: nn.Module, batch: Batch) -> Loss:
            labels = batch["labels"]
            share = torch.distributions.Beta(self.config.mixup, self.config.mixup).sample()
            self._share = float(share)
            self._partner = torch.randperm(len(labels)).to(labels.device)
            if "pixel_values" in batch:
                pixels = batch["pixel_values"]
                batch = {**batch, "pixel_values": self._mix(pixels)}
            try:
                logits = loss(model, batch).logits
            finally:
                partner, self._partner = self._partner, None
            if logits is None or self._task is None:
                raise ValueError("mixup needs logits")
            own = self._task.criterion(logits, labels).sum()
            other = self._task.criterion(logits, labels[partner]).sum()
            return Loss(self._share * own + (1 - self._share) * other, logits)

        return mixed

    def _mix(self, rows: Tensor) -> Tensor:
        return self._share * rows + (1 - self._share) * rows[self._partner]

    def _mix_pooled(self, module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self._partner is None or not module.training:
            return None
        return (self._mix(inputs[0]), *inputs[1:])
