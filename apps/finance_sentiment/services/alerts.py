"""Opening, following, acknowledging, assigning and resolving alerts.

The detector opens, follows, resolves and reopens; people acknowledge, assign, comment and end. Each writes only its own
columns: both may change an alert at the same time.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.inference import Verdict
from apps.finance_sentiment.models import Alert, AlertEntry, Notification, Rule, Silence, Subject
from apps.finance_sentiment.selectors.alerts import (
    alert_payload,
    alert_stories_find,
    story_facts,
    subject_label,
)
from apps.finance_sentiment.selectors.signals import models_of_stories
from apps.finance_sentiment.services.alerting.escalation import alerts_route
from apps.finance_sentiment.services.alerting.log import entry_write
from apps.finance_sentiment.services.alerting.notifying import (
    notifications_make,
    targets_of_people,
)
from apps.finance_sentiment.services.alerting.silences import silence_create, silence_end
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import invalid
from rootstock.realtime.services import event_append_many
from rootstock.tenancy.models import Membership
from rootstock.webhooks.services import webhook_emit

STREAMS = ("finance.live", "finance.alerts")
STORIES_KEPT = 20
SERIES_KEPT = 500
_FIGURES = ["last_seen_at", "peak_negative", "peak_score", "evidence", "updated_at"]


class NotOpen(ValueError):
    """Only an alert that goes on can be acknowledged."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an alert, to be told once all is written."""

    kind: str
    alert: Alert


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    """The numbers of a verdict as JSON."""
    return {
        "start": verdict.start.isoformat(),
        "phase": verdict.phase.value,
        "reason": verdict.reason.value,
        "observed": verdict.observed,
        "expected": round(verdict.expected, 3),
        "total": verdict.total,
        "share": round(verdict.share, 4),
        "baseline_share": round(verdict.baseline_share, 4),
        "score": round(verdict.score, 3),
        "window_start": verdict.window_start.isoformat(),
        "window_end": verdict.window_end.isoformat(),
    }


def alert_open(
    *,
    rule: Rule | None,
    subject: Subject,
    verdict: Verdict,
    before: Sequence[Verdict],
    figures: Mapping[str, Any] | None = None,
) -> Change:
    """A new alert of `rule` for `subject`, raised by `verdict`.

    Args:
        before: the verdicts that led to it. figures: those of the rule as it is now; the evidence keeps them.
    """
    alert = Alert(
        rule=rule,
        rule_name=rule.name if rule else "",
        kind=subject.kind,
        key=subject.key,
        opened_at=verdict.since or verdict.start,
        last_seen_at=verdict.start,
        evidence={
            "opening": verdict_facts(verdict),
            "series": [verdict_facts(earlier) for earlier in before],
            "rule": {**(figures or {}), "id": str(rule.pk) if rule else None},
        },
    )
    _take(alert, verdict)
    alert.save()
    entry_write(alert, AlertEntry.Kind.OPENED, at=alert.opened_at)
    return Change("opened", alert)


def alert_follow(*, alert: Alert, verdict: Verdict) -> Change | None:
    """Take a later verdict into an alert that goes on; None when it was taken before."""
    if verdict.start <= alert.last_seen_at:
        return None
    _take(alert, verdict)
    alert.save(update_fields=_FIGURES)
    return Change("updated", alert)


def alert_resolve(*, alert: Alert, at: datetime, verdict: Verdict | None = None) -> Change:
    """The surge is over."""
    if verdict is not None:
        _take(alert, verdict)
    alert.state = Alert.State.RESOLVED
    alert.resolved_at = at
    alert.save(update_fields=[*_FIGURES, "state", "resolved_at"])
    entry_write(alert, AlertEntry.Kind.RESOLVED, at=at)
    return Change("resolved", alert)


