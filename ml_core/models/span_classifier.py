"""A span classifier: an encoder, the mean states of a span and of all that is around it, one linear layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class SpanClassifier(nn.Module):
    """logits = W · dropout([mean over the span's pieces; mean over the text's]) + b.

    No marks are put around a span, so that one pass serves all spans of a text, and every other head of the encoder:
    what the text says of the span is in the states of its pieces, which have attended to the rest (the span
    representation of Lee et al. 2017, without its learned weights, beside the text's own mean).

    ``forward`` takes ``input_ids`` and ``attention_mask`` (texts, pieces) and of each span the text it is in,
    ``owners``, and its pieces, ``begins`` to before ``ends``, all three (spans,); it gives (spans, labels). ``states``
    (texts, pieces, hidden) are the encoder's where they are known already.
    """

    def __init__(self, encoder: Any, label_count: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder: Any = encoder
        hidden: int = encoder.config.hidden_size
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * hidden, label_count)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        *,
        owners: Tensor,
        begins: Tensor,
        ends: Tensor,
        states: Tensor | None = None,
    ) -> Tensor:
        if states is None:
            states = self.encoder(
                input_ids=input_ids, attention_mask=attention_mask
            ).last_hidden_state
        logits: Tensor = self.classifier(
            self.dropout(span_means(states, attention_mask, owners, begins, ends))
        )
        return logits


def span_means(
    states: Tensor, attention_mask: Tensor, owners: Tensor, begins: Tensor, ends: Tensor
) -> Tensor:
    """The mean state of each span beside that of its text, (spans, 2 · hidden)."""
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    whole = (states * mask).sum(1) / mask.sum(1)
    places = torch.arange(states.shape[1], device=states.device)
    inside = (places >= begins.unsqueeze(1)) & (places < ends.unsqueeze(1))
    weights = inside.to(states.dtype) / inside.sum(1, keepdim=True)
    own = torch.einsum("sp,sph->sh", weights, states[owners])
    return torch.cat([own, whole[owners]], dim=1)
