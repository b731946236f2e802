"""What is set up for alerts: channels, chains, routes, silences, people's wishes, and what was sent."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db.models import Q, QuerySet

from apps.finance_sentiment.models import (
    AlertChannel,
    AlertRoute,
    EscalationChain,
    NoticeSettings,
    Notification,
    Silence,
)
from rootstock.tenancy.models import Membership


def routes_in_order() -> list[AlertRoute]:
    """The routes that are switched on, as they are tried."""
    rows = AlertRoute.objects.filter(enabled=True).select_related("chain")
    return list(rows.order_by("position", "id"))


def channels_shared() -> QuerySet[AlertChannel]:
    """The channels that belong to nobody in particular."""
    return AlertChannel.objects.filter(owner__isnull=True).order_by("name")


def channels_visible(user_id: uuid.UUID | None) -> QuerySet[AlertChannel]:
    """The shared channels and, for a person, their own."""
    mine = Q(owner__isnull=True)
    if user_id is not None:
        mine |= Q(owner_id=user_id)
    return AlertChannel.objects.filter(mine)


def chains_with_steps() -> QuerySet[EscalationChain]:
    """Chains by name, with their steps."""
    return EscalationChain.objects.prefetch_related("steps__user", "steps__channel").order_by(
        "name"
    )


def silences_at(now: datetime) -> tuple[list[Silence], list[Silence]]:
    """Those that hold or will hold, and the latest that are over."""
    coming = Silence.objects.filter(ends_at__gt=now).order_by("ends_at")
    past = Silence.objects.filter(ends_at__lte=now).order_by("-ends_at")[:50]
    return list(coming), list(past)


def notices_of(user_id: uuid.UUID) -> NoticeSettings | None:
    """How a person wants to be told; None while they have not said."""
    return NoticeSettings.objects.filter(user_id=user_id).first()


def notifications_of(alert_id: uuid.UUID) -> QuerySet[Notification]:
    """What was sent, or is to be sent, about an alert; the newest first."""
    rows = Notification.objects.filter(alerts__contains=[alert_id])
    return rows.select_related("channel", "user").order_by("-id")


def people() -> QuerySet[Membership]:
    """Everybody who can be told of something."""
    return (
        Membership.objects.filter(user__is_active=True)
        .select_related("user")
        .order_by("user__name")
    )