def alert_reopen(*, alert: Alert, verdict: Verdict) -> Change:
    """Late documents show that it was not over. What a person has ended stays so until the next surge."""
    if alert.resolved_by:
        return Change("kept", alert)
    alert.state = Alert.State.ACKNOWLEDGED if alert.acknowledged_at else Alert.State.OPEN
    alert.resolved_at = None
    # Those who were told that it was over are told again.
    alert.group = None
    _take(alert, verdict)
    alert.save(update_fields=[*_FIGURES, "state", "resolved_at", "group"])
    entry_write(alert, AlertEntry.Kind.REOPENED, at=verdict.start)
    return Change("updated", alert)


def alert_acknowledge(*, alert: Alert, actor: Actor, comment: str = "") -> Alert:
    """Somebody has it: its chain goes no further. A second acknowledgement takes it over.

    Raises:
        NotOpen: it is resolved.
    """
    if alert.state == Alert.State.RESOLVED:
        raise NotOpen
    alert.state = Alert.State.ACKNOWLEDGED
    alert.acknowledged_at = timezone.now()
    alert.acknowledged_by = actor.label[:200]
    alert.comment = comment
    alert.save(
        update_fields=["state", "acknowledged_at", "acknowledged_by", "comment", "updated_at"]
    )
    entry_write(
        alert,
        AlertEntry.Kind.ACKNOWLEDGED,
        at=alert.acknowledged_at,
        actor=actor,
        comment=comment,
    )
    _record(alert, "acknowledge", actor, {"comment": comment} if comment else None)
    changes_announce(changes=[Change("updated", alert)])
    return alert


def alert_assign(
    *, alert: Alert, user_id: uuid.UUID | None, actor: Actor, comment: str = ""
) -> Alert:
    """Give it to a member, who is told; None takes it from whoever has it.

    Raises:
        NotOpen: it is resolved.
        Problem: 422, not a member.
    """
    if alert.state == Alert.State.RESOLVED:
        raise NotOpen
    member = None
    if user_id is not None:
        member = Membership.objects.filter(user_id=user_id).select_related("user").first()
    if user_id is not None and member is None:
        raise invalid("/user", _("Nobody of the organisation is meant."))
    alert.assigned_to = member.user if member else None
    alert.save(update_fields=["assigned_to", "updated_at"])
    name = str(member.user) if member else ""
    entry = entry_write(
        alert, AlertEntry.Kind.ASSIGNED, actor=actor, comment=comment, details={"to": name}
    )
    _record(alert, "assign", actor, {"to": name})
    changes_announce(changes=[Change("updated", alert)])
    if member is not None and str(member.user_id) != actor.id:
        notifications_make(
            targets=targets_of_people([member.user_id]),
            alerts=[alert],
            reason=Notification.Reason.ASSIGNED,
            token=f"assigned:{entry.pk}",
            group=alert.group,
        )
    return alert


def alert_comment(*, alert: Alert, actor: Actor, comment: str) -> Alert:
    """Write a line into its log; also when it is over.

    Raises:
        Problem: 422 without a word.
    """
    if not comment.strip():
        raise invalid("/comment", _("Say something."))
    entry_write(alert, AlertEntry.Kind.COMMENTED, actor=actor, comment=comment)
    changes_announce(changes=[Change("updated", alert)])
    return alert


def alert_end(*, alert: Alert, actor: Actor, comment: str = "") -> Alert:
    """End it by hand. The surge that raised it does not raise it again; the next one does.

    Raises:
        NotOpen: it is resolved.
    """
    if alert.state == Alert.State.RESOLVED:
        raise NotOpen
    alert.state = Alert.State.RESOLVED
    alert.resolved_at = alert.last_seen_at
    alert.resolved_by = actor.label[:200]
    alert.save(update_fields=["state", "resolved_at", "resolved_by", "updated_at"])
    entry_write(alert, AlertEntry.Kind.RESOLVED, actor=actor, comment=comment)
    _record(alert, "resolve", actor, {"comment": comment} if comment else None)
    changes_announce(changes=[Change("resolved", alert)])
    return alert


