"""The queue of documents that people are asked about, and what those drawn at random say of the models."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from apps.finance_sentiment.models import (
    Document,
    DocumentLabel,
    LabelCandidate,
    LabelReason,
    Question,
)
from apps.finance_sentiment.selectors.labels import consensus
from rootstock.common.actors import Actor

# 95 %
_Z: Final = 1.96
_SHOWN_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True)
class Asked:
    """A document that a person is asked about, and why. `blind`: what the models said is not to be shown before."""

    document: Document
    reasons: tuple[str, ...]
    blind: bool


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """How many documents wait for this person, how many they labelled today, and how many wait by reason."""

    waiting: int
    today: int
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """How often a version is right, by documents drawn at random: the part of all scored documents, with its 95 %
    interval (Hájek's estimate; Wilson's interval with Kish's effective number)."""

    question: str
    version: str
    labels: int
    accuracy: float
    low: float
    high: float


def candidates_open(actor: Actor) -> QuerySet[LabelCandidate]:
    """What waits for this person, in the order of asking."""
    mine = DocumentLabel.objects.filter(
        document=OuterRef("document"),
        actor_kind=actor.kind,
        actor_id=actor.id[:64],
        withdrawn_at=None,
    )
    return (
        LabelCandidate.objects.filter(~Exists(mine), done_at=None)
        .exclude(skipped_by__contains=[actor.id[:64]])
        .order_by("rank", "id")
    )


def candidate_next(actor: Actor) -> Asked | None:
    """The next document for this person; None when nothing waits."""
    first = candidates_open(actor).select_related("document").first()
    if first is None:
        return None
    rows = LabelCandidate.objects.filter(document=first.document).order_by("rank", "id")
    reasons = tuple(rows.values_list("reason", flat=True))
    return Asked(first.document, reasons, LabelReason.RANDOM in reasons)


def queue_progress(actor: Actor) -> QueueProgress:
    """How far the queue is."""
    waiting = candidates_open(actor).order_by()
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    mine = DocumentLabel.objects.filter(
        actor_kind=actor.kind, actor_id=actor.id[:64], withdrawn_at=None, created_at__gte=midnight
    )
    return QueueProgress(
        waiting=waiting.aggregate(n=Count("document", distinct=True))["n"],
        today=mine.aggregate(n=Count("document", distinct=True))["n"],
        reasons={
            row["reason"]: row["n"] for row in waiting.values("reason").annotate(n=Count("pk"))
        },
    )


def queue_payload(actor: Actor) -> dict[str, Any]:
    """The next document for a person and how far the queue is, as pages and the API show it."""
    asked = candidate_next(actor)
    document = asked.document if asked else None
    progress = queue_progress(actor)
    return {
        "document": str(document.pk) if document else None,
        "title": document.title if document else "",
        "body": document.body[:_SHOWN_CHARACTERS] if document else "",
        "source": document.source if document else "",
        "url": document.url if document else "",
        "language": document.language_detected if document else "",
        "published_at": document.published_at.isoformat() if document else None,
        "reasons": list(asked.reasons) if asked else [],
        "blind": asked.blind if asked else False,
        "progress": {
            "waiting": progress.waiting,
            "today": progress.today,
            "reasons": progress.reasons,
        },
    }


def measured() -> list[Measured]:
    """How often each version was right on documents that were drawn at random; the newest labels first."""
    lots = LabelCandidate.objects.filter(reason=LabelReason.RANDOM, probability__gt=0)
    drawn = {row.document_id: float(row.probability or 1.0) for row in lots}
    labels = (
        DocumentLabel.objects.filter(document__in=lots.values("document"), withdrawn_at=None)
        .exclude(version="")
        .order_by("id")
    )
    units: defaultdict[tuple[Any, ...], list[DocumentLabel]] = defaultdict(list)
    for label in labels:
        units[label.question, label.document_id, label.start, label.end].append(label)
    judged: defaultdict[tuple[str, str], list[tuple[float, bool]]] = defaultdict(list)
    for (question, document, _start, _end), given in units.items():
        agreed = consensus(_value(question, each.values) for each in given)
        if agreed is not None:
            right = agreed == _value(question, given[0].said)
            judged[question, given[0].version].append((1.0 / drawn[document], right))
    return [_estimate(question, version, rows) for (question, version), rows in judged.items()]


def _value(question: str, values: list[str]) -> tuple[str, ...]:
    return tuple(sorted(values)) if question == Question.TOPIC else tuple(values)


def _estimate(question: str, version: str, rows: list[tuple[float, bool]]) -> Measured:
    total = sum(weight for weight, _right in rows)
    share = sum(weight for weight, right in rows if right) / total
    effective = total**2 / sum(weight**2 for weight, _right in rows)
    low, high = _wilson(share, effective)
    return Measured(question, version, len(rows), share, low, high)


def _wilson(share: float, count: float) -> tuple[float, float]:
    """The interval of a share of `count` draws (Wilson 1927)."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = (
        _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2)) / (1 + _Z**2 / count)
    )
    return max(0.0, middle - half), min(1.0, middle + half)
