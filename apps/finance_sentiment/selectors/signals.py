"""What the detector reads: the rule, the clock of events, buckets of the rule's length."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Min

from apps.finance_sentiment.inference import Bucket
from apps.finance_sentiment.models import Document, Story

# Later than this after its publication, a document is an import or a replay and not live.
LIVE_LAG = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class EventClock:
    """The latest moment that documents tell of, and whether they arrive as they happen."""

    newest: datetime
    live: bool


def event_clock(*, now: datetime) -> EventClock | None:
    """None before the first document."""
    row = (
        Document.objects.filter(published_at__lte=now, counted_at__isnull=False)
        .order_by("-published_at", "-id")
        .values_list("published_at", "received_at")
        .first()
    )
    if row is None:
        return None
    published_at, received_at = row
    return EventClock(newest=published_at, live=received_at - published_at <= LIVE_LAG)


def first_document_at() -> datetime | None:
    """When the oldest document was published."""
    first: datetime | None = Document.objects.aggregate(first=Min("published_at"))["first"]
    return first


def stored_width(seconds: int, widths: tuple[int, ...]) -> int:
    """The widest stored buckets that add up to buckets of `seconds`.

    Raises:
        ValueError: none does.
    """
    fitting = [width for width in widths if seconds % width == 0]
    if not fitting:
        raise ValueError(f"{seconds} s is not a multiple of {widths[0]} s")
    return max(fitting)


def story_buckets(
    *, start: datetime, end: datetime, seconds: int, stored: int
) -> dict[str, list[Bucket]]:
    """The buckets that hold stories, by topic, in order of time; all begin in [start, end)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT topic, floor(extract(epoch FROM start) / %(seconds)s)::bigint * %(seconds)s AS at,
                   sum(stories), sum(stories_negative)
            FROM finance_sentiment_timebucket
            WHERE width = %(stored)s AND start >= %(start)s AND start < %(end)s AND stories > 0
            GROUP BY 1, 2 ORDER BY 1, 2
            """,
            {"seconds": seconds, "stored": stored, "start": start, "end": end},
        )
        buckets: dict[str, list[Bucket]] = defaultdict(list)
        for topic, at, total, negative in cursor.fetchall():
            buckets[topic].append(
                Bucket(datetime.fromtimestamp(int(at), UTC), int(total), int(negative))
            )
    return dict(buckets)


def negative_stories(*, topic: str, start: datetime, end: datetime, limit: int) -> list[uuid.UUID]:
    """The negative stories of a topic that began in [start, end), the most told first."""
    stories = Story.objects.filter(
        first_seen_at__gte=start, first_seen_at__lt=end, sentiment="negative"
    )
    if topic:
        stories = stories.filter(topics__contains=[topic])
    return list(
        stories.order_by("-document_count", "-first_seen_at").values_list("id", flat=True)[:limit]
    )


def models_of_stories(story_ids: list[uuid.UUID]) -> list[str]:
    """The model versions that judged the documents of these stories."""
    used = Document.objects.filter(story_id__in=story_ids).values_list("models_used", flat=True)
    return sorted({model["version"] for models in used.distinct() for model in models})
