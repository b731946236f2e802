"""Prompt tuning (Lester, Al-Rfou and Constant 2021): trained vectors before the embedded input.

The virtual positions are taken off the output states again, so that pooling, token tags and losses see as many
states as there are tokens. They begin as the embeddings of random tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ml_core.models.efficient.attachment import CannotAttach


class Prompt(nn.Module):
    """Vectors of shape (length, features of an embedding)."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = nn.Parameter(vectors)


def attach(encoder: Any, record: Mapping[str, Any]) -> None:
    """Key of ``record``: ``length``."""
    if getattr(encoder, "main_input_name", "") != "input_ids":
        raise CannotAttach(
            f"method: prompt needs a model that reads tokens, not {type(encoder).__name__}; "
            "lora, adalora, prefix, adapter and head work on vision transformers"
        )
    config = encoder.config
    # Of an encoder-decoder the prompt goes before what the encoder reads; of a language model, under its head.
    body = (
        encoder.get_encoder()
        if getattr(config, "is_encoder_decoder", False)
        else encoder.base_model
    )
    length = int(record["length"])
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and length >= longest:
        raise CannotAttach(f"prompt_length: {length} leaves no room in {longest} positions")
    table = encoder.get_input_embeddings().weight
    chosen = torch.randint(min(5, len(table) - 1), len(table), (length,))
    vectors = table.detach()[chosen.to(table.device)].to(torch.float32).clone()
    body.add_module("prompt", Prompt(vectors))
    body.register_forward_pre_hook(_put_before, with_kwargs=True)
    body.register_forward_hook(_take_off, with_kwargs=True)


def _put_before(
    body: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    keywords = dict(keywords)
    if arguments:
        keywords["input_ids"], arguments = arguments[0], arguments[1:]
    ids, embedded = keywords.get("input_ids"), keywords.get("inputs_embeds")
    length = len(body.prompt.vectors)
    past = keywords.get("past_key_values")
    begun = past is not None and past.get_seq_length() > 0
    mask = keywords.get("attention_mask")
    if mask is not None and mask.ndim == 2:
        keywords["attention_mask"] = nn.functional.pad(mask, (length, 0), value=1)
    positions = keywords.get("position_ids")
    if positions is not None:
        positions = positions + length
    if not begun:
        if embedded is None:
            embedded = body.get_input_embeddings()(ids)
        prompt = body.prompt.vectors.to(embedded.dtype).expand(len(embedded), -1, -1)
        keywords["input_ids"] = None
        keywords["inputs_embeds"] = torch.cat([prompt, embedded], dim=1)
        if positions is not None:
            first = torch.arange(length, device=positions.device).expand(positions.shape[0], -1)
            positions = torch.cat([first, positions], dim=1)
        types = keywords.get("token_type_ids")
        if types is not None:
            keywords["token_type_ids"] = nn.functional.pad(types, (length, 0), value=0)
    if positions is not None:
        keywords["position_ids"] = positions
    return arguments, keywords


def _take_off(body: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> Any:
    states = output.last_hidden_state
    ids, embedded = keywords.get("input_ids"), keywords.get("inputs_embeds")
    if ids is None and embedded is not None and states.shape[1] == embedded.shape[1]:
        output.last_hidden_state = states[:, len(body.prompt.vectors) :]
    return output
