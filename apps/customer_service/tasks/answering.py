"""Answering what visitors write, and reading what they write to people."""

from __future__ import annotations

import uuid
from typing import Any

from apps.customer_service.inference.understanding import Understanding
from apps.customer_service.services.answering.replying import (
    UNDERSTAND_TOPIC,
    Prepared,
    message_understand,
    reply_commit,
    reply_prepare,
    understanding_store,
)
from apps.customer_service.services.conversations import REPLY_TOPIC
from apps.customer_service.services.tuning import TUNE_JOB, execute_tuning
from rootstock.jobs.runner import JobContext, job_kind
from rootstock.outbox.handlers import handler, message_scope


def _organisation() -> uuid.UUID:
    with message_scope() as organisation_id:
        return organisation_id


def _prepare(payload: dict[str, Any]) -> Prepared:
    return reply_prepare(
        organisation_id=_organisation(), conversation_id=uuid.UUID(payload["conversation"])
    )


@handler(REPLY_TOPIC, max_attempts=6, prepare=_prepare)
def reply(payload: dict[str, Any], prepared: Prepared) -> None:
    """Store the reply that `_prepare` has written and shown."""
    reply_commit(prepared=prepared)


def _understand(payload: dict[str, Any]) -> tuple[uuid.UUID, Understanding] | None:
    return message_understand(
        organisation_id=_organisation(), message_id=uuid.UUID(payload["message"])
    )


@handler(UNDERSTAND_TOPIC, max_attempts=3, prepare=_understand)
def understand(payload: dict[str, Any], said: tuple[uuid.UUID, Understanding] | None) -> None:
    """Keep what the models said of a message to people."""
    if said is not None:
        understanding_store(message_id=said[0], said=said[1])


@job_kind(TUNE_JOB, resumable=True)
def tune(context: JobContext) -> dict[str, Any]:
    """Choose how to search and when to answer directly by the evaluation questions."""
    return execute_tuning(context)
