"""What the page Monitoring reads: traffic over time, late labels, drift windows, alarms."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet
from django.db.models.functions import Trunc
from django.utils import timezone

from rootstock.modelhub.models import (
    Alarm,
    Deployment,
    DriftBaseline,
    DriftRow,
    DriftWindow,
    ModelVersion,
    MonitorPolicy,
    Outcome,
    Role,
    TrafficBucket,
)
from rootstock.modelhub.monitoring.policy import effective_policy
from rootstock.modelhub.monitoring.rules import Facts, Labelled
from rootstock.modelhub.monitoring.tallies import Tally
from rootstock.modelhub.policies import Policy

# A chart has about so many points.
_POINTS = 150
_WIDTHS = (300, 900, 3600, 6 * 3600, 86_400)
WEEK = timedelta(days=7)


def monitor_policy_get(deployment: str) -> MonitorPolicy | None:
    """The stored policy of a deployment, or None when it has the defaults."""
    return MonitorPolicy.objects.filter(deployment=deployment).first()


def monitor_policy(deployment: str) -> Policy:
    """The policy in force, with every default filled in."""
    stored = monitor_policy_get(deployment)
    return effective_policy(stored.rules if stored else None)


def alarm_list(*, deployment: str | None = None, is_open: bool | None = None) -> QuerySet[Alarm]:
    """Alarms, the newest first; `deployment` is a name."""
    rows = Alarm.objects.select_related("deployment", "version").defer(
        "version__card", "version__metrics"
    )
    if deployment is not None:
        rows = rows.filter(deployment__name=deployment)
    if is_open is not None:
        rows = rows.filter(closed_at__isnull=is_open)
    return rows.order_by("-opened_at", "-id")


def drift_windows(
    deployment: Deployment, version_id: uuid.UUID | None = None
) -> QuerySet[DriftWindow]:
    """Judged windows, the newest first."""
    rows = DriftWindow.objects.filter(deployment=deployment)
    if version_id is not None:
        rows = rows.filter(version_id=version_id)
    return rows.select_related("version").defer("version__card", "version__metrics").order_by("-id")


def traffic(
    deployment: Deployment,
    *,
    since: datetime,
    until: datetime | None = None,
    version_id: uuid.UUID | None = None,
    role: str | None = None,
) -> QuerySet[TrafficBucket]:
    """The stored rows of stretches that begin in a range of time."""
    rows = TrafficBucket.objects.filter(deployment_id=deployment.pk, start__gte=since)
    if until is not None:
        rows = rows.filter(start__lt=until)
    if version_id is not None:
        rows = rows.filter(version_id=version_id)
    if role is not None:
        rows = rows.filter(role=role)
    return rows


def labelled(
    deployment: Deployment, version_id: uuid.UUID, *, since: datetime, shadow: bool = False
) -> Labelled:
    """How many of the answers that a version gave since then have a label now, and how many were right."""
    found = Outcome.objects.filter(
        deployment_id=deployment.pk, version_id=version_id, answered_at__gte=since, shadow=shadow
    ).aggregate(known=Count("id"), right=Count("id", filter=Q(answered=F("actual"))))
    return Labelled(found["known"], found["right"])


def facts_of(deployment: Deployment, minutes: float, *, with_before: bool) -> Facts:
    """What the rules of the deployed version look at, of the last minutes; on request with the week before."""
    now = timezone.now()
    since = now - timedelta(minutes=minutes)
    version = deployment.version_id
    stretch = since - timedelta(seconds=_WIDTHS[0])  # the stretch that holds the moment as well
    recent = traffic(deployment, since=stretch, version_id=version, role=Role.LIVE)
    before = traffic(
        deployment, since=since - WEEK, until=stretch, version_id=version, role=Role.LIVE
    )
    windows = drift_windows(deployment, version)[:20]
    return Facts(
        now=Tally.sum(recent),
        before=Tally.sum(before) if with_before else Tally(),
        labelled=labelled(deployment, version, since=since),
        drifts=[window.drifted for window in windows],
    )


def canary_facts(deployment: Deployment) -> Facts | None:
    """The canary beside the deployed version since it began; None without a canary."""
    if deployment.canary_id is None or deployment.canary_since is None:
        return None
    # Only the rows that were written since: the stretch in which it began has older ones of the deployed version.
    rows = traffic(deployment, since=deployment.canary_since - timedelta(hours=1)).filter(
        created_at__gte=deployment.canary_since
    )
    since = deployment.canary_since
    return Facts(
        now=Tally.sum(rows.filter(role=Role.CANARY, version_id=deployment.canary_id)),
        other=Tally.sum(rows.filter(role=Role.LIVE, version_id=deployment.version_id)),
        labelled=labelled(deployment, deployment.canary_id, since=since),
        other_labelled=labelled(deployment, deployment.version_id, since=since),
    )


@dataclass(frozen=True)
class Health:
    """A line of the list of deployments."""

    deployment: Deployment
    tally: Tally
    labelled: Labelled
    drift: DriftWindow | None
    alarms: list[Alarm]

    @property
    def state(self) -> str:
        """alarm, quiet (nothing asked) or healthy."""
        if self.alarms:
            return "alarm"
        return "healthy" if self.tally.asked else "quiet"


def health_list(deployments: Iterable[Deployment], since: datetime) -> list[Health]:
    """How the deployments do, in a range of time until now."""
    opened: dict[uuid.UUID, list[Alarm]] = {}
    for alarm in alarm_list(is_open=True):
        opened.setdefault(alarm.deployment_id, []).append(alarm)
    return [
        Health(
            deployment=each,
            tally=Tally.sum(traffic(each, since=since).exclude(role=Role.SHADOW)),
            labelled=labelled(each, each.version_id, since=timezone.now() - WEEK),
            drift=drift_windows(each, each.version_id).first(),
            alarms=opened.get(each.pk, []),
        )
        for each in deployments
    ]


@dataclass(frozen=True)
class DriftState:
    """How far the drift test of a deployment is."""

    baseline: DriftBaseline | None
    waiting: int


def drift_state(deployment: Deployment) -> DriftState:
    """The baseline of the deployed version, and how many texts wait in the present window."""
    return DriftState(
        DriftBaseline.objects.filter(deployment=deployment, version_id=deployment.version_id)
        .defer("reference")
        .first(),
        DriftRow.objects.filter(
            deployment_id=deployment.pk, version_id=deployment.version_id
        ).count(),
    )


def chart_width(start: datetime, end: datetime) -> int:
    """Seconds of a point of a chart over that time."""
    seconds = (end - start).total_seconds()
    return next((width for width in _WIDTHS if seconds / width <= _POINTS), _WIDTHS[-1])


def series(deployment: Deployment, start: datetime, end: datetime) -> dict[str, Any]:
    """Everything that the charts of a deployment show: points by version and role, drift, late labels."""
    width = chart_width(start, end)
    tallies: dict[tuple[uuid.UUID, str, int], Tally] = {}
    for row in traffic(deployment, since=start, until=end):
        at = int(row.start.timestamp()) // width * width
        tallies.setdefault((row.version_id, row.role, at), Tally()).merge(Tally.of(row))
    right = _labelled_by_day(deployment, start, end)
    lines: dict[tuple[uuid.UUID, str], list[dict[str, Any]]] = {}
    for (version_id, role, at), tally in sorted(tallies.items(), key=lambda item: item[0][2]):
        lines.setdefault((version_id, role), []).append(
            {"at": datetime.fromtimestamp(at, tz=start.tzinfo), **figures(tally)}
        )
    labels = _labels({version for version, _role in lines} | set(right))
    return {
        "start": start,
        "end": end,
        "width_seconds": width,
        "lines": [
            {
                "version": version_id,
                "label": labels.get(version_id, ""),
                "role": role,
                "points": points,
            }
            for (version_id, role), points in sorted(lines.items(), key=lambda item: item[0][1])
        ],
        "labelled": [
            {"version": version_id, "label": labels.get(version_id, ""), "points": points}
            for version_id, points in right.items()
        ],
        "drift": [
            {
                "at": window.ended_at,
                "drifted": window.drifted,
                "rows": window.rows,
                "version": window.version_id,
                "signals": window.signals,
            }
            for window in reversed(
                drift_windows(deployment).filter(ended_at__gte=start, ended_at__lt=end)[:300]
            )
        ],
    }


def figures(tally: Tally) -> dict[str, Any]:
    """The figures of a tally, by the names that the charts and the API have."""
    return {
        "answered": tally.answered,
        "failed": tally.failed,
        "confidence": _rounded(tally.confidence),
        "latency_p50": tally.latency(0.5),
        "latency_p95": tally.latency(0.95),
        "length_p50": tally.length(),
        "compared": tally.compared,
        "agreement": _rounded(tally.agreement),
        "labels": dict(tally.counts["label"]),
        "languages": dict(tally.counts["language"]),
        "confidences": [tally.counts["confidence"][str(place)] for place in range(20)],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _labelled_by_day(
    deployment: Deployment, start: datetime, end: datetime
) -> dict[uuid.UUID, list[dict[str, Any]]]:
    rows = (
        Outcome.objects.filter(
            deployment_id=deployment.pk, answered_at__gte=start, answered_at__lt=end
        )
        .annotate(day=Trunc("answered_at", "day"))
        .values("version_id", "day")
        .annotate(known=Count("id"), right=Count("id", filter=Q(answered=F("actual"))))
        .order_by("version_id", "day")
    )
    found: dict[uuid.UUID, list[dict[str, Any]]] = {}
    for row in rows:
        point = {"at": row["day"], "known": row["known"], "right": row["right"]}
        found.setdefault(row["version_id"], []).append(point)
    return found


def _labels(versions: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = ModelVersion.objects.filter(pk__in=versions).only("name", "number")
    return {version.pk: version.label for version in rows}
