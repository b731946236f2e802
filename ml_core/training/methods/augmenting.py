"""Variants of the training rows, made once before training; see `ml_core.augmentation`."""

from __future__ import annotations

import dataclasses
from typing import Any

from ml_core.augmentation import (
    METHODS,
    TAGGED_METHODS,
    AugmentationError,
    CedictSynonyms,
    EmbeddingSynonyms,
    FileSynonyms,
    Synonyms,
    augment,
    augment_tagged,
)
from ml_core.data.rows import Row
from ml_core.models.bases import resolve_base
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.methods.base import Method, Run

_NEED_SYNONYMS = {"synonym", "insertion"}


class Augmenting(Method):
    @classmethod
    def wanted(cls, config: TrainConfig) -> bool:
        known = TAGGED_METHODS if config.task == "token-classification" else METHODS
        for name in config.augmentation:
            if name not in known:
                raise ConfigError(
                    f"augmentation: {name} is not for {config.task}; use {', '.join(known)}"
                )
        return bool(config.augmentation)

    def prepare_rows(self, run: Run) -> None:
        data = run.task.data
        before = len(data.train)
        try:
            data.train = [*data.train, *self._variants(data.train)]
        except AugmentationError as error:
            raise ConfigError(f"augmentation: {error}") from error
        made = len(data.train) - before
        run.notes.append(f"{made:,} variants of the {before:,} training rows")
        run.records["augmentation"] = {"rows": before, "variants": made}

    def _variants(self, rows: list[Any]) -> list[Any]:
        if self.config.task == "token-classification":
            tagged = augment_tagged(
                [(row.content["tokens"], row.content["tags"]) for row in rows],
                methods=self.config.augmentation,
                per_example=self.config.augmentation_per_row,
                rate=self.config.augmentation_strength,
                seed=self.config.seed,
                synonyms=self._synonyms(),
            )
            return [Row({"tokens": tokens, "tags": tags}) for tokens, tags in tagged]
        # Labels stand for their rows, so that a variant gets all that its row has.
        texts = augment(
            [row.text for row in rows],
            [_Labelled(row) for row in rows],
            methods=self.config.augmentation,
            per_example=self.config.augmentation_per_row,
            alpha=self.config.augmentation_strength,
            seed=self.config.seed,
            synonyms=self._synonyms(),
        )
        return [dataclasses.replace(label.row, text=text) for text, label in texts]

    def _synonyms(self) -> Synonyms | None:
        if not _NEED_SYNONYMS & set(self.config.augmentation):
            return None
        given = self.config.synonyms
        if given is None:
            return EmbeddingSynonyms.from_base(
                resolve_base(self.config.previous or self.config.base)
            )
        if given.suffix in {".u8", ".gz"} or "cedict" in given.name.lower():
            return CedictSynonyms(given)
        return FileSynonyms(given)


class _Labelled:
    """A row that compares as its label does."""

    def __init__(self, row: Any) -> None:
        self.row = row

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Labelled) and self.row.label == other.row.label

    def __hash__(self) -> int:
        return hash(self.row.label)
