"""Texts one after the other in one row instead of padded to the longest: no work is done on padding.

Every layer but attention treats tokens alone, so a transformers encoder takes the row as it is. Its attention is
replaced by one that keeps texts apart: on a GPU FlashAttention for texts of various lengths (Dao 2023), on a CPU one
product for each run of texts of one length, which needs no mask.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

logger = logging.getLogger(__name__)

PACKED = "rootstock_packed"
# The least cosine of a token's packed state to the one it has alone: float32 sums in another order, or bfloat16.
_LEAST_COSINE, _LEAST_COSINE_HALF = 0.99999, 0.98
_PROBE_TOKENS = (5, 2, 9)


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    is_causal: bool | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: Tensor | None = None,
    max_length_q: int = 0,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of each text to itself; the signature is transformers'.

    ``query``, ``key`` and ``value`` are (1, heads, tokens, features), of texts that begin at the places
    ``cu_seq_lens_q`` (texts + 1); returns (1, tokens, heads, features). Tokens further apart than
    ``sliding_window`` - 1 do not see each other. Raises ValueError for what it does not know how to do.
    """
    unknown = [name for name in ("softcap", "position_bias") if others.get(name) is not None]
    if cu_seq_lens_q is None or attention_mask is not None or unknown:
        raise ValueError(f"{type(module).__name__} does not pass on where texts begin")
    causal = bool(getattr(module, "is_causal", False) if is_causal is None else is_causal)
    reach = -1 if sliding_window is None else sliding_window - 1
    grouped = query.shape[1] != key.shape[1]
    if query.is_cuda:
        found = _varlen(
            query,
            key,
            value,
            starts=cu_seq_lens_q,
            longest=max_length_q,
            scale=scaling,
            window=(reach, 0 if causal else reach),
            grouped=grouped,
        )
        return found, None
    result = torch.empty_like(query.transpose(1, 2))
    for start, count, length in _runs(cu_seq_lens_q.tolist()):
        end = start + count * length
        own = functional.scaled_dot_product_attention(
            _side_by_side(query[0, :, start:end], count),
            _side_by_side(key[0, :, start:end], count),
            _side_by_side(value[0, :, start:end], count),
            attn_mask=_band(length, reach, causal) if -1 < reach < length - 1 else None,
            is_causal=causal and not -1 < reach < length - 1,
            scale=scaling,
            enable_gqa=grouped,
        )
        result[0, start:end] = own.transpose(1, 2).flatten(0, 1)
    return result, None


AttentionInterface.register(PACKED, packed_attention)


