"""Counting the past of a portfolio again when its members have changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import Portfolio
from apps.finance_sentiment.services.buckets import WIDTHS, buckets_recount
from apps.finance_sentiment.services.scoring import detection_request
from apps.finance_sentiment.services.stories import stories_lock
from rootstock.common.actors import Actor
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create

KIND: Final = "finance.portfolio"
# Documents are not counted while a part of the past is: so many moments at once.
CHUNK: Final = 1000

# Where the narrowest buckets have counted it, and where they should: when members are named, and where a story that
# names one began.
_MOMENTS = """
    WITH told AS (
        SELECT document.published_at, document.story_id
        FROM finance_sentiment_holding holding
        JOIN finance_sentiment_mention mention ON mention.entity_id = holding.entity_id AND mention.state = 'linked'
        JOIN finance_sentiment_document document ON document.id = mention.document_id
        WHERE holding.portfolio_id = %(portfolio)s
    )
    SELECT DISTINCT floor(extract(epoch FROM at) / %(width)s)::bigint * %(width)s FROM (
        SELECT published_at AS at FROM told
        UNION ALL
        SELECT story.first_seen_at FROM told JOIN finance_sentiment_story story ON story.id = told.story_id
        UNION ALL
        SELECT start FROM finance_sentiment_timebucket
        WHERE width = %(width)s AND kind = 'portfolio' AND key = %(key)s
    ) moments ORDER BY 1
"""


def recount_start(*, portfolio: Portfolio, actor: Actor) -> Job:
    """Start the job; one that waits for the same portfolio does it too."""
    return _waiting(portfolio.pk) or job_create(
        KIND,
        title=_("Count “%(name)s” anew") % {"name": portfolio.name},
        params={"portfolio": str(portfolio.pk)},
        actor=actor,
        queue="ingest",
    )


def portfolio_moments(*, portfolio: uuid.UUID) -> list[datetime]:
    """The starts of the narrowest buckets that have to be counted again, in order; a moment each."""
    with connection.cursor() as cursor:
        cursor.execute(
            _MOMENTS, {"portfolio": portfolio, "key": str(portfolio), "width": WIDTHS[0]}
        )
        return [datetime.fromtimestamp(row[0], UTC) for row in cursor.fetchall()]


def portfolio_recount(*, portfolio: uuid.UUID, moments: Sequence[datetime]) -> None:
    """Count it again around these moments. Call in one transaction a chunk."""
    stories_lock()
    buckets_recount(moments=moments, portfolio=portfolio)


def portfolio_counted(*, portfolio: uuid.UUID) -> None:
    """Its past is counted, unless its members have changed again; its rules go on."""
    if _waiting(portfolio) is None:
        Portfolio.objects.filter(pk=portfolio).update(counted_at=timezone.now())
        detection_request()


def _waiting(portfolio: uuid.UUID) -> Job | None:
    waiting = Job.objects.filter(kind=KIND, state=Job.State.QUEUED)
    return waiting.filter(params__portfolio=str(portfolio)).first()
