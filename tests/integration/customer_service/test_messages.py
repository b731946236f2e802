"""All that is said is stored once and in order, and each question is answered once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from apps.customer_service.models import (
    Attachment,
    Channel,
    Conversation,
    ConversationEntry,
    Message,
    Visitor,
)
from apps.customer_service.selectors.conversations import (
    ConversationQuery,
    conversation_stream,
    conversations_find,
    messages_after,
    messages_owed,
)
from apps.customer_service.services import hooks
from apps.customer_service.services.conversations import (
    conversation_assign,
    conversation_hand_off,
    conversation_open,
    conversation_rate,
    conversation_release,
    conversation_resolve,
    conversation_return,
)
from apps.customer_service.services.messages import (
    NotTheAssistants,
    NotTheLast,
    message_add,
    message_rate,
    messages_read,
    reply_begin,
    reply_chunk,
    reply_finish,
    reply_give_up,
    reply_regenerate,
    reply_stop,
)
from rootstock.common.actors import SYSTEM
from rootstock.outbox.models import OutboxMessage
from rootstock.realtime.models import Event
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.usefixtures("no_hooks")


def ask(conversation: Conversation, body: str = "Where is my parcel?", **values: Any) -> Message:
    return message_add(conversation=conversation, author="visitor", body=body, **values)


def seen(conversation: Conversation) -> list[tuple[str, dict[str, Any]]]:
    """Events that the visitor got."""
    stream = conversation_stream(conversation.pk)
    rows = Event.objects.filter(stream=stream).order_by("sequence")
    return [(row.type, row.payload) for row in rows]


def topics() -> list[str]:
    return sorted(OutboxMessage.objects.values_list("topic", flat=True))


def test_a_message_sent_again_is_stored_once(conversation: Conversation) -> None:
    first = ask(conversation, client_id="a")
    second = ask(conversation, client_id="b", body="It was due on Monday.")
    again = ask(conversation, client_id="a")
    assert again.pk == first.pk
    assert [first.sequence, second.sequence] == [1, 2]
    assert conversation.last_sequence == 2
    assert [type for type, _ in seen(conversation)] == ["message", "message"]
    # One errand for the worker however many questions wait.
    assert topics() == ["service.reply"]
    assert messages_owed(conversation) == [first, second]


def test_a_retried_worker_goes_on_with_the_reply_that_was_begun(conversation: Conversation) -> None:
    question = ask(conversation)
    reply = reply_begin(conversation=conversation, in_reply_to=question)
    assert (reply.state, reply.attempt) == ("streaming", 1)
    assert reply_chunk(message=reply, attempt=1, index=0, text="Your par")
    # It dies. Another one begins anew; pieces of the first no longer count.
    second = reply_begin(conversation=conversation, in_reply_to=question)
    assert (second.pk, second.attempt) == (reply.pk, 2)
    assert not reply_chunk(message=reply, attempt=1, index=1, text="cel")
    assert reply_chunk(message=second, attempt=2, index=0, text="Your parcel ")
    assert reply_chunk(message=second, attempt=2, index=1, text="left.")
    assert Message.objects.get(pk=reply.pk).body == "Your parcel left."
    reply_finish(message=second, body="Your parcel left.", kind="composed")
    # The first one was only slow, and finishes as well: nothing changes.
    reply_finish(message=reply, body="Something else", kind="composed")
    assert reply.body == "Your parcel left."
    conversation.refresh_from_db()
    assert messages_owed(conversation) == []
    assert reply_begin(conversation=conversation, in_reply_to=question).state == "done"
    assert Message.objects.filter(author="assistant").count() == 1
    assert [type for type, _ in seen(conversation)] == [
        "message",
        "message",
        "chunk",
        "message",
        "chunk",
        "chunk",
        "message",
    ]


def test_stopped_stays_as_far_as_it_was_written(conversation: Conversation) -> None:
    question = ask(conversation)
    reply = reply_begin(conversation=conversation, in_reply_to=question)
    reply_chunk(message=reply, attempt=1, index=0, text="A long")
    stopped = reply_stop(message=Message.objects.get(pk=reply.pk))
    assert (stopped.state, stopped.body) == ("stopped", "A long")
    assert not reply_chunk(message=reply, attempt=1, index=1, text=" story")
    assert reply_finish(message=reply, body="A long story").body == "A long"
    conversation.refresh_from_db()
    assert messages_owed(conversation) == []


def test_regenerate_writes_a_second_reply_to_the_same_question(conversation: Conversation) -> None:
    question = ask(conversation)
    first = reply_begin(conversation=conversation, in_reply_to=question)
    with pytest.raises(NotTheLast):
        reply_regenerate(message=first)
    reply_finish(message=first, body="One")
    OutboxMessage.objects.all().delete()
    second = reply_regenerate(message=first)
    assert second.state == "streaming"
    assert topics() == ["service.reply"]
    conversation.refresh_from_db()
    assert messages_owed(conversation) == [question]
    again = reply_begin(conversation=conversation, in_reply_to=question)
    assert again.pk == second.pk
    reply_finish(message=again, body="Two")
    ask(conversation, "Thanks")
    with pytest.raises(NotTheLast):
        reply_regenerate(message=again)


def test_people_take_over_and_give_back(conversation: Conversation, agent: Any, ann: Any) -> None:
    changes: list[tuple[str, str]] = []
    hooks.on_status_changed.append(lambda c, before, _actor: changes.append((before, c.status)))
    try:
        question = ask(conversation)
        conversation_hand_off(conversation=conversation, reason="asked", summary="A parcel")
        conversation_hand_off(conversation=conversation, reason="again")
        assert conversation.hand_off_reason == "asked"
        assert conversation.waiting_since is not None
        with pytest.raises(NotTheAssistants):
            reply_begin(conversation=conversation, in_reply_to=question)
        conversation_assign(conversation=conversation, member=agent, actor=ann)
        message_add(conversation=conversation, author="agent", body="Hello", member=agent)
        assert conversation.waiting_since is None
        assert conversation.first_reply_at is not None
        assert messages_owed(conversation) == []
        ask(conversation, "And the invoice?")
        assert conversation.waiting_since is not None
        OutboxMessage.objects.all().delete()
        conversation_return(conversation=conversation, actor=ann)
        # What nobody has answered is the assistant's now.
        assert [m.body for m in messages_owed(conversation)] == ["And the invoice?"]
        assert topics() == ["service.reply"]
    finally:
        hooks.on_status_changed.pop()
    assert changes == [
        ("assistant", "waiting"),
        ("waiting", "assigned"),
        ("assigned", "assistant"),
    ]
    statuses = [data for type, data in seen(conversation) if type == "status"]
    assert statuses == [
        {"status": "waiting", "agent": None},
        {"status": "assigned", "agent": "Ann"},
        {"status": "assistant", "agent": None},
    ]


def test_an_agent_who_writes_takes_the_conversation(conversation: Conversation, agent: Any) -> None:
    ask(conversation)
    message_add(conversation=conversation, author="agent", body="Let me look.", member=agent)
    assert (conversation.status, conversation.assignee) == ("assigned", agent)
    entry = ConversationEntry.objects.get(conversation=conversation, kind="assigned")
    assert entry.actor_label == "Ann"
    conversation_release(conversation=conversation, actor=SYSTEM)
    assert (conversation.status, conversation.assignee) == ("waiting", None)


def test_a_reply_begun_before_people_took_over_ends(conversation: Conversation, agent: Any) -> None:
    question = ask(conversation)
    reply_begin(conversation=conversation, in_reply_to=question)
    conversation_assign(conversation=conversation, member=agent, actor=SYSTEM)
    reply = reply_begin(conversation=conversation, in_reply_to=question)
    assert reply.state == "stopped"


def test_notes_are_numbered_and_never_shown_to_the_visitor(
    conversation: Conversation, agent: Any
) -> None:
    ask(conversation)
    before = conversation.last_message_at
    note = message_add(conversation=conversation, author="note", body="VIP", member=agent)
    assert note.sequence == 2
    assert conversation.status == "assistant"
    assert conversation.last_message_at == before
    assert "VIP" not in str(seen(conversation))
    assert [m.sequence for m in messages_after(conversation, 0, public=True)] == [1]
    assert [m.sequence for m in messages_after(conversation, 0, public=False)] == [1, 2]


def test_resolved_and_opened_again(conversation: Conversation, agent: Any) -> None:
    question = ask(conversation)
    reply_finish(message=reply_begin(conversation=conversation, in_reply_to=question), body="Yes")
    conversation_resolve(conversation=conversation, actor=SYSTEM)
    assert conversation.contained is True
    conversation_rate(conversation=conversation, csat=5, comment="good")
    ask(conversation, "One more thing")
    assert (conversation.status, conversation.contained) == ("assistant", None)
    assert len(messages_owed(conversation)) == 1
    message_add(conversation=conversation, author="agent", body="Sure", member=agent)
    conversation_resolve(conversation=conversation, actor=SYSTEM)
    assert conversation.contained is False


def test_a_reply_that_cannot_be_written_becomes_a_matter_for_people(
    conversation: Conversation,
) -> None:
    question = ask(conversation)
    reply = reply_begin(conversation=conversation, in_reply_to=question)
    reply_give_up(conversation=conversation)
    reply.refresh_from_db()
    assert reply.state == "failed"
    assert (conversation.status, conversation.hand_off_reason) == ("waiting", "assistant-failed")


def test_rated_and_read(conversation: Conversation) -> None:
    rated: list[int | None] = []
    hooks.on_rated.append(lambda _c, message: rated.append(message.thumb if message else None))
    try:
        question = ask(conversation)
        reply = reply_finish(
            message=reply_begin(conversation=conversation, in_reply_to=question), body="Yes"
        )
        message_rate(message=reply, thumb=-1, comment="no")
    finally:
        hooks.on_rated.pop()
    assert rated == [-1]
    assert messages_read(conversation=conversation, side="people", sequence=99)
    assert conversation.people_read == 2
    assert not messages_read(conversation=conversation, side="people", sequence=1)
    assert ("read", {"side": "people", "sequence": 2}) in seen(conversation)


def test_files_of_another_conversation_cannot_be_attached(
    conversation: Conversation, channel: Channel
) -> None:
    other = conversation_open(
        channel=channel, visitor=Visitor.objects.create(name="Eve"), origin="widget"
    )
    foreign = Attachment.objects.create(
        conversation=other, name="a", content_type="text/plain", size=1, digest="", path="x"
    )
    message = ask(conversation, attachments=[foreign])
    assert message.attachments.count() == 0


def test_found_by_its_words_in_both_languages(conversation: Conversation) -> None:
    ask(conversation, "Where is my parcel? 我的包裹在哪里")
    for text, found in (("parcel WHERE", 1), ("包裹", 1), ("invoice", 0), ("li w", 1), ("发票", 0)):
        assert conversations_find(ConversationQuery(text=text)).count() == found, text


def test_many_senders_at_once_leave_no_gap_and_no_double(live_db: None, organisation: Any) -> None:
    """Eight threads, each sending every message twice, to one conversation."""
    with organisation_scope(organisation.pk):
        channel = Channel.objects.create(name="Shop", key="k")
        visitor = Visitor.objects.create()
        conversation_id = conversation_open(channel=channel, visitor=visitor, origin="widget").pk

    def send(sender: int) -> None:
        for number in range(10):
            for _ in range(2):
                with organisation_scope(organisation.pk):
                    ask(
                        Conversation.objects.get(pk=conversation_id),
                        f"{number}",
                        client_id=f"{sender}-{number}",
                    )
        connections.close_all()

    threads = [threading.Thread(target=send, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with organisation_scope(organisation.pk):
        conversation = Conversation.objects.get(pk=conversation_id)
        messages = messages_after(conversation, 0, public=True)
        assert [m.sequence for m in messages] == list(range(1, 81))
        for sender in range(8):
            own = [m.body for m in messages if m.client_id.startswith(f"{sender}-")]
            assert own == [str(n) for n in range(10)]
        events = [data["sequence"] for _, data in seen(conversation)]
        assert events == list(range(1, 81))
        assert OutboxMessage.objects.filter(topic="service.reply").count() == 1
