"""Reading the outbox of an organisation."""

from __future__ import annotations

from django.db.models import QuerySet

from rootstock.outbox.models import OutboxMessage


def dead_letters() -> QuerySet[OutboxMessage]:
    """Messages that were given up, the newest first."""
    return OutboxMessage.objects.filter(dead_at__isnull=False).order_by("-id")
