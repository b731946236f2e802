"""The log of alerts: written once, never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from apps.finance_sentiment.models import Alert, AlertEntry
from rootstock.common.actors import SYSTEM, Actor


def entry_write(
    alert: Alert,
    kind: AlertEntry.Kind,
    *,
    at: datetime | None = None,
    actor: Actor = SYSTEM,
    comment: str = "",
    details: Mapping[str, Any] | None = None,
) -> AlertEntry:
    """One line. `at` is event time for what the documents tell, and now for what people and messages do."""
    return AlertEntry.objects.create(
        alert=alert,
        kind=kind,
        at=at or timezone.now(),
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
        comment=comment,
        details=dict(details or {}),
    )


def entries_write(
    alerts: Iterable[Alert], kind: AlertEntry.Kind, *, details: Mapping[str, Any] | None = None
) -> None:
    """The same line for several alerts."""
    for alert in alerts:
        entry_write(alert, kind, details=details)
