"""What workers do for the collections: give texts their vectors, change models, clean up."""

from __future__ import annotations

import uuid
from typing import Any

from rootstock.jobs.runner import JobContext, job_kind
from rootstock.outbox.handlers import handler, message_scope
from rootstock.outbox.services import outbox_write
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
from rootstock.vectors.words import counts_merge, words_fill

WORDS_TOPIC = "vectors.words"


def _embed(payload: dict[str, Any]) -> list[Filled]:
    with message_scope():
        batches = batches_missing(payload["collection"], payload["item_ids"])
    return texts_embed(batches)


@handler(EMBED_TOPIC, prepare=_embed)
def store_vectors(payload: dict[str, Any], filled: list[Filled]) -> None:
    """Write the vectors that `_embed` has asked for."""
    missing_store(payload["collection"], payload["item_ids"], filled)
    counts_merge(uuid.UUID(payload["collection"]))


@handler(WORDS_TOPIC)
def fill_words(payload: dict[str, Any]) -> None:
    """Give the items of a collection that is older than search by words theirs, some at a time."""
    if words_fill(uuid.UUID(payload["collection"])):
        outbox_write(WORDS_TOPIC, payload)


@handler(CLEAN_TOPIC)
def clean(payload: dict[str, Any]) -> None:
    """Drop a space that nobody will go back to."""
    space_clean(space_id=payload["space"])


@job_kind(REEMBED_JOB, resumable=True)
def reembed(context: JobContext) -> dict[str, Any]:
    """Have the model of the job read its collection."""
    return execute_reembedding(context)
