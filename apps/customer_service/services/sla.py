"""The clock of a waiting customer: when an answer is due, and what happens when it does not come."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.customer_service.models import Conversation, ConversationEntry, SlaPolicy
from apps.customer_service.services.assignment import conversation_reassign
from apps.customer_service.services.conversations import conversation_changed, entry_add
from apps.customer_service.services.hours import hours_of
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.common.problems import invalid
from rootstock.realtime.services import event_append
from rootstock.tenancy.models import Role
from rootstock.webhooks.services import webhook_emit

MOST_STEPS = 10
HIGHEST_PRIORITY = 3
LONGEST_SECONDS = 30 * 86_400
# Conversations judged in one transaction; the rest waits for the next look.
BATCH = 200
_ACTIONS = ("notify", "reassign", "priority")


def policy_get() -> SlaPolicy:
    """The organisation's policy, made with its defaults when there is none."""
    policy, _created = SlaPolicy.objects.get_or_create()
    return policy


def policy_update(*, policy: SlaPolicy, values: Mapping[str, Any], actor: Actor) -> SlaPolicy:
    """Change the policy. Clocks that run keep the time they were given.

    Raises:
        Problem: 422 that names the field or the step of the escalation.
    """
    for name in ("first_reply_seconds", "next_reply_seconds"):
        if not 1 <= values.get(name, getattr(policy, name)) <= LONGEST_SECONDS:
            raise invalid(f"/{name}", _("Between one second and 30 days."))
    if "escalation" in values:
        escalation_check(values["escalation"])
    before = {name: getattr(policy, name) for name in values}
    for name, value in values.items():
        setattr(policy, name, value)
    policy.save()
    audit_record(
        actor=actor,
        action="service.sla.update",
        target="reply times",
        target_id=str(policy.pk),
        changes={name: [before[name], value] for name, value in values.items()},
    )
    return policy


def escalation_check(steps: Sequence[Any]) -> None:
    """Refuse steps that nobody could take.

    Raises:
        Problem: 422 that names the step.
    """
    if len(steps) > MOST_STEPS:
        raise invalid("/escalation", _("There are at most %(n)d steps.") % {"n": MOST_STEPS})
    last = 0
    for place, step in enumerate(steps):
        pointer = f"/escalation/{place}"
        if not isinstance(step, dict) or step.get("do") not in _ACTIONS:
            raise invalid(pointer, _("A step does one of: notify, reassign, priority."))
        after = step.get("after_seconds")
        if (
            not isinstance(after, int)
            or isinstance(after, bool)
            or not 0 <= after <= LONGEST_SECONDS
        ):
            raise invalid(pointer, _("A step comes 0 seconds to 30 days after the missed time."))
        if after < last:
            raise invalid(pointer, _("Steps are in the order of their times."))
        last = after
        if step["do"] == "notify" and step.get("role") not in Role.values:
            raise invalid(pointer, _("Whoever is notified is named by a role."))


def clock_start(conversation: Conversation) -> None:
    """Say by when the waiting customer is owed an answer; a clock that runs goes on. Changes the row, saves nothing."""
    if conversation.waiting_since is None or conversation.sla_due_at is not None:
        return
    policy = policy_get()
    seconds = (
        policy.next_reply_seconds if conversation.first_reply_at else policy.first_reply_seconds
    )
    conversation.sla_due_at = _due(
        policy, conversation, since=conversation.waiting_since, seconds=seconds
    )


def clock_stop(conversation: Conversation) -> None:
    """The customer has an answer, or waits for nobody. Changes the row, saves nothing."""
    conversation.sla_due_at = conversation.sla_missed_at = None
    conversation.sla_step = 0


def sla_due(*, now: datetime | None = None) -> list[uuid.UUID]:
    """Conversations whose time has passed and that may want something done, the longest overdue first."""
    return list(
        Conversation.objects.filter(
            Q(sla_missed_at__isnull=True) | Q(sla_step__lt=len(policy_get().escalation)),
            sla_due_at__lte=now or timezone.now(),
            status__in=[Conversation.Status.WAITING, Conversation.Status.ASSIGNED],
        )
        .order_by("sla_due_at")
        .values_list("pk", flat=True)[:BATCH]
    )


def sla_judge(*, conversation_id: uuid.UUID, now: datetime | None = None) -> bool:
    """Mark a missed time and take the steps of the escalation that are due, each once; whether anything was done.

    A transaction of its own for each conversation, with its events last: the sweep holds up nobody. One that
    somebody is changing at this moment is left for the next look.
    """
    now = now or timezone.now()
    conversation = (
        Conversation.objects.select_for_update(skip_locked=True)
        .filter(
            pk=conversation_id,
            sla_due_at__lte=now,
            status__in=[Conversation.Status.WAITING, Conversation.Status.ASSIGNED],
        )
        .first()
    )
    if conversation is None:
        return False
    policy = policy_get()
    due = conversation.sla_due_at
    steps = _steps_due(policy, conversation, due, now) if due else []
    missed = conversation.sla_missed_at is None
    if not missed and not steps:
        return False
    if missed:
        conversation.sla_missed_at = now
        _log(conversation, ConversationEntry.Kind.SLA_MISSED, {"step": 0})
    for step in steps:
        conversation.sla_step += 1
        detail = {"step": conversation.sla_step, **step}
        _log(conversation, ConversationEntry.Kind.ESCALATED, detail)
        if step["do"] == "priority":
            conversation.priority = min(conversation.priority + 1, HIGHEST_PRIORITY)
    conversation.save()
    if any(step["do"] == "reassign" for step in steps):
        conversation_reassign(conversation=conversation)
    if missed:
        webhook_emit("service.sla.missed", _facts(conversation))
    for step in steps:
        if step["do"] == "notify":
            event = {**_facts(conversation), "role": step["role"]}
            event_append("service.inbox", "sla.escalated", event)
    conversation_changed(conversation=conversation)
    return True


def _steps_due(
    policy: SlaPolicy, conversation: Conversation, due: datetime, now: datetime
) -> list[dict[str, Any]]:
    """The steps not yet taken whose time has come; their clock stands still out of hours, too."""
    taken: list[dict[str, Any]] = []
    for step in policy.escalation[conversation.sla_step :]:
        at = _due(policy, conversation, since=due, seconds=step["after_seconds"])
        if at is None or at > now:
            break
        taken.append(step)
    return taken


def _log(conversation: Conversation, kind: ConversationEntry.Kind, detail: dict[str, Any]) -> None:
    due = conversation.sla_due_at
    entry_add(
        conversation=conversation,
        kind=kind,
        actor=SYSTEM,
        detail={"due_at": due.isoformat() if due else None, **detail},
    )


def _facts(conversation: Conversation) -> dict[str, Any]:
    """What is told of a missed time; nothing that was said."""
    due, missed = conversation.sla_due_at, conversation.sla_missed_at
    return {
        "id": str(conversation.pk),
        "status": conversation.status,
        "assignee": str(conversation.assignee_id) if conversation.assignee_id else None,
        "priority": conversation.priority,
        "due_at": due.isoformat() if due else None,
        "missed_at": missed.isoformat() if missed else None,
        "step": conversation.sla_step,
    }


def _due(
    policy: SlaPolicy, conversation: Conversation, *, since: datetime, seconds: int
) -> datetime | None:
    hours = hours_of(conversation.channel if policy.business_hours_only else None)
    return hours.after(since, seconds)
