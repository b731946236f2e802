"""Live traffic of deployments, added up where predictions are logged."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Count
from django.utils import timezone

from rootstock.modelhub.models import Role, TrafficBucket
from rootstock.modelhub.monitoring.tallies import Tally
from rootstock.modelhub.services.locks import lock_name

WIDTH = 300
# Older than this, stretches are hours.
FINE = timedelta(days=2)
COARSE_WIDTH = 3600
KEPT = timedelta(days=365)

# Who answered, as what.
Key = tuple[uuid.UUID, str]


def stretch_start(moment: datetime, width: int = WIDTH) -> datetime:
    """Where the stretch that holds the moment begins."""
    seconds = int(moment.timestamp())
    return datetime.fromtimestamp(seconds - seconds % width, tz=moment.tzinfo)


def traffic_add(*, deployment_id: uuid.UUID, tallies: Mapping[Key, Tally]) -> None:
    """Add what versions of a deployment have just answered, by (version, role). One statement; nobody waits."""
    start = stretch_start(timezone.now())
    TrafficBucket.objects.bulk_create(
        TrafficBucket(
            deployment_id=deployment_id,
            version_id=version_id,
            role=role,
            start=start,
            width=WIDTH,
            **tally.columns(),
        )
        for (version_id, role), tally in tallies.items()
        if tally.asked
    )


def predictions_failed(*, deployment_id: uuid.UUID, version_id: uuid.UUID, count: int) -> None:
    """Note that `count` texts got no answer from a version: call it where the failure is handled, inside the scope.

    A text that is asked again later and fails again counts again.
    """
    traffic_add(deployment_id=deployment_id, tallies={(version_id, Role.LIVE): Tally(failed=count)})


def traffic_compact() -> int:
    """Add up the rows of each stretch; those older than two days become hours. Returns how many rows are gone."""
    lock_name("traffic", "compact")
    now = timezone.now()
    gone, _by_model = TrafficBucket.objects.filter(start__lt=now - KEPT).delete()
    old = TrafficBucket.objects.filter(width=WIDTH, start__lt=stretch_start(now, 86_400) - FINE)
    return (
        gone
        + _join(list(old), COARSE_WIDTH)
        + _join(_parts(), WIDTH)
        + _join(_parts(COARSE_WIDTH), COARSE_WIDTH)
    )


def _parts(width: int = WIDTH) -> list[TrafficBucket]:
    """The rows of the stretches that have more than one."""
    key = ("deployment_id", "version_id", "role", "start")
    several = (
        TrafficBucket.objects.filter(width=width)
        .order_by()
        .values(*key)
        .annotate(rows=Count("id"))
        .filter(rows__gt=1)
    )
    found: list[TrafficBucket] = []
    for stretch in several:
        found += TrafficBucket.objects.filter(width=width, **{name: stretch[name] for name in key})
    return found


def _join(rows: list[TrafficBucket], width: int) -> int:
    """Replace rows by one a stretch of `width`; returns by how many there are fewer."""
    stretches: dict[tuple[uuid.UUID, uuid.UUID, str, datetime], list[TrafficBucket]] = defaultdict(
        list
    )
    for row in rows:
        start = stretch_start(row.start, width)
        stretches[row.deployment_id, row.version_id, row.role, start].append(row)
    TrafficBucket.objects.bulk_create(
        TrafficBucket(
            deployment_id=deployment_id,
            version_id=version_id,
            role=role,
            start=start,
            width=width,
            **Tally.sum(parts).columns(),
        )
        for (deployment_id, version_id, role, start), parts in stretches.items()
    )
    TrafficBucket.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows) - len(stretches)
