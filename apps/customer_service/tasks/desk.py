"""What workers do for the desk: give out the queue, watch the clocks, propose answers, delete files."""

from __future__ import annotations

import uuid
from typing import Any

from celery import shared_task
from django.core.files.storage import default_storage

from apps.customer_service.services.assignment import queue_assign
from apps.customer_service.services.conversations import ASSIGN_TOPIC
from apps.customer_service.services.privacy import FILES_TOPIC
from apps.customer_service.services.sla import sla_due, sla_judge
from apps.customer_service.services.suggestions import (
    TOPIC as SUGGEST_TOPIC,
)
from apps.customer_service.services.suggestions import (
    Proposal,
    suggestion_prepare,
    suggestion_write,
)
from rootstock.outbox.handlers import handler, message_scope
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


@handler(ASSIGN_TOPIC)
def assign(payload: dict[str, Any]) -> None:
    """Give what waits to whoever has room."""
    queue_assign()


def _propose(payload: dict[str, Any]) -> Proposal | None:
    with message_scope() as organisation_id:
        pass
    return suggestion_prepare(
        organisation_id=organisation_id, conversation_id=uuid.UUID(payload["conversation"])
    )


# An agent who waits long for a proposal has written the answer.
@handler(SUGGEST_TOPIC, max_attempts=3, prepare=_propose)
def suggest(payload: dict[str, Any], proposal: Proposal | None) -> None:
    """Keep what `_propose` was told by the assistant."""
    if proposal is not None:
        suggestion_write(proposal)


@handler(FILES_TOPIC)
def delete_files(payload: dict[str, Any]) -> None:
    """Delete the files of an erased customer; one that is gone already is no fault."""
    for path in payload["paths"]:
        default_storage.delete(path)


@shared_task(name="rootstock.service.clocks", ignore_result=True)
def clocks() -> None:
    """Judge the conversations whose time has passed, each in a transaction of its own."""
    for row in call_lookup("service_due_organisations"):
        if not row["sla"]:
            continue
        with organisation_scope(row["organisation_id"]):
            due = sla_due()
        for conversation_id in due:
            with organisation_scope(row["organisation_id"]):
                sla_judge(conversation_id=conversation_id)
