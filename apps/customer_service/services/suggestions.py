"""Replies that the assistant proposes to agents, with their sources, and what became of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from apps.customer_service.models import PUBLIC_AUDIENCE, Conversation, Message, Suggestion
from apps.customer_service.services.answering import Question, Turn, answer
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append
from rootstock.tenancy.scope import organisation_scope

TOPIC = "service.suggest"
# The turns before the question that give it its meaning.
TURNS = 6


@dataclass(frozen=True)
class Proposal:
    """What the assistant would say to a visitor's message."""

    conversation_id: uuid.UUID
    question_id: uuid.UUID
    body: str
    citations: list[dict[str, Any]]
    trace: dict[str, Any]


def suggestion_request(conversation: Conversation) -> None:
    """Have a reply to the visitor's last message proposed; a burst of messages asks once."""
    outbox_write(
        TOPIC, {"conversation": str(conversation.pk)}, coalesce_key=f"suggest:{conversation.pk.hex}"
    )


def suggestion_prepare(
    *, organisation_id: uuid.UUID, conversation_id: uuid.UUID
) -> Proposal | None:
    """Ask the assistant; outside of any transaction. None where nobody waits any more, or it knows no answer.

    Raises:
        Unavailable: the assistant cannot be asked at the moment.
    """
    with organisation_scope(organisation_id):
        conversation = (
            Conversation.objects.select_related("channel").filter(pk=conversation_id).first()
        )
        last = conversation.messages.order_by("-sequence").first() if conversation else None
        if conversation is None or last is None or last.author != Message.Author.VISITOR:
            return None
        if conversation.status in (Conversation.Status.ASSISTANT, Conversation.Status.RESOLVED):
            return None
        if Suggestion.objects.filter(question=last).exists():
            return None
        spoken = conversation.messages.filter(
            author__in=[Message.Author.VISITOR, Message.Author.ASSISTANT, Message.Author.AGENT],
            sequence__lt=last.sequence,
        ).order_by("-sequence")[:TURNS]
        channel = conversation.channel
        # Without its conversation: a proposal begins no flow and writes nothing.
        question = Question(
            text=last.body,
            turns=[Turn(turn.author, turn.body) for turn in reversed(spoken)],
            language=conversation.language,
            audiences=tuple(channel.audiences) if channel else (PUBLIC_AUDIENCE,),
            channel=conversation.channel_id,
            anger=conversation.anger,
        )
    reply = answer(organisation_id, question)
    if not reply.helped:
        return None
    return Proposal(conversation_id, last.pk, reply.body, reply.citations, reply.trace)


def suggestion_write(proposal: Proposal) -> Suggestion | None:
    """Keep a proposal and show it to whoever has the conversation open."""
    question = Message.objects.filter(pk=proposal.question_id).first()
    if question is None or Suggestion.objects.filter(question=question).exists():
        return None
    suggestion = Suggestion.objects.create(
        conversation_id=proposal.conversation_id,
        question=question,
        body=proposal.body,
        citations=proposal.citations,
        trace=proposal.trace,
    )
    event_append(
        "service.inbox",
        "suggestion.ready",
        {"id": str(suggestion.conversation_id), "suggestion": str(suggestion.pk)},
    )
    return suggestion


def suggestion_settle(*, suggestion: Suggestion, sent_body: str) -> Suggestion:
    """An agent answered with it, as it was or changed: what training learns from."""
    same = sent_body.strip() == suggestion.body.strip()
    suggestion.outcome = Suggestion.Outcome.ACCEPTED if same else Suggestion.Outcome.EDITED
    suggestion.sent_body = sent_body
    suggestion.save(update_fields=["outcome", "sent_body", "updated_at"])
    return suggestion


def suggestion_dismiss(*, suggestion: Suggestion) -> Suggestion:
    """An agent wants none of it. What was sent before stays sent."""
    if suggestion.outcome == Suggestion.Outcome.SHOWN:
        suggestion.outcome = Suggestion.Outcome.DISMISSED
        suggestion.save(update_fields=["outcome", "updated_at"])
    return suggestion
