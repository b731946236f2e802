"""Entities, and where documents mention them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from apps.finance_sentiment.models import Alias, Document, Entity, Instrument, Mention

State = Mention.State


def mentions_of(document_ids: Iterable[uuid.UUID]) -> QuerySet[Mention]:
    """What these documents say of known entities, in the order of the text; the entity comes along.

    An entity named three times in a document has three mentions: count distinct documents.
    """
    return (
        Mention.objects.filter(document_id__in=list(document_ids), state=State.LINKED)
        .select_related("entity")
        .order_by("document_id", "start")
    )


def document_mentions(document: Document) -> QuerySet[Mention]:
    """Every mention of a document from left to right, but what a person dismissed."""
    return (
        document.mentions.exclude(state=State.DISMISSED).select_related("entity").order_by("start")
    )


def entities_find(*, q: str = "", kind: str = "") -> QuerySet[Entity]:
    """Entities by a part of their name, one of their names or a symbol; without any, all."""
    wanted = Q()
    if kind:
        wanted &= Q(kind=kind)
    if q:
        wanted &= (
            Q(name__icontains=q)
            | Q(name_zh__icontains=q)
            | Q(key__icontains=q)
            | Exists(Alias.objects.filter(entity=OuterRef("pk"), text__icontains=q))
            | Exists(Instrument.objects.filter(entity=OuterRef("pk"), symbol__iexact=q))
        )
    return Entity.objects.filter(wanted)


@dataclass(frozen=True, slots=True)
class EntityRow:
    """An entity in a range of time: documents that name it, and how they speak of it."""

    id: uuid.UUID
    key: str
    name: str
    name_zh: str
    kind: str
    documents: int
    negative: int
    positive: int

    @property
    def share(self) -> float:
        """The part of the documents that is negative about it."""
        return self.negative / self.documents if self.documents else 0.0


def entity_rows(
    *, start: datetime, end: datetime, q: str = "", kind: str = "", most: int = 200
) -> list[EntityRow]:
    """Entities with what was said of them in a range of time, the most named first."""
    said = Q(mentions__published_at__gte=start, mentions__published_at__lt=end)
    said &= Q(mentions__state=State.LINKED)

    def documents(**more: Any) -> Count:
        return Count("mentions__document", filter=said & Q(**more), distinct=True)

    rows = (
        entities_find(q=q, kind=kind)
        .annotate(
            documents=documents(),
            negative=documents(mentions__sentiment="negative"),
            positive=documents(mentions__sentiment="positive"),
        )
        .order_by("-documents", "name")
        .values_list("pk", "key", "name", "name_zh", "kind", "documents", "negative", "positive")
    )
    return [EntityRow(*row) for row in rows[:most]]


@dataclass(frozen=True, slots=True)
class EntityPoint:
    """What was said of an entity in [start, start + width)."""

    start: datetime
    negative: int
    neutral: int
    positive: int

    def as_json(self) -> dict[str, Any]:
        """The point with its time as text."""
        return {
            "start": self.start.isoformat(),
            "negative": self.negative,
            "neutral": self.neutral,
            "positive": self.positive,
        }


def entity_series(
    *, entity: Entity, start: datetime, end: datetime, width: int
) -> list[EntityPoint]:
    """Documents about an entity by how they speak of it, in buckets of `width` seconds on the grid of Unix time;
    empty buckets included. A document that says both good and bad of it counts as bad."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH said AS (
                SELECT document_id,
                       floor(extract(epoch FROM min(published_at)) / %(width)s)::bigint * %(width)s AS at,
                       bool_or(sentiment = 'negative') AS negative,
                       bool_or(sentiment = 'positive') AS positive
                FROM finance_sentiment_mention
                WHERE entity_id = %(entity)s AND state = 'linked' AND sentiment <> ''
                  AND published_at >= %(start)s AND published_at < %(end)s
                GROUP BY document_id
            )
            SELECT to_timestamp(grid.at),
                   count(*) FILTER (WHERE negative),
                   count(*) FILTER (WHERE NOT negative AND NOT positive),
                   count(*) FILTER (WHERE positive AND NOT negative)
            FROM generate_series(
                floor(extract(epoch FROM %(start)s) / %(width)s)::bigint * %(width)s,
                extract(epoch FROM %(end)s)::bigint - 1, %(width)s
            ) AS grid (at)
            LEFT JOIN said ON said.at = grid.at
            GROUP BY grid.at ORDER BY grid.at
            """,
            {"entity": entity.pk, "start": start, "end": end, "width": width},
        )
        return [EntityPoint(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Counted:
    """A topic, event or source, and how many documents about the entity have it."""

    name: str
    documents: int
    negative: int


def entity_breakdown(
    *, entity: Entity, start: datetime, end: datetime, most: int = 8
) -> dict[str, list[Counted]]:
    """The topics, events and sources of what was said of an entity, the most frequent first."""
    found = {}
    for name, column in (
        ("topics", "unnest(document.topics)"),
        ("events", "nullif(document.event, '')"),
        ("sources", "document.source"),
    ):
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                SELECT name, count(DISTINCT id), count(DISTINCT id) FILTER (WHERE negative)
                FROM (
                    SELECT document.id, mention.sentiment = 'negative' AS negative, {column} AS name
                    FROM finance_sentiment_mention mention
                    JOIN finance_sentiment_document document ON document.id = mention.document_id
                    WHERE mention.entity_id = %s AND mention.state = 'linked'
                      AND mention.published_at >= %s AND mention.published_at < %s
                ) said
                WHERE name IS NOT NULL
                GROUP BY name ORDER BY 2 DESC, name LIMIT %s
                """,  # noqa: S608 - the column is one of three constants
                [entity.pk, start, end, most],
            )
            found[name] = [Counted(*row) for row in cursor.fetchall()]
    return found


def entity_mentions(*, entity: Entity) -> QuerySet[Mention]:
    """The mentions of an entity, the newest first, with their documents."""
    return (
        entity.mentions.filter(state=State.LINKED)
        .select_related("document")
        .order_by("-published_at", "-id")
    )


@dataclass(frozen=True, slots=True)
class Question:
    """Words that a person should decide on: how many documents have them, and one of these mentions."""

    folded: str
    count: int
    mention: Mention
    candidates: list[Entity]


def review_queue(*, state: str = State.REVIEW, most: int = 50) -> list[Question]:
    """Doubtful names, or names that nobody is known by, the most frequent first; each with its latest example."""
    groups = list(
        Mention.objects.filter(state=state, is_decided=False)
        .values("folded")
        .annotate(count=Count("document", distinct=True), latest=Max("published_at"))
        .order_by("-count", "-latest")[:most]
    )
    found = []
    for group in groups:
        mention = (
            Mention.objects.filter(state=state, folded=group["folded"], is_decided=False)
            .select_related("document")
            .order_by("-published_at")
            .first()
        )
        if mention is not None:
            found.append(Question(group["folded"], group["count"], mention, _candidates(mention)))
    return found


def _candidates(mention: Mention) -> list[Entity]:
    wanted = [row["entity"] for row in mention.candidates]
    entities = {str(entity.pk): entity for entity in Entity.objects.filter(pk__in=wanted)}
    return [entities[key] for key in wanted if key in entities]
