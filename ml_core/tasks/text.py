"""What the tasks on texts share: a tokenizer and batches of token ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ml_core.data.batches import padding_budget_batches
from ml_core.models.bases import load_encoder
from ml_core.models.predictor import token_budget
from ml_core.models.tokenise import TextEncoder, readable_languages
from ml_core.training.config import ConfigError, TrainConfig


class BaseText:
    """An encoder and its tokenizer, loaded as the config says: ``encoder``, ``tokenizer`` (transformers'), ``encode``
    (texts to token ids) and ``languages``."""

    def __init__(self, config: TrainConfig) -> None:
        self.encoder, self.tokenizer = load_encoder(
            config.previous or config.base, random_weights=config.weights == "random"
        )
        longest = getattr(self.encoder.config, "max_position_embeddings", config.max_length)
        if config.max_length > longest:
            raise ConfigError(
                f"max_length: {config.max_length} is more than the {longest} of {config.base}"
            )
        # The artefact's config.json must name the padding token even where the base's does not.
        self.encoder.config.pad_token_id = self.tokenizer.pad_token_id
        self.pad_id: int = self.tokenizer.pad_token_id
        self.languages = config.languages or readable_languages(
            self.tokenizer.backend_tokenizer, self.tokenizer.unk_token_id
        )
        self.encode = TextEncoder(self.tokenizer.backend_tokenizer, max_length=config.max_length)

    def save_tokenizer(self, directory: Path) -> None:
        self.tokenizer.save_pretrained(directory)


def padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """Rows of different length as one (rows, longest) tensor, filled on the right."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])


def collate_texts(features: Sequence[dict[str, Any]], pad_id: int) -> dict[str, Tensor]:
    """``input_ids`` and ``attention_mask``, both (texts, longest)."""
    ids = [feature["input_ids"] for feature in features]
    return {
        "input_ids": padded(ids, pad_id),
        "attention_mask": padded([[1] * len(row) for row in ids], 0),
    }


def evaluation_batches(
    features: Sequence[dict[str, Any]], device: torch.device, after_batch: Callable[[], None]
) -> Iterator[list[int]]:
    """Places of ``features`` in batches of like length; ``after_batch`` is called before each."""
    lengths = [feature["length"] for feature in features]
    for batch in padding_budget_batches(lengths, budget=token_budget(device.type)):
        after_batch()
        yield batch
