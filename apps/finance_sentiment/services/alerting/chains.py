"""Chains of escalation: their steps are written as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.finance_sentiment.models import (
    AlertChannel,
    AlertGroup,
    AlertRoute,
    EscalationChain,
    EscalationStep,
)
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid
from rootstock.tenancy.models import Membership, Role

MOST_CHAINS = 100
MOST_STEPS = 30
LONGEST_WAIT = 7 * 24 * 3600
MOST_REPEATS = 20
# A chain that begins again tells the same people again: not more often than this.
SHORTEST_ROUND = 60
_Kind = EscalationStep.Kind


@dataclass(frozen=True, slots=True)
class StepInput:
    """One step as somebody wrote it."""

    kind: str
    wait_seconds: int = 0
    user_id: uuid.UUID | None = None
    role: str = ""
    channel_id: uuid.UUID | None = None
    score: float | None = None
    times: int = 0


def chain_save(
    *,
    chain: EscalationChain | None,
    actor: Actor,
    name: str,
    description: str = "",
    steps: Sequence[StepInput] | None = None,
) -> EscalationChain:
    """Make a chain, or change one; None leaves the steps as they are.

    Alerts that are being escalated go on at the same place of the new steps.

    Raises:
        Problem: 422 that says what is wrong, and where; 409 when there are too many.
    """
    is_new = chain is None
    chain = chain or EscalationChain()
    if is_new and EscalationChain.objects.count() >= MOST_CHAINS:
        raise Problem(
            409, "too-many", _("There are at most %(most)d chains.") % {"most": MOST_CHAINS}
        )
    chain.name, chain.description = name.strip(), description.strip()[:300]
    if not chain.name or len(chain.name) > 80:
        raise invalid("/name", _("A name has 1 to 80 characters."))
    if EscalationChain.objects.filter(name=chain.name).exclude(pk=chain.pk).exists():
        raise invalid("/name", _("There is a chain of this name already."))
    rows = None if steps is None else _rows(chain, steps)
    chain.save(force_insert=is_new)
    if rows is not None:
        chain.steps.all().delete()
        EscalationStep.objects.bulk_create(rows)
    _record(actor, "create" if is_new else "update", chain, {"steps": len(steps or [])})
    return chain


def chain_delete(*, chain: EscalationChain, actor: Actor) -> None:
    """Forget a chain.

    Raises:
        Problem: 409 while a route takes it.
    """
    route = AlertRoute.objects.filter(chain=chain).first()
    if route is not None:
        raise Problem(
            409,
            "in-use",
            _("The route “%(route)s” takes this chain. Give it another one first.")
            % {"route": route.name},
        )
    _record(actor, "delete", chain, {})
    AlertGroup.objects.filter(chain=chain).update(chain=None)
    chain.delete()


def _rows(chain: EscalationChain, steps: Sequence[StepInput]) -> list[EscalationStep]:
    if len(steps) > MOST_STEPS:
        raise invalid("/steps", _("A chain has at most %(most)d steps.") % {"most": MOST_STEPS})
    waited = 0
    rows = []
    for position, step in enumerate(steps):
        values = _checked(step, f"/steps/{position}")
        if step.kind == _Kind.WAIT:
            waited += step.wait_seconds
        if step.kind == _Kind.REPEAT and waited < SHORTEST_ROUND:
            raise invalid(
                f"/steps/{position}",
                _("Before it begins again, a chain waits a minute or more in all."),
            )
        rows.append(EscalationStep(chain=chain, position=position, kind=step.kind, **values))
    return rows


def _checked(step: StepInput, pointer: str) -> Mapping[str, Any]:
    """The values that a step of its kind has."""
    if step.kind not in _Kind.values:
        raise invalid(f"{pointer}/kind", _("There is no such step."))
    kind = _Kind(step.kind)
    if kind in (_Kind.PERSON, _Kind.ROLE, _Kind.CHANNEL):
        return _whom(step, pointer)
    if kind == _Kind.WAIT:
        if not 1 <= step.wait_seconds <= LONGEST_WAIT:
            raise invalid(f"{pointer}/wait_seconds", _("A wait is from a second to a week."))
        return {"wait_seconds": step.wait_seconds}
    if kind == _Kind.ONLY_IF:
        if step.score is None or not 0 <= step.score <= 1e6:
            raise invalid(f"{pointer}/score", _("A score is a number from 0 to 1,000,000."))
        return {"score": step.score}
    if not 1 <= step.times <= MOST_REPEATS:
        raise invalid(f"{pointer}/times", _("A chain begins again 1 to 20 times."))
    return {"times": step.times}


def _whom(step: StepInput, pointer: str) -> Mapping[str, Any]:
    """Whom a step tells."""
    if step.kind == _Kind.PERSON:
        members = Membership.objects.filter(user_id__in=[step.user_id])
        if not members.exists():
            raise invalid(f"{pointer}/user", _("Nobody of the organisation is meant."))
        return {"user_id": step.user_id}
    if step.kind == _Kind.ROLE:
        if step.role not in Role.values:
            raise invalid(f"{pointer}/role", _("Not a role."))
        return {"role": step.role}
    shared = AlertChannel.objects.filter(pk__in=[step.channel_id], owner__isnull=True)
    if not shared.exists():
        raise invalid(f"{pointer}/channel", _("Not a shared channel."))
    return {"channel_id": step.channel_id}


def _record(actor: Actor, action: str, chain: EscalationChain, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"finance.chain.{action}",
        target=f"escalation chain {chain.name}",
        target_id=str(chain.pk),
        changes=changes or None,
    )
