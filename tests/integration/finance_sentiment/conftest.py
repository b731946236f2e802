"""A monitor whose models are simple rules, so that tests are fast and say what they expect."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.finance_sentiment import inference
from apps.finance_sentiment.inference import InferenceUnavailable, Prediction, Target
from apps.finance_sentiment.services import scoring
from apps.finance_sentiment.services.detection import detection_run
from apps.finance_sentiment.services.intake import document_parse, documents_upsert
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

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
        self.versions = {name: uuid.uuid4() for name in self.deployed}

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


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    fake = FakeModels()
    monkeypatch.setattr(scoring, "targets_resolve", fake.targets)
    monkeypatch.setattr(inference, "classify", fake.classify)
    return fake


@pytest.fixture
def post() -> Callable[..., Any]:
    """Stores documents given as dictionaries; `source` and time have defaults."""

    def store(*documents: dict[str, Any]) -> Any:
        now = datetime.now(UTC)
        parsed = []
        for number, document in enumerate(documents):
            raw = {
                "source": "Wire",
                "external_id": f"{document.get('title')}-{number}",
                "published_at": (now - timedelta(seconds=30)).isoformat(),
                **document,
            }
            if isinstance(raw["published_at"], datetime):
                raw["published_at"] = raw["published_at"].isoformat()
            accepted, errors = document_parse(raw, now=now)
            assert accepted is not None, errors
            parsed.append(accepted)
        return documents_upsert(documents=parsed)

    return store


@pytest.fixture
def drain(organisation: Organisation) -> Callable[[], int]:
    """Scores everything that waits, as a worker would, and returns how many were written."""

    def work() -> int:
        written = 0
        while True:
            batch = scoring.batch_prepare(organisation_id=organisation.pk)
            with organisation_scope(organisation.pk):
                written += scoring.batch_write(batch=batch)
            if not batch.outcomes:
                return written

    return work


@pytest.fixture
def score(
    post: Callable[..., Any], drain: Callable[[], int], scope: Organisation
) -> Callable[..., Any]:
    """Stores documents and scores them."""

    def both(*documents: dict[str, Any]) -> Any:
        result = post(*documents)
        drain()
        return result

    return both


@pytest.fixture
def detect(scope: Organisation) -> Callable[..., Any]:
    """Runs the detector at a moment."""
    return lambda now=None: detection_run(now=now)


@pytest.fixture
def actor() -> Any:
    return SYSTEM
