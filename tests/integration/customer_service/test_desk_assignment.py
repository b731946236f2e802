"""Who gets a waiting conversation."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from apps.customer_service.models import AgentProfile, Conversation, Visitor
from apps.customer_service.services.assignment import (
    SEEN_WITHIN,
    presence_set,
    profile_update,
    queue_assign,
)
from apps.customer_service.services.conversations import (
    ASSIGN_TOPIC,
    conversation_hand_off,
    conversation_open,
    conversation_resolve,
)
from rootstock.common.actors import SYSTEM
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.models import Membership, Organisation, Role
from rootstock.tenancy.scope import organisation_scope


def make_agent(
    make_user: Any, organisation: Organisation, *, skills: Any = (), **values: Any
) -> Membership:
    """Somebody who sits before the console."""
    user = make_user(organisation, Role.AGENT)
    with organisation_scope(organisation.pk):
        member = Membership.objects.select_related("user").get(user=user)
        AgentProfile.objects.create(
            member=member,
            **{
                "presence": AgentProfile.Presence.ONLINE,
                "seen_at": timezone.now(),
                "capacity": 5,
                "skills": list(skills),
                **values,
            },
        )
    return member


def waiting(*, language: str = "en", intent: str = "", priority: int = 0) -> Conversation:
    """A conversation that the assistant has handed over."""
    visitor = Visitor.objects.create(name="Li Wei")
    conversation = conversation_open(
        channel=None, visitor=visitor, origin="widget", language=language
    )
    Conversation.objects.filter(pk=conversation.pk).update(intent=intent, priority=priority)
    return conversation_hand_off(conversation=conversation, reason="asked")


def assignees() -> list[Any]:
    return list(Conversation.objects.order_by("pk").values_list("assignee_id", flat=True))


def test_conversations_go_round_by_load(scope, make_user):
    first, second = (make_agent(make_user, scope) for _ in range(2))
    for _ in range(4):
        waiting()
    assert queue_assign() == 4
    assert sorted(map(str, assignees())) == sorted([str(first.pk)] * 2 + [str(second.pk)] * 2)
    assert assignees()[0] != assignees()[1], "they take turns"


def test_a_small_capacity_counts_as_a_larger_load(scope, make_user):
    small = make_agent(make_user, scope, capacity=2)
    large = make_agent(make_user, scope, capacity=6)
    for _ in range(4):
        waiting()
    queue_assign()
    assert assignees().count(small.pk) == 1
    assert assignees().count(large.pk) == 3


def test_nobody_gets_more_than_they_have_room_for_and_the_rest_waits(scope, make_user):
    only = make_agent(make_user, scope, capacity=2)
    conversations = [waiting() for _ in range(3)]
    assert queue_assign() == 2
    assert queue_assign() == 0
    assert conversations[2].pk == Conversation.objects.get(status="waiting").pk
    OutboxMessage.objects.all().delete()
    conversations[0].refresh_from_db()
    conversation_resolve(conversation=conversations[0], actor=SYSTEM)
    assert OutboxMessage.objects.filter(topic=ASSIGN_TOPIC).exists(), "room drains the queue"
    assert queue_assign() == 1
    assert Conversation.objects.filter(status="assigned", assignee=only).count() == 2


@pytest.mark.parametrize(
    "values",
    [
        {"presence": AgentProfile.Presence.OFFLINE},
        {"presence": AgentProfile.Presence.BUSY},
        {"seen_at": timezone.now() - SEEN_WITHIN - timedelta(minutes=1)},
        {"capacity": 0},
    ],
)
def test_who_is_not_there_gets_nothing(scope, make_user, values):
    make_agent(make_user, scope, **values)
    waiting()
    assert queue_assign() == 0


def test_coming_online_drains_the_queue(scope, make_user):
    member = make_agent(make_user, scope, presence=AgentProfile.Presence.OFFLINE)
    waiting()
    OutboxMessage.objects.all().delete()
    presence_set(member=member, presence="online")
    assert OutboxMessage.objects.filter(topic=ASSIGN_TOPIC).count() == 1
    presence_set(member=member, presence="online")
    assert OutboxMessage.objects.filter(topic=ASSIGN_TOPIC).count() == 1, "they were there"
    assert queue_assign() == 1


def test_a_language_waits_for_who_speaks_it_while_they_are_there(scope, make_user):
    chinese = make_agent(make_user, scope, skills=["zh"], capacity=1)
    english = make_agent(make_user, scope, skills=["en"])
    waiting(language="zh"), waiting(language="zh"), waiting(language="en")
    assert queue_assign() == 2
    assert set(assignees()) == {chinese.pk, english.pk, None}
    presence_set(member=chinese, presence="offline")
    assert queue_assign() == 1, "better somebody than nobody"
    assert assignees().count(english.pk) == 2


def test_who_knows_the_intent_comes_first(scope, make_user):
    make_agent(make_user, scope)
    expert = make_agent(make_user, scope, skills=["en", "intent:refund"])
    for _ in range(3):
        waiting(intent="refund")
    queue_assign()
    assert assignees() == [expert.pk] * 3


def test_the_urgent_and_then_the_longest_waiting_come_first(scope, make_user):
    make_agent(make_user, scope, capacity=2)
    early, _late, urgent = waiting(), waiting(), waiting(priority=3)
    queue_assign()
    assert set(Conversation.objects.filter(status="assigned").values_list("pk", flat=True)) == {
        early.pk,
        urgent.pk,
    }


def test_capacity_is_checked_and_audited(scope, make_user, ann):
    member = make_agent(make_user, scope)
    profile = AgentProfile.objects.get(member=member)
    changed = profile_update(profile=profile, capacity=3, skills=["zh", " zh ", ""], actor=ann)
    assert (changed.capacity, changed.skills) == (3, ["zh"])


@pytest.mark.timeout(60)
def test_two_workers_never_assign_one_conversation_twice_nor_overfill_an_agent(
    live_db, organisation, make_user
):
    agents = [make_agent(make_user, organisation, capacity=3) for _ in range(2)]
    with organisation_scope(organisation.pk):
        for _ in range(8):
            waiting()
    start = threading.Barrier(3)
    given: list[int] = []

    def work() -> None:
        start.wait(20)
        try:
            with organisation_scope(organisation.pk):
                given.append(queue_assign())
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with organisation_scope(organisation.pk):
        rows = Conversation.objects.filter(status="assigned")
        loads = [rows.filter(assignee=agent).count() for agent in agents]
        entries = [row.entries.filter(kind="assigned").count() for row in rows]
    assert sum(given) == 6
    assert loads == [3, 3]
    assert entries == [1] * 6
