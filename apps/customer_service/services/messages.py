"""What is said: stored once, numbered in order, answered once.

Numbers are given under the lock of the conversation's row. A message that is sent again with its `client_id` is the
one that is there. The assistant owes an answer to each visitor message behind `answered_sequence`; that number moves
in the transaction that ends the answer, so a worker that dies leaves the debt, and its successor finds the reply that
was begun and writes on in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import F, Value
from django.db.models.functions import Concat
from django.utils import timezone

from apps.customer_service.inference.words import words_of
from apps.customer_service.models import (
    Attachment,
    Conversation,
    Message,
    MessageWords,
    Suggestion,
)
from apps.customer_service.selectors.conversations import (
    conversation_stream,
    public_message,
)
from apps.customer_service.services import hooks
from apps.customer_service.services.conversations import (
    conversation_changed,
    conversation_hand_off,
    conversation_lock,
    conversation_tell,
    reopen,
    status_event,
    take,
    visitor_actor,
    want_reply,
)
from rootstock.common.actors import SYSTEM, Actor
from rootstock.realtime.services import event_append
from rootstock.tenancy.models import Membership

# Characters of one message.
VISITOR_LIMIT = 4000
AGENT_LIMIT = 10_000
Author = Message.Author
State = Message.State
Status = Conversation.Status
Events = list[tuple[str, dict[str, Any]]]


class NotTheAssistants(ValueError):
    """People have the conversation, or it is resolved: the assistant says nothing."""


class NotTheLast(ValueError):
    """Only the assistant's last reply, with nothing said after it, can be written anew."""


def message_add(
    *,
    conversation: Conversation,
    author: str,
    body: str,
    client_id: str = "",
    member: Membership | None = None,
    in_reply_to: Message | None = None,
    citations: Sequence[dict[str, Any]] = (),
    choices: Sequence[dict[str, Any]] = (),
    trace: dict[str, Any] | None = None,
    kind: str = "",
    attachments: Iterable[Attachment] = (),
    suggestion: Suggestion | None = None,
    actor: Actor = SYSTEM,
) -> Message:
    """Store a finished message and do what follows from who said it.

    A visitor's goes to whoever has the conversation, and opens a resolved one again; an agent's makes the conversation
    theirs; a note is seen by agents only. With a `client_id` that the conversation knows, nothing happens and the
    message that is there is returned.

    Args:
        choices: buttons under a reply; of a visitor's message the one that was pressed.
        attachments: files of this conversation that no message has yet.
        member: the agent; None for a program that answers for one (`actor` names it in the log).
    """
    words = words_of(body)
    conversation_lock(conversation)
    if client_id:
        known = Message.objects.filter(conversation=conversation, client_id=client_id).first()
        if known is not None:
            return known
    message = _append(
        conversation,
        author=author,
        body=body,
        client_id=client_id,
        member=member,
        in_reply_to=in_reply_to,
        citations=list(citations),
        choices=list(choices),
        trace=trace or {},
        kind=kind,
        suggestion=suggestion,
    )
    _attach(message, attachments)
    if words:
        MessageWords.objects.create(message=message, terms=words)
    before = status_event(conversation)
    match author:
        case Author.VISITOR:
            _from_visitor(conversation, message)
        case Author.AGENT:
            _from_agent(conversation, message, actor)
        case Author.NOTE:
            conversation.people_read = message.sequence
        case Author.ASSISTANT:
            _answered(conversation, message)
    conversation.save()
    events: Events = []
    if author != Author.NOTE:
        events.append(_told(conversation, message))
    if status_event(conversation) != before:
        events.append(status_event(conversation))
    conversation_changed(conversation=conversation, events=events, last=message)
    return message


def _from_visitor(conversation: Conversation, message: Message) -> None:
    if conversation.status == Status.RESOLVED:
        reopen(conversation, Status.ASSISTANT, visitor_actor(conversation.visitor))
    conversation.visitor_read = message.sequence
    if conversation.status == Status.ASSISTANT:
        want_reply(conversation)
        return
    conversation.waiting_since = conversation.waiting_since or message.created_at
    for waits in hooks.on_visitor_waiting:
        waits(conversation, message)


