"""Adversarial training on the input embeddings: FGM (Miyato, Dai and Goodfellow 2017) and PGD (Madry et al. 2018).

Each text's embeddings x are pushed by r with norm at most ε where the loss grows: FGM takes r = ε · g / ‖g‖ with
g = ∂loss/∂x; PGD takes K steps of 1.5 ε / K along the gradient, each time back into the ball. The gradient of the loss
at x + r is added to that at x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ml_core.tasks.base import Batch
from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method, Run


class Adversarial(Method):
    def __init__(self, config: TrainConfig) -> None:
        super().__init__(config)
        self._embedded: Tensor | None = None
        self._push: Tensor | None = None

    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.adversarial != "none"

    def prepare_model(self, run: Run) -> None:
        run.task.encoder().get_input_embeddings().register_forward_hook(self._on_embedded)

    def after_backward(self, model: nn.Module, batch: Batch, backward: Callable[[], None]) -> None:
        steps = self.config.adversarial_steps if self.config.adversarial == "pgd" else 1
        size = self.config.adversarial_epsilon * (1.5 / steps if steps > 1 else 1.0)
        trained = [each for each in model.parameters() if each.requires_grad]
        kept = [each.grad for each in trained]
        push = self._step(None, size)
        for _ in range(steps - 1):
            for each in trained:
                each.grad = None
            self._push = push
            backward()
            push = self._step(push, size)
        for each, gradient in zip(trained, kept, strict=True):
            each.grad = gradient
        self._push = push
        backward()
        self._push = self._embedded = None

    def _on_embedded(self, module: nn.Module, _: Any, output: Tensor) -> Tensor:
        if not module.training or not output.is_floating_point():
            return output
        if not output.requires_grad:
            output = output.detach().requires_grad_()  # embeddings that are frozen
        output.retain_grad()
        self._embedded = output
        return output if self._push is None else output + self._push

    def _step(self, push: Tensor | None, size: float) -> Tensor:
        """The push after a step of ``size`` along each text's gradient, inside the ball of radius ε."""
        if self._embedded is None or self._embedded.grad is None:
            raise RuntimeError("the embeddings have no gradient")
        moved: Tensor = size * _unit(self._embedded.grad)
        if push is not None:
            moved = moved + push
            norm = moved.flatten(1).norm(dim=1).clamp_min(1e-12)
            shrink = (self.config.adversarial_epsilon / norm).clamp_max(1.0)
            moved = moved * shrink.view(-1, *[1] * (moved.ndim - 1))
        pushed: Tensor = moved.detach()
        return pushed


def _unit(gradient: Tensor) -> Tensor:
    norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
    return gradient / norm.view(-1, *[1] * (gradient.ndim - 1))
