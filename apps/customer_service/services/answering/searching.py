"""Asking the knowledge: one hybrid search, with what it took in the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apps.customer_service.services.answering.questions import Unavailable
from apps.customer_service.services.answering.steps import State
from rootstock.common.problems import Problem

if TYPE_CHECKING:
    from rootstock.vectors.hybrid import HybridHit


def find(
    state: State, collection: str, result: dict[str, Any], *, k: int, reranker: str = ""
) -> list[HybridHit]:
    """The items of a collection for the standalone question, the best first; times and model go into `result`.

    Raises:
        Unavailable: the search does not answer at the moment.
    """
    from rootstock.vectors.hybrid import search

    if collection not in state.collections:
        result["skipped"] = "nothing has been written or published yet"
        return []
    several = len(state.question.audiences) != 1
    try:
        found = search(
            state.organisation_id,
            state.collections[collection],
            state.standalone,
            # Of several audiences any will do, which no filter says: some of what is found is dropped afterwards.
            k=2 * k if several else k,
            filters=state.filters,
            weight=state.assistant.vector_weight,
            reranker=reranker,
            language=state.language,
        )
    except Problem as problem:
        if problem.status_code in (429, 503, 504):
            raise Unavailable(str(problem.detail)) from problem
        result["problem"] = str(problem.detail)
        return []
    result["model"] = found.model
    result["parts"] = {name: round(value, 4) for name, value in found.seconds.items()}
    wanted = {f"aud_{name}" for name in state.question.audiences}
    return [hit for hit in found.hits if any(hit.attributes.get(name) for name in wanted)][:k]


def told(hit: HybridHit) -> dict[str, Any]:
    """A hit for the trace: why it ranked where it did."""
    numbers = {
        name: round(float(value), 4)
        for name in ("score", "cosine", "bm25", "rerank")
        if (value := getattr(hit, name)) is not None
    }
    return {"key": hit.key, **numbers, "words": list(hit.words)[:12]}
