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
        # One for each call of the encoder in a loss: a pair of texts is read in two.
        self._embedded: list[Tensor] = []
        self._push: list[Tensor] = []

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
        push = self._step([], size)
        for _ in range(steps - 1):
            for each in trained:
                each.grad = None
            self._embedded, self._push = [], push
            backward()
            push = self._step(push, size)
        for each, gradient in zip(trained, kept, strict=True):
            each.grad = gradient
        self._embedded, self._push = [], push
        backward()
        self._embedded, self._push = [], []

    def _on_embedded(self, module: nn.Module, _: Any, output: Tensor) -> Tensor:
        if not module.training or not output.is_floating_point():
            return output
        if not output.requires_grad:
            output = output.detach().requires_grad_()  # embeddings that are frozen
        output.retain_grad()
        self._embedded.append(output)
        return output + self._push[len(self._embedded) - 1] if self._push else output

    def _step(self, push: list[Tensor], size: float) -> list[Tensor]:
        """The pushes after a step of ``size`` along each text's gradient, inside the ball of radius ε."""
        gradients = [each.grad for each in self._embedded if each.grad is not None]
        if not gradients or len(gradients) < len(self._embedded):
            raise RuntimeError("the embeddings have no gradient")
        moved = []
        for place, gradient in enumerate(gradients):
            move = size * _unit(gradient)
            if push:
                move = move + push[place]
                norm = move.flatten(1).norm(dim=1).clamp_min(1e-12)
                shrink = (self.config.adversarial_epsilon / norm).clamp_max(1.0)
                move = move * shrink.view(-1, *[1] * (move.ndim - 1))
            moved.append(move.detach())
        return moved


def _unit(gradient: Tensor) -> Tensor:
    norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
    unit: Tensor = gradient / norm.view(-1, *[1] * (gradient.ndim - 1))
    return unit
