"""Who has a conversation: opening it, handing it over, assigning, returning, resolving, rating it.

Every function locks the conversation's row first and tells open pages last; in between come the row, the log, webhooks
and hooks. The passed object is refreshed with the lock, so callers go on with it; what they changed in it before is
gone. Whoever changes several conversations in one transaction locks all of them first, in the order of their ids
(`conversations_lock`).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.utils import timezone

from apps.customer_service.models import Channel, Conversation, ConversationEntry, Message, Visitor
from apps.customer_service.selectors.conversations import (
    INBOX,
    UNLISTED,
    agent_name,
    conversation_stream,
    inbox_row,
    messages_owed,
)
from apps.customer_service.services import hooks
from rootstock.common.actors import SYSTEM, Actor
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append, event_append_many
from rootstock.tenancy.models import Membership
from rootstock.webhooks.services import webhook_emit

REPLY_TOPIC = "service.reply"
ASSIGN_TOPIC = "service.assign"
Status = Conversation.Status
Kind = ConversationEntry.Kind


def conversation_open(
    *,
    channel: Channel | None,
    visitor: Visitor,
    origin: str,
    language: str = "",
    page_title: str = "",
    page_url: str = "",
    external_id: str = "",
    actor: Actor = SYSTEM,
) -> Conversation:
    """A new conversation with the assistant. `external_id`: a program's own number of it, unique."""
    conversation = Conversation(
        channel=channel,
        visitor=visitor,
        origin=origin,
        language=language[:10],
        page_title=page_title[:300],
        page_url=page_url[:2000],
        external_id=external_id,
    )
    conversation.save(force_insert=True)
    entry_add(
        conversation=conversation, kind=Kind.OPENED, actor=actor, detail={"origin": str(origin)}
    )
    conversation_tell(conversation=conversation, event_type="service.conversation.opened")
    conversation_changed(conversation=conversation)
    return conversation


def conversation_lock(conversation: Conversation) -> Conversation:
    """Refresh the object and hold its row until the transaction ends.

    Raises:
        Conversation.DoesNotExist: it was erased meanwhile.
    """
    conversation.refresh_from_db(
        from_queryset=Conversation.objects.select_for_update(of=("self",)).select_related(
            "visitor", "channel", "assignee__user"
        )
    )
    return conversation


def conversations_lock(ids: Iterable[uuid.UUID]) -> list[Conversation]:
    """Several conversations, locked in the order in which everybody locks them; those erased are left out."""
    return list(
        Conversation.objects.select_for_update(of=("self",))
        .select_related("visitor", "channel", "assignee__user")
        .filter(pk__in=set(ids))
        .order_by("pk")
    )


def conversation_hand_off(
    *, conversation: Conversation, reason: str, summary: str = "", actor: Actor = SYSTEM
) -> Conversation:
    """Give it to people: it waits for somebody. One that people have already stays as it is."""
    conversation_lock(conversation)
    if conversation.status in (Status.WAITING, Status.ASSIGNED):
        return conversation
    before, now = conversation.status, timezone.now()
    conversation.status = Status.WAITING
    conversation.assignee = None
    conversation.hand_off_reason = reason[:40]
    conversation.hand_off_at = now
    conversation.summary = summary
    conversation.waiting_since = now
    _begin_again(conversation)
    entry_add(
        conversation=conversation,
        kind=Kind.HANDED_OFF,
        actor=actor,
        detail={"reason": reason, "summary": summary},
    )
    _moved(conversation, before, actor, waiting=True)
    conversation_tell(conversation=conversation, event_type="service.conversation.handed_off")
    _want_somebody(conversation)
    _announce_status(conversation)
    return conversation


def conversation_assign(
    *, conversation: Conversation, member: Membership, actor: Actor
) -> Conversation:
    """Give it to one person, from the queue, the assistant or somebody else."""
    conversation_lock(conversation)
    if conversation.status == Status.ASSIGNED and conversation.assignee_id == member.pk:
        return conversation
    take(conversation, member, actor)
    _announce_status(conversation)
    return conversation


def take(conversation: Conversation, member: Membership | None, actor: Actor) -> None:
    """Give a locked conversation to a person (None: a program that answers for one) and save it; says nothing yet."""
    before, former = conversation.status, conversation.assignee
    conversation.status = Status.ASSIGNED
    conversation.assignee = member
    _begin_again(conversation)
    moved_on = before == Status.ASSIGNED and former is not None
    entry_add(
        conversation=conversation,
        kind=Kind.TRANSFERRED if moved_on else Kind.ASSIGNED,
        actor=actor,
        detail={
            "member": str(member.pk) if member else None,
            "name": str(member.user) if member else actor.label,
            "from": str(former.user) if former else None,
        },
    )
    _moved(conversation, before, actor)


