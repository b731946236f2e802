"""What workers do for the collections: give texts their vectors, change models, clean up."""

from __future__ import annotations

from typing import Any

from rootstock.jobs.runner import JobContext, job_kind
from rootstock.outbox.handlers import handler, message_scope
from rootstock.vectors.reembedding import execute_reembedding
from rootstock.vectors.selectors import REEMBED_JOB
from rootstock.vectors.services.items import EMBED_TOPIC
from rootstock.vectors.services.spaces import (
    CLEAN_TOPIC,
    Filled,
    batches_missing,
    missing_store,
    space_clean,
    texts_embed,
)


def _embed(payload: dict[str, Any]) -> list[Filled]:
    with message_scope():
        batches = batches_missing(payload["collection"], payload["item_ids"])
    return texts_embed(batches)


@handler(EMBED_TOPIC, prepare=_embed)
def store_vectors(payload: dict[str, Any], filled: list[Filled]) -> None:
    """Write the vectors that `_embed` has asked for."""
    missing_store(payload["collection"], payload["item_ids"], filled)


@handler(CLEAN_TOPIC)
def clean(payload: dict[str, Any]) -> None:
    """Drop a space that nobody will go back to."""
    space_clean(space_id=payload["space"])


@job_kind(REEMBED_JOB, resumable=True)
def reembed(context: JobContext) -> dict[str, Any]:
    """Have the model of the job read its collection."""
    return execute_reembedding(context)
