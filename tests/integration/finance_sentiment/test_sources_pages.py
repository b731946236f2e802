"""The pages of sources: what is wrong is said in words, and what one can do about it is there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from apps.finance_sentiment.models import (
    Document,
    Fault,
    Note,
    RefusedItem,
    Source,
    SourcePolling,
)
from apps.finance_sentiment.services.sources.refusing import Refusal, refusals_note
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

PAGES = "/public-opinion/sources/"
FEED = {
    "name": "Ledger Wire",
    "url": "https://wire.example/feed",
    "interval_seconds": 900,
    "credibility": 0.7,
}


@pytest.fixture
def browser(organisation: Organisation, make_user: Callable[..., Any]) -> Client:
    client = Client()
    client.force_login(make_user(organisation, role="analyst"))
    return client


@pytest.fixture
def source(browser: Client, organisation: Organisation) -> Source:
    assert browser.post(f"{PAGES}new/feed/", FEED).status_code == 302
    with organisation_scope(organisation.pk):
        return Source.objects.get()


def test_a_feed_is_added_and_its_fault_is_told(browser, source, organisation):
    page = browser.get(PAGES).content.decode()
    assert "Ledger Wire" in page
    assert "Not asked yet" in page
    with organisation_scope(organisation.pk):
        SourcePolling.objects.update(
            fault=Fault.NOT_A_FEED,
            fault_detail="the answer is HTML",
            fault_since=timezone.now() - timedelta(hours=3),
            failures=4,
            polled_at=timezone.now(),
            notes=[Note.CHARSET],
            recent=[
                {
                    "at": timezone.now().isoformat(),
                    "outcome": "not-a-feed",
                    "items": 0,
                    "new": 0,
                    "ms": 12,
                }
            ],
        )
    assert "Not a feed" in browser.get(f"{PAGES}rows/").content.decode()
    detail = browser.get(f"{PAGES}{source.pk}/").content.decode()
    assert "the answer is HTML" in detail
    assert str(Note.CHARSET.label) in detail
    browser.cookies["django_language"] = "zh-hans"
    assert '<html lang="zh-hans"' in browser.get(PAGES).content.decode().lower()


def test_what_cannot_be_is_said_beside_its_field(browser):
    answer = browser.post(f"{PAGES}new/feed/", {**FEED, "url": "http://10.0.0.1/"})
    assert answer.status_code == 422
    assert "not a public address" in answer.content.decode()
    answer = browser.post(f"{PAGES}new/list/", {**FEED, "selector_item": "li["})
    assert answer.status_code == 422
    assert "selector_item" in answer.context["form"].errors
    assert browser.get(f"{PAGES}new/telex/").status_code == 404


def test_a_webhook_shows_its_secret_once(browser, organisation):
    made = browser.post(f"{PAGES}new/hook/", {"name": "Desk", "credibility": 0.5})
    with organisation_scope(organisation.pk):
        hook = Source.objects.get()
    assert hook.secret in made.content.decode()
    page = browser.get(f"{PAGES}{hook.pk}/").content.decode()
    assert hook.secret not in page
    assert hook.hook_key in page
    rotated = browser.post(f"{PAGES}{hook.pk}/rotate/").content.decode()
    assert hook.secret not in rotated


def test_a_source_is_changed_switched_off_asked_and_removed(browser, source, organisation):
    path = f"{PAGES}{source.pk}/"
    changed = {key: value for key, value in FEED.items() if key != "name"} | {
        "source_group": "wires"
    }
    assert browser.post(path, changed).status_code == 302
    assert browser.post(f"{path}poll/").status_code == 302
    browser.post(f"{path}switch/")
    assert "Disabled" in browser.get(f"{PAGES}?group=wires").content.decode()
    browser.post(f"{path}remove/", {"confirm": "something"})
    assert browser.get(path).status_code == 200
    browser.post(f"{path}remove/", {"confirm": "Ledger Wire"})
    assert browser.get(path).status_code == 404
    with organisation_scope(organisation.pk):
        assert SourcePolling.objects.get().next_at is None


def test_undated_documents_are_marked(browser, post, organisation):
    with organisation_scope(organisation.pk):
        post({"title": "Pushed", "source": "Push"})
        Document.objects.update(is_undated=True)
        pushed = Source.objects.get()
    page = browser.get(f"{PAGES}{pushed.pk}/").content.decode()
    assert "Pushed" in page
    assert "undated" in page


def test_a_refused_item_is_corrected_and_taken_in(browser, source, organisation):
    with organisation_scope(organisation.pk):
        refusals_note(
            source=source,
            refusals=[
                Refusal(key, {"external_id": key}, [{"field": "", "detail": "No words"}])
                for key in "ab"
            ],
            now=timezone.now(),
        )
        one, two = RefusedItem.objects.order_by("key")
    assert "2 items could not be taken in" in browser.get(PAGES).content.decode()
    assert "No words" in browser.get(f"{PAGES}refused/").content.decode()
    path = f"{PAGES}refused/{one.pk}/"
    assert browser.get(path).status_code == 200
    assert browser.post(path, {"title": "T", "published_at": "when?"}).status_code == 422
    assert browser.post(path, {"title": "T", "published_at": "2026-03-01 10:00"}).status_code == 302
    assert browser.post(f"{PAGES}refused/{two.pk}/dismiss/").status_code == 302
    assert browser.post(f"{PAGES}refused/retry/").status_code == 302
    with organisation_scope(organisation.pk):
        assert Document.objects.get().source_ref_id == source.pk
        assert set(RefusedItem.objects.values_list("state", flat=True)) == {"taken", "dismissed"}


def test_opml_is_taken_over(browser):
    text = b'<opml><body><outline text="A" xmlUrl="https://a.example/f"/><outline text="B" xmlUrl="x"/></body></opml>'
    answer = browser.post(f"{PAGES}opml/", {"file": SimpleUploadedFile("a.opml", text)})
    page = answer.content.decode()
    assert "1 added" in page
    assert "B" in page
    bad = browser.post(f"{PAGES}opml/", {"file": SimpleUploadedFile("a.opml", b"<html/>")})
    assert bad.status_code == 422
    assert b"xmlUrl" in browser.get("/api/v1/finance/sources/opml").content


def test_a_viewer_may_look_and_not_touch(organisation, source, make_user):
    client = Client()
    client.force_login(make_user(organisation, role="viewer"))
    assert client.get(f"{PAGES}{source.pk}/").status_code == 200
    assert client.post(f"{PAGES}{source.pk}/", FEED).status_code == 403
    assert client.get(f"{PAGES}new/feed/").status_code == 403
    assert client.post(f"{PAGES}{source.pk}/poll/").status_code == 403
