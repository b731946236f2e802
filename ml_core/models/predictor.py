"""Apply a saved classifier to texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ml_core.data.batches import padding_budget_batches
from ml_core.models.prediction import Prediction
from ml_core.models.tokenise import TextEncoder
from ml_core.registry.artifact import CONFIG, TOKENIZER, Artifact, ArtifactError

# torch is imported where it is used, so that naming a Predictor does not load it.
if TYPE_CHECKING:
    import torch

    from ml_core.models.classifier import TextClassifier


def token_budget(device_type: str) -> int:
    """Padded tokens of one forward pass. A CPU gains nothing from more; a GPU is idle with less."""
    return 16384 if device_type == "cuda" else 1024


class Predictor:
    """One loaded copy of a classifier: `encode` (any thread), `forward` (one thread at a time), and
    `predict`, which does both."""

    def __init__(
        self,
        model: TextClassifier,
        encode: TextEncoder,
        *,
        labels: Sequence[str],
        pad_id: int,
        device: torch.device,
        temperature: float = 1.0,
        independent: bool = False,
    ) -> None:
        self.labels = tuple(labels)
        self.encode = encode
        self.token_budget = token_budget(device.type)
        self._model = model.to(device).eval()
        self._pad_id = pad_id
        self._device = device
        self._temperature = temperature
        self._independent = independent

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Load an artefact's model; a path is opened and verified first.

        Raises ArtifactError for anything wrong with it, ValueError for a device this machine has
        not.
        """
        from ml_core.models.classifier import load_classifier, select_device

        where = select_device(device)
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        model = load_classifier(artifact)
        path = artifact.path / TOKENIZER
        try:
            encode = TextEncoder.from_file(path, max_length=artifact.manifest.max_length)
        except Exception as error:  # the tokenizers library raises bare Exception
            raise ArtifactError(path, f"cannot be used: {error}") from error
        pad_id = getattr(model.encoder.config, "pad_token_id", None)
        if not isinstance(pad_id, int):
            raise ArtifactError(artifact.path / CONFIG, "there is no pad_token_id")
        manifest = artifact.manifest
        return cls(
            model,
            encode,
            labels=manifest.labels,
            pad_id=pad_id,
            device=where,
            temperature=float(manifest.calibration.get("temperature", 1.0)),
            independent=manifest.task == "multi-label-classification",
        )

    def forward(self, token_ids: Sequence[Sequence[int]]) -> np.ndarray:
        """Probabilities of shape (texts, labels), float32, of one batch of encoded texts."""
        from ml_core.models.classifier import predict_batch

        return predict_batch(
            self._model,
            token_ids,
            pad_id=self._pad_id,
            device=self._device,
            temperature=self._temperature,
            independent=self._independent,
        )

    def probabilities(
        self, texts: Sequence[str], *, after_batch: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Probabilities of shape (texts, labels) in the order of ``texts``; computed in batches of
        like length. ``after_batch`` is told how many texts are done.
        """
        token_ids = self.encode(texts)
        result = np.empty((len(texts), len(self.labels)), dtype=np.float32)
        done = 0
        lengths = [len(ids) for ids in token_ids]
        for batch in padding_budget_batches(lengths, budget=self.token_budget):
            result[batch] = self.forward([token_ids[index] for index in batch])
            done += len(batch)
            if after_batch is not None:
                after_batch(done)
        return result

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """The prediction of each text, in order; no texts give no predictions."""
        return [self.prediction(row) for row in self.probabilities(texts)]

    def prediction(self, probabilities: np.ndarray) -> Prediction:
        """Name one row of `probabilities`."""
        values = [float(value) for value in probabilities]
        best = self.labels[int(np.argmax(probabilities))]
        return Prediction(label=best, probabilities=dict(zip(self.labels, values, strict=True)))