def _from_agent(conversation: Conversation, message: Message, actor: Actor) -> None:
    member = message.member
    if conversation.status != Status.ASSIGNED:
        if member is not None and actor == SYSTEM:
            actor = Actor("user", str(member.user_id), str(member.user))
        take(conversation, member, actor)
    conversation.people_read = message.sequence
    conversation.answered_sequence = message.sequence
    conversation.waiting_since = None
    conversation.first_reply_at = conversation.first_reply_at or message.created_at
    for replied in hooks.on_agent_reply:
        replied(conversation, message)


# --- the assistant's replies --------------------------------------------------------------------------


def reply_begin(*, conversation: Conversation, in_reply_to: Message) -> Message:
    """The reply to a visitor's message, to be written.

    A worker that takes over from one that died gets the reply that was begun, emptied, with the next `attempt`; pieces
    of the former attempt no longer count. When the message has been answered, or its reply was stopped or can no longer
    be written because people took over, the reply that is there is returned: look at its `state`.

    Raises:
        NotTheAssistants: people have the conversation now, or it is resolved.
    """
    conversation_lock(conversation)
    reply = (
        Message.objects.filter(in_reply_to=in_reply_to, author=Author.ASSISTANT)
        .order_by("-sequence")
        .first()
    )
    if reply is not None and reply.state != State.STREAMING:
        return reply
    if conversation.status != Status.ASSISTANT:
        if reply is None:
            raise NotTheAssistants(f"the conversation is {conversation.status}")
        return reply_stop(message=reply)
    if reply is None:
        reply = _append(
            conversation, author=Author.ASSISTANT, state=State.STREAMING, in_reply_to=in_reply_to
        )
        conversation.save()
    reply.attempt += 1
    reply.body = ""
    reply.save()
    event_append(conversation_stream(conversation.pk), "message", public_message(reply))
    return reply


def reply_chunk(*, message: Message, attempt: int, index: int, text: str) -> bool:
    """The next piece of a reply, `index` from 0. False: stopped, or another worker writes it now; write no more."""
    body = Concat(F("body"), Value(text)) if index else Value(text)
    written = Message.objects.filter(pk=message.pk, state=State.STREAMING, attempt=attempt).update(
        body=body
    )
    if not written:
        return False
    event_append(
        conversation_stream(message.conversation_id),
        "chunk",
        {"message": str(message.pk), "attempt": attempt, "index": index, "text": text},
    )
    return True


def reply_finish(
    *,
    message: Message,
    body: str,
    state: str = State.DONE,
    citations: Sequence[dict[str, Any]] = (),
    choices: Sequence[dict[str, Any]] = (),
    trace: dict[str, Any] | None = None,
    kind: str = "",
) -> Message:
    """End a reply; what it answers is answered. One that has ended already stays as it is."""
    words = words_of(body)
    conversation = _lock(message)
    if message.state != State.STREAMING:
        return message
    message.body = body
    message.state = state
    message.citations = list(citations)
    message.choices = list(choices)
    message.trace = trace or {}
    message.kind = kind
    _end(conversation, message, words)
    return message


def reply_stop(*, message: Message) -> Message:
    """The visitor wants no more of it: it stays as far as it was written."""
    conversation = _lock(message)
    if message.state == State.STREAMING:
        message.state = State.STOPPED
        _end(conversation, message, words_of(message.body))
    return message


def reply_regenerate(*, message: Message) -> Message:
    """Another reply to the same question beside the one that is there; it is written by the next worker.

    Returns the new reply, `streaming` and empty. Its `in_reply_to` has earlier replies: those it should differ from.

    Raises:
        NotTheLast: it is no ended reply of the assistant, or something was said after it.
        NotTheAssistants: people have the conversation now, or it is resolved.
    """
    conversation = _lock(message)
    if conversation.status != Status.ASSISTANT:
        raise NotTheAssistants(f"the conversation is {conversation.status}")
    question = message.in_reply_to
    if (
        message.author != Author.ASSISTANT
        or message.state == State.STREAMING
        or question is None
        or Message.objects.filter(conversation=conversation, sequence__gt=message.sequence)
        .exclude(author=Author.NOTE)
        .exists()
    ):
        raise NotTheLast
    reply = _append(
        conversation, author=Author.ASSISTANT, state=State.STREAMING, in_reply_to=question
    )
    conversation.answered_sequence = min(conversation.answered_sequence, question.sequence - 1)
    conversation.save()
    want_reply(conversation)
    events: Events = [("message", public_message(reply))]
    conversation_changed(conversation=conversation, events=events, last=reply)
    return reply


