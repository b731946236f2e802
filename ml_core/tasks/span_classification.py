"""A label for each of several stretches of a text: what it says of this company, and of that one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.rows import Row, RowError, parse_row, read_rows
from ml_core.evaluation import build_classification_report, fit_temperature
from ml_core.evaluation.calibration import softmax
from ml_core.evaluation.reports.classification import ClassificationReport
from ml_core.models.classifier import load_text_model, save_text_model, select_device
from ml_core.models.span_classifier import SpanClassifier
from ml_core.models.spans import SpanEncoder
from ml_core.registry.artifact import CONFIG, TOKENIZER, Artifact, ArtifactError
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.class_weights import class_weights, weighted_cross_entropy
from ml_core.tasks.span_rows import TASK, check_span_labels
from ml_core.tasks.text import BaseText, collate_texts, evaluation_batches
from ml_core.training.config import TrainConfig

# Fewer spans say too little about how sure a model may be.
_CALIBRATION_SPANS = 30
_AROUND = 100
_CHUNK = 256


class SpanClassification(Task):
    """Cross-entropy over the labels of each span; logits of shape (spans, labels)."""

    name = TASK
    predictor: ClassVar[str] = "ml_core.tasks.span_classification:SpanClassificationPredictor"

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._base = BaseText(config)
        self._place = {label: index for index, label in enumerate(data.labels)}
        self._encode = SpanEncoder(
            self._base.tokenizer.backend_tokenizer, max_length=config.max_length
        )
        self.model = SpanClassifier(self._base.encoder, len(data.labels), dropout=config.dropout)
        targets = (self._place[label] for row in data.train for label in row.content["labels"])
        self._weights = class_weights(config, targets, len(data.labels))

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """A feature for each window, so at least one for each row."""
        return [
            {**feature, "labels": [self._place[row.content["labels"][at]] for at in places]}
            for row, own in zip(rows, _features(self._encode, rows), strict=True)
            for places, feature in own
        ]

    def collate(self, features: list[Feature]) -> Batch:
        labels = [label for feature in features for label in feature["labels"]]
        return {**_collate(features, self._base.pad_id), "labels": torch.tensor(labels)}

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
        rows: Sequence[Row],
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        logits = span_logits(
            model,
            _features(self._encode, rows),
            rows,
            label_count=len(self.data.labels),
            pad_id=self._base.pad_id,
            device=device,
            after_batch=after_batch,
        )
        return self._judge(rows, np.concatenate(logits))

    def calibrate(self, evaluation: Evaluation) -> tuple[Evaluation, dict[str, Any]]:
        logits = evaluation.logits
        if self.config.calibration == "none" or len(logits) < _CALIBRATION_SPANS:
            return evaluation, {}
        truth = [
            self._place[label] for row in self.data.validation for label in row.content["labels"]
        ]
        fit = fit_temperature(logits, np.array(truth))
        found = {
            "temperature": fit.temperature,
            "ece_before": fit.ece_before,
            "ece_after": fit.ece_after,
        }
        return self._judge(self.data.validation, logits / fit.temperature), found

    def save(self, directory: Path) -> None:
        save_text_model(self.model, directory)
        self._base.save_tokenizer(directory)

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def _judge(self, rows: Sequence[Row], logits: np.ndarray) -> Evaluation:
        if not np.isfinite(logits).all():
            return Evaluation(report=None, loss=float("nan"))
        truth = [self._place[label] for row in rows for label in row.content["labels"]]
        loss = float(functional.cross_entropy(torch.from_numpy(logits), torch.tensor(truth)))
        return Evaluation(span_report(rows, softmax(logits), self.data.labels), loss, logits)


class SpanClassificationPredictor:
    """A loaded span classifier."""

    def __init__(
        self,
        model: SpanClassifier,
        encode: SpanEncoder,
        *,
        labels: Sequence[str],
        pad_id: int,
        device: torch.device,
        temperature: float = 1.0,
    ) -> None:
        self.labels = tuple(labels)
        self._model = model.to(device).eval()
        self._encode = encode
        self._pad_id = pad_id
        self._device = device
        self._temperature = temperature

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Load an artefact's model; a path is opened and verified first.

        Raises ArtifactError for anything wrong with it, ValueError for a device this machine has not.
        """
        where = select_device(device)
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        manifest = artifact.manifest
        path = artifact.path / TOKENIZER
        try:
            encode = SpanEncoder.from_file(path, max_length=manifest.max_length)
        except Exception as error:  # the tokenizers library raises bare Exception
            raise ArtifactError(path, f"cannot be used: {error}") from error
        model = load_text_model(
            artifact, lambda encoder: SpanClassifier(encoder, len(manifest.labels))
        )
        pad_id = getattr(model.encoder.config, "pad_token_id", None)
        if not isinstance(pad_id, int):
            raise ArtifactError(artifact.path / CONFIG, "there is no pad_token_id")
        return cls(
            model,
            encode,
            labels=manifest.labels,
            pad_id=pad_id,
            device=where,
            temperature=float(manifest.calibration.get("temperature", 1.0)),
        )

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``{"labels", "spans"}`` of each row with ``text`` and ``spans``: a label a span, and each span's "start",
        "end", "text", "label" and "probabilities". Raises RowError for a row that is none."""
        parsed = []
        for place, row in enumerate(rows, start=1):
            try:
                parsed.append(parse_row(TASK, row, require_answer=False))
            except RowError as error:
                raise error.at(None, place) from None
        return [
            span_answer(row.content["text"], row.content["spans"], table, self.labels)
            for row, table in zip(parsed, self._probabilities(parsed), strict=True)
        ]

    def evaluate(self, data: Path | str) -> ClassificationReport:
        """Score the model on a file of texts with labelled spans. Raises DataError."""
        rows = list(read_rows(data, TASK))
        check_span_labels(rows, self.labels, path=data, known_to="the model")
        return span_report(rows, np.concatenate(self._probabilities(rows)), self.labels)

    def _probabilities(self, rows: Sequence[Row]) -> list[np.ndarray]:
        """(spans, labels) of each row."""
        found: list[np.ndarray] = []
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            found += span_logits(
                self._model,
                _features(self._encode, part),
                part,
                label_count=len(self.labels),
                pad_id=self._pad_id,
                device=self._device,
            )
        return [softmax(logits / self._temperature) for logits in found]


def span_answer(
    text: str, spans: Sequence[Sequence[int]], table: np.ndarray, labels: Sequence[str]
) -> dict[str, Any]:
    """What is said of a text's spans, from probabilities (spans, labels)."""
    named = [labels[best] for best in table.argmax(1).tolist()]
    return {
        "labels": named,
        "spans": [
            {
                "start": start,
                "end": end,
                "text": text[start:end],
                "label": label,
                "probabilities": dict(zip(labels, row, strict=True)),
            }
            for (start, end), label, row in zip(spans, named, table.tolist(), strict=True)
        ],
    }