class Packing:
    """How one encoder takes packed texts: whether at all, and from where it counts positions."""

    def __init__(self, encoder: Any, first_position: int) -> None:
        self._encoder = encoder
        self._first = first_position

    @classmethod
    def of(cls, encoder: Any) -> Packing | None:
        """How ``encoder``, in float32, takes packed texts, tried on a few tokens; it is then switched to
        `packed_attention`. None for one that cannot (position biases of its own, an attention out of transformers'
        registry) and stays as it was."""
        pad_id = int(encoder.config.pad_token_id)
        # RoBERTa and its kin count positions from the one after that of padding.
        for first in (0, pad_id + 1):
            packing = cls(encoder, first)
            with _attention(encoder, PACKED) as keep:
                reason = packing._differs()
                if reason is None:
                    keep()
                    return packing
            logger.debug("%s cannot be packed: %s", type(encoder).__name__, reason)
        return None

    def holds(self) -> bool:
        """Whether it does so still, on another device or in half precision; if not, the encoder is switched back."""
        reason = self._differs()
        if reason is not None:
            logger.info("%s cannot be packed here: %s", type(self._encoder).__name__, reason)
            self._encoder.set_attn_implementation("sdpa")
        return reason is None

    def forward(
        self, token_ids: Sequence[Sequence[int]], type_ids: Sequence[Sequence[int]] | None
    ) -> Tensor:
        """The last layer's states (all tokens, hidden) of texts one after the other; best those of one length side by
        side."""
        device = self._encoder.device
        lengths = [len(ids) for ids in token_ids]
        places = torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32)
        positions = torch.cat([torch.arange(length) for length in lengths]) + self._first
        starts = places.to(device)
        types = {} if type_ids is None else {"token_type_ids": _row(type_ids).to(device)}
        longest = max(lengths)
        found = self._encoder(
            input_ids=_row(token_ids).to(device),
            position_ids=positions.unsqueeze(0).to(device),
            cu_seq_lens_q=starts,
            cu_seq_lens_k=starts,
            max_length_q=longest,
            max_length_k=longest,
            **types,
        )
        states: Tensor = found.last_hidden_state
        return states.squeeze(0)

    def _differs(self) -> str | None:
        """Why packed states are not those of each text alone; None where they are."""
        encoder = self._encoder
        config = encoder.config
        # A text longer than an attention window shows whether the window is right.
        window = getattr(config, "sliding_window", None) or 0
        most = getattr(config, "max_position_embeddings", None) or 512
        lengths = [*_PROBE_TOKENS, *([min(2 * window + 3, most - 4)] if window else [])]
        generator = random.Random(0)
        texts = [generator.choices(range(config.vocab_size), k=length) for length in lengths]
        # A padding token in a text would shift the positions of RoBERTa and its kin.
        unused = config.pad_token_id
        texts = [[(1 if unused == 0 else 0) if t == unused else t for t in text] for text in texts]
        try:
            with torch.inference_mode():
                packed = self.forward(texts, None)
                with _attention(encoder, "sdpa"):
                    alone = [
                        encoder(
                            input_ids=torch.tensor([text], device=encoder.device)
                        ).last_hidden_state[0]
                        for text in texts
                    ]
        except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
            return str(error)
        cosine = float(functional.cosine_similarity(packed.float(), torch.cat(alone).float()).min())
        least = _LEAST_COSINE if packed.dtype == torch.float32 else _LEAST_COSINE_HALF
        return None if cosine >= least else f"states have a cosine of {cosine:.4f} to those alone"


@contextmanager
def _attention(encoder: Any, name: str) -> Iterator[Any]:
    """The encoder with another attention; it gets its own back unless the function given is called."""
    before = encoder.config._attn_implementation
    kept = False

    def keep() -> None:
        nonlocal kept
        kept = True

    encoder.set_attn_implementation(name)
    try:
        yield keep
    finally:
        if not kept:
            encoder.set_attn_implementation(before)


def _varlen(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    starts: Tensor,
    longest: int,
    scale: float | None,
    window: tuple[int, int],
    grouped: bool,
) -> Tensor:
    """Attention of texts of various lengths by FlashAttention, which is there on GPUs only; shapes as in
    `packed_attention`."""
    from torch.nn.attention import varlen

    rows = [each.squeeze(0).transpose(0, 1).contiguous() for each in (query, key, value)]
    found: Any = varlen.varlen_attn(
        rows[0],
        rows[1],
        rows[2],
        starts,
        starts,
        longest,
        longest,
        scale=scale,
        window_size=window,
        enable_gqa=grouped,
    )
    result: Tensor = found.unsqueeze(0)
    return result


def _side_by_side(rows: Tensor, count: int) -> Tensor:
    """(heads, tokens, features) of ``count`` texts of one length as (texts, heads, their tokens, features)."""
    heads, tokens, features = rows.shape
    return rows.reshape(heads, count, tokens // count, features).transpose(0, 1)


def _row(rows: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor([list(chain.from_iterable(rows))])


def _runs(places: list[int]) -> Iterator[tuple[int, int, int]]:
    """(start, number of texts, their length) of neighbours of one length; texts without tokens are left out."""
    start = 0
    for length, group in groupby(end - begin for begin, end in pairwise(places)):
        count = sum(1 for _ in group)
        if length:
            yield start, count, length
        start += count * length


def _band(length: int, reach: int, causal: bool) -> Tensor:
    """Who sees whom, booleans (length, length): those at most ``reach`` tokens away."""
    band = torch.ones(length, length, dtype=torch.bool).triu(-reach)
    return band.tril(0 if causal else reach)
