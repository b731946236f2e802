"""The clock of a waiting customer: business hours, changes of the clock, holidays, escalation once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from apps.customer_service.models import Conversation, ConversationEntry, Message, SlaPolicy
from apps.customer_service.services.conversations import (
    conversation_assign,
    conversation_hand_off,
    conversation_resolve,
)
from apps.customer_service.services.hours import Hours, hours_of
from apps.customer_service.services.messages import message_add
from apps.customer_service.services.sla import policy_update, sla_due, sla_judge
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.realtime.models import Event
from rootstock.webhooks.models import Delivery, Endpoint
from tests.integration.customer_service.test_desk_assignment import make_agent

NINE_TO_SIX = ((("09:00", "18:00"),),) * 5 + ((), ())


def berlin(day: int, hour: int, minute: int = 0, *, month: int = 3, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Berlin"))


def hours(week=NINE_TO_SIX, holidays=()) -> Hours:
    return Hours(week, frozenset(holidays), ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("start", "seconds", "due"),
    [
        (berlin(4, 10), 3600, berlin(4, 11)),
        (berlin(4, 17, 50), 1200, berlin(5, 9, 10)),  # ten minutes today, ten tomorrow
        (berlin(4, 3), 600, berlin(4, 9, 10)),  # before it opens
        (berlin(6, 17, 59), 120, berlin(9, 9, 1)),  # over the weekend
        (berlin(4, 9), 9 * 3600, berlin(4, 18)),  # to the last second of the day
        (berlin(4, 9), 20 * 3600, berlin(6, 11)),  # several days
    ],
)
def test_a_timer_stands_still_out_of_hours(start, seconds, due):
    assert hours().after(start, seconds) == due.astimezone(UTC)


def test_a_holiday_is_skipped():
    closed = hours(holidays=[date(2026, 3, 5)])
    assert closed.after(berlin(4, 17, 50), 1200) == berlin(6, 9, 10).astimezone(UTC)
    assert not closed.is_open(berlin(5, 12))
    assert closed.next_open(berlin(5, 12)) == berlin(6, 9).astimezone(UTC)


NIGHTS = ((("22:00", "06:00"),),) * 7


def test_real_time_passes_when_the_clock_changes():
    # In the night to 29 March 2026 02:00 becomes 03:00: a shift of seven hours.
    assert hours(NIGHTS).after(berlin(28, 22), 6.5 * 3600) == berlin(29, 5, 30).astimezone(UTC)
    assert hours(NIGHTS).after(berlin(28, 22), 7.5 * 3600) == berlin(29, 22, 30).astimezone(UTC)
    # In the night to 25 October 2026 it is 02:30 twice: nine hours.
    start = berlin(24, 22, month=10)
    assert hours(NIGHTS).after(start, 8.5 * 3600) == berlin(25, 5, 30, month=10).astimezone(UTC)
    # By day the wall clock decides: nine in summer is nine in winter.
    assert hours().after(berlin(27, 17, 55), 600) == berlin(30, 9, 5).astimezone(UTC)


def test_hours_that_never_come_give_no_time():
    assert hours(((),) * 7).after(berlin(4, 10), 60) is None
    assert hours(((),) * 7).next_open(berlin(4, 10)) is None


def test_without_hours_people_are_always_there_but_on_holidays(channel):
    assert hours_of(None).after(berlin(7, 3), 60) == berlin(7, 3, 1).astimezone(UTC)
    channel.holidays = [date(2026, 3, 7)]
    assert hours_of(channel).after(berlin(7, 3), 60) == datetime(2026, 3, 8, 0, 1, tzinfo=UTC)


def waits(conversation: Conversation, seconds: float) -> None:
    """As if it had waited for so long."""
    moved = timezone.now() - timedelta(seconds=seconds)
    Conversation.objects.filter(pk=conversation.pk).update(sla_due_at=moved)


@pytest.fixture
def policy(scope) -> SlaPolicy:
    return SlaPolicy.objects.create(
        first_reply_seconds=60,
        next_reply_seconds=600,
        escalation=[
            {"after_seconds": 0, "do": "notify", "role": "manager"},
            {"after_seconds": 60, "do": "priority"},
            {"after_seconds": 120, "do": "reassign"},
        ],
    )


def test_the_clock_runs_from_the_hand_off_to_the_answer(policy, conversation, agent, ann):
    conversation_hand_off(conversation=conversation, reason="asked")
    first = conversation.sla_due_at
    assert first == conversation.waiting_since + timedelta(seconds=60)
    message_add(conversation=conversation, author="visitor", body="Hello?")
    assert conversation.sla_due_at == first, "asking again does not give more time"
    conversation_assign(conversation=conversation, member=agent, actor=ann)
    assert conversation.sla_due_at == first, "having it is no answer"
    message_add(conversation=conversation, author="agent", body="Hi", member=agent)
    assert conversation.sla_due_at is None
    message_add(conversation=conversation, author="visitor", body="And my parcel?")
    assert conversation.sla_due_at == conversation.waiting_since + timedelta(seconds=600)
    conversation_resolve(conversation=conversation, actor=ann)
    assert conversation.sla_due_at is None


def test_business_hours_of_the_channel_hold(policy, channel, conversation):
    channel.business_hours = {"mon": [["09:00", "09:01"]]}
    channel.save()
    conversation.refresh_from_db()
    conversation_hand_off(conversation=conversation, reason="asked")
    due = conversation.sla_due_at
    assert (due.weekday(), due.hour) == (0, 9)


def test_a_missed_time_is_escalated_step_by_step_and_each_step_once(
    policy, conversation, agent, ann, make_user
):
    Endpoint.objects.create(url="https://x.example", event_types=["service.sla.missed"], secret="s")
    conversation_hand_off(conversation=conversation, reason="asked")
    assert sla_due() == []
    waits(conversation, 5)
    assert sla_due() == [conversation.pk]
    assert sla_judge(conversation_id=conversation.pk)
    assert not sla_judge(conversation_id=conversation.pk), "nothing more is due"
    waits(conversation, 61)
    assert sla_judge(conversation_id=conversation.pk)
    conversation_assign(conversation=conversation, member=agent, actor=ann)
    other = make_agent(make_user, policy.organisation)
    waits(conversation, 600)
    assert sla_judge(conversation_id=conversation.pk)
    assert not sla_judge(conversation_id=conversation.pk)
    conversation.refresh_from_db()
    assert (conversation.priority, conversation.assignee_id) == (1, other.pk)
    log = ConversationEntry.objects.filter(conversation=conversation)
    assert log.filter(kind="sla-missed").count() == 1
    assert [row.detail["do"] for row in log.filter(kind="escalated").order_by("id")] == [
        "notify",
        "priority",
        "reassign",
    ]
    assert Delivery.objects.filter(event_type="service.sla.missed").count() == 1
    notified = Event.objects.filter(stream="service.inbox", type="sla.escalated")
    assert [event.payload["role"] for event in notified] == ["manager"]
    assert sla_due() == [], "all steps are taken"


def test_several_steps_that_are_due_at_once_are_all_taken(policy, conversation):
    conversation_hand_off(conversation=conversation, reason="asked")
    waits(conversation, 3600)
    sla_judge(conversation_id=conversation.pk)
    conversation.refresh_from_db()
    assert (conversation.sla_step, conversation.priority, conversation.status) == (3, 1, "waiting")


def test_an_answer_ends_the_escalation(policy, conversation, agent):
    conversation_hand_off(conversation=conversation, reason="asked")
    waits(conversation, 5)
    sla_judge(conversation_id=conversation.pk)
    message_add(conversation=conversation, author="agent", body="Sorry!", member=agent)
    assert (conversation.sla_missed_at, conversation.sla_step) == (None, 0)
    assert not sla_judge(conversation_id=conversation.pk)


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ([{"after_seconds": -1, "do": "notify", "role": "manager"}], "/escalation/0"),
        ([{"after_seconds": 0, "do": "shout"}], "/escalation/0"),
        ([{"after_seconds": 0, "do": "notify"}], "/escalation/0"),
        (
            [{"after_seconds": 60, "do": "priority"}, {"after_seconds": 0, "do": "reassign"}],
            "/escalation/1",
        ),
        ([{"after_seconds": 0, "do": "priority"}] * 11, "/escalation"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(policy, steps, pointer, ann):
    with pytest.raises(Problem) as refused:
        policy_update(policy=policy, values={"escalation": steps}, actor=ann)
    assert refused.value.errors[0]["pointer"] == pointer


def test_the_summary_says_what_it_is_about_in_the_words_of_the_conversation(conversation):
    conversation.intent = "refund_request"
    conversation.emotion = "anger"
    conversation.save()
    question = message_add(conversation=conversation, author="visitor", body="Where is my refund?")
    reply = message_add(
        conversation=conversation,
        author="assistant",
        body="Refunds take five days.",
        in_reply_to=question,
        kind="composed",
    )
    Message.objects.filter(pk=reply.pk).update(thumb=-1)
    message_add(conversation=conversation, author="visitor", body="no")
    conversation_hand_off(conversation=conversation, reason="asked", actor=SYSTEM)
    assert conversation.summary.splitlines() == [
        "Wants: refund request",
        "Last question: Where is my refund?",
        "Tried: Refunds take five days. (did not help)",
        "Mood: Angry",
    ]
