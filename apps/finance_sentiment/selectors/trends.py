"""How sentiment and volume move: series for charts, topics against the time before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection

from apps.finance_sentiment.models import Subject, SubjectKind, of_topic
from apps.finance_sentiment.selectors.calendars import day_plan
from apps.finance_sentiment.selectors.signals import STORED_WIDTHS, stored_width
from apps.finance_sentiment.trading import Day

# What a chart chooses from by itself.
DAY = 86_400
CHART_WIDTHS = (5, 10, 30, 60, 300, 900, 3600, 10_800, DAY)
MAX_POINTS = 1500
_CHART_POINTS = 200


class UnfitWidth(ValueError):
    """Buckets of this width cannot be made, or would be too many; the message says which."""


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """What was published in [start, start + width), or on `day` where the buckets are days."""

    start: datetime
    documents: int = 0
    negative: int = 0
    neutral: int = 0
    positive: int = 0
    unscored: int = 0
    stories: int = 0
    stories_negative: int = 0
    day: date | None = None

    def as_json(self) -> dict[str, Any]:
        """The point with its times as text."""
        return {
            **asdict(self),
            "start": self.start.isoformat(),
            "day": self.day.isoformat() if self.day else None,
        }


@dataclass(frozen=True, slots=True)
class TopicFigures:
    """A topic in a range of time and in the range of the same length before it."""

    topic: str
    stories: int
    negative: int
    previous_stories: int
    previous_negative: int

    @property
    def share(self) -> float:
        """The part of the stories that is negative."""
        return self.negative / self.stories if self.stories else 0.0

    @property
    def previous_share(self) -> float:
        """The same in the range before."""
        return self.previous_negative / self.previous_stories if self.previous_stories else 0.0


def chart_width(*, start: datetime, end: datetime) -> int:
    """The width, in seconds, that gives a readable number of points."""
    seconds = (end - start).total_seconds()
    return next(
        (width for width in CHART_WIDTHS if seconds / width <= _CHART_POINTS), CHART_WIDTHS[-1]
    )


def trend_series(
    *,
    topic: str = "",
    subject: Subject | None = None,
    start: datetime,
    end: datetime,
    width: int,
) -> list[TrendPoint]:
    """Every bucket that begins in [start, end), empty ones included, on the grid of Unix time.

    Of `subject`, or of a topic by its label; of everything if neither is given. Buckets of a day are the days of the
    organisation (`calendars.day_plan`), the first that in which `start` lies.

    Raises:
        UnfitWidth: `width` is no multiple of the stored ones, or there would be too many points.
    """
    try:
        stored = stored_width(width, STORED_WIDTHS)
    except ValueError as error:
        raise UnfitWidth(str(error)) from error
    kind, key = subject or of_topic(topic)
    first = int(start.timestamp() // width) * width
    last = int(end.timestamp())
    if (last - first) / width > MAX_POINTS:
        raise UnfitWidth(f"{(last - first) // width} points; at most {MAX_POINTS} are given")
    if width == DAY:
        return _by_day(Subject(kind, key), start, end)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT floor(extract(epoch FROM start) / %(width)s)::bigint * %(width)s AS at,
                   sum(documents), sum(documents_negative), sum(documents_neutral),
                   sum(documents_positive), sum(unscored), sum(stories), sum(stories_negative)
            FROM finance_sentiment_timebucket
            WHERE width = %(stored)s AND kind = %(kind)s AND key = %(key)s AND start >= %(start)s AND start < %(end)s
            GROUP BY 1
            """,
            {
                "width": width,
                "stored": stored,
                "kind": kind,
                "key": key,
                "start": datetime.fromtimestamp(first, UTC),
                "end": end,
            },
        )
        found = {int(at): [int(value) for value in values] for at, *values in cursor.fetchall()}
    return [
        _point(datetime.fromtimestamp(at, UTC), found.get(at)) for at in range(first, last, width)
    ]


def _by_day(subject: Subject, start: datetime, end: datetime) -> list[TrendPoint]:
    try:
        return day_series(subject=subject, days=day_plan().days(start, end))
    except OverflowError as error:
        raise UnfitWidth(str(error)) from error


def day_series(*, subject: Subject, days: Sequence[Day]) -> list[TrendPoint]:
    """What was published on each of `days`, which follow each other without gap."""
    if not days:
        return []
    edges = [*(day.start for day in days), days[-1].end]
    # Where a day begins at half past, as in India, its hours are no stored hours.
    whole = all(edge.timestamp() % STORED_WIDTHS[-1] == 0 for edge in edges)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT width_bucket(start, %(edges)s::timestamptz[]) AS place,
                   sum(documents), sum(documents_negative), sum(documents_neutral),
                   sum(documents_positive), sum(unscored), sum(stories), sum(stories_negative)
            FROM finance_sentiment_timebucket
            WHERE width = %(stored)s AND kind = %(kind)s AND key = %(key)s
              AND start >= %(start)s AND start < %(end)s
            GROUP BY 1
            """,
            {
                "edges": edges,
                "stored": STORED_WIDTHS[-1] if whole else STORED_WIDTHS[-2],
                "kind": subject.kind,
                "key": subject.key,
                "start": edges[0],
                "end": edges[-1],
            },
        )
        found = {place: [int(value) for value in values] for place, *values in cursor.fetchall()}
    return [_point(day.start, found.get(place), day.day) for place, day in enumerate(days, 1)]


def _point(start: datetime, counts: Sequence[int] | None, day: date | None = None) -> TrendPoint:
    """A point from the counts in the order of its fields; without any it is empty."""
    documents, negative, neutral, positive, unscored, stories, bad = counts or [0] * 7
    return TrendPoint(start, documents, negative, neutral, positive, unscored, stories, bad, day)


def topic_figures(*, start: datetime, end: datetime) -> list[TopicFigures]:
    """All topics with news in the range or before it, the busiest first; not "all topics"."""
    length = end - start
    stored = 60 if length <= timedelta(days=2) else 3600
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key,
                   coalesce(sum(stories) FILTER (WHERE start >= %(start)s), 0),
                   coalesce(sum(stories_negative) FILTER (WHERE start >= %(start)s), 0),
                   coalesce(sum(stories) FILTER (WHERE start < %(start)s), 0),
                   coalesce(sum(stories_negative) FILTER (WHERE start < %(start)s), 0)
            FROM finance_sentiment_timebucket
            WHERE width = %(stored)s AND kind = 'topic'
              AND start >= %(before)s AND start < %(end)s
            GROUP BY key ORDER BY 2 DESC, 4 DESC, key
            """,
            {
                "start": start,
                "end": end,
                "before": start - length,
                "stored": stored,
            },
        )
        return [
            TopicFigures(row[0], *(int(value) for value in row[1:])) for row in cursor.fetchall()
        ]


def subjects_known(kind: str) -> list[str]:
    """The keys of every subject of a kind that any document has, in order."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT key FROM finance_sentiment_timebucket
            WHERE width = %s AND kind = %s ORDER BY key
            """,
            [STORED_WIDTHS[-1], kind],
        )
        return [row[0] for row in cursor.fetchall()]


def topics_known() -> list[str]:
    """Every topic that any document has, in alphabetical order."""
    return subjects_known(SubjectKind.TOPIC)
