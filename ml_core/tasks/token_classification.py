"""A tag for each word: named entities and whatever else is a stretch of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ml_core.data.rows import Row
from ml_core.evaluation.reports.tagging import TaggingReport
from ml_core.models.bio import BioDecoder
from ml_core.models.classifier import save_text_model
from ml_core.models.tagger import TokenTagger
from ml_core.models.words import WordEncoder
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.class_weights import class_weights, weighted_cross_entropy
from ml_core.tasks.tagged_rows import GAZETTEER, is_by_character, write_gazetteer
from ml_core.tasks.tagging import (
    TaggerInputs,
    TokenClassificationPredictor,
    hint_numbers,
    log_probabilities,
    tagging_report,
)
from ml_core.tasks.text import BaseText, padded
from ml_core.training.config import TrainConfig

# What functional.cross_entropy leaves out, and so does `items`.
_NO_LABEL = -100


class TokenClassification(Task):
    """Cross-entropy over the tags at the first piece of each word; logits of shape (words, labels).

    A sentence longer than ``max_length`` is learned and judged through several windows, each word in one of them.
    """

    name = "token-classification"
    predictor: ClassVar[str] = "ml_core.tasks.tagging:TokenClassificationPredictor"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._base = BaseText(config)
        self._place = {label: index for index, label in enumerate(data.labels)}
        encode = WordEncoder(self._base.tokenizer.backend_tokenizer, max_length=config.max_length)
        self._case_features = config.case_features == "on" or (
            config.case_features == "auto" and not encode.keeps_case
        )
        self._gazetteer = data.extra.get("gazetteer")
        self._inputs = TaggerInputs(
            encode,
            pad_id=self._base.pad_id,
            case_features=self._case_features,
            gazetteer=self._gazetteer,
        )
        self._by_character = is_by_character(data.train)
        self.model = TokenTagger(
            self._base.encoder,
            len(data.labels),
            dropout=config.dropout,
            case_features=self._case_features,
            hint_count=len(hint_numbers(self._gazetteer)),
        )
        targets = (self._place[tag] for row in data.train for tag in row.content["tags"])
        self._weights = class_weights(config, targets, len(data.labels))

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """A feature for each window, so at least one for each row."""
        windows = self._inputs.features([row.content["tokens"] for row in rows])
        return [
            {**window, "labels": self._targets(row, window)}
            for row, features in zip(rows, windows, strict=True)
            for window in features
        ]

    def collate(self, features: list[Feature]) -> Batch:
        labels = [feature["labels"] for feature in features]
        return {**self._inputs.collate(features), "labels": padded(labels, _NO_LABEL)}

    def items(self, batch: Batch) -> int:
        return int((batch["labels"] != _NO_LABEL).sum())

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        words = batch["labels"] != _NO_LABEL
        logits = model(**inputs)[words]
        return Loss(self.criterion(logits, batch["labels"][words]).sum(), logits)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return weighted_cross_entropy(self.config, logits, labels, self._weights)

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Row],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        found = log_probabilities(
            model,
            self._inputs,
            [row.content["tokens"] for row in rows],
            label_count=len(self.data.labels),
            device=device,
            after_batch=after_batch,
        )
        decoder = BioDecoder(self.data.labels)
        report = tagging_report(rows, [decoder.tags(each) for each in found])
        loss, words = 0.0, 0
        for row, each in zip(rows, found, strict=True):
            truth = [self._place[tag] for tag in row.content["tags"]]
            loss -= float(each[range(len(truth)), truth].sum())
            words += len(truth)
        return Evaluation(report, loss / words)

    def save(self, directory: Path) -> None:
        save_text_model(self.model, directory)
        if self._gazetteer:
            write_gazetteer(self._gazetteer, directory / GAZETTEER)
        self._base.save_tokenizer(directory)

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def describe(self) -> dict[str, Any]:
        return {"case_features": self._case_features, "by_character": self._by_character}

    def _targets(self, row: Row, window: dict[str, Any]) -> list[int]:
        """The label number at the first piece of each word that the window speaks for."""
        targets = [_NO_LABEL] * len(window["input_ids"])
        tags = row.content["tags"]
        for word, position in zip(window["words"], window["positions"], strict=True):
            targets[position] = self._place[tags[word]]
        return targets


def evaluate_artifact(
    artifact: Artifact | Path | str, data: Path | str, device: str = "auto"
) -> TaggingReport:
    """Score a saved tagger on a file of tagged sentences. Raises ArtifactError or DataError."""
    return TokenClassificationPredictor.load(artifact, device=device).evaluate(data)
