"""The pages of the desk: inbox, insights with the conversations behind each number, settings."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.customer_service.models import (
    AgentProfile,
    CannedReply,
    Conversation,
    Macro,
    SlaPolicy,
    UnansweredCluster,
    UnansweredQuestion,
    Visitor,
)
from apps.customer_service.selectors.insights import (
    InsightQuery,
    insight_agents,
    insight_conversations,
    insight_figures,
    insight_intents,
    insight_trend,
)
from apps.customer_service.services.conversations import (
    conversation_hand_off,
    conversation_open,
    conversation_resolve,
)
from apps.customer_service.services.messages import message_add
from rootstock.common.actors import SYSTEM
from rootstock.web import overview


@pytest.fixture
def browser(scope: Any, make_user: Callable[..., Any]) -> Client:
    """Signed in as an owner."""
    client = Client()
    client.force_login(make_user(scope), "django.contrib.auth.backends.ModelBackend")
    return client


def spoken(channel: Any, **values: Any) -> Conversation:
    """A conversation of an hour and a half ago, with the given outcome."""
    made = conversation_open(
        channel=channel, visitor=Visitor.objects.create(name="Somebody"), origin="widget"
    )
    message_add(conversation=made, author="visitor", body="Hello")
    began = timezone.now() - timedelta(minutes=90)
    Conversation.objects.filter(pk=made.pk).update(
        **{"created_at": began, "last_message_at": began, **values}
    )
    return Conversation.objects.get(pk=made.pk)


@pytest.fixture
def day(channel: Any, agent: Any) -> InsightQuery:
    """Four conversations: one contained, one left quiet, two that people answered."""
    began = timezone.now() - timedelta(minutes=90)
    spoken(channel, status="resolved", contained=True, csat=5, emotion="joy", intent="hours",
           resolved_at=began + timedelta(minutes=2))  # fmt: skip
    spoken(channel, emotion="neutral", intent="refund")
    for minutes, csat in ((10, 1), (20, None)):
        asked = began + timedelta(minutes=1)
        row = spoken(channel, status="resolved", contained=False, csat=csat, emotion="anger",
                     intent="refund", hand_off_at=asked, resolved_at=began + timedelta(hours=1),
                     first_reply_at=asked + timedelta(minutes=minutes))  # fmt: skip
        message_add(conversation=row, author="agent", body="Hi", member=agent)
        Conversation.objects.filter(pk=row.pk).update(
            first_reply_at=asked + timedelta(minutes=minutes),
            status="resolved",
            resolved_at=began + timedelta(hours=1),
        )
        UnansweredQuestion.objects.create(conversation=row, text="x", reason="no-passage")
    return InsightQuery(timezone.now() - timedelta(days=1), timezone.now())


def test_the_figures_are_those_of_the_conversations_behind_them(day, agent):
    figures = insight_figures(day)
    assert figures["conversations"] == 4
    assert (figures["ended"], figures["contained"], figures["containment"]) == (4, 2, 0.5)
    assert (figures["handed_off"], figures["unanswered"], figures["missed"]) == (2, 2, 0)
    assert figures["first_reply_median"] == 15 * 60
    assert figures["first_reply_most"] == 19 * 60
    assert figures["resolution_median"] == pytest.approx(3600, abs=10)
    assert (figures["csat"], figures["rated"]) == (3.0, 2)
    for figure in ("contained", "handed-off", "unanswered", "rated", "ended"):
        name = figure.replace("-", "_")
        assert insight_conversations(day, figure).count() == figures[name], figure
    (refund, hours) = insight_intents(day)
    assert (refund["intent"], refund["conversations"], refund["handed_off"]) == ("refund", 3, 2)
    assert hours["csat"] == 5
    assert insight_conversations(day, "intent", "refund").count() == 3
    (ann,) = insight_agents(day)
    assert (ann["name"], ann["replies"], ann["conversations"], ann["csat"]) == ("Ann", 2, 2, 1)
    trend = insight_trend(day)
    assert sum(point["conversations"] for point in trend) == 4
    assert sum(point["anger"] for point in trend) == 2
    assert len(trend) in (24, 25), "hours without anything are there, too"


def test_nothing_gives_no_numbers_rather_than_zeros(scope):
    empty = insight_figures(InsightQuery(timezone.now() - timedelta(days=1), timezone.now()))
    assert empty["conversations"] == 0
    assert {empty[k] for k in ("containment", "csat", "first_reply_median")} == {None}


def test_every_number_of_the_page_opens_its_conversations(browser, day, channel):
    html = browser.get("/service/insights/?range=24h").content.decode()
    links = re.findall(r'href="(/service/insights/conversations/\?[^"]+)"', html)
    assert len(links) >= 10
    for link in links:
        page = browser.get(link.replace("&amp;", "&"))
        assert page.status_code == 200
    contained = browser.get("/service/insights/conversations/?range=24h&figure=contained")
    assert contained.content.decode().count("?status=all&amp;c=") == 2
    other = browser.get("/service/insights/?range=24h&channel=00000000-0000-7000-8000-000000000000")
    assert '<span class="number-value">0</span>' in other.content.decode()


def test_the_table_for_a_spreadsheet_is_harmless(browser, day):
    Conversation.objects.filter(intent="hours").update(intent="=1+1")
    answer = browser.get("/service/insights/conversations.csv?range=24h")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode().removeprefix("\ufeff"))))
    assert len(rows) == 4
    assert {row["intent"] for row in rows} == {"refund", "'=1+1"}
    assert browser.get("/api/v1/service/insights.csv").status_code == 200
    cluster = UnansweredCluster.objects.create(title="Norway?")
    UnansweredQuestion.objects.update(cluster=cluster)
    body = browser.get("/api/v1/service/insights").json()
    assert body["figures"]["conversations"] == 4
    assert [(row["title"], row["questions"]) for row in body["unanswered"]] == [("Norway?", 2)]
    assert body["now"]["waiting"] == 0
    page = browser.get("/service/insights/?range=24h").content.decode()
    assert "Norway?" in page
    assert "/service/unanswered/" in page
    refused = browser.get(
        "/api/v1/service/insights?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z"
    )
    assert refused.status_code == 422


def test_what_goes_on_now_is_read_on_its_own(browser, conversation, agent):
    empty = browser.get("/service/insights/now/").content.decode()
    assert "Ann" in empty
    assert "Offline" in empty
    conversation_hand_off(conversation=conversation, reason="people-asked")
    Conversation.objects.update(emotion="anger", sla_missed_at=timezone.now())
    AgentProfile.objects.create(member=agent, presence="online", seen_at=timezone.now())
    html = browser.get(f"/service/insights/now/?channel={conversation.channel_id}").content.decode()
    assert html.count('<span class="number-value">1</span>') == 3, "waiting, overdue and angry"
    assert "Online" in html
    AgentProfile.objects.update(seen_at=timezone.now() - timedelta(minutes=6))
    gone = browser.get("/service/insights/now/").content.decode()
    assert "Online" not in gone, "whoever has left the console is not there"


def test_the_inbox_carries_its_list_and_where_the_stream_is(browser, conversation):
    message_add(conversation=conversation, author="visitor", body="<script>alert(1)</script>")
    conversation_hand_off(conversation=conversation, reason="people-asked")
    html = browser.get("/service/?status=waiting&sort=anger").content.decode()
    data = json.loads(
        re.search(r'<script id="inbox-data" type="application/json">(.*?)</script>', html)[1]
    )
    assert data["rows"][0]["id"] == str(conversation.pk)
    assert data["lastEventId"] > 0
    assert data["filters"] == {"status": "waiting", "sort": "anger"}
    assert "<script>alert" not in html
    assert browser.get("/service/?status=nonsense&sort=1&priority=x&c=zz").status_code == 200


def test_the_overview_shows_the_service_and_who_waits(browser, conversation, rf):
    conversation_hand_off(conversation=conversation, reason="people-asked")
    html = browser.get("/").content.decode()
    assert "One conversation waits for somebody" in html
    Conversation.objects.update(sla_missed_at=timezone.now(), sla_due_at=timezone.now())
    assert "Li Wei was not answered in time" in browser.get("/attention/").content.decode()
    assert {panel.key for panel in overview._panels.values()} >= {"service"}


def test_agents_reply_times_and_lists_are_set_up(browser, agent):
    assert "Ann" in browser.get("/service/desk/").content.decode()
    browser.post(
        "/service/desk/", {"member": agent.pk, "capacity": 3, "skills": "zh，intent:refund"}
    )
    profile = AgentProfile.objects.get(member=agent)
    assert (profile.capacity, profile.skills) == (3, ["intent:refund", "zh"])
    assert (
        "Ensure"
        in browser.post("/service/desk/", {"member": agent.pk, "capacity": 1000}).content.decode()
    )

    page = "/service/desk/reply-times/"
    assert browser.get(page).status_code == 200
    values = {"first_reply": 2, "next_reply": 10, "do_0": "notify", "after_0": 5, "role_0": "owner"}
    assert browser.post(page, values).status_code == 302
    policy = SlaPolicy.objects.get()
    assert (policy.first_reply_seconds, policy.business_hours_only) == (120, False)
    assert policy.escalation == [{"after_seconds": 300, "do": "notify", "role": "owner"}]
    assert 'value="5"' in browser.get(page).content.decode()

    for path in ("labels", "canned", "canned/new", "macros", "macros/new"):
        assert browser.get(f"/service/desk/{path}/").status_code == 200, path
    browser.post("/service/desk/labels/", {"name": "vip"})
    assert "taken" in browser.post("/service/desk/labels/", {"name": "vip"}).content.decode()
    browser.post("/service/desk/canned/new/", {"short": "hours", "en": "Nine to six", "zh": ""})
    canned = CannedReply.objects.get()
    macro = {
        "name": "Hours",
        "do_0": "reply",
        "value_0": "/hours",
        "do_1": "resolve",
        "value_1": "",
    }
    browser.post("/service/desk/macros/new/", macro)
    made = Macro.objects.get()
    assert made.steps == [{"do": "reply", "canned": "hours"}, {"do": "resolve"}]
    assert "/hours" in browser.get(f"/service/desk/macros/{made.pk}/").content.decode()
    wrong = {"name": "Wrong", "do_0": "priority", "value_0": "high"}
    refused = browser.post("/service/desk/macros/new/", wrong)
    assert refused.status_code == 422
    assert "from 0 to 3" in refused.content.decode()
    assert browser.get("/service/desk/macros/").content.decode().count("Hours") >= 1
    browser.post(f"/service/desk/canned/{canned.pk}/delete/", {"confirm": "hours"})
    assert not CannedReply.objects.exists()


def test_erasing_asks_for_the_name(browser, conversation):
    path = f"/service/customers/{conversation.visitor_id}/erase/"
    browser.post(path, {"confirm": "somebody else"})
    assert Visitor.objects.exists()
    export = browser.get(f"/service/customers/{conversation.visitor_id}/export/")
    assert export.json()["customer"]["name"] == "Li Wei"
    browser.post(path, {"confirm": "Li Wei"})
    assert not Visitor.objects.exists()
    assert not Conversation.objects.exists()


def test_pages_are_for_those_who_may(scope, make_user, conversation):
    client = Client()
    client.force_login(make_user(scope, "viewer"), "django.contrib.auth.backends.ModelBackend")
    assert client.get("/service/").status_code == 200
    assert client.get("/service/insights/").status_code == 200
    assert client.get("/service/desk/").status_code == 403
    erase = f"/service/customers/{conversation.visitor_id}/erase/"
    assert client.post(erase, {"confirm": "Li Wei"}).status_code == 403


def test_what_is_resolved_by_the_assistant_alone_counts_as_contained(conversation):
    message_add(conversation=conversation, author="visitor", body="Hello")
    conversation_resolve(conversation=conversation, actor=SYSTEM)
    query = InsightQuery(timezone.now() - timedelta(hours=1), timezone.now() + timedelta(hours=1))
    assert insight_figures(query)["containment"] == 1.0