def alerts_silence(
    *,
    actor: Actor,
    matcher: Mapping[str, Any],
    ends_at: datetime,
    reason: str,
    starts_at: datetime | None = None,
) -> Silence:
    """Add a silence; alerts that it means are muted at once.

    Raises:
        Problem: 422 that says what is wrong, and where.
    """
    silence = silence_create(
        actor=actor, matcher=matcher, ends_at=ends_at, reason=reason, starts_at=starts_at
    )
    mutes_announce()
    return silence


def alerts_unsilence(*, silence: Silence, actor: Actor) -> Silence:
    """End a silence now; alerts that it muted go on to be told of.

    Raises:
        Problem: 409 when it is over.
    """
    silence_end(silence=silence, actor=actor)
    mutes_announce()
    return silence


def mutes_announce() -> None:
    """Decide again what is muted, and tell open pages of what has changed."""
    _tell([("alert.updated", alert_payload(alert)) for alert in alerts_route([])])


def changes_announce(*, changes: Sequence[Change]) -> None:
    """Escalate what changed, tell open pages, and for what opens or ends also webhooks.

    It is the last thing of a transaction.
    """
    changes = [change for change in changes if change.kind != "kept"]
    if not changes:
        return
    # New figures of an alert that is in a group change nothing about who is told.
    routed = [c.alert for c in changes if c.kind != "updated" or c.alert.group_id is None]
    known = {change.alert.pk for change in changes}
    muted = alerts_route(routed) if routed else []
    others = [alert for alert in muted if alert.pk not in known]
    payloads = [(f"alert.{change.kind}", alert_payload(change.alert)) for change in changes]
    for change, (_type, payload) in zip(changes, payloads, strict=True):
        if change.kind in ("opened", "resolved"):
            webhook_emit(f"finance.alert.{change.kind}", payload)
    _tell([*payloads, *(("alert.updated", alert_payload(alert)) for alert in others)])


def _tell(events: Sequence[tuple[str, dict[str, Any]]]) -> None:
    for stream in STREAMS:
        event_append_many(stream, events)


def _record(alert: Alert, action: str, actor: Actor, changes: dict[str, Any] | None) -> None:
    audit_record(
        actor=actor,
        action=f"finance.alert.{action}",
        target=f"alert {subject_label(alert.subject)}",
        target_id=str(alert.pk),
        changes=changes,
    )


def _take(alert: Alert, verdict: Verdict) -> None:
    """Let the alert's figures and stories include a verdict."""
    facts = verdict_facts(verdict)
    alert.last_seen_at = max(alert.last_seen_at, verdict.start)
    alert.peak_negative = max(alert.peak_negative, verdict.observed)
    alert.peak_score = max(alert.peak_score, round(verdict.score, 3))
    series = {point["start"]: point for point in alert.evidence.get("series", [])}
    series[facts["start"]] = facts
    opening = datetime.fromisoformat(alert.evidence["opening"]["window_start"])
    stories = alert_stories_find(
        subject=alert.subject, start=opening, end=verdict.window_end, limit=STORIES_KEPT
    )
    known = alert.evidence.get("stories", [])
    alert.evidence = {
        **alert.evidence,
        "latest": facts,
        "series": [series[start] for start in sorted(series)][-SERIES_KEPT:],
        "stories": story_facts(stories) or known,
        "models": models_of_stories(stories) or alert.evidence.get("models", []),
    }


def alert_covering(
    *, rule: Rule | None, subject: Subject, moment: datetime, tolerance: timedelta
) -> Alert | None:
    """The resolved alert that a surge raised at `moment` belongs to, if it was noticed before."""
    return (
        Alert.objects.filter(
            rule=rule,
            kind=subject.kind,
            key=subject.key,
            state=Alert.State.RESOLVED,
            opened_at__lte=moment + tolerance,
            resolved_at__gte=moment,
        )
        .order_by("-opened_at")
        .first()
    )
