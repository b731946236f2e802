"""From alerts to notifications: groups, and the steps of their chains.

All of it happens in transactions of the database, and what is to happen later is an outbox message: a worker that dies
leaves nothing half done, and the token of each notification keeps a step from telling anybody twice.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.finance_sentiment.models import (
    Alert,
    AlertEntry,
    AlertGroup,
    AlertRoute,
    EscalationStep,
    Notification,
)
from apps.finance_sentiment.selectors.alerting import routes_in_order
from apps.finance_sentiment.services.alerting.log import entries_write
from apps.finance_sentiment.services.alerting.matching import matcher_of
from apps.finance_sentiment.services.alerting.muting import mutes_refresh
from apps.finance_sentiment.services.alerting.notifying import (
    Target,
    notifications_make,
    targets_of_channel,
    targets_of_people,
    targets_of_role,
    targets_told,
)
from rootstock.outbox.services import outbox_write

TOPIC = "finance.escalate"
# How soon it is looked again whether a score has grown.
RECHECK = timedelta(seconds=60)


def alerts_route(alerts: Iterable[Alert]) -> list[Alert]:
    """Put alerts that are new, or open again, into groups, and wake the groups that something happened to.

    Returns alerts that became muted or are no longer so.
    """
    changed = mutes_refresh()
    groups: set[uuid.UUID] = set()
    routes: list[AlertRoute] | None = None
    for alert in [*alerts, *changed]:
        alert.refresh_from_db(fields=["group", "muted", "muted_by"])
        if alert.state == Alert.State.OPEN and not _is_grouped(alert):
            routes = routes_in_order() if routes is None else routes
            _join(alert, routes)
        if alert.group_id is not None:
            groups.add(alert.group_id)
    for group in AlertGroup.objects.filter(pk__in=groups, state=AlertGroup.State.ACTIVE):
        group_wake(group)
    return changed


def group_wake(group: AlertGroup, *, at: datetime | None = None) -> None:
    """Have a group looked at, now or at a time."""
    outbox_write(TOPIC, {"group_id": str(group.pk)}, available_at=at, coalesce_key=str(group.pk))


def group_run(group_id: uuid.UUID | str, *, now: datetime | None = None) -> None:
    """Do what is due for a group, and ask to be called again for the rest."""
    now = now or timezone.now()
    group = (
        AlertGroup.objects.select_for_update(of=("self",))
        .filter(pk=group_id, state=AlertGroup.State.ACTIVE)
        .first()
    )
    if group is None:
        return
    alerts = list(group.alerts.exclude(state=Alert.State.RESOLVED).order_by("id"))
    if not alerts:
        _end(group)
        return
    wanting = [alert for alert in alerts if alert.state == Alert.State.OPEN and not alert.muted]
    if not wanting:
        return
    times = [_tell_of_new(group, wanting, now)]
    if group.next_at is not None and group.next_at <= now:
        _advance(group, wanting, now)
    group.save()
    if pending := [at for at in (*times, group.next_at) if at is not None]:
        group_wake(group, at=min(pending))


def _is_grouped(alert: Alert) -> bool:
    return alert.group is not None and alert.group.state == AlertGroup.State.ACTIVE


def _join(alert: Alert, routes: Sequence[AlertRoute]) -> None:
    route = next((route for route in routes if matcher_of(route.matcher).matches(alert)), None)
    if route is None:
        return
    alert.group, _created = AlertGroup.objects.get_or_create(
        fingerprint=_fingerprint(route, alert),
        state=AlertGroup.State.ACTIVE,
        defaults={
            "route": route,
            "chain": route.chain,
            "next_at": timezone.now() + timedelta(seconds=route.group_wait_seconds),
        },
    )
    alert.save(update_fields=["group", "updated_at"])


def _fingerprint(route: AlertRoute, alert: Alert) -> str:
    """The same for alerts of one group."""
    values: dict[str, Any] = {
        AlertRoute.GroupBy.RULE: str(alert.rule_id),
        AlertRoute.GroupBy.KIND: alert.kind,
        AlertRoute.GroupBy.SUBJECT: [alert.kind, alert.key],
        AlertRoute.GroupBy.THREAD: _thread(alert),
    }
    chosen = {name: values[AlertRoute.GroupBy(name)] for name in sorted(route.group_by)}
    text = json.dumps([str(route.pk), chosen], sort_keys=True)
    return hashlib.blake2s(text.encode(), digest_size=24).hexdigest()


def _thread(alert: Alert) -> str:
    """The event that most of its documents tell of: the thread of its first story, or the story itself."""
    stories = alert.evidence.get("stories", [])
    return str(stories[0].get("thread") or stories[0]["id"]) if stories else str(alert.pk)


# --- steps -----------------------------------------------------------------------------------------


def _advance(group: AlertGroup, wanting: Sequence[Alert], now: datetime) -> None:
    """Do the steps that are due, up to one that waits or to the end."""
    steps = list(group.chain.steps.order_by("position")) if group.chain else []
    group.next_at = None
    while group.step < len(steps):
        step = steps[group.step]
        if step.kind == EscalationStep.Kind.ONLY_IF and not _is_over(step, wanting):
            group.next_at = now + RECHECK
            return
        group.step += 1
        if step.kind == EscalationStep.Kind.WAIT:
            group.next_at = now + timedelta(seconds=step.wait_seconds)
            return
        if step.kind == EscalationStep.Kind.REPEAT:
            if group.round < step.times:
                group.round += 1
                group.step = 0
            continue
        _tell(group, step, wanting, now)
    if steps:
        entries_write(wanting, AlertEntry.Kind.CHAIN_ENDED)


def _is_over(step: EscalationStep, alerts: Sequence[Alert]) -> bool:
    return max(alert.peak_score for alert in alerts) >= (step.score or 0)


def _tell(group: AlertGroup, step: EscalationStep, alerts: Sequence[Alert], now: datetime) -> None:
    targets = _targets(step)
    if not targets:
        entries_write(
            alerts,
            AlertEntry.Kind.STEP_SKIPPED,
            details={"kind": step.kind, "position": step.position, "role": step.role},
        )
        return
    notifications_make(
        targets=targets,
        alerts=alerts,
        reason=Notification.Reason.FIRING,
        token=f"{group.pk}:{group.round}:{step.pk}",
        group=group,
        now=now,
    )
    group.told = list(dict.fromkeys([*group.told, *(alert.pk for alert in alerts)]))


def _targets(step: EscalationStep) -> list[Target]:
    if step.kind == EscalationStep.Kind.CHANNEL:
        return targets_of_channel(step.channel)
    if step.kind == EscalationStep.Kind.ROLE:
        return targets_of_role(step.role)
    return targets_of_people([step.user_id] if step.user_id else [])


def _tell_of_new(group: AlertGroup, wanting: Sequence[Alert], now: datetime) -> datetime | None:
    """Tell those who know of the group what has joined it; returns when there is more to tell."""
    new = [alert for alert in wanting if alert.pk not in group.told]
    if not group.told or not new:
        return None
    seconds = group.route.group_wait_seconds if group.route else 0
    due = max(alert.created_at for alert in new) + timedelta(seconds=seconds)
    if due > now:
        return due
    digest = hashlib.blake2s(" ".join(sorted(str(alert.pk) for alert in new)).encode())
    notifications_make(
        targets=targets_told(group),
        alerts=new,
        reason=Notification.Reason.FIRING,
        token=f"{group.pk}:new:{digest.hexdigest()[:24]}",
        group=group,
        now=now,
    )
    group.told = [*group.told, *(alert.pk for alert in new)]
    return None


def _end(group: AlertGroup) -> None:
    """Nothing of the group goes on: whoever was told of it is told that it is over."""
    group.state = AlertGroup.State.ENDED
    group.next_at = None
    group.save()
    told = list(group.alerts.filter(pk__in=group.told).order_by("id"))
    if told:
        notifications_make(
            targets=[target for target in targets_told(group) if target.tells_end],
            alerts=told,
            reason=Notification.Reason.RESOLVED,
            token=f"{group.pk}:end",
            group=group,
        )
