"""Applications that ask, and an inference process that answers as a test wants it."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml_core import serving
from rootstock.modelhub import inference, services
from rootstock.modelhub.models import ModelVersion

NAME = "finance.sentiment"
Say = Callable[[str], tuple[str, float]]


class FakeInference:
    """Each version says what `says` has for it; without an entry it is "positive", 0.9 sure."""

    def __init__(self, loader: Any) -> None:
        self.load = loader.load
        self.says: dict[str, Say] = {}
        self.broken: set[str] = set()
        self.asked: list[tuple[str, int]] = []
        self.base_digest = "1f3c"

    def classify(
        self, requests: list[serving.ClassifyRequest], **_: Any
    ) -> list[serving.ClassifyResult]:
        results = []
        for request in requests:
            name = Path(str(request.model)).name
            self.asked.append((name, len(request.texts)))
            if name in self.broken:
                raise serving.ModelNotLoaded("its files are gone")
            say = self.says.get(name, _positive)
            said = tuple(self._prediction(*say(text)) for text in request.texts)
            results.append(serving.ClassifyResult(request.model, "", said))
        return results

    def _prediction(self, label: str, probability: float) -> inference.Prediction:
        others = {"negative": 0.0, "neutral": 0.0, "positive": 0.0}
        rest = (1 - probability) / (len(others) - 1)
        return inference.Prediction(label, dict.fromkeys(others, rest) | {label: probability})

    def predict(
        self, requests: list[serving.PredictRequest], **_options: Any
    ) -> list[serving.PredictResult]:
        """Each word is a direction: texts of other words lie elsewhere."""
        return [
            serving.PredictResult(
                request.model,
                self.base_digest,
                "text-embedding",
                tuple(
                    {"vector": base64.b64encode(_vector(text).astype("<f4")).decode()}
                    for text in request.inputs
                ),
            )
            for request in requests
        ]

    def set(self, version: ModelVersion, say: Say) -> None:
        self.says[Path(version.artifact_path).name] = say

    def break_down(self, version: ModelVersion) -> None:
        self.broken.add(Path(version.artifact_path).name)


def _positive(_text: str) -> tuple[str, float]:
    return "positive", 0.9


def _vector(text: str) -> np.ndarray:
    words = [
        np.random.default_rng(int.from_bytes(hashlib.sha256(word.encode()).digest()[:4])).normal(
            size=48
        )
        for word in text.split()
    ]
    found: np.ndarray = np.mean(words, axis=0)
    return found


def ask(texts: Sequence[str], *, language: str = "en") -> list[uuid.UUID]:
    """What an application does; the ids of the things it asked about."""
    result = inference.classify_texts({NAME: texts})[NAME]
    ids = [uuid.uuid4() for _ in texts]
    services.predictions_log(
        result=result,
        subjects=[
            services.Subject("finance.document", each, text, language)
            for each, text in zip(ids, texts, strict=True)
        ],
    )
    return ids
