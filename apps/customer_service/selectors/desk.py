"""A conversation as whoever answers it sees it: notes and the log among the messages, the customer beside them."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _

from apps.customer_service.models import (
    Conversation,
    ConversationEntry,
    Message,
    Suggestion,
    Visitor,
)
from apps.customer_service.selectors.conversations import (
    conversation_stream,
    inbox_row,
    messages_after,
    public_message,
)
from apps.customer_service.selectors.inbox import suggestion_current
from rootstock.realtime.selectors import heads

# Former conversations shown beside the present one.
HISTORY = 20


def agent_message(message: Message) -> dict[str, Any]:
    """A message with what only agents see: who wrote it, and what was understood of it."""
    trace = message.trace
    return {
        **public_message(message),
        "agent": str(message.member.user) if message.member else None,
        "thumb_comment": message.thumb_comment,
        "language": message.language,
        "emotion": trace.get("emotion") if message.author == Message.Author.VISITOR else None,
        "has_trace": bool(trace),
    }


def desk_conversation(conversation: Conversation) -> dict[str, Any]:
    """Everything that the middle and the right of the inbox show; `last_event_id` is of its stream."""
    stream = conversation_stream(conversation.pk)
    # Read before the rows: what comes in between comes twice and is shown once.
    last_event_id = heads([stream])[stream]
    suggestion = suggestion_current(conversation)
    return {
        **inbox_row(conversation),
        "stream": stream,
        "last_event_id": last_event_id,
        "summary": conversation.summary,
        "reason": reason_words(conversation.hand_off_reason),
        "page": {"title": conversation.page_title, "url": conversation.page_url},
        "csat_comment": conversation.csat_comment,
        "messages": [agent_message(m) for m in messages_after(conversation, 0, public=False)],
        "entries": [
            entry_facts(entry)
            for entry in ConversationEntry.objects.filter(conversation=conversation).order_by("id")
        ],
        "suggestion": suggestion_facts(suggestion) if suggestion else None,
        "customer": customer_facts(conversation.visitor, without=conversation.pk),
    }


def customer_facts(visitor: Visitor, *, without: uuid.UUID | None = None) -> dict[str, Any]:
    """Who the customer is, and their conversations, the newest first."""
    history = Conversation.objects.filter(visitor=visitor)
    if without is not None:
        history = history.exclude(pk=without)
    return {
        "id": str(visitor.pk),
        "name": visitor.name,
        "email": visitor.email,
        "external_id": visitor.external_id,
        "verified": visitor.verified,
        "language": visitor.language,
        "attributes": visitor.attributes,
        "first_seen_at": visitor.created_at.isoformat(),
        "last_seen_at": visitor.last_seen_at.isoformat() if visitor.last_seen_at else None,
        "conversations": [
            {
                "id": str(row.pk),
                "status": row.status,
                "intent": row.intent,
                "csat": row.csat,
                "created_at": row.created_at.isoformat(),
            }
            for row in history.order_by("-created_at")[:HISTORY]
        ],
    }


def suggestion_facts(suggestion: Suggestion) -> dict[str, Any]:
    """A proposed reply with its sources."""
    return {
        "id": str(suggestion.pk),
        "question": str(suggestion.question_id),
        "body": suggestion.body,
        "citations": suggestion.citations,
        "outcome": suggestion.outcome,
        "created_at": suggestion.created_at.isoformat(),
    }


def entry_facts(entry: ConversationEntry) -> dict[str, Any]:
    """A line of the log in words of the reader's language."""
    detail = entry.detail
    return {
        "id": str(entry.pk),
        "kind": entry.kind,
        "label": _("Conversation began")
        if entry.kind == ConversationEntry.Kind.OPENED
        else entry.get_kind_display(),
        "actor": "" if entry.actor_kind == "system" else entry.actor_label,
        "name": detail.get("name") or "",
        "reason": reason_words(detail.get("reason") or ""),
        "labels": detail.get("after") if entry.kind == ConversationEntry.Kind.LABELLED else None,
        "priority": detail.get("after") if entry.kind == ConversationEntry.Kind.PRIORITY else None,
        "csat": detail.get("csat"),
        "at": entry.created_at.isoformat(),
    }


def reason_words(reason: str) -> str:
    """Why a conversation went to people; a flow's own reason is shown as it was written."""
    known = {
        "people-asked": _("the customer asked for a person"),
        "not-helped": _("the answers did not help"),
        "thumb-down": _("the customer said that it did not help"),
        "no-passage": _("nothing was found"),
        "no-support": _("the sources do not say it"),
        "out-of-scope": _("not what the assistant is for"),
        "anger": _("the customer is angry"),
    }
    return known.get(reason, reason)


def message_get(conversation: Conversation, message_id: uuid.UUID) -> Message:
    """One message of the conversation.

    Raises:
        Http404: it has none of this id.
    """
    message = Message.objects.filter(conversation=conversation, pk=message_id).first()
    if message is None:
        raise Http404("no such message")
    return message
