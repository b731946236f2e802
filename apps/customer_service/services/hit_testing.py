"""Asking the knowledge by hand: what a question finds, why it ranks so, and what the assistant would say."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from apps.customer_service.models import Passage
from apps.customer_service.selectors.answering import (
    PASSAGES,
    assistant_get,
    collection_ids,
    passages_found,
)
from apps.customer_service.selectors.knowledge import passages_rows
from apps.customer_service.services.answering import Question, Reply, Unavailable, answer
from rootstock.tenancy.scope import organisation_scope
from rootstock.vectors.hybrid import HybridAnswer, HybridHit, search

HITS = 10


@dataclass(frozen=True)
class Row:
    """A passage that was found, with everything that its rank is made of. `said`: whether a reply may use it."""

    hit: HybridHit
    passage: Passage
    said: bool


@dataclass(frozen=True)
class Asked:
    """What came of a question. `search` is None while nothing has been read yet; `problem` says why no reply came."""

    rows: list[Row] = field(default_factory=list)
    search: HybridAnswer | None = None
    reply: Reply | None = None
    problem: str = ""


def knowledge_ask(
    organisation_id: uuid.UUID,
    text: str,
    *,
    audience: str,
    draft: bool,
    weight: float | None = None,
) -> Asked:
    """Find passages for a question and answer it. Outside of a scope: models are asked in between.

    Raises:
        Problem: the question cannot be asked.
    """
    with organisation_scope(organisation_id):
        collection, assistant = collection_ids().get(PASSAGES), assistant_get()
    found: HybridAnswer | None = None
    rows: list[Row] = []
    if collection is not None:
        filters: dict[str, Any] = {"draft" if draft else "live": True, f"aud_{audience}": True}
        found = search(
            organisation_id,
            collection,
            text,
            k=HITS,
            filters=filters,
            weight=assistant.vector_weight if weight is None else weight,
            reranker=assistant.reranker,
        )
        keys = [hit.key for hit in found.hits]
        with organisation_scope(organisation_id):
            passages = passages_rows(keys)
            usable = passages_found(keys, audiences=[audience])
        rows = [
            Row(hit, passages[hit.key], hit.key in usable)
            for hit in found.hits
            if hit.key in passages
        ]
    question = Question(text, audiences=(audience,), draft=draft)
    try:
        return Asked(rows, found, answer(organisation_id, question))
    except Unavailable as error:
        return Asked(rows, found, None, str(error))