# --- rating and reading -------------------------------------------------------------------------------


def message_rate(*, message: Message, thumb: int, comment: str = "") -> Message:
    """The visitor says whether a reply helped: 1, -1, or 0 to take it back."""
    conversation = _lock(message)
    message.thumb = thumb or None
    message.thumb_comment = comment
    message.save()
    for rated in hooks.on_rated:
        rated(conversation, message)
    conversation.save()
    conversation_changed(
        conversation=conversation,
        events=[("rated", {"message": str(message.pk), "thumb": message.thumb})],
    )
    return message


def messages_read(*, conversation: Conversation, side: str, sequence: int) -> bool:
    """Say up to which message "visitor" or "people" have read; False when that was known."""
    conversation_lock(conversation)
    column = f"{side}_read"
    sequence = min(sequence, conversation.last_sequence)
    if sequence <= getattr(conversation, column):
        return False
    setattr(conversation, column, sequence)
    conversation.save(update_fields=[column, "updated_at"])
    events: Events = [("read", {"side": side, "sequence": sequence})]
    conversation_changed(conversation=conversation, events=events)
    return True


def reply_give_up(*, conversation: Conversation) -> None:
    """The assistant failed again and again (its outbox message is a dead letter): people answer what it owes."""
    conversation_lock(conversation)
    for reply in Message.objects.filter(conversation=conversation, state=State.STREAMING):
        reply.state = State.FAILED
        _end(conversation, reply, words_of(reply.body))
    if conversation.status == Status.ASSISTANT:
        conversation_hand_off(conversation=conversation, reason="assistant-failed")


# --- parts of the above ---------------------------------------------------------------------------------


def _lock(message: Message) -> Conversation:
    """The conversation of a message, both refreshed and locked, the conversation first."""
    conversation = conversation_lock(message.conversation)
    message.refresh_from_db(from_queryset=Message.objects.select_for_update())
    message.conversation = conversation
    return conversation


def _append(conversation: Conversation, **values: Any) -> Message:
    """A message with the next number of a locked conversation; the caller saves the conversation."""
    conversation.last_sequence += 1
    message = Message(conversation=conversation, sequence=conversation.last_sequence, **values)
    message.save(force_insert=True)
    if message.author != Author.NOTE:
        conversation.last_message_at = message.created_at
    return message


def _attach(message: Message, attachments: Iterable[Attachment]) -> None:
    ids = [attachment.pk for attachment in attachments]
    if ids:
        Attachment.objects.filter(
            pk__in=ids, conversation=message.conversation_id, message=None
        ).update(message=message)


def _answered(conversation: Conversation, reply: Message) -> None:
    """What it replies to, and all before that, is owed no more."""
    if reply.in_reply_to is not None:
        conversation.answered_sequence = max(
            conversation.answered_sequence, reply.in_reply_to.sequence
        )


def _end(conversation: Conversation, reply: Message, words: list[str]) -> None:
    reply.save()
    if words:
        MessageWords.objects.create(message=reply, terms=words)
    _answered(conversation, reply)
    conversation.last_message_at = timezone.now()
    conversation.save()
    event = _told(conversation, reply)
    conversation_changed(conversation=conversation, events=[event], last=reply)


def _told(conversation: Conversation, message: Message) -> tuple[str, dict[str, Any]]:
    """The event of a finished message, after webhooks were told of it."""
    public = public_message(message)
    conversation_tell(
        conversation=conversation,
        event_type="service.message.created",
        extra={"message": public},
    )
    return "message", public
