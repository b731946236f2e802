"""Documents, signals, alerts and threads as files."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import Client

from apps.finance_sentiment.models import Document, Thread
from rootstock.tenancy import streaming
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from alert_stage import alert_make

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/finance"
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def api(organisation, make_key):
    return Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})


def whole(answer: Any) -> str:
    """The body, which is read from the database while it is sent."""

    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return async_to_sync(read)().decode()


def table(client: Client, name: str, **filters: str) -> list[dict[str, str]]:
    answer = client.get(f"{ROOT}/{name}.csv", filters)
    assert answer.status_code == 200
    text = whole(answer)
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def lines(client: Client, name: str, **filters: str) -> list[dict[str, Any]]:
    answer = client.get(f"{ROOT}/{name}.jsonl", filters)
    assert answer.status_code == 200
    return [json.loads(line) for line in whole(answer).splitlines()]


@pytest.fixture
def stored(models, organisation, post, drain):
    """Five scored documents, two of them negative, one whose title a spreadsheet would run."""
    titles = [
        "oil plunges on a loss of demand",
        "bank wins a record loan",
        '=HYPERLINK("http://evil.example","oil")',
        "shares talk of nothing new at all",
        "gas lawsuit is heard in court today",
    ]
    with organisation_scope(organisation.pk):
        post(
            *(
                {"title": title, "published_at": NOON + timedelta(hours=n)}
                for n, title in enumerate(titles)
            )
        )
        drain()
    return titles


def test_documents_come_whole_however_many_chunks_it_takes(api, stored, monkeypatch):
    monkeypatch.setattr(streaming, "CHUNK", 2)
    rows = table(api, "documents")
    assert sorted(row["title"].removeprefix("'") for row in rows) == sorted(stored)
    first = next(row for row in rows if row["title"].startswith("oil"))
    assert first["sentiment.label"] == "negative"
    assert float(first["sentiment.probabilities.negative"]) == 0.9
    assert first["topics.label"] == "energy"
    assert first["models.version"] == "finance.sentiment v1; finance.topic v1"
    objects = lines(api, "documents")
    listed = api.get(f"{ROOT}/documents").json()["results"]
    key = lambda row: row["id"]  # noqa: E731
    assert sorted(objects, key=key) == sorted(listed, key=key)


def test_a_title_is_no_formula_in_a_spreadsheet(api, stored):
    titles = [row["title"] for row in table(api, "documents")]
    assert '\'=HYPERLINK("http://evil.example","oil")' in titles
    assert not [title for title in titles if title.startswith("=")]


def test_the_filters_are_those_of_the_lists(api, stored):
    negative = table(api, "documents", sentiment="negative", published_after=NOON.isoformat())
    assert len(negative) == 2
    later = lines(api, "documents", published_after=(NOON + timedelta(hours=3)).isoformat())
    assert len(later) == 2
    answer = api.get(f"{ROOT}/documents.csv", {"sentiment": "angry"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/sentiment"


def test_signals_are_the_stored_counts(api, stored):
    rows = table(api, "signals", kind="all", width="3600")
    assert [row["start"][:13] for row in rows] == [
        f"2026-03-04T{hour}" for hour in range(16, 11, -1)
    ]
    assert sum(int(row["stories_negative"]) for row in rows) == 2
    (energy,) = lines(
        api, "signals", kind="topic", key="energy", until=(NOON + timedelta(hours=1)).isoformat()
    )
    assert (energy["width"], energy["documents"]) == (3600, 1)
    assert api.get(f"{ROOT}/signals.csv", {"width": "7"}).status_code == 422


def test_alerts_and_threads(api, organisation):
    with organisation_scope(organisation.pk):
        alert = alert_make("energy", comment="@here")
        Thread.objects.create(
            title="An event",
            first_seen_at=NOON,
            last_seen_at=NOON,
            sources=["A", "B"],
            source_count=2,
        )
    (row,) = table(api, "alerts", kind="topic")
    assert (row["subject.label"], row["state"], row["peak_score"]) == ("Energy", "open", "2.0")
    assert row["comment"] == "'@here"
    assert row["models"] == "finance.sentiment v3"
    assert table(api, "alerts", state="resolved") == []
    (same,) = lines(api, "alerts", topic="energy")
    assert same["id"] == str(alert.pk)
    (thread,) = table(api, "threads", least_sources="2")
    assert (thread["title"], thread["sources"]) == ("An event", "A; B")
    assert lines(api, "threads", least_sources="3") == []


def test_nobody_else_sees_them(stored, organisation_b, make_key):
    other = Client(headers={"Authorization": f"Bearer {make_key(organisation_b)}"})
    assert table(other, "documents") == []
    narrow = Client(
        headers={"Authorization": f"Bearer {make_key(organisation_b, scopes=['jobs:read'])}"}
    )
    assert narrow.get(f"{ROOT}/documents.csv").status_code == 403
    assert Client().get(f"{ROOT}/documents.csv").status_code == 401
    assert Document.objects.count() == 0


def test_pages_link_to_what_they_show(api, stored, organisation, make_user):
    with organisation_scope(organisation.pk):
        alert_make("energy")
        alert_make("credit", state="resolved")
    page = Client()
    page.force_login(make_user(organisation, "viewer"))
    text = page.get(
        "/public-opinion/alerts/", {"state": "unresolved", "muted": "no"}
    ).content.decode()
    (address,) = re.findall(r'href="(/api/v1/finance/alerts\.csv[^"]*)"', text)
    answer = page.get(html.unescape(address))
    assert (answer.status_code, whole(answer).count("\n")) == (200, 2)
    text = page.get(
        "/public-opinion/",
        {"sentiment": "negative", "from": "2026-03-04T00:00", "to": "2026-03-05T00:00"},
    )
    (address,) = re.findall(r'href="(/api/v1/finance/documents\.csv[^"]*)"', text.content.decode())
    assert whole(page.get(html.unescape(address))).count("\n") == 3
    text = page.get("/public-opinion/threads/", {"range": "30d"}).content.decode()
    (address,) = re.findall(r'href="(/api/v1/finance/threads\.jsonl[^"]*)"', text)
    assert page.get(html.unescape(address)).status_code == 200
