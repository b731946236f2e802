"""Bottleneck adapters (Houlsby et al. 2019; Pfeiffer et al. 2021): y + U · gelu(D y) after the sublayers of each block.

Each adapter belongs to the linear layer that writes to the residual stream and changes its output by a forward hook.
U begins at zero, so that the model begins as its base.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ml_core.models.efficient.attachment import CannotAttach
from ml_core.models.efficient.layers import block_ends, output_size


class Bottleneck(nn.Module):
    """y + U · gelu(D y), of any shape (…, features)."""

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.down = nn.Linear(features, size)
        self.up = nn.Linear(size, features)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: Tensor) -> Tensor:
        added: Tensor = self.up(nn.functional.gelu(self.down(states)))
        return states + added


def attach(encoder: Any, record: Mapping[str, Any]) -> None:
    """Keys of ``record``: ``size``, ``places`` ("both" or "feed-forward")."""
    attention, feed_forward = block_ends(encoder)
    layers = feed_forward if record["places"] == "feed-forward" else attention | feed_forward
    if not feed_forward or not attention:
        raise CannotAttach(
            f"method: adapter knows no place in {type(encoder).__name__}; lora and adalora work on any model with "
            "linear layers"
        )
    for layer in layers.values():
        bottleneck = Bottleneck(output_size(layer), int(record["size"]))
        layer.add_module("adapter", bottleneck.to(next(layer.parameters()).device))
        layer.register_forward_hook(_adapt)


def _adapt(layer: Any, _: Any, output: Tensor) -> Tensor:
    adapted: Tensor = layer.adapter(output)
    return adapted
