"""One label for each text, or any number of labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.examples import read_examples
from ml_core.evaluation import (
    MultiLabelReport,
    build_classification_report,
    build_multi_label_report,
    fit_temperature,
    length_column,
    text_columns,
    tune_thresholds,
)
from ml_core.evaluation.out_of_scope import OutOfScopeDetector
from ml_core.evaluation.reports.common import json_value
from ml_core.evaluation.scoring import check_labels
from ml_core.models.classifier import TextClassifier, load_classifier, save_classifier
from ml_core.models.predictor import Predictor
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.class_weights import class_weights, weighted_cross_entropy
from ml_core.tasks.cloze import ClozeText, check_previous
from ml_core.tasks.labelled_texts import MultiLabelText, read_multi_label_file
from ml_core.tasks.out_of_scope import fit_detector, save_detector
from ml_core.tasks.text import BaseText, TextFeatures, collate_texts, evaluation_batches
from ml_core.training.config import TrainConfig

# Fewer rows say too little about how sure a model may be.
_CALIBRATION_ROWS = 30


class TextClassification(Task):
    """Cross-entropy over the labels; logits of shape (texts, labels)."""

    name = "text-classification"
    predictor = "ml_core.tasks.text_classification:TextClassificationPredictor"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._base, self.model = _start(config, data.labels)
        self._place = {label: index for index, label in enumerate(data.labels)}
        if config.previous is not None:
            self._take_over_head(config.previous)
        self._weights = self._class_weights()
        self._detector: OutOfScopeDetector | None = None
        self._out_of_scope: dict[str, Any] = {}

    def features(self, rows: Sequence[Any]) -> TextFeatures:
        texts = [row.text for row in rows]
        return TextFeatures(self._base.encode, texts, lambda place: self._target(rows[place]))

    def read_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Features of texts alone."""
        return TextFeatures(self._base.encode, texts)

    def collate_texts(self, features: Sequence[Feature]) -> Batch:
        """A batch without labels."""
        return collate_texts(features, self._base.pad_id)

    def collate(self, features: list[Feature]) -> Batch:
        labels = torch.tensor([feature["label"] for feature in features])
        return {**self.collate_texts(features), "labels": labels}

    def items(self, batch: Batch) -> int:
        return len(batch["labels"])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        logits = model(**inputs)
        return Loss(self.criterion(logits, batch["labels"]).sum(), logits)

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return weighted_cross_entropy(self.config, logits, labels, self._weights)

    def evaluate(
        self,
        model: nn.Module,
        rows: Sequence[Any],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        logits = self.logits(model, [row.text for row in rows], device, after_batch)
        return self._judge(rows, logits)

    def logits(
        self,
        model: nn.Module,
        texts: Sequence[str],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> np.ndarray:
        """What ``model`` says about texts, (texts, labels), in batches of like length."""
        features = self.read_texts(texts)
        logits = np.empty((len(texts), len(self.data.labels)), dtype=np.float32)
        for places in evaluation_batches(features, device, after_batch):
            batch = self.collate_texts([features[place] for place in places])
            found = model(batch["input_ids"].to(device), batch["attention_mask"].to(device))
            logits[places] = found.float().cpu().numpy()
        return logits

    def calibrate(self, evaluation: Evaluation) -> tuple[Evaluation, dict[str, Any]]:
        rows, logits = self.data.validation, evaluation.logits
        if len(rows) < _CALIBRATION_ROWS:
            return evaluation, {}
        found: dict[str, Any] = {}
        if self.config.out_of_scope_score != "none":
            self._fit_out_of_scope(logits)
            found["out_of_scope"] = self._detector.to_dict() if self._detector else {}
        if self.config.calibration == "none":
            return evaluation, found
        fit = fit_temperature(logits, self._indices(rows))
        found |= {
            "temperature": fit.temperature,
            "ece_before": fit.ece_before,
            "ece_after": fit.ece_after,
        }
        return self._judge(rows, logits / fit.temperature), found

    def save(self, directory: Path) -> None:
        save_classifier(self.model, directory)
        self._base.save_tokenizer(directory)
        if self._detector is not None:
            save_detector(self._detector, directory)

    def describe(self) -> dict[str, Any]:
        found = {"out_of_scope": json_value(self._out_of_scope)} if self._out_of_scope else {}
        asks = {"cloze": self._base.cloze.to_dict()} if isinstance(self._base, ClozeText) else {}
        return found | asks

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def _target(self, row: Any) -> Any:
        return self._place[row.label]

    def _indices(self, rows: Sequence[Any]) -> np.ndarray:
        return np.array([self._place[row.label] for row in rows])

    def _fit_out_of_scope(self, logits: np.ndarray) -> None:
        train, validation = self.data.train, self.data.validation
        self._detector, self._out_of_scope = fit_detector(
            self.config,
            self.model,
            self.read_texts,
            pad_id=self._base.pad_id,
            train=([row.text for row in train], self._indices(train)),
            validation=([row.text for row in validation], self._indices(validation)),
            logits=logits,
            outside=self.data.extra.get("out_of_scope", ()),
        )

    def _judge(self, rows: Sequence[Any], logits: np.ndarray) -> Evaluation:
        tensor = torch.from_numpy(logits)
        truth = torch.tensor([self._place[row.label] for row in rows])
        loss = float(functional.cross_entropy(tensor, truth))
        if not np.isfinite(logits).all():
            return Evaluation(report=None, loss=float("nan"))
        report = build_classification_report(
            [row.label for row in rows],
            tensor.softmax(-1).numpy(),
            self.data.labels,
            texts=[row.text for row in rows],
            lines=[row.line for row in rows],
            columns={"length": length_column(row.text for row in rows)},
        )
        return Evaluation(report, loss, logits)

    def _class_weights(self) -> Tensor | None:
        targets = (self._place[row.label] for row in self.data.train)
        return class_weights(self.config, targets, len(self.data.labels))

    def _take_over_head(self, previous: Path) -> None:
        artifact = Artifact.open(previous, verify=False)
        head = load_classifier(artifact).classifier
        places = [self._place[label] for label in artifact.manifest.labels]
        with torch.no_grad():
            if not isinstance(self._base, ClozeText):  # which has no weights of its own
                self.model.classifier.weight[places] = head.weight
            self.model.classifier.bias[places] = head.bias


class MultiLabelClassification(TextClassification):
    """Binary cross-entropy for each label; a label is given where its probability reaches its threshold."""

    name = "multi-label-classification"
    predictor = "ml_core.tasks.text_classification:MultiLabelPredictor"

    def criterion(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            logits, labels, pos_weight=self._on_device(logits), reduction="none"
        ).sum(-1)

    def calibrate(self, evaluation: Evaluation) -> tuple[Evaluation, dict[str, Any]]:
        rows, logits = self.data.validation, evaluation.logits
        if self.config.calibration == "none" or len(rows) < _CALIBRATION_ROWS:
            return evaluation, {}
        thresholds = tune_thresholds(_sigmoid(logits), self._truth(rows))
        return self._judge(rows, logits, thresholds), {"thresholds": thresholds.tolist()}

    def _target(self, row: Any) -> list[float]:
        target = [0.0] * len(self.data.labels)
        for label in row.labels:
            target[self._place[label]] = 1.0
        return target

    def _truth(self, rows: Sequence[Any]) -> np.ndarray:
        return np.array([self._target(row) for row in rows])

    def _judge(
        self, rows: Sequence[Any], logits: np.ndarray, thresholds: float | np.ndarray = 0.5
    ) -> Evaluation:
        if not np.isfinite(logits).all():
            return Evaluation(report=None, loss=float("nan"))
        truth = torch.from_numpy(self._truth(rows)).float()
        loss = float(functional.binary_cross_entropy_with_logits(torch.from_numpy(logits), truth))
        report = build_multi_label_report(
            [row.labels for row in rows],
            _sigmoid(logits),
            self.data.labels,
            thresholds=thresholds,
            texts=[row.text for row in rows],
            lines=[row.line for row in rows],
            columns={"length": length_column(row.text for row in rows)},
        )
        return Evaluation(report, loss, logits)

    def _class_weights(self) -> Tensor | None:
        """Rows without a label for each row with it, at most 100; None for "none"."""
        if self.config.class_weighting == "none":
            return None
        positive = torch.from_numpy(self._truth(self.data.train)).sum(0).float()
        return ((len(self.data.train) - positive) / positive.clamp_min(1)).clamp(1, 100)

    def _on_device(self, logits: Tensor) -> Tensor | None:
        return None if self._weights is None else self._weights.to(logits.device)


class TextClassificationPredictor:
    """Labels for rows with a ``text``; see `ml_core.models.Predictor` for texts."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Raises ArtifactError, and ValueError for a device that is not there."""
        return cls(Predictor.load(artifact, device=device))

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``{"label", "probabilities"}`` of each row, in order; of a model that can tell also "in_scope" (true or
        false) and "out_of_scope_score", the higher the more in scope."""
        texts = [row["text"] for row in rows]
        if not self._predictor.tells_scope:
            found = self._predictor.predict(texts)
            return [{"label": each.label, "probabilities": each.probabilities} for each in found]
        judged = self._predictor.judge(texts)
        answers = [self._predictor.prediction(row) for row in judged.probabilities]
        return [
            {
                "label": answer.label,
                "probabilities": answer.probabilities,
                "in_scope": score >= judged.threshold,
                "out_of_scope_score": score,
            }
            for answer, score in zip(answers, judged.scores.tolist(), strict=True)
        ]


class MultiLabelPredictor:
    """The labels whose probability reaches their threshold, for rows with a ``text``."""

    def __init__(self, predictor: Predictor, thresholds: Sequence[float]) -> None:
        self._predictor = predictor
        self._thresholds = np.asarray(thresholds)

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Raises ArtifactError, and ValueError for a device that is not there."""
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        given = artifact.manifest.calibration.get("thresholds")
        thresholds = given or [0.5] * len(artifact.manifest.labels)
        return cls(Predictor.load(artifact, device=device), thresholds)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``{"labels", "probabilities"}`` of each row, in order."""
        table = self._predictor.probabilities([row["text"] for row in rows])
        labels = self._predictor.labels
        return [
            {
                "labels": [labels[place] for place in np.flatnonzero(row >= self._thresholds)],
                "probabilities": dict(zip(labels, row.tolist(), strict=True)),
            }
            for row in table
        ]


def evaluate_artifact(
    artifact: Artifact,
    data: Path,
    device: str = "auto",
    *,
    text: str = "text",
    label: str = "label",
) -> Any:
    """Score a saved classifier, of one label or of several, on a file of labelled texts.

    Raises DataError for the data (a label the model does not know included), ArtifactError for the artefact.
    """
    if artifact.manifest.task == MultiLabelClassification.name:
        return _evaluate_multi_label(artifact, read_multi_label_file(data, text=text), device)
    examples = read_examples(data, text=text, label=label)
    check_labels(examples, artifact.manifest.labels, path=data, known_to="the model")
    predictor = Predictor.load(artifact, device=device)
    return build_classification_report(
        [example.label for example in examples],
        predictor.probabilities([example.text for example in examples]),
        predictor.labels,
        texts=[example.text for example in examples],
        lines=[example.line for example in examples],
        columns=text_columns([example.text for example in examples]),
    )


def _evaluate_multi_label(
    artifact: Artifact, rows: Sequence[MultiLabelText], device: str
) -> MultiLabelReport:
    predictor = Predictor.load(artifact, device=device)
    thresholds = artifact.manifest.calibration.get("thresholds", 0.5)
    return build_multi_label_report(
        [row.labels for row in rows],
        predictor.probabilities([row.text for row in rows]),
        predictor.labels,
        thresholds=np.asarray(thresholds),
        texts=[row.text for row in rows],
        lines=[row.line for row in rows],
        columns=text_columns([row.text for row in rows]),
    )


def _start(config: TrainConfig, labels: Sequence[str]) -> tuple[BaseText, TextClassifier]:
    """What reads the texts, and the model before the first step."""
    asks = config.prompt_template is not None
    if config.previous is not None:
        check_previous(config.previous, asks=asks)
    if asks:
        cloze = ClozeText(config, labels)
        return cloze, cloze.model
    base = BaseText(config)
    return base, TextClassifier(base.encoder, len(labels), dropout=config.dropout)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    found: np.ndarray = torch.from_numpy(logits).sigmoid().numpy()
    return found
