"""One label for each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.image_pixels import decode_images
from ml_core.evaluation.reports.classification import (
    ClassificationReport,
    build_classification_report,
)
from ml_core.evaluation.scoring import check_labels
from ml_core.models.classifier import select_device
from ml_core.models.image_augmentation import Augmentation
from ml_core.models.image_classifier import (
    ImageClassifier,
    load_image_classifier,
    load_vision_model,
    new_resnet,
    preprocessing,
    save_image_classifier,
)
from ml_core.registry.artifact import Artifact
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.class_weights import class_weights, weighted_cross_entropy
from ml_core.tasks.image_rows import ImageExample, read_image_examples
from ml_core.training.config import ConfigError, TrainConfig

_SMALL = {"size": 32, "mean": None, "std": None}
# Pixels of one forward pass without gradients.
_EVALUATION_PIXELS = 256 * 32 * 32


class ImageClassification(Task):
    """Cross-entropy over the labels; logits of shape (images, labels). The pixels of all rows are decoded once and
    stay bytes; normalisation and augmentation are part of the model, on its device."""

    name = "image-classification"
    predictor: ClassVar[str] = "ml_core.tasks.image_classification:ImageClassificationPredictor"
    reads_text: ClassVar[bool] = False

    def __init__(self, config: TrainConfig, data: TaskData) -> None:
        super().__init__(config, data)
        self._place = {label: index for index, label in enumerate(data.labels)}
        self._pixels: dict[tuple[Path, str], Tensor] = {}
        encoder, known = self._encoder()
        self._size = config.image_size or int(known["size"])
        padding = config.crop_padding
        augmentation = Augmentation(
            padding=self._size // 8 if padding is None else padding,
            flip=config.horizontal_flip,
            erase=config.erase,
        )
        if augmentation.padding >= self._size:
            raise ConfigError(f"crop_padding: must be below the image size, {self._size}")
        self._decode((*data.train, *data.validation))
        mean, std = known["mean"], known["std"]
        if mean is None:
            mean, std = self._colours(data.train)
        self._mean, self._std = tuple(mean), tuple(std)
        self.model = ImageClassifier(
            encoder,
            len(data.labels),
            mean=self._mean,
            std=self._std,
            dropout=config.dropout,
            augmentation=augmentation,
        )
        targets = (self._place[row.label] for row in data.train)
        self._weights = class_weights(config, targets, len(data.labels))

    def base_name(self) -> str | None:
        architecture = self.config.image_architecture
        return None if architecture == "base" else architecture

    def features(self, rows: Sequence[Any]) -> list[Feature]:
        self._decode(rows)
        return [
            {
                "pixel_values": self._pixels[row.source, row.text],
                "length": 1,
                "label": self._place.get(row.label, -100),
            }
            for row in rows
        ]

    def collate(self, features: list[Feature]) -> Batch:
        return {
            "pixel_values": torch.stack([feature["pixel_values"] for feature in features]),
            "labels": torch.tensor([feature["label"] for feature in features]),
        }

    def items(self, batch: Batch) -> int:
        return len(batch["labels"])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        logits = model(batch["pixel_values"])
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
        features = self.features(rows)
        pixels = [feature["pixel_values"] for feature in features]
        logits = predict_logits(model, pixels, device, len(self.data.labels), after_batch)
        truth = torch.tensor([self._place[row.label] for row in rows])
        tensor = torch.from_numpy(logits)
        loss = float(functional.cross_entropy(tensor, truth))
        report = _report(rows, tensor.softmax(-1).numpy(), self.data.labels)
        return Evaluation(report, loss, logits)

    def save(self, directory: Path) -> None:
        save_image_classifier(self.model, directory)

    def describe(self) -> dict[str, Any]:
        return {"image": {"size": self._size, "mean": list(self._mean), "std": list(self._std)}}

    def default_learning_rate(self) -> float:
        """From fresh weights 0.05 with SGD and 2e-3 with AdamW; for a pretrained base 5e-3 and 5e-5."""
        sgd = self.config.optimiser == "sgd"
        if self.config.weights == "random":
            return 0.05 if sgd else 2e-3
        return 5e-3 if sgd else 5e-5

    def _encoder(self) -> tuple[Any, dict[str, Any]]:
        config = self.config
        random_weights = config.weights == "random"
        if config.image_architecture != "base":
            if not random_weights:
                raise ConfigError(
                    f"image_architecture: {config.image_architecture} has no pretrained weights; set weights: random"
                )
            return new_resnet(config.image_architecture, config.resnet_width), dict(_SMALL)
        if config.base == "packaged":
            raise ConfigError(
                "base: the packaged model reads texts; name a vision model (a directory or hub name), or set "
                "image_architecture: resnet9 and weights: random"
            )
        encoder = load_vision_model(config.base, random_weights=random_weights)
        return encoder, preprocessing(config.base, encoder.config)

    def _decode(self, rows: Sequence[ImageExample]) -> None:
        wanted: dict[tuple[Path, str], int] = {}
        for row in rows:
            if (row.source, row.text) not in self._pixels:
                wanted.setdefault((row.source, row.text), row.line)
        new = [(source, name, line) for (source, name), line in wanted.items()]
        if new:
            decoded = torch.from_numpy(decode_images(new, self._size))
            self._pixels |= {
                (source, name): decoded[place] for place, (source, name, _) in enumerate(new)
            }

    def _colours(self, rows: Sequence[ImageExample]) -> tuple[tuple[float, ...], ...]:
        """Mean and standard deviation of each colour over (at most 5,000 of) the training images, of 0..1."""
        step = max(1, len(rows) // 5000)
        sample = torch.stack([self._pixels[row.source, row.text] for row in rows[::step]])
        scaled = sample.to(torch.float32) / 255
        mean, std = scaled.mean((0, 2, 3)), scaled.std((0, 2, 3)).clamp_min(1e-3)
        return tuple(round(float(value), 4) for value in mean), tuple(
            round(float(value), 4) for value in std
        )


def predict_logits(
    model: nn.Module,
    pixels: Sequence[Tensor],
    device: torch.device,
    label_count: int,
    after_batch: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Logits of shape (images, labels), float32, of images of one size."""
    logits = np.empty((len(pixels), label_count), dtype=np.float32)
    side = pixels[0].shape[-1] if pixels else 1
    step = max(1, _EVALUATION_PIXELS // side**2)
    for start in range(0, len(pixels), step):
        after_batch()
        batch = torch.stack(list(pixels[start : start + step])).to(device)
        logits[start : start + step] = model(batch).float().cpu().numpy()
    return logits


class ImageClassificationPredictor:
    """A loaded image classifier. Rows are ``{"image": path}``; relative paths are found from ``source``, the file,
    directory or .zip that the rows come from (the working directory by default)."""

    def __init__(self, artifact: Artifact, *, device: str = "auto") -> None:
        self.labels = artifact.manifest.labels
        self.source = Path()
        self._device = select_device(device)
        self._size = int(artifact.manifest.options.get("image", {}).get("size", 0))
        self._temperature = float(artifact.manifest.calibration.get("temperature", 1.0))
        self._model = load_image_classifier(artifact).to(self._device)

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Raises ArtifactError for anything wrong with the artefact, ValueError for a device that is not there."""
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        return cls(artifact, device=device)

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """``{"image", "label", "probabilities"}`` for each row, in order. Raises DataError for an image that cannot
        be read."""
        names = [str(row["image"]) for row in rows]
        places = [_located(self.source, name, line) for line, name in enumerate(names, start=1)]
        found = self.probabilities(places)
        return [
            {
                "image": name,
                "label": self.labels[int(row.argmax())],
                "probabilities": {
                    label: round(float(value), 6)
                    for label, value in zip(self.labels, row, strict=True)
                },
            }
            for name, row in zip(names, found, strict=True)
        ]

    def probabilities(self, images: Sequence[tuple[Path, str, int]]) -> np.ndarray:
        """(images, labels) of (source, name, line); see `ml_core.data.image_pixels.decode_images`."""
        pixels = list(torch.from_numpy(decode_images(images, self._size)))
        with torch.inference_mode():
            logits = predict_logits(self._model, pixels, self._device, len(self.labels))
        result: np.ndarray = torch.from_numpy(logits / self._temperature).softmax(-1).numpy()
        return result


def evaluate_artifact(
    artifact: Artifact | Path | str, data_path: Path | str, device: str = "auto"
) -> ClassificationReport:
    """Score an artefact on labelled images. Raises DataError for the data, ArtifactError for the artefact."""
    if not isinstance(artifact, Artifact):
        artifact = Artifact.open(artifact)
    examples = read_image_examples(Path(data_path))
    check_labels(list(examples), artifact.manifest.labels, path=data_path, known_to="the model")
    predictor = ImageClassificationPredictor.load(artifact, device=device)
    images = [(example.source, example.text, example.line) for example in examples]
    return _report(examples, predictor.probabilities(images), predictor.labels)


def _report(
    examples: Sequence[ImageExample], probabilities: np.ndarray, labels: tuple[str, ...]
) -> ClassificationReport:
    return build_classification_report(
        [example.label for example in examples],
        probabilities,
        labels,
        texts=[example.text for example in examples],
        lines=[example.line for example in examples],
    )


def _located(source: Path, name: str, line: int) -> tuple[Path, str, int]:
    """An absolute path is its own source; a relative one is found from ``source``."""
    path = Path(name)
    return (path.parent, path.name, line) if path.is_absolute() else (source, name, line)
