"""A cross-encoder: reads a query and a document together and says how well the one answers the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.data.batches import padding_budget_batches
from ml_core.models.loading import LoadedText, text_of, texts_of
from ml_core.models.predictor import token_budget
from ml_core.registry.artifact import Artifact


class CrossEncoder(nn.Module):
    """score = w · dropout(mean over real tokens of encoder([query; document])) + b (Nogueira and Cho 2019, with the
    mean for [CLS])."""

    def __init__(self, encoder: Any, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(encoder.config.hidden_size, 1)
        nn.init.normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)
        self._reads_types = getattr(encoder.config, "type_vocab_size", 0) > 1

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """Scores (pairs,) from three tensors (pairs, tokens); ``token_type_ids`` is 1 at the document's tokens."""
        types = {"token_type_ids": token_type_ids} if self._reads_types else {}
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types)
        states = found.last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1)
        scores: Tensor = self.classifier(self.dropout(mean)).squeeze(-1)
        return scores


PairIds = tuple[Sequence[int], Sequence[int]]


def collate_pairs(pairs: Sequence[PairIds], pad_id: int) -> dict[str, Tensor]:
    """``input_ids``, ``attention_mask`` and ``token_type_ids``, all (pairs, longest)."""
    longest = max(len(ids) for ids, _ in pairs)

    def padded(rows: list[list[int]], fill: int) -> Tensor:
        return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])

    return {
        "input_ids": padded([list(ids) for ids, _ in pairs], pad_id),
        "attention_mask": padded([[1] * len(ids) for ids, _ in pairs], 0),
        "token_type_ids": padded([list(types) for _, types in pairs], 0),
    }


class RerankingPredictor:
    """A loaded cross-encoder: `scores` of pairs, and `rank`, the documents of a query from the best down."""

    def __init__(self, loaded: LoadedText[CrossEncoder]) -> None:
        self._loaded = loaded

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """See `LoadedText.load`."""
        return cls(LoadedText.load(artifact, device, CrossEncoder))

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Logits (pairs,), float32, of (query, document) pairs, in order: above 0 speaks for relevant."""
        loaded = self._loaded
        encoded = loaded.encode.pairs(pairs)
        result = np.empty(len(pairs), dtype=np.float32)
        lengths = [len(ids) for ids, _ in encoded]
        for batch in padding_budget_batches(lengths, budget=token_budget(loaded.device.type)):
            inputs = collate_pairs([encoded[place] for place in batch], loaded.pad_id)
            with torch.inference_mode():
                found = loaded.model(
                    **{key: each.to(loaded.device) for key, each in inputs.items()}
                )
            result[batch] = found.float().cpu().numpy()
        return result

    def rank(self, query: str, documents: Sequence[str]) -> list[tuple[int, float]]:
        """(place in ``documents``, logit) from the best document down; equals keep their order."""
        scores = self.scores([(query, document) for document in documents])
        return [(int(place), float(scores[place])) for place in np.argsort(-scores, kind="stable")]

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """For ``{"query", "document"}`` its ``score`` from 0 to 1 (the logistic function of the logit); for
        ``{"query", "documents": [..]}`` a ``ranking``: place and score of each, from the best down."""
        pairs: list[tuple[str, str]] = []
        for row in rows:
            query = text_of(row, "query")
            several = "documents" in row
            documents = texts_of(row, "documents") if several else [text_of(row, "document")]
            pairs += [(query, document) for document in documents]
        scores = 1 / (1 + np.exp(-self.scores(pairs).astype(float)))
        answers: list[dict[str, Any]] = []
        start = 0
        for row in rows:
            count = len(row["documents"]) if "documents" in row else 1
            own = scores[start : start + count]
            start += count
            if "documents" in row:
                answers.append(
                    {
                        "ranking": [
                            {"place": int(place), "score": round(float(own[place]), 6)}
                            for place in np.argsort(-own, kind="stable")
                        ]
                    }
                )
            else:
                answers.append({"score": round(float(own[0]), 6)})
        return answers
