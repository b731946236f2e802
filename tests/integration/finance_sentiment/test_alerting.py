"""Who is told of an alert, when, and who is not."""

from __future__ import annotations

import sys
from datetime import time, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from apps.finance_sentiment.models import Alert, AlertEntry, AlertGroup, Notification
from apps.finance_sentiment.services.alerting.chains import StepInput, chain_save
from apps.finance_sentiment.services.alerting.channels import channel_create
from apps.finance_sentiment.services.alerting.escalation import group_run
from apps.finance_sentiment.services.alerting.people import notices_set
from apps.finance_sentiment.services.alerting.routes import route_save
from apps.finance_sentiment.services.alerting.sending import Tried
from apps.finance_sentiment.services.alerts import (
    alert_acknowledge,
    alert_assign,
    alert_end,
    alerts_silence,
    alerts_unsilence,
)
from rootstock.common.actors import SYSTEM, Actor
from rootstock.common.problems import Problem

sys.path.insert(0, str(Path(__file__).parent))
from alert_stage import Worker, alert_make, alert_over, told_here

pytestmark = pytest.mark.django_db
ADA = Actor("user", "7", "Ada")


@pytest.fixture
def worker(scope) -> Worker:
    return Worker()


@pytest.fixture
def people(organisation, make_user):
    return {
        "ada": make_user(organisation, "analyst", "ada@example.com"),
        "bo": make_user(organisation, "manager", "bo@example.com"),
        "cy": make_user(organisation, "manager", "cy@example.com"),
    }


@pytest.fixture
def hook(scope):
    return channel_create(
        actor=SYSTEM, name="Desk", medium="webhook", address="https://desk.example.com/hook"
    )


def route(*steps: StepInput, name: str = "All", **values):
    chain = chain_save(chain=None, actor=SYSTEM, name=name, steps=steps)
    given = {"group_wait_seconds": 10, "group_by": ["kind", "subject"], **values}
    return route_save(route=None, actor=SYSTEM, name=name, chain_id=chain.pk, **given)


def log(alert: Alert) -> list[str]:
    return list(
        AlertEntry.objects.filter(alert=alert).order_by("id").values_list("kind", flat=True)
    )


def test_an_alert_that_nobody_takes_goes_up_the_chain_once(worker, people, hook):
    route(
        StepInput("person", user_id=people["ada"].pk),
        StepInput("wait", wait_seconds=300),
        StepInput("role", role="manager"),
        StepInput("channel", channel_id=hook.pk),
    )
    alert = alert_make()
    worker.until(5)
    assert worker.sent == []  # the group waits for more
    worker.until(11)
    assert [letter.address for letter in worker.sent] == ["ada@example.com"]
    assert told_here() == ["ada@example.com"]
    worker.until(305)
    assert len(worker.sent) == 1
    worker.until(10_000)
    assert [letter.address for letter in worker.sent[1:]] == [
        "bo@example.com", "cy@example.com", "https://desk.example.com/hook",
    ]  # fmt: skip
    assert log(alert).count("chain-ended") == 1
    body = worker.sent[0].body
    assert "12 negative stories" in body and "1.5 expected" in body
    assert "finance.sentiment v3" in body and str(alert.pk) in body


def test_who_is_told_in_time_is_not_told_again(worker, people):
    route(
        StepInput("person", user_id=people["ada"].pk),
        StepInput("wait", wait_seconds=60),
        StepInput("repeat", times=2),
    )
    alert_make()
    worker.until(10_000)
    assert len(worker.sent) == 3  # once, and twice again
    # a step that is done twice, as after a worker's death, changes nothing
    group = AlertGroup.objects.get()
    group.step, group.next_at = 0, timezone.now() - timedelta(days=1)
    group.save()
    group_run(group.pk)
    assert Notification.objects.filter(medium="email").count() == 3


def test_acknowledging_ends_the_chain_and_its_end_is_told(worker, people, hook):
    route(
        StepInput("channel", channel_id=hook.pk),
        StepInput("wait", wait_seconds=300),
        StepInput("role", role="manager"),
    )
    alert = alert_make()
    worker.until(11)
    alert_acknowledge(alert=alert, actor=ADA, comment="mine")
    worker.until(5000)
    assert len(worker.sent) == 1
    alert_over(alert)
    worker.until(5001)
    assert [letter.data["reason"] for letter in worker.sent] == ["firing", "resolved"]
    assert AlertGroup.objects.get().state == "ended"


def test_alerts_of_one_group_are_one_message_and_a_late_one_is_told_to_the_same(worker, hook):
    route(StepInput("channel", channel_id=hook.pk), group_by=["kind"])
    for key in ("energy", "credit", "markets"):
        alert_make(key)
    worker.until(11)
    assert [letter.data["total"] for letter in worker.sent] == [3]
    late = alert_make("mergers")
    worker.until(40)
    assert [letter.data["total"] for letter in worker.sent] == [3, 1]
    assert worker.sent[1].data["alerts"][0]["id"] == str(late.pk)
    assert AlertGroup.objects.count() == 1


def test_groups_by_story_and_by_rule(worker, hook):
    route(StepInput("channel", channel_id=hook.pk), group_by=["thread"])
    alert_make("energy", stories=["s1", "s2"])
    alert_make("a-company", "entity", stories=["s1"])
    alert_make("credit", stories=["s9"])
    assert AlertGroup.objects.count() == 2


