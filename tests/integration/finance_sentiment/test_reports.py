"""The daily report: what it says, when it is made, whom it reaches."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from apps.finance_sentiment.models import (
    Alert,
    DailyReport,
    Notification,
    Portfolio,
    ReportSettings,
    ReportSubscription,
    Thread,
    TimeBucket,
)
from apps.finance_sentiment.services.alerting.channels import channel_create
from apps.finance_sentiment.services.alerting.sending import letter_send
from apps.finance_sentiment.services.calendars import calendar_install
from apps.finance_sentiment.services.report_times import report_settings_save
from apps.finance_sentiment.services.reports import (
    report_due_make,
    report_make,
    report_send,
    subscription_add,
)
from apps.finance_sentiment.tasks import tick
from rootstock.common.problems import Problem
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from alert_stage import Worker

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/finance/reports"
JSON = "application/json"
# 08:00 of a Wednesday in Shanghai
END = datetime(2026, 3, 4, 0, tzinfo=UTC)


@pytest.fixture
def organisation(make_organisation, db):
    return make_organisation("Acme", time_zone="Asia/Shanghai", language="zh-hans")


@pytest.fixture
def there(scope):
    return scope


def hours(
    kind: str, key: str, begin: datetime, *, stories: int, negative: int, count: int = 6
) -> None:
    TimeBucket.objects.bulk_create(
        TimeBucket(
            kind=kind, key=key, start=begin + timedelta(hours=n), width=3600, documents=stories + 1,
            stories=stories, stories_negative=negative,
        )
        for n in range(count)
    )  # fmt: skip


@pytest.fixture
def news(there, models, score):
    """Energy is bad on the day of the report and calm in the weeks before; credit is as always."""
    score({"title": "oil is calm", "published_at": END - timedelta(days=40)})
    for week in range(5):
        begin = END - timedelta(hours=12, days=7 * week)
        bad = 9 if week == 0 else 1
        hours("topic", "energy", begin, stories=10, negative=bad)
        hours("topic", "credit", begin, stories=5, negative=1)
        hours("all", "", begin, stories=15, negative=bad + 1)
    Thread.objects.create(
        title="A refinery burns & stops",
        first_seen_at=END - timedelta(hours=5),
        last_seen_at=END - timedelta(hours=1),
        source_count=3,
        document_count=7,
        story_count=2,
        negative_count=2,
        sources=["A", "B", "C"],
        corroboration=0.9,
    )
    Alert.objects.create(
        key="energy", opened_at=END - timedelta(hours=4), last_seen_at=END, peak_score=3.0,
        peak_negative=9, rule_name="Surges",
    )  # fmt: skip


def test_it_says_what_is_out_of_the_ordinary_and_what_is_not(news, there):
    report = report_make(ends_at=END)
    assert str(report.day) == "2026-03-04"
    assert report.starts_at == END - timedelta(days=1)
    content = report.content
    assert content["summary"] == {
        "stories": 90, "negative": 60, "share": 0.6667, "usual_stories": 90.0, "usual_negative": 12.0,
        "usual_share": 0.1333, "documents": 96, "unscored": 0, "sources": 0, "alerts_opened": 1, "alerts_open": 1,
    }  # fmt: skip
    (energy,) = content["topics"]
    assert (energy["key"], energy["negative"], energy["usual_negative"]) == ("energy", 54, 6.0)
    assert energy["labels"]["en"] == "Energy"
    assert content["alerts"][0]["rule"] == "Surges"
    assert content["threads"][0]["title"] == "A refinery burns & stops"
    again = report_make(ends_at=END)
    assert (again.pk, DailyReport.objects.count()) == (report.pk, 1)


def test_portfolios_are_in_it_also_when_nothing_is_said_of_them(news, there):
    oil = Portfolio.objects.create(name="Oil desk")
    Portfolio.objects.create(name="Quiet", kind="watch-list")
    hours("portfolio", str(oil.pk), END - timedelta(hours=3), stories=4, negative=3, count=2)
    shown = report_make(ends_at=END).content["portfolios"]
    assert [(one["name"], one["stories"], one["negative"]) for one in shown] == [
        ("Oil desk", 8, 6), ("Quiet", 0, 0),
    ]  # fmt: skip


def test_it_is_read_in_both_languages_and_printed_without_a_script(news, there, make_user):
    report = report_make(ends_at=END)
    client = Client()
    client.force_login(make_user(there, "viewer"))
    path = f"/public-opinion/reports/{report.pk}/"
    english = client.get(path, {"language": "en"}).content.decode()
    for text in ("90 stories, 67 % of them negative", "Topics out of the ordinary", "Energy",
                 "A refinery burns &amp; stops", "08:00 (Asia/Shanghai)", "<svg"):  # fmt: skip
        assert text in english
    assert "能源" in client.get(path, {"language": "zh-hans"}).content.decode()
    printed = client.get(f"{path}print/", {"language": "zh-hans"}).content.decode()
    assert "<script" not in printed
    assert " style=" not in printed
    assert 'lang="zh-hans"' in printed
    style = client.get("/public-opinion/reports/style.css")
    assert (style.headers["Content-Type"], b"size: A4" in style.content) == (
        "text/css; charset=utf-8",
        True,
    )


def test_it_is_made_on_trading_days_and_the_first_reaches_over_the_holidays(there, actor, news):
    calendar_install(key="cn", actor=actor)
    report_settings_save(actor=actor, enabled=True, at=time(8))
    row = ReportSettings.objects.get()
    # The day before the Lunar New Year of 2026 begins, in the morning.
    ReportSettings.objects.update(next_at=datetime(2026, 2, 13, 0, tzinfo=UTC))
    now = datetime(2026, 2, 13, 0, 1, tzinfo=UTC)
    assert report_due_make(now=now) is not None
    row.refresh_from_db()
    assert row.next_at == datetime(2026, 2, 24, 0, tzinfo=UTC)
    assert report_due_make(now=now) is None
    report = report_due_make(now=datetime(2026, 2, 24, 0, 1, tzinfo=UTC))
    assert report.ends_at - report.starts_at == timedelta(days=11)


def test_subscribers_get_it_once_by_mail_with_the_whole_report(
    news, there, actor, make_user, mailoutbox
):
    ada = make_user(there, "analyst", "ada@example.com")
    hook = channel_create(
        actor=actor, name="Hook", medium="webhook", address="https://desk.example.com/x"
    )
    subscription_add(actor=actor, user_id=ada.pk)
    subscription_add(actor=actor, user_id=ada.pk)
    subscription_add(actor=actor, channel_id=hook.pk)
    assert ReportSubscription.objects.count() == 2
    report = report_make(ends_at=END)
    assert len(report_send(report=report)) == 2
    assert report_send(report=report) == []
    worker = Worker()
    worker.until(60)
    letter, program = sorted(worker.sent, key=lambda letter: letter.medium)
    assert letter.subject == "2026年3月4日舆情日报"
    assert "<svg" in letter.page
    assert "2026-03-04 08:00 (Asia/Shanghai)" in letter.page
    assert program.data["report"]["summary"]["negative"] == 60
    letter_send(letter)
    (message,) = mailoutbox
    assert message.to == ["ada@example.com"]
    assert message.alternatives[0][1] == "text/html"
    assert message.attachments[0][0] == "report.html"
    assert "/public-opinion/reports/" in message.body
    assert Notification.objects.filter(report=report, state="sent").count() == 2


def test_what_was_due_long_ago_is_made_but_not_sent(there, news, actor, make_user):
    subscription_add(actor=actor, user_id=make_user(there).pk)
    report_settings_save(actor=actor, enabled=True, at=time(8))
    ReportSettings.objects.update(next_at=END)
    report = report_due_make(now=END + timedelta(days=3))
    assert (report.ends_at, report.sent_at) == (END, None)
    assert not Notification.objects.exists()


def test_the_tick_requests_what_is_due_in_any_organisation(organisation, organisation_b, actor):
    for place in (organisation, organisation_b):
        with organisation_scope(place.pk):
            report_settings_save(actor=actor, enabled=True, at=time(8))
    with organisation_scope(organisation.pk):
        ReportSettings.objects.update(next_at=END)
    tick()
    tick()
    with organisation_scope(organisation.pk):
        assert OutboxMessage.objects.filter(topic="finance.report").count() == 1
    with organisation_scope(organisation_b.pk):
        assert not OutboxMessage.objects.filter(topic="finance.report").exists()


def test_an_organisation_without_news_has_a_report_that_says_so(scope):
    report = report_make(ends_at=END)
    assert report.content["summary"]["stories"] == 0
    assert report.content["forecast"] is None
    with pytest.raises(Problem):
        subscription_add(actor=None)


def test_rest_from_settings_to_the_file(organisation, make_key, make_user):
    api = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})
    assert api.get(f"{ROOT}/settings").json() == {
        "enabled": False,
        "at": "08:00",
        "next_at": None,
    }
    set_up = api.put(f"{ROOT}/settings", {"enabled": True, "at": "17:30"}, JSON).json()
    assert set_up["next_at"].endswith("17:30:00+08:00")
    user = make_user(organisation, "viewer")
    row = api.post(f"{ROOT}/subscriptions", {"user": str(user.pk)}, JSON).json()
    assert row["label"] == str(user)
    made = api.post(ROOT)
    assert made.status_code == 201
    path = f"{ROOT}/{made.json()['id']}"
    assert api.get(path).json()["content"]["summary"]["stories"] == 0
    assert len(api.get(ROOT).json()["results"]) == 1
    page = api.get(f"{path}/html", {"language": "zh-hans"})
    assert page.headers["Content-Disposition"].startswith("attachment")
    assert '<html lang="zh-hans">' in page.content.decode()
    assert api.get(f"{path}/html", {"language": "tlh"}).status_code == 422
    assert api.post(f"{path}/send").json() == {"messages": 1}
    assert api.post(f"{path}/send").json() == {"messages": 0}
    assert api.delete(f"{ROOT}/subscriptions/{row['id']}").status_code == 204
    for body in ({}, {"user": str(user.pk), "channel": str(user.pk)}, {"user": path[-36:]}):
        assert api.post(f"{ROOT}/subscriptions", body, JSON).status_code == 422
    assert mail.outbox == []


def test_the_page_sets_everything_up(organisation, make_user):
    ada = make_user(organisation, "manager", "ada@example.com")
    page = Client()
    page.force_login(ada)
    path = "/public-opinion/reports/"

    def post(**data: Any) -> str:
        return re.sub(r"<[^>]+>|\s+", " ", page.post(path, data, follow=True).content.decode())

    assert "No report yet" in page.get(path).content.decode()
    assert "Saved." in post(action="settings", enabled="on", at="07:45")
    assert "Every report is sent to you" in post(action="subscribe-me")
    assert "ada@example.com" in post(action="subscribe", to=f"user:{ada.pk}")
    assert "Public opinion on" in post(action="make")
    with organisation_scope(organisation.pk):
        report = DailyReport.objects.get()
        subscription = ReportSubscription.objects.get()
    answer = page.post(f"{path}{report.pk}/", follow=True).content.decode()
    assert "Sent by 1 message." in answer
    post(action="unsubscribe", subscription=str(subscription.pk))
    assert "Reports are not sent to you" in post(action="unsubscribe-me")
    answer = page.post(path, {"action": "settings", "enabled": "on", "at": "25:00"})
    assert answer.status_code == 422


def test_a_viewer_subscribes_but_sets_nothing(organisation, make_user):
    page = Client()
    page.force_login(make_user(organisation, "viewer"))
    path = "/public-opinion/reports/"
    assert page.post(path, {"action": "subscribe-me"}).status_code == 302
    assert page.post(path, {"action": "make"}).status_code == 403
    assert page.post(path, {"action": "settings", "at": "08:00"}).status_code == 403
