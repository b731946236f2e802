"""One label for each text, or any number of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.examples import Example
from ml_core.evaluation.report import build_report
from ml_core.models.classifier import TextClassifier, save_classifier
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.text import BaseText, collate_texts, evaluation_batches
from ml_core.training.config import TrainConfig


class TextClassification(Task):
    """Cross-entropy over the labels; logits of shape (texts, labels)."""

    name = "text-classification"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._base = BaseText(config)
        self._place = {label: index for index, label in enumerate(data.labels)}
        self.model = TextClassifier(self._base.encoder, len(data.labels), dropout=config.dropout)
        self._weights = self._class_weights()

    def features(self, rows: Sequence[Any]) -> list[Feature]:
        ids = self._base.encode([row.text for row in rows])
        return [
            {"input_ids": each, "length": len(each), "label": self._target(row)}
            for each, row in zip(ids, rows, strict=True)
        ]

    def collate(self, features: list[Feature]) -> Batch:
        labels = torch.tensor([feature["label"] for feature in features])
        return {**collate_texts(features, self._base.pad_id), "labels": labels}

    def items(self, batch: Batch) -> int:
        return len(batch["labels"])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        logits = model(batch["input_ids"], batch["attention_mask"])
        return Loss(self.criterion(logits, batch["labels"]).sum(), logits)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(
            logits,
            labels,
            weight=self._weights.to(logits.device) if self._weights is not None else None,
            reduction="none",
            label_smoothing=self.config.label_smoothing,
        )

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        features = self.features(rows)
        logits = np.empty((len(rows), len(self.data.labels)), dtype=np.float32)
        for places in evaluation_batches(features, device, after_batch):
            batch = self.collate([features[place] for place in places])
            found = model(batch["input_ids"].to(device), batch["attention_mask"].to(device))
            logits[places] = found.float().cpu().numpy()
        return self._evaluation(rows, logits)

    def save(self, directory: Path) -> None:
        save_classifier(self.model, directory)
        self._base.save_tokenizer(directory)

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def _target(self, row: Example) -> Any:
        # A row without a label is one to be read only (a pseudo-label, a text to compare).
        return self._place.get(row.label, -100)

    def _evaluation(self, rows: Sequence[Any], logits: np.ndarray) -> Evaluation:
        tensor = torch.from_numpy(logits)
        truth = torch.tensor([self._place[row.label] for row in rows])
        loss = float(functional.cross_entropy(tensor, truth))
        report = build_report(list(rows), tensor.softmax(-1).numpy(), self.data.labels)
        return Evaluation(report, loss, logits)

    def _class_weights(self) -> Tensor | None:
        """n / (labels · count of the label), whose mean over the texts is 1; None for "none"."""
        if self.config.class_weighting == "none":
            return None
        targets = torch.tensor([self._place[row.label] for row in self.data.train])
        counts = torch.bincount(targets, minlength=len(self.data.labels)).float()
        return len(targets) / (len(self.data.labels) * counts)
