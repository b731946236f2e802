"""Apply a saved classifier to texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from tokenizers import Tokenizer

from ml_core.data.batches import padding_budget_batches
from ml_core.evaluation.out_of_scope import OutOfScopeDetector
from ml_core.models.prediction import Prediction
from ml_core.models.prompts import Cloze, ClozeEncoder
from ml_core.models.tokenise import TextEncoder
from ml_core.registry.artifact import (
    CONFIG,
    OUT_OF_SCOPE,
    RULES,
    TOKENIZER,
    Artifact,
    ArtifactError,
)

# torch is imported where it is used, so that naming a Predictor does not load it.
if TYPE_CHECKING:
    import torch

    from ml_core.knowledge import RuleGuide
    from ml_core.models.classifier import TextClassifier


def token_budget(device_type: str) -> int:
    """Padded tokens of one forward pass. A CPU gains nothing from more; a GPU is idle with less."""
    return 16384 if device_type == "cuda" else 1024


@dataclass(frozen=True)
class Judged:
    """Probabilities (texts, labels), and the score (texts) of being in scope: below ``threshold`` a text is not."""

    probabilities: np.ndarray
    scores: np.ndarray
    threshold: float


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
        guide: RuleGuide | None = None,
        detector: OutOfScopeDetector | None = None,
    ) -> None:
        self.labels = tuple(labels)
        self.encode = encode
        self.token_budget = token_budget(device.type)
        self._model = model.to(device).eval()
        self._pad_id = pad_id
        self._device = device
        self._temperature = temperature
        self._independent = independent
        self._guide = guide
        self._detector = detector

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
            encode = _read_encoder(artifact, path)
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
            guide=read_guide(artifact),
            detector=read_detector(artifact),
        )

    @property
    def tells_scope(self) -> bool:
        """Whether `judge` can be asked."""
        return self._detector is not None

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
        return self.guided(result, texts)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """The prediction of each text, in order; no texts give no predictions."""
        return [self.prediction(row) for row in self.probabilities(texts)]

    def judge(self, texts: Sequence[str]) -> Judged:
        """The probabilities of texts, and whether they are what the model was made for.

        Raises ValueError when the artefact has nothing to tell that by, see `tells_scope`.
        """
        import torch

        if self._detector is None:
            raise ValueError("the model cannot tell what is out of scope")
        states = self.embeddings(texts)
        with torch.inference_mode():
            found = self._model.classifier(torch.from_numpy(states).to(self._device)).float()
            logits: np.ndarray = found.cpu().numpy()
            sure: np.ndarray = (found / self._temperature).softmax(-1).cpu().numpy()
        return Judged(
            probabilities=self.guided(sure, texts),
            scores=self._detector.scores(logits, states),
            threshold=self._detector.threshold,
        )

    def embeddings(self, texts: Sequence[str]) -> np.ndarray:
        """The pooled states of texts, (texts, hidden) float32, in order: what the last layer sees."""
        from ml_core.models.classifier import pool_batch

        token_ids = self.encode(texts)
        result = np.empty((len(texts), self._model.classifier.in_features), dtype=np.float32)
        for batch in padding_budget_batches(
            [len(ids) for ids in token_ids], budget=self.token_budget
        ):
            rows = [token_ids[index] for index in batch]
            result[batch] = pool_batch(self._model, rows, pad_id=self._pad_id, device=self._device)
        return result

    def guided(self, probabilities: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """``probabilities`` (texts, labels) as the artefact's rules would have them; itself when it has none."""
        return probabilities if self._guide is None else guided(self._guide, probabilities, texts)

    def prediction(self, probabilities: np.ndarray) -> Prediction:
        """Name one row of `probabilities`."""
        values = [float(value) for value in probabilities]
        best = self.labels[int(np.argmax(probabilities))]
        return Prediction(label=best, probabilities=dict(zip(self.labels, values, strict=True)))


def _read_encoder(artifact: Artifact, path: Path) -> TextEncoder:
    values, manifest = artifact.manifest.options.get("cloze"), artifact.manifest
    if values is None:
        return TextEncoder.from_file(path, max_length=manifest.max_length)
    return ClozeEncoder(
        Tokenizer.from_file(str(path)),
        Cloze.from_dict(values, manifest.labels),
        max_length=manifest.max_length,
    )


def guided(guide: RuleGuide, probabilities: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """``probabilities`` (texts, labels) as the rules would have them, float32."""
    scores = guide.adjust(np.log(np.maximum(probabilities, 1e-12)), texts)
    scores = np.exp(scores - scores.max(1, keepdims=True))
    adjusted: np.ndarray = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    return adjusted


def read_detector(artifact: Artifact) -> OutOfScopeDetector | None:
    """What tells texts that the model was not made for; None when the artefact has nothing to tell that by. Raises
    ArtifactError."""
    values = artifact.manifest.calibration.get("out_of_scope")
    if not values:
        return None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = artifact.path / OUT_OF_SCOPE
    try:
        arrays = load_file(path) if OUT_OF_SCOPE in artifact.manifest.files else {}
        return OutOfScopeDetector.from_dict(values, arrays)
    except (OSError, TypeError, SafetensorError) as error:
        raise ArtifactError(path, f"cannot be used: {error}") from error


def read_guide(artifact: Artifact) -> RuleGuide | None:
    """The artefact's rules, or None. Raises ArtifactError."""
    if RULES not in artifact.manifest.files:
        return None
    from ml_core.knowledge import RuleGuide

    path = artifact.path / RULES
    try:
        return RuleGuide.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(path, f"cannot be used: {error}") from error