def span_logits(
    model: nn.Module,
    windows: Sequence[Sequence[tuple[list[int], Feature]]],
    rows: Sequence[Row],
    *,
    label_count: int,
    pad_id: int,
    device: torch.device,
    after_batch: Callable[[], None] = lambda: None,
) -> list[np.ndarray]:
    """Logits (spans, labels), float32, of each row from its ``windows`` (`_features`). The model must be in evaluation
    mode; ``after_batch`` is called between batches."""
    result = [np.empty((len(row.content["spans"]), label_count), dtype=np.float32) for row in rows]
    flat = [(at, *window) for at, own in enumerate(windows) for window in own]
    features = [feature for _, _, feature in flat]
    for batch in evaluation_batches(features, device, after_batch):
        tensors = _collate([features[number] for number in batch], pad_id)
        with torch.no_grad():
            found = model(**{name: tensor.to(device) for name, tensor in tensors.items()})
        table = found.float().cpu().numpy()
        begin = 0
        for number in batch:
            at, places, _ = flat[number]
            result[at][places] = table[begin : begin + len(places)]
            begin += len(places)
    return result


def span_report(
    rows: Sequence[Row], probabilities: np.ndarray, labels: Sequence[str]
) -> ClassificationReport:
    """Compare probabilities (spans of all rows, labels) with the rows' labels, span by span."""
    flat = [(row, span) for row in rows for span in row.content["spans"]]
    return build_classification_report(
        [label for row in rows for label in row.content["labels"]],
        probabilities,
        labels,
        texts=[_shown(row.content["text"], *span) for row, span in flat],
        lines=[row.line for row, _ in flat],
        columns={
            "spans in the text": [
                "one" if len(row.content["spans"]) == 1 else "several" for row, _ in flat
            ],
        },
    )


def evaluate_artifact(
    artifact: Artifact | Path | str, data: Path | str, device: str = "auto"
) -> ClassificationReport:
    """Score a saved span classifier on a file of its rows. Raises ArtifactError or DataError."""
    return SpanClassificationPredictor.load(artifact, device=device).evaluate(data)


def _features(encode: SpanEncoder, rows: Sequence[Row]) -> list[list[tuple[list[int], Feature]]]:
    """Of each row its windows: the places of the spans that one speaks for, and its feature."""
    found = encode([row.content["text"] for row in rows], [row.content["spans"] for row in rows])
    return [
        [
            (
                window.spans,
                {"input_ids": window.ids, "length": len(window.ids), "ranges": window.ranges},
            )
            for window in windows
        ]
        for windows in found
    ]


def _collate(features: Sequence[Feature], pad_id: int) -> dict[str, Tensor]:
    """The arguments of `SpanClassifier.forward`."""
    ranges = [each for feature in features for each in feature["ranges"]]
    owners = [at for at, feature in enumerate(features) for _ in feature["ranges"]]
    return {
        **collate_texts(features, pad_id),
        "owners": torch.tensor(owners),
        "begins": torch.tensor([begin for begin, _ in ranges]),
        "ends": torch.tensor([end for _, end in ranges]),
    }


def _shown(text: str, start: int, end: int) -> str:
    """The span in its surroundings: … said [Acme] would …"""
    before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    return f"{before}[{text[start:end]}]{after}"
