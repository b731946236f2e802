"""Answering the messages of conversations: in order, each once, shown while it is written.

Two functions of one outbox message. `reply_prepare` runs outside of any transaction and streams the reply piece by
piece; `reply_commit` runs in the transaction that ends the outbox message, so the reply, what follows from it and the
end of the work are one commit. A worker that dies in between leaves a reply that was begun; the next one writes it
anew, and the pieces of the first no longer count.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from apps.customer_service.inference.text import masked
from apps.customer_service.inference.understanding import (
    Understanding,
    targets_resolve,
    understand,
)
from apps.customer_service.models import Conversation, Message, UnansweredQuestion
from apps.customer_service.selectors.answering import assistant_get, turns_before
from apps.customer_service.selectors.conversations import messages_owed
from apps.customer_service.services import hooks
from apps.customer_service.services.answering import phrases
from apps.customer_service.services.answering.pipeline import anger_after, answer
from apps.customer_service.services.answering.questions import (
    PEOPLE_ASKED,
    THUMB_DOWN,
    Question,
    Reply,
    Unavailable,
)
from apps.customer_service.services.conversations import (
    REPLY_TOPIC,
    conversation_hand_off,
    conversation_lock,
    want_reply,
)
from apps.customer_service.services.messages import (
    NotTheAssistants,
    reply_begin,
    reply_chunk,
    reply_finish,
)
from apps.customer_service.services.summaries import hand_off_summary
from rootstock.outbox.selectors import older_at_work
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.scope import organisation_scope

# Messages to people are read as well: who is angry is seen in the inbox.
UNDERSTAND_TOPIC = "service.understand"
# From this attempt on, a search that does not answer is no reason to wait any longer.
LAST_ATTEMPT = 4


@dataclass
class Prepared:
    """A reply that is written and waits to be stored. `left` to an older message that a worker is doing."""

    conversation: uuid.UUID
    left: bool = False
    message: Message | None = None
    attempt: int = 0
    reply: Reply = field(default_factory=Reply)


def reply_prepare(*, organisation_id: uuid.UUID, conversation_id: uuid.UUID) -> Prepared:
    """Answer the oldest message that is owed an answer, and show the pieces as they come.

    Raises:
        Unavailable: the search does not answer at the moment: try again.
    """
    prepared = Prepared(conversation_id)
    with organisation_scope(organisation_id):
        if older_at_work(REPLY_TOPIC, {"conversation": str(conversation_id)}):
            prepared.left = True
            return prepared
        begun = _begin(conversation_id)
    if begun is None:
        return prepared
    message, question = begun
    prepared.message, prepared.attempt = message, message.attempt
    writer = _Writer(organisation_id, message)
    try:
        prepared.reply = answer(organisation_id, question, say=writer.write)
    except Unavailable as error:
        if message.attempt < LAST_ATTEMPT:
            raise
        prepared.reply = _apology(question, str(error))
    return prepared


def reply_commit(*, prepared: Prepared) -> None:
    """Store the reply with what follows from it, and see whether more is owed."""
    if prepared.left:
        # What this message asked for is owed still when the older one ends, and it looks.
        return
    conversation = Conversation.objects.filter(pk=prepared.conversation).first()
    if conversation is None:
        return
    conversation_lock(conversation)
    if prepared.message is not None:
        _store(conversation, prepared, prepared.message)
        conversation_lock(conversation)
    if conversation.status == Conversation.Status.ASSISTANT and messages_owed(conversation):
        want_reply(conversation)


def message_understand(
    *, organisation_id: uuid.UUID, message_id: uuid.UUID
) -> tuple[uuid.UUID, Understanding] | None:
    """What the models say of a message that a person will answer; outside of any transaction."""
    with organisation_scope(organisation_id):
        message = Message.objects.filter(pk=message_id).select_related("conversation").first()
        targets = targets_resolve()
        if message is None or not targets:
            return None
        kept = assistant_get(message.conversation.channel_id).unmasked
    text, _counts = masked(message.body, kept=kept)
    return message.pk, understand(targets, text, message.conversation.language or "en")


def understanding_store(*, message_id: uuid.UUID, said: Understanding) -> None:
    """Keep it with the message, and how the customer feels with the conversation."""
    message = Message.objects.select_related("conversation").filter(pk=message_id).first()
    if message is None:
        return
    conversation = conversation_lock(message.conversation)
    _understood(
        conversation, message, intent=said.intent, emotions=said.emotions, trace=said.as_json()
    )


def understand_waiting(conversation: Conversation, message: Message | None) -> None:
    """A hook: a visitor wrote to people, who want to know how they feel."""
    if message is not None:
        outbox_write(UNDERSTAND_TOPIC, {"message": str(message.pk)})


def unhelpful(conversation: Conversation, message: Message | None) -> None:
    """A hook: a reply that the visitor says did not help is a question without an answer."""
    if message is None or message.author != Message.Author.ASSISTANT or message.thumb != -1:
        return
    conversation.unhelped += 1
    if message.in_reply_to is not None:
        text = message.trace.get("question") or masked(message.in_reply_to.body)[0]
        _log_unanswered(message.in_reply_to, text, conversation.language, THUMB_DOWN)


# --- parts of the above ---------------------------------------------------------------------------------


def _begin(conversation_id: uuid.UUID) -> tuple[Message, Question] | None:
    """The reply that is to be written and the question it answers; None when nothing is owed."""
    conversation = Conversation.objects.select_related("channel").filter(pk=conversation_id).first()
    if conversation is None or conversation.status != Conversation.Status.ASSISTANT:
        return None
    owed = messages_owed(conversation)
    if not owed:
        return None
    asked = owed[0]
    try:
        reply = reply_begin(conversation=conversation, in_reply_to=asked)
    except NotTheAssistants:
        return None
    if reply.state != Message.State.STREAMING:
        return None
    earlier = asked.replies.filter(author=Message.Author.ASSISTANT).exclude(pk=reply.pk)
    channel = conversation.channel
    return reply, Question(
        text=asked.body,
        turns=turns_before(asked),
        language=conversation.language,
        audiences=tuple(channel.audiences) if channel else Question.audiences,
        channel=conversation.channel_id,
        conversation=conversation.pk,
        message=asked.pk,
        choice=_choice(asked),
        avoid=tuple(body for body in earlier.values_list("body", flat=True) if body),
        unhelped=conversation.unhelped,
        anger=conversation.anger,
    )


def _choice(message: Message) -> str:
    """The value of the button that the visitor pressed."""
    pressed: Any = message.choices[0] if message.choices else {}
    return str(pressed.get("value", "")) if isinstance(pressed, dict) else str(pressed)


class _Writer:
    """Shows the pieces of a reply, each in a transaction of its own."""

    def __init__(self, organisation_id: uuid.UUID, message: Message) -> None:
        self._organisation_id = organisation_id
        self._message = message
        self._index = 0

    def write(self, piece: str) -> bool:
        """False: it was stopped, or another worker writes it now."""
        with organisation_scope(self._organisation_id):
            wanted = reply_chunk(
                message=self._message,
                attempt=self._message.attempt,
                index=self._index,
                text=piece,
            )
        self._index += 1
        return wanted


def _apology(question: Question, problem: str) -> Reply:
    """What is said when the search has not answered for a while: the truth, and people."""
    language = question.language or "en"
    return Reply(
        body=phrases.phrase("failed", language),
        language=language,
        choices=[phrases.people_choice(language)],
        trace={"language": language, "steps": [{"step": "retrieve", "error": problem[:300]}]},
    )


def _store(conversation: Conversation, prepared: Prepared, message: Message) -> None:
    reply = prepared.reply
    message.refresh_from_db()
    if message.attempt != prepared.attempt:
        # Another worker has begun anew: what it writes counts.
        return
    asked = message.in_reply_to
    if asked is not None:
        _understood(
            conversation, asked, intent=reply.intent, emotions=reply.emotions, trace=_seen(reply)
        )
    for effect in reply.effects:
        effect()
    if message.state != Message.State.STREAMING:
        # Stopped: it stays as far as it was written. What a flow has done is done all the same.
        return
    conversation.language = reply.language
    if reply.helped:
        conversation.unhelped = 0
    elif reply.unanswered:
        conversation.unhelped += 1
    conversation.save(update_fields=["language", "unhelped", "updated_at"])
    reply_finish(
        message=message,
        body=reply.body,
        state=Message.State.DONE,
        citations=reply.citations,
        choices=reply.choices,
        trace={**reply.trace, "question": reply.standalone},
        kind=reply.kind,
    )
    if asked is not None and (reason := _unanswered_reason(reply)):
        _log_unanswered(asked, _open_question(conversation, asked, reply), reply.language, reason)
    if reply.hand_off:
        conversation_hand_off(
            conversation=conversation,
            reason=reply.hand_off,
            summary=hand_off_summary(conversation),
        )


def _seen(reply: Reply) -> dict[str, Any]:
    """What was understood of the visitor's message."""
    steps = reply.trace.get("steps", [])
    said: dict[str, Any] = next((step for step in steps if step.get("step") == "understand"), {})
    return {"language": reply.language} | {
        name: said[name]
        for name in ("intent", "probability", "in_scope", "emotion", "emotions", "versions")
        if name in said
    }


