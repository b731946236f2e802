"""Models that are simple rules: fast, and a test can say what they will answer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from apps.finance_sentiment import inference
from apps.finance_sentiment.inference import InferenceUnavailable, Prediction, Target

WORDS = {
    "negative": ("loss", "falls", "fraud", "plunges", "lawsuit"),
    "positive": ("profit", "rises", "wins", "record"),
}
TOPICS = {"energy": ("oil", "gas"), "credit": ("bank", "loan"), "markets": ("shares", "index")}


class FakeModels:
    """Stands in for the inference process: words decide. Counts what it was asked."""

    def __init__(self) -> None:
        self.languages = ("en",)
        self.deployed = {inference.SENTIMENT, inference.TOPIC}
        self.down = False
        self.calls: list[dict[str, list[str]]] = []
        self.versions = {
            name: uuid.uuid5(uuid.NAMESPACE_URL, name) for name in sorted(self.deployed)
        }
        self.seconds = 0.0

    def targets(self) -> dict[str, Target]:
        labels = {
            inference.SENTIMENT: ("negative", "neutral", "positive"),
            inference.TOPIC: (*TOPICS, "other"),
        }
        return {
            name: Target(
                name=name,
                deployment_id=uuid.uuid5(uuid.NAMESPACE_DNS, name),
                version_id=self.versions[name],
                version_label=f"{name} v1",
                languages=self.languages,
                labels=labels[name],
                model_path="nowhere",
            )
            for name in sorted(self.deployed)
        }

    def classify(self, targets: Any, requests: dict[str, Sequence[str]]) -> dict[str, Any]:
        if self.down:
            raise InferenceUnavailable("nobody answers")
        time.sleep(self.seconds)
        self.calls.append({name: list(texts) for name, texts in requests.items()})
        return {
            name: inference.DeploymentResult(
                deployment_id=targets[name].deployment_id,
                version_id=targets[name].version_id,
                version_label=targets[name].version_label,
                languages=targets[name].languages,
                labels=targets[name].labels,
                predictions=[_predict(text, targets[name]) for text in texts],
            )
            for name, texts in requests.items()
        }

    @property
    def asked(self) -> list[str]:
        """Every text that the sentiment model was asked for."""
        return [text for call in self.calls for text in call.get(inference.SENTIMENT, [])]


def _predict(text: str, target: Target) -> Prediction:
    groups = WORDS if target.name == inference.SENTIMENT else TOPICS
    words = text.casefold().split()
    default = "neutral" if target.name == inference.SENTIMENT else "other"
    label = next(
        (name for name, some in groups.items() if any(word in words for word in some)), default
    )
    rest = 0.1 / (len(target.labels) - 1)
    return Prediction(label, {name: 0.9 if name == label else rest for name in target.labels})
