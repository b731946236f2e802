"""Fixtures of the tests of knowledge; import them by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import knowledge_kit as kit
import pytest


@pytest.fixture
def world(live_db: None, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """A model that needs no weights, files of the test's own, a site on this machine that may be visited."""
    monkeypatch.setattr("rootstock.modelhub.inference.embed_by_model", kit.embed_texts)
    monkeypatch.setattr("rootstock.vectors.inference.base_placed", lambda name: f"base:{name}")
    monkeypatch.setattr("rootstock.vectors.inference.languages_read", lambda path: None)
    monkeypatch.setattr("rootstock.vectors.hybrid.languages_read", lambda path: None)
    monkeypatch.setattr("rootstock.outbox.services.publish", lambda *_: True)
    monkeypatch.setattr("apps.customer_service.services.crawling.visiting.LEAST_DELAY_SECONDS", 0.0)
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.0/8"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "media"},
        },
    }