def conversation_release(*, conversation: Conversation, actor: Actor) -> Conversation:
    """Take it from its assignee and put it back into the queue of those who wait."""
    conversation_lock(conversation)
    if conversation.status != Status.ASSIGNED:
        return conversation
    former = conversation.assignee
    conversation.status = Status.WAITING
    conversation.assignee = None
    if conversation.waiting_since is None and messages_owed(conversation):
        conversation.waiting_since = timezone.now()
    entry_add(
        conversation=conversation,
        kind=Kind.TRANSFERRED,
        actor=actor,
        detail={"member": None, "name": None, "from": str(former.user) if former else None},
    )
    _moved(conversation, Status.ASSIGNED, actor)
    _want_somebody(conversation)
    _announce_status(conversation)
    return conversation


def conversation_return(*, conversation: Conversation, actor: Actor) -> Conversation:
    """Give it back to the assistant, which answers what nobody has answered."""
    conversation_lock(conversation)
    if conversation.status == Status.ASSISTANT:
        return conversation
    before = conversation.status
    conversation.status = Status.ASSISTANT
    conversation.assignee = None
    conversation.waiting_since = None
    conversation.unhelped = 0
    _begin_again(conversation)
    entry_add(conversation=conversation, kind=Kind.RETURNED, actor=actor)
    _moved(conversation, before, actor)
    if messages_owed(conversation):
        want_reply(conversation)
    _announce_status(conversation)
    return conversation


def conversation_resolve(*, conversation: Conversation, actor: Actor) -> Conversation:
    """It is settled: nothing is owed any more, and whether the assistant managed alone is known."""
    conversation_lock(conversation)
    if conversation.status == Status.RESOLVED:
        return conversation
    before = conversation.status
    conversation.status = Status.RESOLVED
    conversation.resolved_at = timezone.now()
    conversation.waiting_since = None
    conversation.answered_sequence = conversation.last_sequence
    conversation.contained = conversation.hand_off_at is None and not _people_wrote(conversation)
    entry_add(
        conversation=conversation,
        kind=Kind.RESOLVED,
        actor=actor,
        detail={"contained": conversation.contained},
    )
    _moved(conversation, before, actor)
    conversation_tell(conversation=conversation, event_type="service.conversation.resolved")
    _announce_status(conversation)
    return conversation


def conversation_reopen(*, conversation: Conversation, actor: Actor) -> Conversation:
    """Go on with a resolved conversation: with its assignee, else with the assistant."""
    conversation_lock(conversation)
    if conversation.status != Status.RESOLVED:
        return conversation
    reopen(conversation, Status.ASSIGNED if conversation.assignee else Status.ASSISTANT, actor)
    _announce_status(conversation)
    return conversation


def reopen(conversation: Conversation, status: str, actor: Actor) -> None:
    """Open a locked, resolved conversation again and save it; says nothing yet."""
    conversation.status = status
    if status == Status.ASSISTANT:
        conversation.assignee = None
        conversation.unhelped = 0
    _begin_again(conversation)
    entry_add(conversation=conversation, kind=Kind.REOPENED, actor=actor)
    _moved(conversation, Status.RESOLVED, actor)


def conversation_labels_set(
    *, conversation: Conversation, labels: Sequence[str], actor: Actor
) -> Conversation:
    """Exactly these labels, in their order."""
    conversation_lock(conversation)
    wanted = list(dict.fromkeys(label.strip()[:60] for label in labels if label.strip()))
    if wanted == conversation.labels:
        return conversation
    entry_add(
        conversation=conversation,
        kind=Kind.LABELLED,
        actor=actor,
        detail={"before": conversation.labels, "after": wanted},
    )
    conversation.labels = wanted
    conversation.save()
    conversation_changed(conversation=conversation)
    return conversation


def conversation_priority_set(
    *, conversation: Conversation, priority: int, actor: Actor
) -> Conversation:
    """0 none to 3 urgent."""
    conversation_lock(conversation)
    if priority == conversation.priority:
        return conversation
    entry_add(
        conversation=conversation,
        kind=Kind.PRIORITY,
        actor=actor,
        detail={"before": conversation.priority, "after": priority},
    )
    conversation.priority = priority
    conversation.save()
    conversation_changed(conversation=conversation)
    return conversation


