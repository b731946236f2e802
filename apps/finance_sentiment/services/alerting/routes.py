"""Routes: which alerts take which chain, and what holds for all alerts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.finance_sentiment.models import AlertPolicy, AlertRoute, EscalationChain
from apps.finance_sentiment.selectors.alerts import alerts_open
from apps.finance_sentiment.services.alerting.escalation import alerts_route
from apps.finance_sentiment.services.alerting.matching import matcher_check
from apps.finance_sentiment.services.alerting.muting import policy_get
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

MOST = 100
LONGEST_GROUP_WAIT = 24 * 3600


def route_save(
    *,
    route: AlertRoute | None,
    actor: Actor,
    name: str,
    chain_id: uuid.UUID | None,
    matcher: Mapping[str, Any] | None = None,
    group_by: Sequence[str] = (),
    group_wait_seconds: int = 30,
    position: int = 0,
    enabled: bool = True,
) -> AlertRoute:
    """Make a route, or change one. Alerts that go on and have no group yet take it at once.

    Raises:
        Problem: 422 that says what is wrong, and where; 409 when there are too many.
    """
    is_new = route is None
    route = route or AlertRoute()
    if is_new and AlertRoute.objects.count() >= MOST:
        raise Problem(409, "too-many", _("There are at most %(most)d routes.") % {"most": MOST})
    route.name = name.strip()
    if not route.name or len(route.name) > 80:
        raise invalid("/name", _("A name has 1 to 80 characters."))
    if AlertRoute.objects.filter(name=route.name).exclude(pk=route.pk).exists():
        raise invalid("/name", _("There is a route of this name already."))
    if chain_id is not None and not EscalationChain.objects.filter(pk=chain_id).exists():
        raise invalid("/chain", _("There is no such chain."))
    unknown = set(group_by) - set(AlertRoute.GroupBy.values)
    if unknown:
        raise invalid("/group_by", _("Alerts cannot be grouped by this."))
    if not 0 <= group_wait_seconds <= LONGEST_GROUP_WAIT:
        raise invalid("/group_wait_seconds", _("A group waits for at most a day."))
    route.chain_id = chain_id
    route.matcher = matcher_check(matcher or {}).as_json()
    route.group_by = sorted(set(group_by))
    route.group_wait_seconds = group_wait_seconds
    route.position, route.enabled = position, enabled
    route.save(force_insert=is_new)
    _record(actor, "create" if is_new else "update", route, {"chain": str(chain_id)})
    alerts_route(alerts_open())
    return route


def route_delete(*, route: AlertRoute, actor: Actor) -> None:
    """Forget a route; what is being escalated by it goes on."""
    _record(actor, "delete", route, {})
    route.delete()


def policy_update(*, actor: Actor, wider_silences_narrower: bool) -> AlertPolicy:
    """Change what holds for all alerts."""
    policy = policy_get()
    policy.wider_silences_narrower = wider_silences_narrower
    policy.save()
    audit_record(
        actor=actor,
        action="finance.alerts.policy",
        target="alert policy",
        target_id=str(policy.pk),
        changes={"wider_silences_narrower": wider_silences_narrower},
    )
    alerts_route([])
    return policy


def _record(actor: Actor, action: str, route: AlertRoute, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"finance.route.{action}",
        target=f"alert route {route.name}",
        target_id=str(route.pk),
        changes=changes or None,
    )
