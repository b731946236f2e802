"""Passages for a question."""

from __future__ import annotations

from typing import Any

from apps.customer_service.selectors.answering import PASSAGES, passages_found
from apps.customer_service.services.answering.guards import injections
from apps.customer_service.services.answering.searching import find, told
from apps.customer_service.services.answering.steps import Hit, State
from rootstock.tenancy.scope import organisation_scope

MOST_PASSAGES = 8
# What a reranker reads.
MOST_RERANKED = 10


def retrieve(state: State, result: dict[str, Any]) -> bool:
    """Find the passages that may be said to whoever asks. Never completes a reply."""
    reranker = state.assistant.reranker
    k = MOST_RERANKED if reranker else MOST_PASSAGES
    found = find(state, PASSAGES, result, k=k, reranker=reranker)
    if not found:
        return False
    with organisation_scope(state.organisation_id):
        passages = passages_found([hit.key for hit in found], audiences=state.question.audiences)
    result["candidates"] = [told(hit) for hit in found]
    state.hits = [
        Hit(passages[hit.key], hit.rerank if hit.rerank is not None else hit.score)
        for hit in found
        if hit.key in passages
    ][:MOST_PASSAGES]
    flagged = {
        hit.passage.key: names for hit in state.hits if (names := injections(hit.passage.text))
    }
    if flagged:
        result["injection"] = flagged
    return False
