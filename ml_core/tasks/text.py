"""What the tasks on texts share: a tokenizer and batches of token ids."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import torch
from torch import Tensor

from ml_core.data.batches import padding_budget_batches
from ml_core.models.bases import load_encoder
from ml_core.models.predictor import token_budget
from ml_core.models.tokenise import TextEncoder, readable_languages
from ml_core.tasks.base import Feature
from ml_core.training.config import ConfigError, TrainConfig


class BaseText:
    """An encoder and its tokenizer, loaded as the config says: ``encoder``, ``tokenizer`` (transformers'), ``encode``
    (texts to token ids) and ``languages``."""

    def __init__(self, config: TrainConfig) -> None:
        self.encoder, self.tokenizer = self.load(
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

    def load(self, base: str | Path, *, random_weights: bool) -> tuple[Any, Any]:
        """The encoder and the tokenizer of ``base``."""
        return load_encoder(base, random_weights=random_weights)

    def save_tokenizer(self, directory: Path) -> None:
        self.tokenizer.save_pretrained(directory)


class TextFeatures(Sequence[Feature]):
    """Features of texts, ``{"input_ids", "length"}`` and with ``target`` a "label": made when asked for, as a
    million of them would not fit. ``target`` gives a text's label by its place."""

    def __init__(
        self,
        encode: TextEncoder,
        texts: Sequence[str],
        target: Callable[[int], Any] | None = None,
    ) -> None:
        self._ids, self._places = encode.compact(texts)
        self._target = target

    def __len__(self) -> int:
        return len(self._places) - 1

    @overload
    def __getitem__(self, place: int) -> Feature: ...
    @overload
    def __getitem__(self, place: slice) -> list[Feature]: ...
    def __getitem__(self, place: int | slice) -> Feature | list[Feature]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        ids = self._ids[self._places[place] : self._places[place + 1]].tolist()
        feature = {"input_ids": ids, "length": len(ids)}
        if self._target is not None:
            feature["label"] = self._target(place)
        return feature


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
