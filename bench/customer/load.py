"""The process of the latency benchmark: `python -m bench.customer.load DIRECTORY CONFIGURATION`."""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import django
import numpy as np

django.setup()

from django.db import connections  # noqa: E402

from bench.customer.latency import SECONDS_BETWEEN, VISITORS  # noqa: E402
from rootstock.common.actors import SYSTEM  # noqa: E402
from rootstock.common.ids import uuid7  # noqa: E402
from rootstock.outbox import dispatch  # noqa: E402
from rootstock.outbox.models import OutboxMessage  # noqa: E402
from rootstock.tenancy.models import Organisation  # noqa: E402
from rootstock.tenancy.scope import organisation_scope  # noqa: E402
from rootstock.vectors.hybrid import search  # noqa: E402
from rootstock.vectors.services import ItemInput, collection_create, items_upsert  # noqa: E402

DIMENSIONS = 384
BATCH = 500
_WORD = re.compile(r"[a-z]+|[\u4e00-\u9fff]")


@lru_cache(maxsize=200_000)
def _direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).normal(size=DIMENSIONS).astype(np.float32)


def embed(
    model: str, texts: Sequence[str], *, priority: str = "interactive"
) -> tuple[str, np.ndarray]:
    """In the place of the inference process: the sum of a random direction a word."""
    rows = [
        np.sum([_direction(w) for w in set(_WORD.findall(text.lower())) or {""}], axis=0)
        for text in texts
    ]
    vectors = np.stack(rows)
    return hashlib.sha256(model.encode()).hexdigest(), vectors / np.linalg.norm(
        vectors, axis=1, keepdims=True
    )


def fill(texts: Sequence[str]) -> tuple[uuid.UUID, uuid.UUID]:
    """An organisation and its collection of the texts, with words and vectors."""
    organisation = Organisation(name="Bench", slug=f"bench-{uuid7().hex[-8:]}")
    with organisation_scope(organisation.pk):
        organisation.save(force_insert=True)
        collection = collection_create(name="Passages", model="packaged", actor=SYSTEM)
    _work(organisation.pk)
    for start in range(0, len(texts), BATCH):
        rows = enumerate(texts[start : start + BATCH], start)
        with organisation_scope(organisation.pk):
            items_upsert(
                collection=collection,
                items=[
                    ItemInput(str(n), text, attributes={"live": n % 10 > 0}) for n, text in rows
                ],
            )
        _work(organisation.pk)
    return organisation.pk, collection.pk


def _work(organisation_id: uuid.UUID) -> None:
    """Do what is in the outbox, as a worker would."""
    with organisation_scope(organisation_id):
        due = list(OutboxMessage.objects.filter(dead_at=None).values_list("pk", flat=True))
    for message in due:
        dispatch.run(message, organisation_id)


class Visitors:
    """Threads that ask, and what came of it."""

    def __init__(
        self, organisation_id: uuid.UUID, collection_id: uuid.UUID, texts: Sequence[str]
    ) -> None:
        self.organisation_id, self.collection_id, self.texts = organisation_id, collection_id, texts
        self.milliseconds: list[float] = []
        self.parts: list[dict[str, float]] = []
        self.failed: list[str] = []

    def ask(self, number: int, until: float) -> None:
        """A visitor: a question about some passage every ten seconds or so."""
        chance = random.Random(number)
        try:
            time.sleep(chance.uniform(0, SECONDS_BETWEEN))
            while time.monotonic() < until:
                text = chance.choice(self.texts)
                start = chance.randrange(max(1, len(text) - 40))
                question = text[start : start + chance.randint(8, 40)]
                started = time.perf_counter()
                try:
                    answer = search(
                        self.organisation_id,
                        self.collection_id,
                        question,
                        filters={"live": True},
                        language="en",
                    )
                except Exception as error:
                    self.failed.append(repr(error))
                else:
                    self.milliseconds.append(1000 * (time.perf_counter() - started))
                    self.parts.append(answer.seconds)
                time.sleep(chance.expovariate(1 / SECONDS_BETWEEN))
        finally:
            connections.close_all()


def main(directory: Path, setting: dict[str, Any]) -> list[dict[str, Any]]:
    """The row: how long searches took."""
    patch("rootstock.modelhub.inference.embed_by_model", embed).start()
    patch("rootstock.vectors.inference.base_placed", "base:{}".format).start()
    texts: list[str] = json.loads((directory / "texts.json").read_text(encoding="utf-8"))
    started = time.monotonic()
    organisation_id, collection_id = fill(texts)
    filled = time.monotonic() - started
    visitors = Visitors(organisation_id, collection_id, texts)
    search(organisation_id, collection_id, "warm 热身", language="en")
    until = time.monotonic() + setting["seconds"]
    threads = [threading.Thread(target=visitors.ask, args=(n, until)) for n in range(VISITORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for reason in sorted(set(visitors.failed))[:5]:
        print(reason, file=sys.stderr)
    p50, p95 = np.percentile(visitors.milliseconds, [50, 95])
    parts = {
        name: round(1000 * float(np.percentile([each[name] for each in visitors.parts], 95)), 1)
        for name in ("embed", "vector", "words", "fuse")
    }
    return [
        {
            "what": f"{len(texts):,d} passages, {VISITORS} visitors",
            "way": "hybrid; p95 by part: " + ", ".join(f"{name} {took}" for name, took in parts.items()),
            "questions": len(visitors.milliseconds),
            "p50": float(p50), "p95": float(p95), "longest": max(visitors.milliseconds),
            "failed": len(visitors.failed), "filled_seconds": filled,
        }
    ]  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), json.loads(sys.argv[2]))))
