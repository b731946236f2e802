"""A Transformer over what somebody did, in vectors made of the items' texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

# Cosines of a state and the items' vectors are divided by it (Hou et al. 2022, UniSRec).
TEMPERATURE = 0.07
# Part of the mean variance that is added to every direction of the texts' embeddings before they are made equally
# long: without it the directions that hold hardly more than noise would speak as loudly as the others.
_SHRINKAGE = 0.1


@dataclass(frozen=True)
class SequenceShape:
    """What a `NextItemModel` is made of: the number of items and of numbers in a text's embedding, and the options of
    the same names."""

    items: int
    text_size: int
    item_ids: str
    item_adaptor: str
    sequence_length: int
    sequence_width: int
    sequence_layers: int
    sequence_heads: int

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Take it from a manifest's options; raises ValueError for what is missing or of the wrong kind."""
        taken: dict[str, Any] = {}
        for field in fields(cls):
            value = values.get(field.name)
            if type(value).__name__ != field.type or (isinstance(value, int) and value < 1):
                raise ValueError(f"options: {field.name} is {value!r}")
            taken[field.name] = value
        return cls(**taken)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class NextItemModel(nn.Module):
    """SASRec (Kang and McAuley 2018) over text embeddings (Hou et al. 2022, UniSRec): an item's vector is
    adaptor(whitened embedding of its text) + its own vector; a causal Transformer reads a sequence of them, and the
    score of an item is the cosine between the last state and its vector, over `TEMPERATURE`.

    ``encoder`` is the frozen text encoder, kept so that new items can be read; it takes no part in ``forward``.
    """

    def __init__(self, encoder: Any, shape: SequenceShape, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder: Any = encoder.requires_grad_(False)
        self.shape = shape
        width, size = shape.sequence_width, shape.text_size
        # Not buffers: these never change, so no checkpoint of the changing weights needs them.
        self.text_mean = nn.Parameter(torch.zeros(size), requires_grad=False)
        self.text_whitening = nn.Parameter(torch.eye(size), requires_grad=False)
        self.item_texts = nn.Parameter(torch.zeros(shape.items, size), requires_grad=False)
        self.adaptor = nn.Sequential(nn.Linear(size, width))
        if shape.item_adaptor == "mlp":
            self.adaptor.extend([nn.GELU(), nn.Linear(width, width)])
        for part in self.adaptor:
            if isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=0.02)
                nn.init.zeros_(part.bias)
        # A vector of its own that begins at zero: an item never met in training stays what its text says.
        self.item_vectors: nn.Parameter | None = (
            nn.Parameter(torch.zeros(shape.items, width)) if shape.item_ids == "added" else None
        )
        self.positions = nn.Embedding(shape.sequence_length, width)
        nn.init.normal_(self.positions.weight, std=0.02)
        self.start_norm, self.end_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            width,
            shape.sequence_heads,
            4 * width,
            dropout,
            "gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(
            layer, shape.sequence_layers, enable_nested_tensor=False
        )

    def take_texts(self, embeddings: Tensor) -> None:
        """Fit the whitening on the items' text embeddings (items, text_size) and make them the table."""
        mean = embeddings.mean(0)
        centred = embeddings - mean
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(embeddings))
        variances = variances.clamp(min=0)
        floor = _SHRINKAGE * variances.mean().clamp(min=1e-12)
        with torch.no_grad():
            self.text_mean.copy_(mean)
            self.text_whitening.copy_(directions / (variances + floor).sqrt())
            self.item_texts.copy_(self.whiten(embeddings))

    def whiten(self, embeddings: Tensor) -> Tensor:
        """Text embeddings (items, text_size) as the table has them: about as long in every direction."""
        return (embeddings - self.text_mean) @ self.text_whitening

    def item_table(self, new_texts: Tensor | None = None) -> Tensor:
        """The vectors (items, width) of all items, and behind them those of new ones with whitened ``new_texts``."""
        table: Tensor = self.adaptor(self.item_texts)
        if self.item_vectors is not None:
            table = table + self.item_vectors
        if new_texts is not None:
            table = torch.cat([table, self.adaptor(new_texts)])
        return table

    def states(self, sequences: Tensor, table: Tensor) -> Tensor:
        """The states (sequences, length, width) after each item of ``sequences`` (sequences, length), which hold places
        in ``table`` and are filled up on the right with any."""
        length = sequences.shape[1]
        order = torch.arange(length, device=sequences.device)
        inputs = self.dropout(self.start_norm(table[sequences] + self.positions(order)))
        later = torch.ones(length, length, dtype=torch.bool, device=sequences.device).triu(1)
        found: Tensor = self.end_norm(self.layers(inputs, mask=later, is_causal=True))
        return found

    def forward(
        self, sequences: Tensor, places: Tensor, candidates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The states (targets, width) at the flat ``places`` of ``sequences`` (sequences, length), and the vectors of
        the ``candidates`` (of all items without), all of norm 1."""
        table = self.item_table()
        found = self.states(sequences, table).flatten(0, 1)[places]
        against = table if candidates is None else table[candidates]
        return functional.normalize(found, dim=-1), functional.normalize(against, dim=-1)

    def last_scores(self, sequences: Sequence[Sequence[int]], table: Tensor) -> Tensor:
        """Scores (sequences, items of ``table``) of what comes after each sequence of places, of which the latest
        ``sequence_length`` are read; each must have one."""
        latest = [list(each[-self.shape.sequence_length :]) for each in sequences]
        longest = max(len(each) for each in latest)
        filled = [each + [0] * (longest - len(each)) for each in latest]
        last = torch.tensor([len(each) - 1 for each in latest], device=table.device)
        states = self.states(torch.tensor(filled, device=table.device), table)
        ends = states[torch.arange(len(latest), device=table.device), last]
        scores: Tensor = functional.normalize(ends, dim=-1) @ functional.normalize(table, dim=-1).T
        return scores / TEMPERATURE
