"""What the detector reads: the rule, the clock of events, buckets of the rule's length."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Min

from apps.finance_sentiment.inference import Bucket
from apps.finance_sentiment.models import Document, Subject

# The widths of buckets that are stored, in seconds; see services/buckets.py.
STORED_WIDTHS = (5, 60, 3600)
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
    *, kind: str, key: str = "", start: datetime, end: datetime, seconds: int
) -> dict[Subject, list[Bucket]]:
    """The buckets that hold stories, by subject, in order of time; all begin in [start, end).

    Of every subject of `kind`, or of that with `key` alone.

    Raises:
        ValueError: `seconds` is no multiple of a stored width.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key, floor(extract(epoch FROM start) / %(seconds)s)::bigint * %(seconds)s AS at,
                   sum(stories), sum(stories_negative)
            FROM finance_sentiment_timebucket
            WHERE width = %(stored)s AND kind = %(kind)s AND (%(key)s = '' OR key = %(key)s)
              AND start >= %(start)s AND start < %(end)s AND stories > 0
            GROUP BY 1, 2 ORDER BY 1, 2
            """,
            {
                "seconds": seconds,
                "stored": stored_width(seconds, STORED_WIDTHS),
                "kind": kind,
                "key": key,
                "start": start,
                "end": end,
            },
        )
        buckets: dict[Subject, list[Bucket]] = defaultdict(list)
        for found, at, total, negative in cursor.fetchall():
            buckets[Subject(kind, found)].append(
                Bucket(datetime.fromtimestamp(int(at), UTC), int(total), int(negative))
            )
    return dict(buckets)


def models_of_stories(story_ids: list[uuid.UUID]) -> list[str]:
    """The model versions that judged the documents of these stories."""
    used = Document.objects.filter(story_id__in=story_ids).values_list("models_used", flat=True)
    return sorted({model["version"] for models in used.distinct() for model in models})
