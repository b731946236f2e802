"""Reading conversations: for the visitor, for the inbox, for whoever answers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q, QuerySet
from django.http import Http404

from apps.customer_service.inference.words import words_of
from apps.customer_service.models import Conversation, Message
from apps.customer_service.selectors.attachments import public_attachment
from rootstock.tenancy.models import Membership

INBOX = "service.inbox"
FAMILY = "service.c."
# Of the last line, in lists.
LINE = 160
_CITATION = ("number", "title", "url", "page", "heading", "quote")
# Conversations that nobody has with us: no events, no webhooks.
UNLISTED = (Conversation.Origin.IMPORT, Conversation.Origin.SIMULATOR)


def conversation_stream(conversation_id: uuid.UUID) -> str:
    """The stream that the visitor of a conversation listens to."""
    return f"{FAMILY}{conversation_id.hex}"


def conversation_get(conversation_id: uuid.UUID) -> Conversation:
    """A conversation with its visitor, channel and assignee.

    Raises:
        Http404: there is none in this organisation.
    """
    found = (
        Conversation.objects.select_related("visitor", "channel", "assignee__user")
        .filter(pk=conversation_id)
        .first()
    )
    if found is None:
        raise Http404("no such conversation")
    return found


def messages_after(
    conversation: Conversation, sequence: int, *, public: bool, limit: int | None = None
) -> list[Message]:
    """What follows message number `sequence`, in order. `public`: what the visitor may see."""
    found = (
        Message.objects.filter(conversation=conversation, sequence__gt=sequence)
        .select_related("member__user")
        .prefetch_related("attachments")
        .order_by("sequence")
    )
    if public:
        found = found.exclude(author=Message.Author.NOTE)
    return list(found[:limit] if limit else found)


def messages_owed(conversation: Conversation) -> list[Message]:
    """The visitor's messages that nobody has answered yet, in the order in which they were taken."""
    return list(
        Message.objects.filter(
            conversation=conversation,
            author=Message.Author.VISITOR,
            sequence__gt=conversation.answered_sequence,
        ).order_by("sequence")
    )


def public_message(message: Message) -> dict[str, Any]:
    """A message as its visitor sees it: nothing of how it came about."""
    agent = None
    if message.author == Message.Author.AGENT and message.member is not None:
        agent = agent_name(message.member)
    visitors = message.author == Message.Author.VISITOR
    return {
        "id": str(message.pk),
        "sequence": message.sequence,
        "author": message.author,
        "agent": agent,
        "body": message.body,
        "state": message.state,
        "citations": [{name: cited.get(name) for name in _CITATION} for cited in message.citations],
        "choices": [] if visitors else message.choices,
        "kind": message.kind,
        "created_at": message.created_at.isoformat(),
        "client_id": message.client_id if visitors else "",
        "in_reply_to": str(message.in_reply_to_id) if message.in_reply_to_id else None,
        "attachments": [public_attachment(one) for one in message.attachments.all()],
        "thumb": message.thumb,
    }


def agent_name(member: Membership) -> str | None:
    """What visitors call a person: their name, never their address."""
    return member.user.name or None


def public_conversation(conversation: Conversation) -> dict[str, Any]:
    """A conversation as its visitor sees it."""
    return {
        "id": str(conversation.pk),
        "status": conversation.status,
        "agent": agent_name(conversation.assignee) if conversation.assignee else None,
        "language": conversation.language,
        "last_sequence": conversation.last_sequence,
        "visitor_read": conversation.visitor_read,
        "people_read": conversation.people_read,
        "csat": conversation.csat,
        "created_at": conversation.created_at.isoformat(),
    }


def inbox_row(conversation: Conversation, last: Message | None = None) -> dict[str, Any]:
    """A conversation as a line of the inbox; `last` is its last message where it is at hand."""
    if last is None or last.author == Message.Author.NOTE:
        last = (
            Message.objects.filter(conversation=conversation)
            .exclude(author=Message.Author.NOTE)
            .order_by("-sequence")
            .first()
        )
    visitor, channel, assignee = conversation.visitor, conversation.channel, conversation.assignee
    return {
        "id": str(conversation.pk),
        "status": conversation.status,
        "origin": conversation.origin,
        "visitor": {"id": str(visitor.pk), "name": visitor.name, "verified": visitor.verified},
        "channel": {"id": str(channel.pk), "name": channel.name} if channel else None,
        "assignee": {"id": str(assignee.pk), "name": str(assignee.user)} if assignee else None,
        "language": conversation.language,
        "labels": conversation.labels,
        "priority": conversation.priority,
        "intent": conversation.intent,
        "emotion": conversation.emotion,
        "anger": round(conversation.anger, 3),
        "last_sequence": conversation.last_sequence,
        "people_read": conversation.people_read,
        "visitor_read": conversation.visitor_read,
        "last_message": _line(last),
        "last_message_at": _iso(conversation.last_message_at),
        "waiting_since": _iso(conversation.waiting_since),
        "hand_off_reason": conversation.hand_off_reason,
        "sla_due_at": _iso(conversation.sla_due_at),
        "sla_missed_at": _iso(conversation.sla_missed_at),
        "csat": conversation.csat,
        "created_at": conversation.created_at.isoformat(),
    }


@dataclass(frozen=True)
class ConversationQuery:
    """What to look for; empty fields ask for nothing."""

    status: list[str] = field(default_factory=list)
    assignee: str = ""  # a membership's id, or "none"
    channel: uuid.UUID | None = None
    visitor: uuid.UUID | None = None
    external_id: str = ""
    label: str = ""
    language: str = ""
    emotion: str = ""
    intent: str = ""
    waiting: bool | None = None
    text: str = ""


def conversations_find(query: ConversationQuery) -> QuerySet[Conversation]:
    """Conversations that fit, with what a line of the inbox needs; unordered."""
    found = Conversation.objects.select_related("visitor", "channel", "assignee__user").exclude(
        origin=Conversation.Origin.SIMULATOR
    )
    if query.status:
        found = found.filter(status__in=query.status)
    if query.assignee == "none":
        found = found.filter(assignee=None)
    elif query.assignee:
        found = found.filter(assignee_id=uuid.UUID(query.assignee))
    for name in ("language", "emotion", "intent", "external_id"):
        value = getattr(query, name)
        if value:
            found = found.filter(**{name: value})
    if query.channel:
        found = found.filter(channel_id=query.channel)
    if query.visitor:
        found = found.filter(visitor_id=query.visitor)
    if query.label:
        found = found.filter(labels__contains=[query.label])
    if query.waiting is not None:
        found = found.filter(waiting_since__isnull=not query.waiting)
    if query.text:
        found = found.filter(_text(query.text))
    return found


def _text(text: str) -> Q:
    """All its words in one message, or the start of the visitor's name, address or number."""
    told = (
        Q(visitor__name__icontains=text)
        | Q(visitor__email__istartswith=text)
        | Q(visitor__external_id=text)
    )
    words = words_of(text)
    if not words:
        return told
    messages = Message.objects.filter(words__terms__contains=words).values("conversation")
    return told | Q(pk__in=messages)


def _line(message: Message | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {
        "author": message.author,
        "body": message.body[:LINE],
        "sequence": message.sequence,
        "at": message.created_at.isoformat(),
    }


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
