"""R-Drop (Liang et al. 2021): two passes with different dropout are trained to agree.

loss = ½ (L₁ + L₂) + α/4 · (KL(p₁‖p₂) + KL(p₂‖p₁)): half of the paper's sum, so that the learning rate keeps its
meaning.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from ml_core.tasks.base import Batch, Loss, LossFunction
from ml_core.training.config import TrainConfig
from ml_core.training.methods.base import Method


class RDrop(Method):
    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        return config.r_drop > 0

    def wrap_loss(self, loss: LossFunction) -> LossFunction:
        def twice(model: nn.Module, batch: Batch) -> Loss:
            first, second = loss(model, batch), loss(model, batch)
            if first.logits is None or second.logits is None:
                raise ValueError("R-Drop needs logits")
            apart = _divergence(first.logits, second.logits) + _divergence(
                second.logits, first.logits
            )
            total = (first.total + second.total) / 2 + self.config.r_drop / 4 * apart
            return Loss(total, (first.logits + second.logits) / 2)

        return twice


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(softmax(p) ‖ softmax(q)), summed over the rows."""
    return functional.kl_div(q.log_softmax(-1), p.log_softmax(-1), reduction="sum", log_target=True)
