"""Silences: for a while nobody is told of some alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import Silence
from apps.finance_sentiment.services.alerting.matching import matcher_check
from apps.finance_sentiment.services.alerting.muting import mutes_request
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

MOST_COMING = 200
LONGEST = timedelta(days=366)


def silence_create(
    *,
    actor: Actor,
    matcher: Mapping[str, Any],
    ends_at: datetime,
    reason: str,
    starts_at: datetime | None = None,
) -> Silence:
    """Silence the alerts that match, from now or a later time.

    Raises:
        Problem: 422 that says what is wrong, and where; 409 when there are too many.
    """
    now = timezone.now()
    starts_at = max(now, starts_at or now)
    checked = matcher_check(matcher)
    if starts_at > now + LONGEST:
        raise invalid("/starts_at", _("A silence begins within a year."))
    if not starts_at < ends_at <= starts_at + LONGEST:
        raise invalid("/ends_at", _("A silence ends after it begins, and within a year."))
    reason = reason.strip()
    if not 0 < len(reason) <= 500:
        raise invalid("/reason", _("Say why, in at most 500 characters."))
    if Silence.objects.filter(ends_at__gt=now).count() >= MOST_COMING:
        raise Problem(409, "too-many", _("There are too many silences. End some of them first."))
    silence = Silence(
        matcher=checked.as_json(),
        starts_at=starts_at,
        ends_at=ends_at,
        reason=reason,
        created_by=actor.label[:200],
    )
    silence.save(force_insert=True)
    _record(actor, "create", silence, {"matcher": silence.matcher, "until": ends_at.isoformat()})
    mutes_request(starts_at)
    mutes_request(ends_at)
    return silence


def silence_end(*, silence: Silence, actor: Actor) -> Silence:
    """End it before its time.

    Raises:
        Problem: 409 when it is over.
    """
    now = timezone.now()
    if silence.ends_at <= now:
        raise Problem(409, "silence-over", _("The silence is over already."))
    silence.ends_at = now
    silence.starts_at = min(silence.starts_at, now)
    silence.ended_by = actor.label[:200]
    silence.save()
    _record(actor, "end", silence, {})
    mutes_request(now)
    return silence


def _record(actor: Actor, action: str, silence: Silence, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"finance.silence.{action}",
        target=f"silence: {silence.reason[:100]}",
        target_id=str(silence.pk),
        changes=changes or None,
    )
