"""Reading the outbox of an organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from rootstock.outbox.handlers import current_message_id
from rootstock.outbox.models import OutboxMessage


def dead_letters() -> QuerySet[OutboxMessage]:
    """Messages that were given up, the newest first."""
    return OutboxMessage.objects.filter(dead_at__isnull=False).order_by("-id")


def older_at_work(topic: str, payload: Mapping[str, Any]) -> bool:
    """Whether a worker is doing an older message of the topic with the same things in its payload.

    For handlers of things that must happen one after the other: whoever gets True may leave its message, if the older
    one's end looks whether something is left to do. The message of this thread is what the others are older than.
    """
    mine = current_message_id()
    if mine is None:
        return False
    return OutboxMessage.objects.filter(
        topic=topic,
        payload__contains=dict(payload),
        dead_at=None,
        lease_token__isnull=False,
        leased_until__gt=Now(),
        pk__lt=mine,
    ).exists()
