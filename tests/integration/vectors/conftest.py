"""The inference process is two models of the test."""

from __future__ import annotations

import pytest
from vectors_helpers import FIRST, Models


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    """Answers in the place of the inference process; nobody else works on the outbox."""
    stand_in = Models(monkeypatch)
    monkeypatch.setenv("ROOTSTOCK_DEFAULT_BASES", FIRST)
    stand_in.patch(stand_in.embed_texts)
    monkeypatch.setattr("rootstock.vectors.inference.base_placed", lambda name: f"base:{name}")
    monkeypatch.setattr("rootstock.outbox.services.publish", lambda *_: True)
    return stand_in
