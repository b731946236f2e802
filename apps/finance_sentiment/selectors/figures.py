"""How subjects of one kind stand in a stretch of time, against the same hours of the weeks before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from django.db import connection

from apps.finance_sentiment.models import SubjectKind
from apps.finance_sentiment.selectors.signals import STORED_WIDTHS

# What is usual is the mean of so many weeks, as far back as there are any.
WEEKS = 4
# Of a kind, no more subjects than these are looked at: those with the most stories.
_MOST = 500


@dataclass(frozen=True, slots=True)
class Figures:
    """A subject's stories, and what is usual; None where there is no earlier week to tell."""

    key: str
    documents: int
    unscored: int
    stories: int
    negative: int
    usual_stories: float | None
    usual_negative: float | None

    @property
    def share(self) -> float:
        """The part of the stories that is negative."""
        return self.negative / self.stories if self.stories else 0.0

    @property
    def usual_share(self) -> float | None:
        """The same in the weeks before."""
        if not self.usual_stories or self.usual_negative is None:
            return None
        return self.usual_negative / self.usual_stories

    @property
    def movement(self) -> float:
        """How far the number of all or of negative stories is from the usual, in its standard deviations.

        A number of stories is taken for a Poisson count, so the deviation is the root of the mean.
        """
        return max(
            _deviation(self.stories, self.usual_stories),
            _deviation(self.negative, self.usual_negative),
        )


def _deviation(count: int, usual: float | None) -> float:
    usual = usual or 0.0
    return abs(count - usual) / sqrt(usual + 1.0)


def subject_figures(
    *, kind: str, start: datetime, end: datetime, first: datetime | None
) -> list[Figures]:
    """Every subject of `kind` with stories in [start, end) or in the same hours of the weeks before.

    `first` is when the first document was published: weeks before it are no weeks without news.
    """
    weeks = WEEKS if first is None else min(WEEKS, max(0, (start - first).days // 7))
    whole = all(edge.timestamp() % STORED_WIDTHS[-1] == 0 for edge in (start, end))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH spans AS (
                SELECT n, %(start)s - n * interval '7 days' AS begins, %(end)s - n * interval '7 days' AS ends
                FROM generate_series(0, %(weeks)s) AS n
            )
            SELECT key,
                   coalesce(sum(documents) FILTER (WHERE n = 0), 0),
                   coalesce(sum(unscored) FILTER (WHERE n = 0), 0),
                   coalesce(sum(stories) FILTER (WHERE n = 0), 0),
                   coalesce(sum(stories_negative) FILTER (WHERE n = 0), 0),
                   coalesce(sum(stories) FILTER (WHERE n > 0), 0),
                   coalesce(sum(stories_negative) FILTER (WHERE n > 0), 0)
            FROM spans
            JOIN finance_sentiment_timebucket bucket
              ON bucket.width = %(stored)s AND bucket.kind = %(kind)s
             AND bucket.start >= spans.begins AND bucket.start < spans.ends
            GROUP BY key ORDER BY 4 DESC, 6 DESC, key LIMIT %(most)s
            """,
            {
                "start": start,
                "end": end,
                "weeks": weeks,
                "kind": kind,
                "stored": STORED_WIDTHS[-1] if whole else STORED_WIDTHS[-2],
                "most": _MOST,
            },
        )
        return [
            _figures(key, [int(value) for value in row], weeks) for key, *row in cursor.fetchall()
        ]


def _figures(key: str, row: list[int], weeks: int) -> Figures:
    documents, unscored, stories, negative, before, before_negative = row
    return Figures(
        key,
        documents,
        unscored,
        stories,
        negative,
        usual_stories=before / weeks if weeks else None,
        usual_negative=before_negative / weeks if weeks else None,
    )


def everything_figures(*, start: datetime, end: datetime, first: datetime | None) -> Figures:
    """The same of all documents together."""
    found = subject_figures(kind=SubjectKind.ALL, start=start, end=end, first=first)
    return found[0] if found else Figures("", 0, 0, 0, 0, None, None)
