"""Which alerts nobody is told of: those a silence means, and those that are part of a wider alert."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from django.utils import timezone

from apps.finance_sentiment.models import Alert, AlertEntry, AlertPolicy, Silence, SubjectKind
from apps.finance_sentiment.services.alerting.log import entry_write
from apps.finance_sentiment.services.alerting.matching import matcher_of
from rootstock.outbox.services import outbox_write

TOPIC = "finance.mutes"
# The wider a kind of subject is, the higher.
WIDTH = {
    SubjectKind.ENTITY: 0,
    SubjectKind.TOPIC: 1,
    SubjectKind.SOURCE_GROUP: 1,
    SubjectKind.PORTFOLIO: 2,
    SubjectKind.ALL: 3,
}
# A narrower alert is part of a wider one when so much of its stories are among those of the wider one.
SHARED = 0.5
_Reason = tuple[str, uuid.UUID | None]
_HEARD: _Reason = ("", None)


def mutes_refresh(*, now: datetime | None = None) -> list[Alert]:
    """Decide for every alert that goes on whether it is muted; returns those that changed, the log has them."""
    now = now or timezone.now()
    alerts = list(Alert.objects.exclude(state=Alert.State.RESOLVED).order_by("pk"))
    silences = [
        (silence, matcher_of(silence.matcher))
        for silence in Silence.objects.filter(starts_at__lte=now, ends_at__gt=now).order_by("id")
    ]
    inhibits = policy_get().wider_silences_narrower
    changed = []
    for alert in alerts:
        reason = next(
            (
                (Alert.Muted.SILENCED.value, silence.pk)
                for silence, matcher in silences
                if matcher.matches(alert)
            ),
            _wider(alert, alerts) if inhibits else _HEARD,
        )
        if reason != (alert.muted, alert.muted_by) and _note(alert, reason):
            changed.append(alert)
    return changed


def mutes_request(at: datetime) -> None:
    """Have it decided again at a time: silences begin and end by the clock."""
    outbox_write(TOPIC, {}, available_at=at)


def policy_get() -> AlertPolicy:
    """The organisation's policy; the defaults while nobody has changed it."""
    return AlertPolicy.objects.first() or AlertPolicy()


def _wider(alert: Alert, others: Sequence[Alert]) -> _Reason:
    for other in others:
        if WIDTH[SubjectKind(other.kind)] <= WIDTH[SubjectKind(alert.kind)]:
            continue
        if other.kind == SubjectKind.ALL or _shared(alert, other) >= SHARED:
            return Alert.Muted.INHIBITED.value, other.pk
    return _HEARD


def _shared(alert: Alert, other: Alert) -> float:
    """Which part of the first one's stories are among the second's."""
    mine, theirs = _stories(alert), _stories(other)
    return len(mine & theirs) / len(mine) if mine else 0.0


def _stories(alert: Alert) -> set[str]:
    return {story["id"] for story in alert.evidence.get("stories", [])}


def _note(alert: Alert, reason: _Reason) -> bool:
    """Write it down, unless another worker has meanwhile."""
    was = {"muted": alert.muted, "muted_by": alert.muted_by}
    alert.muted, alert.muted_by = reason
    now = {"muted": alert.muted, "muted_by": alert.muted_by, "updated_at": timezone.now()}
    if not Alert.objects.filter(pk=alert.pk, **was).update(**now):
        return False
    if alert.muted:
        entry_write(
            alert,
            AlertEntry.Kind.MUTED,
            details={"reason": alert.muted, "by": str(alert.muted_by)},
        )
    else:
        entry_write(alert, AlertEntry.Kind.UNMUTED)
    return True
