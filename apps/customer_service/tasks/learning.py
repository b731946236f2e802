"""What workers do for the loop: gather unanswered questions."""

from __future__ import annotations

import uuid
from typing import Any

from apps.customer_service.services.learning.unanswered import (
    TOPIC,
    Read,
    questions_gather,
    questions_read,
)
from rootstock.outbox.handlers import handler, message_scope


def _organisation() -> uuid.UUID:
    with message_scope() as organisation_id:
        return organisation_id


def _read(payload: dict[str, Any]) -> Read:
    return questions_read(organisation_id=_organisation())


@handler(TOPIC, prepare=_read)
def gather(payload: dict[str, Any], read: Read) -> None:
    """Put the questions that `_read` has read into clusters."""
    questions_gather(read=read)
