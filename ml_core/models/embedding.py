"""Texts as vectors: near where the texts mean the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.batches import padding_budget_batches
from ml_core.models.bases import load_encoder
from ml_core.models.classifier import pad_batch, select_device
from ml_core.models.loading import LoadedText, text_of
from ml_core.models.predictor import token_budget
from ml_core.models.tokenise import TextEncoder
from ml_core.registry.artifact import Artifact


class TextEmbedder(nn.Module):
    """embedding = mean over real tokens of encoder(x), scaled to norm 1, so that a product of two is their cosine."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder: Any = encoder

    def forward(self, texts: Sequence[Mapping[str, Tensor]]) -> list[Tensor]:
        """The embeddings (texts, hidden) of each group of ``input_ids`` and ``attention_mask``, both (texts, tokens).

        Several groups in one call, because data parallel training wants one forward pass for a backward pass.
        """
        return [self.embed(group["input_ids"], group["attention_mask"]) for group in texts]

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embeddings (texts, hidden) of one group."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        return functional.normalize((states * weights).sum(1) / weights.sum(1), dim=-1)


def embed_token_ids(
    model: TextEmbedder,
    token_ids: Sequence[Sequence[int]],
    *,
    pad_id: int,
    device: torch.device,
    after_batch: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Embeddings (texts, hidden), float32, of encoded texts; computed in batches of like length. ``after_batch`` is
    called before each and may raise to stop."""
    hidden = int(model.encoder.config.hidden_size)
    result = np.empty((len(token_ids), hidden), dtype=np.float32)
    lengths = [len(ids) for ids in token_ids]
    for batch in padding_budget_batches(lengths, budget=token_budget(device.type)):
        after_batch()
        ids, mask = pad_batch([token_ids[place] for place in batch], pad_id=pad_id, device=device)
        with torch.no_grad():
            result[batch] = model.embed(ids, mask).float().cpu().numpy()
    return result


class EmbeddingPredictor:
    """A loaded text-embedding model: `embed` gives vectors of norm 1."""

    def __init__(self, loaded: LoadedText[TextEmbedder]) -> None:
        self._loaded = loaded

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """See `LoadedText.load`."""
        return cls(LoadedText.load(artifact, device, TextEmbedder))

    @classmethod
    def from_base(cls, name: str | Path, *, max_length: int = 256, device: str = "auto") -> Self:
        """A base model as it comes ("packaged", a directory or a hub name) as an embedder.

        Raises BaseModelError, ValueError for a device this machine has not.
        """
        where = select_device(device)
        encoder, tokenizer = load_encoder(name)
        longest = getattr(encoder.config, "max_position_embeddings", max_length)
        encode = TextEncoder(tokenizer.backend_tokenizer, max_length=min(max_length, longest))
        model = TextEmbedder(encoder).to(where).eval()
        return cls(LoadedText(model, encode, tokenizer.pad_token_id, where))

    def embed(
        self,
        texts: Sequence[str],
        *,
        size: int | None = None,
        after_batch: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Embeddings of shape (texts, hidden), float32, in the order of ``texts``. With ``size`` only the first
        numbers of each, scaled to norm 1 again: good for a model trained with ``matryoshka``."""
        loaded = self._loaded
        found = embed_token_ids(
            loaded.model,
            loaded.encode(texts),
            pad_id=loaded.pad_id,
            device=loaded.device,
            after_batch=after_batch,
        )
        if size is not None:
            found = found[:, :size]
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return found

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """For ``{"text"}`` its ``embedding``; for ``{"anchor", "positive"}`` the ``similarity``, their cosine."""
        texts: list[str] = []
        for row in rows:
            keys = ("anchor", "positive") if "anchor" in row else ("text",)
            texts += [text_of(row, key) for key in keys]
        vectors = iter(self.embed(texts))
        answers: list[dict[str, Any]] = []
        for row in rows:
            first = next(vectors)
            if "anchor" in row:
                answers.append({"similarity": round(float(first @ next(vectors)), 6)})
            else:
                answers.append({"embedding": [round(float(value), 6) for value in first]})
        return answers
