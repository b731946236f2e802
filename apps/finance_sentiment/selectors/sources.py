"""Sources with their health: is everything arriving?"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count, Q, QuerySet

from apps.finance_sentiment.models import RefusedItem, Source, SourcePolling

# A polled source is late when it was not read for this many of its intervals.
LATE_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Flow:
    """What a source sent: in the last day and 30 days, its latest, and the usual delay behind publication."""

    documents: int
    last_day: int
    unscored: int
    last_published_at: datetime | None
    last_received_at: datetime | None
    # seconds, the median of the last day's dated documents
    lag: float | None


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source as a line of the table. `state`: ok, fault, late, waiting, off or quiet."""

    source: Source
    polling: SourcePolling | None
    flow: Flow
    state: str
    refused: int


NOTHING = Flow(0, 0, 0, None, None, None)


def sources_find(
    *, kind: str | None = None, group: str | None = None, q: str = ""
) -> QuerySet[Source]:
    """Sources that were not taken away, by name."""
    found = Source.objects.filter(archived_at=None).select_related("polling")
    if kind:
        found = found.filter(kind=kind)
    if group is not None:
        found = found.filter(source_group=group)
    if q:
        found = found.filter(Q(name__icontains=q) | Q(url__icontains=q))
    return found.order_by("name", "id")


def source_groups() -> list[str]:
    """The groups that sources are in."""
    rows = Source.objects.filter(archived_at=None).exclude(source_group="")
    return sorted(rows.values_list("source_group", flat=True).distinct())


def source_lines(*, sources: list[Source], now: datetime) -> list[SourceLine]:
    """These sources with their health, those that need somebody first."""
    flows = _flows([source.pk for source in sources], now)
    refused = dict(
        RefusedItem.objects.filter(source__in=sources, state=RefusedItem.State.OPEN)
        .values_list("source_id")
        .annotate(count=Count("id"))
    )
    lines = [
        SourceLine(
            source=source,
            polling=polling_of(source),
            flow=flows.get(source.pk, NOTHING),
            state=source_state(source, now=now),
            refused=refused.get(source.pk, 0),
        )
        for source in sources
    ]
    order = {"fault": 0, "late": 1}
    return sorted(lines, key=lambda line: (order.get(line.state, 2), line.source.name.lower()))


def polling_of(source: Source) -> SourcePolling | None:
    """How polling of it stands; None for one that is not polled."""
    return getattr(source, "polling", None) if source.is_polled else None


def source_state(source: Source, *, now: datetime) -> str:
    """One word for the health of a source."""
    polling = polling_of(source)
    if not source.enabled:
        return "off"
    if polling is None:
        return "ok"
    if polling.fault:
        return "fault"
    if polling.polled_at is None:
        return "waiting"
    late = timedelta(seconds=source.interval_seconds * LATE_INTERVALS)
    return "late" if now - polling.polled_at > late else "ok"


def sources_at_fault(*, now: datetime) -> int:
    """How many sources bring nothing at the moment."""
    return SourcePolling.objects.filter(
        source__archived_at=None, source__enabled=True, failures__gt=0
    ).count()


_FLOWS = """
    SELECT wanted.id, thirty.documents, thirty.unscored, thirty.last_published_at,
           thirty.last_received_at, day.documents, day.lag
    FROM unnest(%(ids)s::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS documents, count(*) FILTER (WHERE status = 'unscored') AS unscored,
               max(published_at) AS last_published_at, max(received_at) AS last_received_at
        FROM finance_sentiment_document
        WHERE source_ref_id = wanted.id AND received_at > %(now)s - interval '30 days'
    ) thirty
    CROSS JOIN LATERAL (
        SELECT count(*) AS documents,
               percentile_cont(0.5) WITHIN GROUP (
                   ORDER BY extract(epoch FROM received_at - published_at)
               ) FILTER (WHERE NOT is_undated) AS lag
        FROM finance_sentiment_document
        WHERE source_ref_id = wanted.id AND received_at > %(now)s - interval '1 day'
    ) day
"""


def _flows(ids: list[uuid.UUID], now: datetime) -> dict[uuid.UUID, Flow]:
    with connection.cursor() as cursor:
        cursor.execute(_FLOWS, {"ids": ids, "now": now})
        rows = cursor.fetchall()
    return {
        row_id: Flow(
            documents=documents,
            last_day=last_day,
            unscored=unscored,
            last_published_at=published,
            last_received_at=received,
            lag=None if lag is None else max(0.0, float(lag)),
        )
        for row_id, documents, unscored, published, received, last_day, lag in rows
    }


def refused_find(
    *, source: Source | None = None, state: str | None = None
) -> QuerySet[RefusedItem]:
    """Dead letters, the latest first."""
    found = RefusedItem.objects.select_related("source")
    if source is not None:
        found = found.filter(source=source)
    if state:
        found = found.filter(state=state)
    return found.order_by("-last_at", "-id")
