"""Where in a transformers model the methods attach: the linear layers of its blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn
from transformers.pytorch_utils import Conv1D

from ml_core.models.efficient.attachment import CannotAttach

# A linear layer that ends an attention and writes to the residual stream, by the names that transformers' models use.
_ATTENTION_END = re.compile(
    r"(?:attention|attn|self_attn|cross_attn|crossattention|SelfAttention|EncDecAttention|attention\.attn)"
    r"\.(?:output\.dense|Wo|o_proj|out_proj|out_lin|c_proj|dense|o)$"
)
_FEED_FORWARD_END = re.compile(
    r"(?:^|\.)(?:output\.dense|Wo|down_proj|c_proj|lin2|fc2|fc_out|dense_4h_to_h|wo|ffn_output)$"
)


def linear_layers(encoder: Any) -> Iterator[tuple[str, nn.Module]]:
    """(name, layer) of every linear layer of the model's blocks: not those of a pooler or a language-model head."""
    body = getattr(encoder, "base_model", encoder)
    outside = getattr(encoder, "get_output_embeddings", lambda: None)()
    inside = {id(module) for module in body.modules()}
    for name, module in encoder.named_modules():
        linear = isinstance(module, (nn.Linear, Conv1D)) and module is not outside
        if linear and id(module) in inside and "pooler" not in name.split("."):
            yield name, module


def chosen_layers(encoder: Any, endings: tuple[str, ...] | None) -> list[str]:
    """Full names of the linear layers whose name ends in one of ``endings`` (None: all).

    Raises CannotAttach when the model has none, or an ending fits none.
    """
    names = [name for name, _ in linear_layers(encoder)]
    if not names:
        raise CannotAttach(f"{type(encoder).__name__} has no linear layers in its blocks")
    if endings is None:
        return names
    chosen: list[str] = []
    for ending in endings:
        found = [name for name in names if name == ending or name.endswith(f".{ending}")]
        if not found:
            known = sorted({name.rsplit(".", 1)[-1] for name in names})
            raise CannotAttach(
                f"target_modules: no linear layer of {type(encoder).__name__} ends in {ending!r}; "
                f"there are {', '.join(known)}"
            )
        chosen += found
    return sorted(set(chosen))


def block_ends(encoder: Any) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """The layers that write to the residual stream: (after attention, after feed-forward), by name."""
    attention: dict[str, nn.Module] = {}
    feed_forward: dict[str, nn.Module] = {}
    for name, module in linear_layers(encoder):
        if _ATTENTION_END.search(name):
            attention[name] = module
        elif _FEED_FORWARD_END.search(name):
            feed_forward[name] = module
    return attention, feed_forward


def output_size(layer: Any) -> int:
    """Features that a linear layer gives."""
    return int(layer.nf if isinstance(layer, Conv1D) else layer.out_features)
