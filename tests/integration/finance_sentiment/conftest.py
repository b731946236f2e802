"""A monitor whose models are simple rules, so that tests are fast and say what they expect."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.inference import deployed
from apps.finance_sentiment.services import requeueing, scoring, vocabulary
from apps.finance_sentiment.services.detection import detection_run
from apps.finance_sentiment.services.intake import document_parse, documents_upsert
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from finance_fakes import FakeModels


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> FakeModels:
    fake = FakeModels()
    monkeypatch.setattr(scoring, "targets_resolve", fake.targets)
    monkeypatch.setattr(requeueing, "targets_resolve", fake.targets)
    monkeypatch.setattr(deployed, "classify", fake.classify)
    # Topics are those of the models alone, but where a test is about the taxonomy.
    monkeypatch.setattr(vocabulary, "topics_built_in", tuple)
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
