"""Time buckets: counted from the rows, never added to, so counting twice gives the same."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection

from apps.finance_sentiment.models import TimeBucket
from apps.finance_sentiment.selectors.signals import STORED_WIDTHS
from rootstock.tenancy.scope import current_organisation_id

# Each is a whole number of the one before it.
WIDTHS = STORED_WIDTHS

_COUNTS = (
    "documents, documents_negative, documents_neutral, documents_positive, "
    "stories, stories_negative, stories_neutral, stories_positive, unscored"
)
_EXCLUDED = ", ".join(f"excluded.{column.strip()}" for column in _COUNTS.split(","))

# The subjects of a document and of a story, with how each is spoken of. An entity has a sentiment of its own: the worst
# of what is said of it; everything else has that of the whole text. A story belongs to the groups of all its sources.
_OF_DOCUMENT = """
    SELECT 'all' AS kind, '' AS key, document.sentiment AS sentiment
    UNION ALL SELECT 'topic', topic, document.sentiment FROM unnest(document.topics) AS topic
    UNION ALL SELECT 'source_group', coalesce(nullif(source.source_group, ''), document.source), document.sentiment
    UNION ALL SELECT 'entity', mention.entity_id::text,
                     min(coalesce(nullif(mention.sentiment, ''), document.sentiment))
        FROM finance_sentiment_mention mention
        WHERE mention.document_id = document.id AND mention.state = 'linked' GROUP BY 2
"""
_OF_STORY = """
    SELECT 'all' AS kind, '' AS key, story.sentiment AS sentiment
    UNION ALL SELECT 'topic', topic, story.sentiment FROM unnest(story.topics) AS topic
    UNION ALL SELECT DISTINCT 'source_group', coalesce(nullif(source.source_group, ''), told.by), story.sentiment
        FROM unnest(story.sources) AS told (by) LEFT JOIN finance_sentiment_source source ON source.name = told.by
    UNION ALL SELECT 'entity', mention.entity_id::text,
                     min(coalesce(nullif(mention.sentiment, ''), story.sentiment))
        FROM finance_sentiment_document member
        JOIN finance_sentiment_mention mention ON mention.document_id = member.id
        WHERE member.story_id = story.id AND mention.state = 'linked' GROUP BY 2
"""
# A portfolio is spoken of as badly as the worst of its members. {one} is nothing, or what keeps it to a single one.
_PORTFOLIO_OF_DOCUMENT = """
    SELECT 'portfolio' AS kind, holding.portfolio_id::text AS key,
           min(coalesce(nullif(mention.sentiment, ''), document.sentiment)) AS sentiment
        FROM finance_sentiment_mention mention
        JOIN finance_sentiment_holding holding ON holding.entity_id = mention.entity_id {one}
        WHERE mention.document_id = document.id AND mention.state = 'linked' GROUP BY 2
"""
_PORTFOLIO_OF_STORY = """
    SELECT 'portfolio' AS kind, holding.portfolio_id::text AS key,
           min(coalesce(nullif(mention.sentiment, ''), story.sentiment)) AS sentiment
        FROM finance_sentiment_document member
        JOIN finance_sentiment_mention mention ON mention.document_id = member.id
        JOIN finance_sentiment_holding holding ON holding.entity_id = mention.entity_id {one}
        WHERE member.story_id = story.id AND mention.state = 'linked' GROUP BY 2
"""

_FROM_ROWS = """
    document_counts AS (
        SELECT touched.start, subject.kind, subject.key,
               count(*) FILTER (WHERE status = 'scored') AS documents,
               count(*) FILTER (WHERE status = 'scored' AND subject.sentiment = 'negative') AS documents_negative,
               count(*) FILTER (WHERE status = 'scored' AND subject.sentiment = 'neutral') AS documents_neutral,
               count(*) FILTER (WHERE status = 'scored' AND subject.sentiment = 'positive') AS documents_positive,
               count(*) FILTER (WHERE status = 'unscored') AS unscored
        FROM touched
        JOIN finance_sentiment_document document
          ON document.published_at >= touched.start
         AND document.published_at < touched.start + make_interval(secs => %(seconds)s)
        LEFT JOIN finance_sentiment_source source ON source.id = document.source_ref_id
        CROSS JOIN LATERAL ({of_document}) AS subject
        WHERE document.status IN ('scored', 'unscored')
        GROUP BY 1, 2, 3
    ),
    story_counts AS (
        SELECT touched.start, subject.kind, subject.key,
               count(*) AS stories,
               count(*) FILTER (WHERE subject.sentiment = 'negative') AS stories_negative,
               count(*) FILTER (WHERE subject.sentiment = 'neutral') AS stories_neutral,
               count(*) FILTER (WHERE subject.sentiment = 'positive') AS stories_positive
        FROM touched
        JOIN finance_sentiment_story story
          ON story.first_seen_at >= touched.start
         AND story.first_seen_at < touched.start + make_interval(secs => %(seconds)s)
        CROSS JOIN LATERAL ({of_story}) AS subject
        WHERE story.sentiment <> ''
        GROUP BY 1, 2, 3
    ),
    counts AS (
        SELECT start, kind, key,
               coalesce(documents, 0) AS documents,
               coalesce(documents_negative, 0) AS documents_negative,
               coalesce(documents_neutral, 0) AS documents_neutral,
               coalesce(documents_positive, 0) AS documents_positive,
               coalesce(stories, 0) AS stories,
               coalesce(stories_negative, 0) AS stories_negative,
               coalesce(stories_neutral, 0) AS stories_neutral,
               coalesce(stories_positive, 0) AS stories_positive,
               coalesce(unscored, 0) AS unscored
        FROM document_counts FULL JOIN story_counts USING (start, kind, key)
    )
