"""Prefix-tuning (Li and Liang 2021): trained keys and values that every attention of the model sees first.

An attention function registered with transformers puts them there, so it works on every model whose attention goes
through that registry, with caches and position biases. The prefix begins with the keys and values that the model has
for a row of random tokens: begun at small random numbers it would only thin out the attention to the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ml_core.models.efficient.attachment import CannotAttach
from ml_core.models.efficient.layers import block_ends

_ATTENTION = "rootstock_prefix"


class Prefix(nn.Module):
    """Keys and values of shape (heads, length, features of a head)."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        super().__init__()
        self.key = nn.Parameter(key)
        self.value = nn.Parameter(value)


def attach(encoder: Any, record: Mapping[str, Any]) -> None:
    """Key of ``record``: ``length``."""
    try:
        encoder.set_attn_implementation(_ATTENTION)
    except (ValueError, AttributeError) as error:
        raise _no_place(encoder) from error
    length = int(record["length"])
    seen = _keys_and_values(encoder, length)
    if not seen:
        raise _no_place(encoder)
    for attention, (key, value) in seen.items():
        attention.add_module("prefix", Prefix(_fitted(key, length), _fitted(value, length)))


def _prefix_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **keywords: Any,
) -> Any:
    recorder = _RECORDERS[-1] if _RECORDERS else None
    if recorder is not None:
        recorder[module] = (key, value)
    prefix = getattr(module, "prefix", None)
    if prefix is not None:
        length = prefix.key.shape[1]
        if attention_mask is None and _is_causal(module, query, keywords):
            attention_mask = torch.ones(
                query.shape[2], key.shape[2], dtype=torch.bool, device=query.device
            ).tril(key.shape[2] - query.shape[2])[None, None]
        key = torch.cat([_batch(prefix.key, key), key], dim=2)
        value = torch.cat([_batch(prefix.value, value), value], dim=2)
        if attention_mask is not None:
            # True, or 0 in an additive mask: everybody sees the prefix.
            is_bool = attention_mask.dtype == torch.bool
            attention_mask = nn.functional.pad(
                attention_mask, (length, 0), value=True if is_bool else 0.0
            )
        bias = keywords.get("position_bias")
        if bias is not None:
            keywords["position_bias"] = nn.functional.pad(bias, (length, 0), value=0.0)
        keywords["is_causal"] = False  # the mask says it
    return sdpa_attention_forward(module, query, key, value, attention_mask, **keywords)


# While a model is run to see its keys and values: where they go, by attention module.
_RECORDERS: list[dict[nn.Module, tuple[Tensor, Tensor]]] = []
AttentionInterface.register(_ATTENTION, _prefix_attention)
AttentionMaskInterface.register(_ATTENTION, sdpa_mask)


def _is_causal(module: nn.Module, query: Tensor, keywords: Mapping[str, Any]) -> bool:
    given = keywords.get("is_causal")
    causal = bool(getattr(module, "is_causal", True)) if given is None else bool(given)
    return causal and query.shape[2] > 1


def _batch(prefix: Tensor, like: Tensor) -> Tensor:
    return prefix.to(like.dtype).expand(like.shape[0], -1, -1, -1)


def _keys_and_values(encoder: Any, length: int) -> dict[nn.Module, tuple[Tensor, Tensor]]:
    """The keys and values of every attention for random input of ``length`` tokens."""
    recorder: dict[nn.Module, tuple[Tensor, Tensor]] = {}
    was_training = encoder.training
    encoder.eval()
    _RECORDERS.append(recorder)
    try:
        with torch.no_grad():
            encoder(**_random_input(encoder, length))
    finally:
        _RECORDERS.pop()
        encoder.train(was_training)
    return recorder


def _random_input(encoder: Any, length: int) -> dict[str, Tensor]:
    config = encoder.config
    device = next(encoder.parameters()).device
    if encoder.main_input_name == "pixel_values":
        channels, side = getattr(config, "num_channels", 3), getattr(config, "image_size", 224)
        return {"pixel_values": torch.randn(1, channels, side, side, device=device)}
    longest = getattr(config, "max_position_embeddings", None) or length
    # RoBERTa's positions begin after that of the padding token.
    count = min(length, longest - 2) if longest > 2 else length
    tokens = torch.randint(
        min(5, config.vocab_size - 1), config.vocab_size, (1, max(1, count)), device=device
    )
    given = {"input_ids": tokens}
    if getattr(config, "is_encoder_decoder", False):
        given["decoder_input_ids"] = tokens
    else:
        given["attention_mask"] = torch.ones_like(tokens)
    return given


def _fitted(states: Tensor, length: int) -> Tensor:
    """The first ``length`` of (1, heads, tokens, features), repeated where there are fewer."""
    tokens = states.shape[2]
    places = torch.arange(length, device=states.device) % tokens
    return states[0][:, places].detach().to(torch.float32).clone()


def _no_place(encoder: Any) -> CannotAttach:
    adapter = ", adapter" if all(block_ends(encoder)) else ""
    return CannotAttach(
        f"method: prefix cannot reach the attention of {type(encoder).__name__}; "
        f"lora, adalora{adapter} and head work on a model with linear layers, prompt on one that reads tokens"
    )
