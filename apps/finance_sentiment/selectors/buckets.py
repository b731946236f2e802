"""The stored counts themselves, for those who take them elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from apps.finance_sentiment.models import TimeBucket


@dataclass(frozen=True, slots=True)
class BucketQuery:
    """Which counts are asked for; what is None does not matter. `width` is one of the stored ones, in seconds."""

    width: int = 3600
    kind: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def buckets_find(query: BucketQuery) -> QuerySet[TimeBucket]:
    """The stored buckets that fit; `until` is excluded from the range."""
    wanted = {
        "width": query.width,
        "kind": query.kind,
        "key": query.key,
        "start__gte": query.since,
        "start__lt": query.until,
    }
    return TimeBucket.objects.filter(
        **{name: value for name, value in wanted.items() if value is not None}
    )
