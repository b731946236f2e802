"""Alarms of deployments: opened when a rule is broken, closed when it holds again, told to pages and webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.modelhub.errors import Conflict, ModelhubError
from rootstock.modelhub.models import Alarm, Deployment, DriftBaseline, MonitorPolicy
from rootstock.modelhub.monitoring.policy import policy_check
from rootstock.modelhub.monitoring.rules import RULES, Finding, rule_get
from rootstock.modelhub.monitoring_selectors import facts_of, monitor_policy
from rootstock.modelhub.services.events import STREAM, record
from rootstock.modelhub.services.locks import lock_name
from rootstock.modelhub.services.names import check_model_name
from rootstock.realtime.services import event_append
from rootstock.webhooks.services import webhook_emit

OPENED, CLOSED = "models.alarm.opened", "models.alarm.closed"


def alarms_evaluate(*, deployment: Deployment) -> list[Alarm]:
    """Ask every rule of a deployment; returns the alarms that opened or closed.

    While there is too little to say an open alarm stays; that of a version which serves no longer is over, and so is
    that of a rule which is switched off.
    """
    lock_name("alarms", deployment.name)
    policy = monitor_policy(deployment.name)
    opened = {
        alarm.rule: alarm
        for alarm in Alarm.objects.filter(deployment=deployment, closed_at__isnull=True)
    }
    changed = []
    for rule in RULES:
        if rule.of_canary:
            continue
        alarm, asked = opened.get(rule.key), policy[rule.key]
        limits = asked["limits"]
        finding = (
            rule.judge(
                limits,
                facts_of(deployment, limits.get("minutes", 0.0), with_before=rule.against_before),
            )
            if asked["enabled"]
            else None
        )
        if alarm is not None and (
            not asked["enabled"] or alarm.version_id != deployment.version_id
        ):
            changed.append(_close(alarm, finding))
            alarm = None
        if finding is None:
            continue
        if alarm is None and finding.broken:
            changed.append(_open(deployment, rule.key, finding))
        elif alarm is not None and not finding.broken:
            changed.append(_close(alarm, finding))
        elif alarm is not None:
            _follow(alarm, finding)
    return changed


def alarm_acknowledge(*, alarm: Alarm, actor: Actor) -> Alarm:
    """Somebody has seen it: it asks for attention no longer, and stays open until its rule holds again.

    Raises:
        Conflict: it is over.
    """
    locked = Alarm.objects.select_for_update(of=("self",)).get(pk=alarm.pk)
    if not locked.is_open:
        raise Conflict("alarm-closed", _("This alarm is over."))
    locked.acknowledged_at, locked.acknowledged_by = timezone.now(), actor.label[:200]
    locked.save()
    audit_record(
        actor=actor,
        action="models.alarm.acknowledge",
        target=f"{locked.deployment.name}: {locked.rule}",
        target_id=str(locked.pk),
    )
    event_append(stream=STREAM, type="alarm.acknowledged", payload=alarm_payload(locked))
    return locked


def monitor_policy_update(
    *, deployment: str, rules: Mapping[str, Any], actor: Actor, drift_source: str | None = None
) -> MonitorPolicy:
    """Set the alarm rules and guardrails of a deployment; what is left out gets its default.

    `drift_source` says what texts are compared with; None leaves it as it is.

    Raises:
        ModelhubError: that names the rule and the limit.
    """
    name = check_model_name(deployment, place="deployment")
    kept = policy_check(rules)
    if drift_source is not None and drift_source not in DriftBaseline.Source.values:
        problem = _("It is “live” or “snapshot”.")
        raise ModelhubError(
            "invalid", problem, errors=[{"pointer": "/drift_source", "detail": problem}]
        )
    lock_name("monitor-policy", name)
    row = MonitorPolicy.objects.filter(deployment=name).first() or MonitorPolicy(deployment=name)
    before = [row.rules, row.drift_source]
    row.rules, row.drift_source = kept, drift_source or row.drift_source
    row.save()
    if row.drift_source != before[1]:
        # The next look makes one of the other texts.
        DriftBaseline.objects.filter(deployment__name=name).delete()
    if [row.rules, row.drift_source] != before:
        record(
            actor=actor,
            action="models.monitor-policy.update",
            target=name,
            target_id=row.pk,
            changes={
                "rules": [before[0], row.rules],
                "drift_source": [before[1], row.drift_source],
            },
            event={"deployment": name},
        )
    return row


def alarm_payload(alarm: Alarm) -> dict[str, Any]:
    """An alarm as events and webhooks tell it; `detail` is English."""
    rule = rule_get(alarm.rule)
    return {
        "id": str(alarm.pk),
        "deployment": alarm.deployment.name,
        "version": str(alarm.version_id),
        "rule": alarm.rule,
        "detail": rule.says % rule.amounts(alarm.latest) if rule and alarm.latest else "",
        "opened_at": alarm.opened_at.isoformat(),
        "closed_at": alarm.closed_at.isoformat() if alarm.closed_at else None,
        "figures": alarm.latest,
    }


def _open(deployment: Deployment, rule: str, finding: Finding) -> Alarm:
    found = finding.to_dict()
    alarm = Alarm.objects.create(
        deployment=deployment,
        version=deployment.version,
        rule=rule,
        opened_at=timezone.now(),
        opening=found,
        worst=found,
        latest=found,
    )
    _tell(alarm, OPENED)
    return alarm


def _follow(alarm: Alarm, finding: Finding) -> None:
    found = finding.to_dict()
    worse = abs(found["value"] - found["limit"]) > abs(alarm.worst["value"] - alarm.worst["limit"])
    if found != alarm.latest or worse:
        alarm.latest = found
        alarm.worst = found if worse else alarm.worst
        alarm.save()


def _close(alarm: Alarm, finding: Finding | None) -> Alarm:
    alarm.closed_at = timezone.now()
    if finding is not None:
        alarm.latest = finding.to_dict()
    alarm.save()
    _tell(alarm, CLOSED)
    return alarm


def _tell(alarm: Alarm, event: str) -> None:
    payload = alarm_payload(alarm)
    webhook_emit(event, payload)
    event_append(stream=STREAM, type=event.removeprefix("models."), payload=payload)