"""

_SUMS = ", ".join(f"sum({column.strip()})::integer" for column in _COUNTS.split(","))
_FROM_NARROWER = f"""
    counts (start, kind, key, {_COUNTS}) AS (
        SELECT touched.start, bucket.kind, bucket.key, {_SUMS}
        FROM touched
        JOIN finance_sentiment_timebucket bucket
          ON bucket.width = %(narrower)s
         AND bucket.start >= touched.start AND bucket.start < touched.start + make_interval(secs => %(seconds)s)
         {{one}}
        GROUP BY 1, 2, 3
    )
"""  # noqa: S608 - only constants

_STORE = f"""
    WITH touched AS (SELECT unnest(%(starts)s::timestamptz[]) AS start),
    {{counts}},
    gone AS (
        DELETE FROM finance_sentiment_timebucket bucket
        USING touched
        WHERE bucket.width = %(seconds)s AND bucket.start = touched.start {{one}}
          AND NOT EXISTS (
              SELECT FROM counts
              WHERE counts.start = bucket.start AND counts.kind = bucket.kind AND counts.key = bucket.key
          )
    )
    INSERT INTO finance_sentiment_timebucket (organisation_id, width, start, kind, key, {_COUNTS})
    SELECT %(organisation)s, %(seconds)s, start, kind, key, {_COUNTS} FROM counts
    ON CONFLICT (organisation_id, width, start, kind, key) DO UPDATE SET ({_COUNTS}) = ({_EXCLUDED})
"""  # noqa: S608 - only constants

# Of one portfolio alone.
_ONE_HOLDING = "AND holding.portfolio_id = %(portfolio)s::uuid"
_ONE_BUCKET = "AND bucket.kind = 'portfolio' AND bucket.key = %(portfolio)s"


def _statement(*, is_narrowest: bool, one: bool) -> str:
    """What counts the buckets of a width again: those of all subjects, or of one portfolio."""
    holding, bucket = (_ONE_HOLDING, _ONE_BUCKET) if one else ("", "")
    if not is_narrowest:
        return _STORE.format(counts=_FROM_NARROWER.format(one=bucket), one=bucket)
    of_document = _PORTFOLIO_OF_DOCUMENT.format(one=holding)
    of_story = _PORTFOLIO_OF_STORY.format(one=holding)
    if not one:
        of_document = f"{_OF_DOCUMENT} UNION ALL {of_document}"
        of_story = f"{_OF_STORY} UNION ALL {of_story}"
    counts = _FROM_ROWS.format(of_document=of_document, of_story=of_story)
    return _STORE.format(counts=counts, one=bucket)


def bucket_start(moment: datetime, width: int) -> datetime:
    """The start of the bucket of `width` seconds that `moment` lies in, on the grid of Unix time."""
    seconds = int(moment.timestamp() // width) * width
    return datetime.fromtimestamp(seconds, UTC)


def buckets_recount(*, moments: Iterable[datetime], portfolio: uuid.UUID | None = None) -> None:
    """Count the buckets of all widths around these moments again: of every subject, or of one portfolio alone.

    The caller holds the organisation's lock (`stories.stories_lock`).
    """
    touched = set(moments)
    narrower: int | None = None
    for width in WIDTHS:
        starts = sorted({bucket_start(moment, width) for moment in touched})
        if not starts:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                _statement(is_narrowest=narrower is None, one=portfolio is not None),
                {
                    "starts": starts,
                    "organisation": current_organisation_id(),
                    "seconds": width,
                    "narrower": narrower,
                    "portfolio": str(portfolio) if portfolio else None,
                },
            )
        narrower = width


def buckets_rebuild() -> None:
    """Count every bucket of the organisation again from its documents and stories."""
    TimeBucket.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT published_at FROM finance_sentiment_document"
            " UNION SELECT DISTINCT first_seen_at FROM finance_sentiment_story"
        )
        buckets_recount(moments=[row[0] for row in cursor.fetchall()])