def conversation_rate(*, conversation: Conversation, csat: int, comment: str = "") -> Conversation:
    """The visitor says how it was, 1 to 5; said again, the last word counts."""
    conversation_lock(conversation)
    conversation.csat = csat
    conversation.csat_comment = comment
    entry_add(
        conversation=conversation,
        kind=Kind.RATED,
        actor=visitor_actor(conversation.visitor),
        detail={"csat": csat, "comment": comment},
    )
    for hook in hooks.on_rated:
        hook(conversation, None)
    conversation.save()
    conversation_tell(conversation=conversation, event_type="service.conversation.rated")
    conversation_changed(conversation=conversation, events=[("rated", {"csat": csat})])
    return conversation


# --- what the functions above, and other parts, are made of ------------------------------------------


def visitor_actor(visitor: Visitor) -> Actor:
    """A visitor as the log names them."""
    return Actor("system", f"visitor:{visitor.pk}", str(visitor)[:200])


def entry_add(
    *,
    conversation: Conversation,
    kind: str,
    actor: Actor,
    detail: dict[str, Any] | None = None,
) -> ConversationEntry:
    """A line of the conversation's log."""
    return ConversationEntry.objects.create(
        conversation=conversation,
        kind=kind,
        actor_kind=actor.kind,
        actor_id=actor.id[:64],
        actor_label=actor.label[:200],
        detail=detail or {},
    )


def conversation_changed(
    *,
    conversation: Conversation,
    events: Sequence[tuple[str, dict[str, Any]]] = (),
    last: Message | None = None,
) -> None:
    """Tell open pages, the last thing of a transaction: `events` to the visitor, then the inbox, always in this order.

    Args:
        last: the conversation's last message where it is at hand; it saves a query.
    """
    if events:
        event_append_many(conversation_stream(conversation.pk), events)
    if conversation.origin not in UNLISTED:
        event_append(INBOX, "conversation.changed", inbox_row(conversation, last))


def conversation_tell(
    *, conversation: Conversation, event_type: str, extra: dict[str, Any] | None = None
) -> None:
    """Send a webhook event about a conversation: who has it and why, and what `extra` adds."""
    if conversation.origin in UNLISTED:
        return
    visitor = conversation.visitor
    webhook_emit(
        event_type,
        {
            "id": str(conversation.pk),
            "status": conversation.status,
            "channel": str(conversation.channel_id) if conversation.channel_id else None,
            "visitor": {
                "id": str(visitor.pk),
                "external_id": visitor.external_id,
                "name": visitor.name,
            },
            "language": conversation.language,
            "hand_off_reason": conversation.hand_off_reason,
            "summary": conversation.summary,
            "csat": conversation.csat,
            "contained": conversation.contained,
            **(extra or {}),
        },
    )


def want_reply(conversation: Conversation) -> None:
    """Ask the assistant to answer what is owed, once however many messages wait."""
    outbox_write(
        REPLY_TOPIC,
        {"conversation": str(conversation.pk)},
        coalesce_key=f"{REPLY_TOPIC}:{conversation.pk}",
    )


def status_event(conversation: Conversation) -> tuple[str, dict[str, Any]]:
    """Who has it, for the visitor."""
    member = conversation.assignee
    return "status", {
        "status": conversation.status,
        "agent": agent_name(member) if member else None,
    }


def _want_somebody(conversation: Conversation) -> None:
    outbox_write(
        ASSIGN_TOPIC,
        {"conversation": str(conversation.pk)},
        coalesce_key=f"{ASSIGN_TOPIC}:{conversation.pk}",
    )


def _begin_again(conversation: Conversation) -> None:
    """Whatever a former end of it said no longer holds."""
    conversation.resolved_at = None
    conversation.contained = None


def _moved(conversation: Conversation, before: str, actor: Actor, *, waiting: bool = False) -> None:
    if before != conversation.status:
        for changed in hooks.on_status_changed:
            changed(conversation, before, actor)
    if waiting:
        for waits in hooks.on_visitor_waiting:
            waits(conversation, None)
    conversation.save()


def _announce_status(conversation: Conversation) -> None:
    conversation_changed(conversation=conversation, events=[status_event(conversation)])


def _people_wrote(conversation: Conversation) -> bool:
    return Message.objects.filter(conversation=conversation, author=Message.Author.AGENT).exists()