def test_the_first_route_that_matches_is_taken(worker, people, hook):
    route(
        StepInput("channel", channel_id=hook.pk),
        name="Entities",
        matcher={"kinds": ["entity"], "keys": ["bank-*"], "least_score": 2},
    )
    route(StepInput("person", user_id=people["ada"].pk), name="Rest", position=9)
    alert_make("bank-of-x", "entity")
    alert_make("bank-of-y", "entity", peak_score=1.5)
    worker.until(11)
    assert sorted(letter.medium for letter in worker.sent) == ["email", "webhook"]


def test_a_step_only_for_high_scores_waits_for_the_score(worker, people):
    route(StepInput("only_if", score=5.0), StepInput("person", user_id=people["ada"].pk))
    alert = alert_make(peak_score=2.0)
    worker.until(600)
    assert worker.sent == []
    Alert.objects.filter(pk=alert.pk).update(peak_score=6.0)
    worker.until(700)
    assert len(worker.sent) == 1


def test_a_silence_mutes_and_its_end_lets_the_chain_begin(worker, people):
    route(StepInput("person", user_id=people["ada"].pk))
    silence = alerts_silence(
        actor=ADA,
        matcher={"keys": ["energy"]},
        ends_at=timezone.now() + timedelta(hours=1),
        reason="maintenance",
    )
    alert, heard = alert_make("energy"), alert_make("credit")
    worker.until(100)
    assert [letter.subject for letter in worker.sent] == ["Alert: Credit and banking"]
    assert (alert.muted, heard.muted) == ("silence", "")
    alerts_unsilence(silence=silence, actor=ADA)
    worker.until(101)
    assert len(worker.sent) == 2
    assert [kind for kind in log(alert) if "muted" in kind] == ["muted", "unmuted"]
    with pytest.raises(Problem):
        alerts_unsilence(silence=silence, actor=ADA)


def test_a_wider_alert_silences_narrower_ones_of_the_same_stories(worker, people):
    route(StepInput("person", user_id=people["ada"].pk))
    company = alert_make("acme", "entity", stories=["s1", "s2"])
    other = alert_make("zeta", "entity", stories=["s7"])
    topic = alert_make("energy", stories=["s1", "s2", "s3"])
    worker.until(11)
    company.refresh_from_db()
    assert (company.muted, company.muted_by) == ("wider", topic.pk)
    assert len(worker.sent) == 2  # the topic and the company that is not part of it
    alert_over(topic)
    worker.until(12)
    company.refresh_from_db()
    assert company.muted == ""
    assert worker.told[-1] == ("email", "Alert: acme")
    assert other.muted == ""


def test_quiet_hours_hold_and_what_was_held_comes_in_one_message(worker, people):
    now = timezone.now()
    soon = (now + timedelta(hours=2)).time().replace(microsecond=0)
    notices_set(
        user_id=people["ada"].pk,
        values={
            "quiet_from": (now - timedelta(hours=1)).time().replace(microsecond=0),
            "quiet_until": soon if soon != time(0) else time(1),
            "time_zone": "UTC",
            "urgent_score": 9.0,
        },
    )
    route(StepInput("person", user_id=people["ada"].pk))
    alert_make("energy")
    alert_make("credit")
    worker.until(3600)
    assert worker.sent == []
    alert_make("markets", peak_score=9.5)
    worker.until(3700)
    assert [letter.subject for letter in worker.sent] == ["Alert: Markets"]
    worker.until(3 * 3600)
    assert len(worker.sent) == 2
    assert "Energy" in worker.sent[1].subject and "Credit" in worker.sent[1].subject
    assert Notification.objects.filter(medium="email", state="sent").count() == 3


def test_a_refusing_receiver_is_tried_again_and_then_shown_as_failed(worker, hook):
    route(StepInput("channel", channel_id=hook.pk))
    worker.answer = lambda letter: Tried(False, 503, "HTTP 503")
    alert = alert_make()
    worker.until(100_000)
    row = Notification.objects.get()
    assert (row.state, row.tries, row.attempts.count()) == ("failed", 7, 7)
    assert {letter.id for letter in worker.sent} == {str(row.pk)}
    assert "undelivered" in log(alert)
    hook.refresh_from_db()
    assert hook.problem == "HTTP 503"


def test_an_assigned_person_is_told_and_the_assigner_is_not(worker, people):
    alert = alert_make()
    bo = Actor("user", str(people["bo"].pk), "Bo")
    alert_assign(alert=alert, user_id=people["ada"].pk, actor=bo)
    alert_assign(alert=alert, user_id=people["bo"].pk, actor=bo)
    worker.until(1)
    assert worker.told == [("email", "Assigned to you: Energy")]


def test_what_a_person_has_ended_stays_ended_for_its_surge(worker, people):
    route(StepInput("person", user_id=people["ada"].pk))
    alert = alert_make()
    worker.until(11)
    alert_end(alert=alert, actor=ADA, comment="a drill")
    worker.until(12)
    assert alert.state == "resolved" and alert.resolved_by == "Ada"
    assert worker.told[-1] == ("email", "Over: Energy")


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ([StepInput("wait")], "/steps/0/wait_seconds"),
        ([StepInput("role", role="king")], "/steps/0/role"),
        ([StepInput("sing")], "/steps/0/kind"),
        ([StepInput("person")], "/steps/0/user"),
        ([StepInput("wait", wait_seconds=5), StepInput("repeat", times=3)], "/steps/1"),
    ],
)
def test_a_chain_that_cannot_work_says_where(scope, steps, pointer):
    with pytest.raises(Problem) as raised:
        chain_save(chain=None, actor=SYSTEM, name="X", steps=steps)
    assert raised.value.errors[0]["pointer"] == pointer
