"""Opening, following, acknowledging and resolving alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.finance_sentiment.inference import Verdict
from apps.finance_sentiment.models import Alert, AlertEntry, Rule, Subject
from apps.finance_sentiment.selectors.alerts import (
    alert_payload,
    alert_stories_find,
    story_facts,
    subject_label,
)
from apps.finance_sentiment.selectors.signals import models_of_stories
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.realtime.services import event_append_many
from rootstock.webhooks.services import webhook_emit

STREAMS = ("finance.live", "finance.alerts")
STORIES_KEPT = 20
SERIES_KEPT = 500


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
    _log(alert, AlertEntry.Kind.OPENED, at=alert.opened_at, actor=SYSTEM)
    return Change("opened", alert)


def alert_follow(*, alert: Alert, verdict: Verdict) -> Change | None:
    """Take a later verdict into an alert that goes on; None when it was taken before."""
    if verdict.start <= alert.last_seen_at:
        return None
    _take(alert, verdict)
    alert.save()
    return Change("updated", alert)


def alert_resolve(*, alert: Alert, at: datetime, verdict: Verdict | None = None) -> Change:
    """The surge is over."""
    if verdict is not None:
        _take(alert, verdict)
    alert.state = Alert.State.RESOLVED
    alert.resolved_at = at
    alert.save()
    _log(alert, AlertEntry.Kind.RESOLVED, at=at, actor=SYSTEM)
    return Change("resolved", alert)


def alert_reopen(*, alert: Alert, verdict: Verdict) -> Change:
    """Late documents show that it was not over."""
    alert.state = Alert.State.ACKNOWLEDGED if alert.acknowledged_at else Alert.State.OPEN
    alert.resolved_at = None
    _take(alert, verdict)
    alert.save()
    _log(alert, AlertEntry.Kind.REOPENED, at=verdict.start, actor=SYSTEM)
    return Change("updated", alert)


def alert_acknowledge(*, alert: Alert, actor: Actor, comment: str = "") -> Alert:
    """Somebody has it. A second acknowledgement takes it over.

    Raises:
        NotOpen: it is resolved.
    """
    if alert.state == Alert.State.RESOLVED:
        raise NotOpen
    alert.state = Alert.State.ACKNOWLEDGED
    alert.acknowledged_at = timezone.now()
    alert.acknowledged_by = actor.label[:200]
    alert.comment = comment
    alert.save()
    _log(
        alert,
        AlertEntry.Kind.ACKNOWLEDGED,
        at=alert.acknowledged_at,
        actor=actor,
        comment=comment,
    )
    audit_record(
        actor=actor,
        action="finance.alert.acknowledge",
        target=f"alert {subject_label(alert.subject)}",
        target_id=str(alert.pk),
        changes={"comment": comment} if comment else None,
    )
    changes_announce(changes=[Change("updated", alert)])
    return alert


def changes_announce(*, changes: Sequence[Change]) -> None:
    """Tell open pages, and for what opens or ends also webhooks. The last thing of a transaction."""
    if not changes:
        return
    payloads = [(f"alert.{change.kind}", alert_payload(change.alert)) for change in changes]
    for change, (_type, payload) in zip(changes, payloads, strict=True):
        if change.kind in ("opened", "resolved"):
            webhook_emit(f"finance.alert.{change.kind}", payload)
    for stream in STREAMS:
        event_append_many(stream, payloads)


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


def _log(
    alert: Alert, kind: AlertEntry.Kind, *, at: datetime, actor: Actor, comment: str = ""
) -> None:
    AlertEntry.objects.create(
        alert=alert,
        kind=kind,
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
        comment=comment,
    )


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
