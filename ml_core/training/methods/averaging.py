"""Averages of the weights along the way: EMA, and SWA (Izmailov et al. 2018) over the second half of the steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method


class WeightAveraging(Method):
    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._average: dict[str, Tensor] = {}
        self._count = 0

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.weight_averaging != "none"

    def begin(self) -> None:
        self._average, self._count = {}, 0

    @torch.no_grad()
    def after_step(self, model: nn.Module, step: int, total_steps: int) -> None:
        if self.config.weight_averaging == "swa" and step < total_steps / 2:
            return
        weights = _trained(model)
        if not self._average:
            self._average = {name: weight.detach().clone() for name, weight in weights.items()}
        self._count += 1
        names = list(weights)
        averages = [self._average[name].to(weights[name].device) for name in names]
        torch._foreach_lerp_(averages, [weights[name] for name in names], self._new_share())
        self._average = dict(zip(names, averages, strict=True))

    @contextmanager
    def evaluation_weights(self, model: nn.Module) -> Iterator[None]:
        if not self._average:
            yield
            return
        weights = _trained(model)
        kept = {name: weight.detach().clone() for name, weight in weights.items()}
        _copy(self._average, weights)
        try:
            yield
        finally:
            _copy(kept, weights)

    def state_dict(self) -> dict[str, Any]:
        return {"average": self._average, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._average, self._count = state["average"], state["count"]

    def _new_share(self) -> float:
        """The part of the current weights in the new average. Early averages of an EMA are short, or the first random
        weights would stay in it for long."""
        if self.config.weight_averaging == "swa":
            return 1 / self._count
        return 1 - min(self.config.ema_decay, (1 + self._count) / (10 + self._count))


def _trained(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, nn.Parameter]) -> None:
    for name, tensor in source.items():
        target[name].copy_(tensor)
