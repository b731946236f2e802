"""Two models that need no weights, and a worker that the test plays."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rootstock.common.actors import SYSTEM
from rootstock.jobs.models import Job
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.models import Collection, Space
from rootstock.vectors.searching import Answer, search
from rootstock.vectors.selectors import active_space
from rootstock.vectors.services import ItemInput, collection_create, items_upsert

FIRST, SECOND = "packaged", "acme/other"
DIMENSIONS = {f"base:{FIRST}": 32, f"base:{SECOND}": 48}
DIGESTS = {path: hashlib.sha256(path.encode()).hexdigest() for path in DIMENSIONS}


def vector(path: str, text: str) -> np.ndarray:
    """The sum of a random direction a word, other ones for each model: texts that share words are near."""
    total = np.zeros(DIMENSIONS[path], np.float32)
    for word in text.lower().split() or [""]:
        seed = int.from_bytes(hashlib.sha256(f"{path} {word}".encode()).digest()[:8], "big")
        total += np.random.default_rng(seed).normal(size=DIMENSIONS[path]).astype(np.float32)
    return total / np.linalg.norm(total)


class Models:
    """What the inference process would be; `asked`: what it was asked, `fail`: raised instead of its next answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.asked: list[tuple[str, list[str], str]] = []
        self.fail: list[Exception] = []
        self.digests = dict(DIGESTS)

    def patch(self, embed_texts: Callable[..., Any]) -> None:
        """Have this asked from here on."""
        self.monkeypatch.setattr("rootstock.modelhub.inference.embed_by_model", embed_texts)

    def embed_texts(
        self, model: str, texts: Sequence[str], *, priority: str = "interactive", **_: Any
    ) -> tuple[str, np.ndarray]:
        if self.fail:
            raise self.fail.pop(0)
        self.asked.append((model, list(texts), priority))
        return self.digests[model], np.stack([vector(model, text) for text in texts])


def work(organisation: Any, *, topic: str = "", most: int = 100) -> None:
    """Do what is due in the outbox (of a topic) until nothing is, or so many times, as a worker would."""
    for _ in range(most):
        with organisation_scope(organisation.pk):
            messages = OutboxMessage.objects.filter(dead_at=None, topic__startswith=topic)
            due = list(messages.values_list("pk", flat=True))
        if "done" not in [dispatch.run(message_id, organisation.pk) for message_id in due]:
            return


def make_collection(
    organisation: Any, texts: Sequence[str] = (), *, name: str = "News", model: str = FIRST
) -> Collection:
    """A collection that can be searched; the keys are "0", "1" …"""
    with organisation_scope(organisation.pk):
        collection = collection_create(name=name, model=model, actor=SYSTEM)
        items_upsert(
            collection=collection,
            items=[ItemInput(str(n), text) for n, text in enumerate(texts)],
        )
    work(organisation)
    return collection


def upsert(organisation: Any, collection: Collection, *items: ItemInput) -> Any:
    with organisation_scope(organisation.pk):
        return items_upsert(collection=collection, items=items)


def keys(organisation: Any, collection: Collection, query: str, **options: Any) -> list[str]:
    """Keys of what a search finds, the nearest first."""
    return [hit.key for hit in ask(organisation, collection, query, **options).hits]


def ask(organisation: Any, collection: Collection, query: str, **options: Any) -> Answer:
    return search(organisation.pk, collection.pk, query, **options)


def active(organisation: Any, collection: Collection) -> Space:
    with organisation_scope(organisation.pk):
        space = active_space(collection.pk)
    assert space is not None
    return space


def job_of(organisation: Any, job_id: uuid.UUID) -> Job:
    with organisation_scope(organisation.pk):
        return Job.objects.get(pk=job_id)