def _understood(
    conversation: Conversation,
    message: Message,
    *,
    intent: str,
    emotions: dict[str, float],
    trace: dict[str, Any],
) -> None:
    """Write what is known of a visitor's message, and the trend of the conversation; its row is locked."""
    message.trace = {**message.trace, **trace}
    message.language = str(trace.get("language", message.language))
    message.save(update_fields=["trace", "language", "updated_at"])
    conversation.intent = intent[:120] or conversation.intent
    if emotions:
        conversation.emotion = max(emotions, key=lambda name: emotions[name])
        conversation.anger = anger_after(conversation.anger, emotions)
    conversation.save(update_fields=["intent", "emotion", "anger", "updated_at"])


def _unanswered_reason(reply: Reply) -> str | None:
    return reply.unanswered or (PEOPLE_ASKED if reply.hand_off == PEOPLE_ASKED else None)


def _open_question(conversation: Conversation, asked: Message, reply: Reply) -> str:
    """What had no answer: the message itself, or what was asked before somebody asked for people."""
    if reply.unanswered:
        return reply.standalone
    before = (
        Message.objects.filter(
            conversation=conversation,
            author=Message.Author.ASSISTANT,
            sequence__lt=asked.sequence,
            kind__in=["template", "composed", "generated"],
        )
        .order_by("-sequence")
        .first()
    )
    return str(before.trace.get("question", "")) if before is not None else ""


def _log_unanswered(message: Message, text: str, language: str, reason: str) -> None:
    if not text.strip():
        return
    question, _made = UnansweredQuestion.objects.update_or_create(
        message=message,
        defaults={
            "conversation_id": message.conversation_id,
            "text": text,
            "language": language,
            "reason": reason,
        },
    )
    for hook in hooks.on_unanswered:
        hook(question)
