"""Alerts as pages, events, webhooks and the API show them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import (
    Alert,
    AlertEntry,
    Document,
    Entity,
    Holding,
    Mention,
    Portfolio,
    Story,
    Subject,
    SubjectKind,
    ThreadStory,
)
from apps.finance_sentiment.topics import topic_label


def subject_label(subject: Subject) -> str:
    """What people call the subject, in the current language."""
    kind, key = subject
    if kind == SubjectKind.ALL or not key:
        return _("All topics")
    if kind == SubjectKind.TOPIC:
        return topic_label(key)
    if kind == SubjectKind.ENTITY:
        return _entity_name(key) or key
    if kind == SubjectKind.PORTFOLIO:
        return _portfolio_name(key) or _("A portfolio that is gone")
    return key


def _entity_name(key: str) -> str:
    try:
        entity = Entity.objects.filter(pk=uuid.UUID(key)).first()
    except ValueError:
        entity = Entity.objects.filter(key=key).first()
    return entity.name if entity else ""


def _portfolio_name(key: str) -> str:
    try:
        wanted = uuid.UUID(key)
    except ValueError:
        return ""
    return Portfolio.objects.filter(pk=wanted).values_list("name", flat=True).first() or ""


def alerts_open() -> QuerySet[Alert]:
    """Alerts that are not resolved, the newest first."""
    return Alert.objects.exclude(state=Alert.State.RESOLVED).order_by("-opened_at", "-id")


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """What is looked for; None is anything. The state may be "unresolved"."""

    state: str | None = None
    kind: str | None = None
    key: str | None = None
    rule: uuid.UUID | None = None
    muted: bool | None = None
    assigned_to: uuid.UUID | None = None
    opened_after: datetime | None = None
    opened_before: datetime | None = None


def alerts_find(query: AlertQuery) -> QuerySet[Alert]:
    """The alerts that are looked for, the newest first."""
    alerts = Alert.objects.select_related("assigned_to").order_by("-opened_at", "-id")
    if query.state == "unresolved":
        alerts = alerts.exclude(state=Alert.State.RESOLVED)
    elif query.state:
        alerts = alerts.filter(state=query.state)
    if query.muted is not None:
        alerts = alerts.exclude(muted="") if query.muted else alerts.filter(muted="")
    equal = {
        "kind": query.kind,
        "key": query.key,
        "rule_id": query.rule,
        "assigned_to_id": query.assigned_to,
        "opened_at__gte": query.opened_after,
        "opened_at__lt": query.opened_before,
    }
    return alerts.filter(**{name: value for name, value in equal.items() if value is not None})


def alert_payload(alert: Alert) -> dict[str, Any]:
    """The facts of an alert without its history."""
    latest = alert.evidence.get("latest", {})
    return {
        "id": str(alert.pk),
        "rule": {"id": str(alert.rule_id) if alert.rule_id else None, "name": alert.rule_name},
        "subject": {"kind": alert.kind, "key": alert.key, "label": subject_label(alert.subject)},
        "topic": alert.topic,
        "state": alert.state,
        "opened_at": alert.opened_at.isoformat(),
        "last_seen_at": alert.last_seen_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "peak_negative": alert.peak_negative,
        "peak_score": alert.peak_score,
        "observed": latest.get("observed", 0),
        "expected": latest.get("expected", 0.0),
        "total": latest.get("total", 0),
        "share": latest.get("share", 0.0),
        "baseline_share": latest.get("baseline_share", 0.0),
        "window_start": latest.get("window_start"),
        "window_end": latest.get("window_end"),
        "acknowledged_at": alert.acknowledged_at.isoformat() if alert.acknowledged_at else None,
        "acknowledged_by": alert.acknowledged_by,
        "assigned_to": str(alert.assigned_to) if alert.assigned_to else "",
        "muted": alert.muted,
        "resolved_by": alert.resolved_by,
        "comment": alert.comment,
        "stories": alert.evidence.get("stories", [])[:3],
        "models": alert.evidence.get("models", []),
    }


def alert_stories(alert: Alert) -> list[Story]:
    """The stories that raised it, the most told first; those that are gone are left out."""
    wanted = [uuid.UUID(story["id"]) for story in alert.evidence.get("stories", [])]
    return list(Story.objects.filter(id__in=wanted).order_by("-document_count", "first_seen_at"))


def alert_entries(alert: Alert) -> QuerySet[AlertEntry]:
    """The log of an alert, the oldest line first."""
    return AlertEntry.objects.filter(alert=alert).order_by("id")


def story_facts(story_ids: Iterable[uuid.UUID]) -> list[dict[str, Any]]:
    """Stories as an alert remembers them, each with the thread that tells of its event: they may change or go later."""
    story_ids = list(story_ids)
    stories = {story.pk: story for story in Story.objects.filter(id__in=story_ids)}
    threads = dict(
        ThreadStory.objects.filter(story_id__in=story_ids, thread__isnull=False).values_list(
            "story_id", "thread_id"
        )
    )
    return [
        {
            "id": str(story.pk),
            "title": story.title,
            "documents": story.document_count,
            "sources": story.sources[:10],
            "first_seen_at": story.first_seen_at.isoformat(),
            "thread": str(threads[story_id]) if story_id in threads else None,
        }
        for story_id in story_ids
        if (story := stories.get(story_id)) is not None
    ]


def alert_stories_find(
    *, subject: Subject, start: datetime, end: datetime, limit: int
) -> list[uuid.UUID]:
    """The negative stories of a subject that began in [start, end), the most told first."""
    stories = Story.objects.filter(
        first_seen_at__gte=start, first_seen_at__lt=end, sentiment="negative"
    )
    kind, key = subject
    if kind == SubjectKind.TOPIC and key:
        stories = stories.filter(topics__contains=[key])
    elif kind == SubjectKind.SOURCE_GROUP:
        stories = stories.filter(sources__contains=[key])
    elif kind in (SubjectKind.ENTITY, SubjectKind.PORTFOLIO):
        members = Holding.objects.filter(portfolio_id=key).values("entity_id")
        meant = Q(entity_id__in=members) if kind == SubjectKind.PORTFOLIO else Q(entity_id=key)
        told = Mention.objects.filter(meant).values("document_id")
        stories = stories.filter(
            pk__in=Document.objects.filter(
                pk__in=told, published_at__gte=start, story__isnull=False
            ).values("story_id")
        )
    return list(
        stories.order_by("-document_count", "-first_seen_at").values_list("id", flat=True)[:limit]
    )
