"""The page of the search: what was found and why, facets as links, and views kept under a name."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.finance_sentiment.inference import InferenceUnavailable
from apps.finance_sentiment.models import SavedView
from apps.finance_sentiment.selectors import search_pages
from apps.finance_sentiment.views import search as page
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db

ADDRESS = "/public-opinion/search/"
NOW = datetime.now(UTC) - timedelta(hours=1)
ROWS = [
    {"title": "Northlight recalls heaters", "published_at": NOW},
    {"title": "Northlight opens a plant", "published_at": NOW - timedelta(days=2), "source": "Sun"},
    {"title": "特朗普称提高对韩国关税", "published_at": NOW - timedelta(days=40)},
]


@pytest.fixture(autouse=True)
def nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> Any:
        raise InferenceUnavailable("nobody answers")

    monkeypatch.setattr(search_pages, "query_meaning", refuse)


@pytest.fixture
def person(
    organisation: Organisation,
    make_user: Callable[..., Any],
    models: Any,
    score: Callable[..., Any],
) -> Callable[..., Client]:
    score(*ROWS)

    def sign_in(role: str = "analyst", **headers: str) -> Client:
        client = Client(headers=headers)
        client.force_login(make_user(organisation, role, f"{role}@example.com"))
        return client

    return sign_in


def read(client: Client, address: str = ADDRESS, **asked: str) -> str:
    answer = client.get(address, asked)
    assert answer.status_code == 200, answer.content
    return html.unescape(answer.content.decode())


def titles(text: str) -> list[str]:
    return re.findall(r'class="headline-title"[^>]*><a href="[^"]+">([^<]+)<', text)


def test_words_find_documents_and_say_why(person: Callable[..., Client]) -> None:
    text = read(person(), q="northlight recall")
    assert titles(text) == [ROWS[0]["title"], ROWS[1]["title"]]
    assert "<mark>recall</mark>" in text
    assert "were found by their words alone" in text
    assert 'id="relabel"' in text


def test_a_facet_is_a_link_and_can_be_taken_away(person: Callable[..., Client]) -> None:
    client = person()
    text = read(client, q="northlight", order="newest")
    link = re.search(r'<a href="(\?[^"]*source=Sun[^"]*)">Sun</a>', text)
    assert link is not None, text
    narrowed = read(client, ADDRESS + link.group(1))
    assert titles(narrowed) == [ROWS[1]["title"]]
    back = re.search(r'href="([^"]+)" title="Without Sun"', narrowed)
    assert back is not None
    assert titles(read(client, back.group(1))) == titles(text)


def test_times_are_ranges_or_days(person: Callable[..., Client]) -> None:
    client = person()
    assert titles(read(client, range="7d")) == [ROWS[0]["title"], ROWS[1]["title"]]
    first = f"{NOW - timedelta(days=41):%Y-%m-%d}"
    last = f"{NOW - timedelta(days=39):%Y-%m-%d}"
    assert titles(read(client, **{"from": first, "to": last})) == [ROWS[2]["title"]]


def test_pages_follow_and_a_bad_one_begins_anew(
    person: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "SIZE", 2)
    client = person()
    text = read(client)
    after = re.search(r'rel="next" href="([^"]+)"', text)
    assert after is not None
    assert titles(text) + titles(read(client, ADDRESS + after.group(1))) == [
        row["title"] for row in ROWS
    ]
    anew = read(client, cursor="nonsense")
    assert titles(anew) == titles(text)
    assert "it begins anew" in anew


@pytest.mark.parametrize(
    "asked",
    [
        {"from": "9999-12-31", "to": "9999-12-31"},
        {"from": "0001-01-01", "to": "0001-01-01"},
        {"entity": "x", "portfolio": "\x00", "q": "\x00", "sentiment": "odd", "order": "odd"},
        {"range": "odd", "from": "tomorrow", "topic": "x" * 300},
    ],
)
def test_an_odd_address_is_still_a_page(
    person: Callable[..., Client], asked: dict[str, str]
) -> None:
    read(person(), **asked)


def test_a_view_is_kept_opened_and_taken_away(
    person: Callable[..., Client], organisation: Organisation
) -> None:
    client = person()
    query = {"page": "search", "query": "q=northlight&order=newest&cursor=x", "name": "Northlight"}
    kept = client.post("/public-opinion/views/", query, follow=True)
    assert kept.redirect_chain == [(f"{ADDRESS}?q=northlight&order=newest", 302)]
    assert "Kept as “Northlight”." in html.unescape(kept.content.decode())
    again = client.post("/public-opinion/views/", query, follow=True)
    assert "has this name already" in again.content.decode()
    with organisation_scope(organisation.pk):
        view = SavedView.objects.get()
    viewer = person("viewer")
    assert viewer.post(f"/public-opinion/views/{view.pk}/delete/").status_code == 404
    gone = client.post(f"/public-opinion/views/{view.pk}/delete/", follow=True)
    assert "is no longer kept" in gone.content.decode()


def test_it_is_chinese_for_chinese_readers(person: Callable[..., Client]) -> None:
    text = read(person(**{"Accept-Language": "zh-hans"}), q="northlight")
    assert "情绪" in text
