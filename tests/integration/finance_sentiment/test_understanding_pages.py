"""The pages and the API of entities and topics, as a person and a program use them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from finance_fakes import FakeModels

from apps.finance_sentiment.models import Alias, Document, Entity, Mention, Topic
from rootstock.jobs.models import Job
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC) - timedelta(hours=1)
API = "/api/v1/finance"
ENTITY = {
    "name": "Harbour Trust plc",
    "name_zh": "海港信托",
    "aliases": [{"text": "Harbour"}],
    "instruments": [{"symbol": "HBT", "exchange": "XLON"}],
}


@pytest.fixture
def signed_in(organisation: Organisation, make_user: Callable[..., Any]) -> Client:
    client = Client()
    client.force_login(make_user(organisation, "manager", "ada@example.com"))
    return client


@pytest.fixture
def stored(
    organisation: Organisation, models: FakeModels, score: Callable[..., Any], signed_in: Client
) -> Document:
    """A document about an entity that the API took in."""
    answer = signed_in.post(
        f"{API}/entities", json.dumps({"entities": [ENTITY]}), content_type="application/json"
    )
    assert answer.status_code == 202, answer.content
    assert answer.json()["created"] == 1
    score({"title": "Fraud found at Harbour Trust", "body": "Its bank fell.", "published_at": NOW})
    with organisation_scope(organisation.pk):
        return Document.objects.get()


def test_every_page_shows_what_there_is(stored: Document, signed_in: Client) -> None:
    with organisation_scope(stored.organisation_id):
        entity = Entity.objects.get()
    pages = {
        "/public-opinion/entities/": "Harbour Trust plc",
        f"/public-opinion/entities/{entity.pk}/": "Fraud found at Harbour Trust",
        "/public-opinion/entities/new/": "Follow",
        "/public-opinion/entities/import/": "Ping An",
        "/public-opinion/entities/review/": "Nothing to decide",
        f"/public-opinion/documents/{stored.pk}/": "mention-negative",
        "/public-opinion/topics/": "Topics",
        "/public-opinion/topics/new/": "Words",
    }
    for address, words in pages.items():
        answer = signed_in.get(address)
        assert answer.status_code == 200, address
        assert words in answer.content.decode(), address


def test_why_is_answered_by_the_deployed_model(
    stored: Document, signed_in: Client, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.finance_sentiment.inference import explaining as asking
    from apps.finance_sentiment.services import explaining

    monkeypatch.setattr(explaining, "targets_resolve", models.targets)
    monkeypatch.setattr(
        asking, "ask", lambda targets, texts, rows: (models.classify(targets, texts), {})
    )
    page = signed_in.get(f"/public-opinion/documents/{stored.pk}/why/").content.decode()
    assert "why-for-3" in page and "Fraud" in page
    answer = signed_in.get(f"{API}/documents/{stored.pk}/explain").json()
    heaviest = max(answer["words"], key=lambda word: word["weight"])
    assert (heaviest["text"], answer["label"]) == ("Fraud", "negative")


def test_a_file_of_names_is_taken_row_by_row(
    organisation: Organisation, signed_in: Client, models: FakeModels
) -> None:
    file = io.BytesIO(
        "name,name_zh,aliases,symbol,exchange,valid_from\n"
        "Ping An,中国平安,平安|平安保险,601318,XSHG,\n"
        "Ping An,,,2318,XHKG,\n"
        ",,,,,\n"
        "Other,,,601318,XSHG,\n".encode()
    )
    file.name = "names.csv"
    page = signed_in.post("/public-opinion/entities/import/", {"file": file}).content.decode()
    assert "2 rows were left out" in page
    with organisation_scope(organisation.pk):
        assert Entity.objects.get(key="ping-an").instruments.count() == 2
        assert Alias.objects.filter(text="平安保险").exists()
        assert Job.objects.filter(kind="finance.relink").count() == 1


def test_a_topic_is_added_changed_and_removed(
    organisation: Organisation, signed_in: Client, models: FakeModels
) -> None:
    form = {"name": "Drought", "slug": "", "terms": "drought\n干旱", "enabled": "on"}
    assert signed_in.post("/public-opinion/topics/new/", form).status_code == 302
    again = signed_in.post("/public-opinion/topics/new/", form)
    assert again.status_code == 422
    with organisation_scope(organisation.pk):
        topic = Topic.objects.get(slug="drought")
    assert topic.terms == ["drought", "干旱"]
    changed = signed_in.patch(
        f"{API}/taxonomy/{topic.pk}",
        json.dumps({"enabled": False, "name_zh": "干旱"}),
        content_type="application/json",
    )
    assert changed.json()["enabled"] is False
    assert signed_in.delete(f"{API}/taxonomy/{topic.pk}").status_code == 204


def test_a_person_decides_who_is_meant(
    organisation: Organisation, stored: Document, signed_in: Client
) -> None:
    with organisation_scope(organisation.pk):
        entity = Entity.objects.get()
        mention = Mention.objects.get(state="linked")
    answer = signed_in.post(
        f"{API}/mentions/{mention.pk}/decide",
        json.dumps({"entity": None}),
        content_type="application/json",
    )
    assert answer.json() == {"decided": 1}
    wrong = signed_in.post(
        f"{API}/mentions/{mention.pk}/decide",
        json.dumps({"entity": str(stored.pk)}),
        content_type="application/json",
    )
    assert wrong.status_code == 422
    back = {"mention": str(mention.pk), "entity": str(entity.pk), "learn": "on"}
    assert signed_in.post("/public-opinion/entities/review/", back).status_code == 302
    with organisation_scope(organisation.pk):
        mention.refresh_from_db()
        assert (mention.entity_id, mention.is_decided) == (entity.pk, True)


def test_faults_of_a_batch_are_named_by_their_place(
    organisation: Organisation, signed_in: Client
) -> None:
    body = {"entities": [ENTITY, {"name": "B", "aliases": [{"text": "C", "kind": "nick"}]}, 5]}
    answer = signed_in.post(f"{API}/entities", json.dumps(body), content_type="application/json")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/entities/1/aliases",
        "/entities/2",
    ]
