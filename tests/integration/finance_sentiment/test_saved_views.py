"""Saved views: kept for oneself, shared with everybody, changed by who made them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.finance_sentiment.models import SavedView
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db

API = "/api/v1/finance/views"


@pytest.fixture
def person(organisation: Organisation, make_user: Callable[..., Any]) -> Callable[..., Client]:
    def sign_in(role: str) -> Client:
        client = Client()
        client.force_login(make_user(organisation, role, f"{role}@example.com"))
        return client

    return sign_in


def send(client: Client, body: dict[str, Any], address: str = API, method: str = "post") -> Any:
    return getattr(client, method)(address, json.dumps(body), content_type="application/json")


def names(client: Client, **asked: str) -> list[str]:
    return [row["name"] for row in client.get(API, asked).json()["results"]]


def test_a_view_is_ones_own_until_it_is_shared(person: Callable[..., Client]) -> None:
    analyst, manager = person("analyst"), person("manager")
    made = send(analyst, {"name": " Tariffs ", "query": {"q": "tariffs", "topic": ""}})
    assert made.status_code == 201, made.content
    view = made.json()
    assert (view["name"], view["query"], view["page"]) == ("Tariffs", {"q": "tariffs"}, "search")
    assert names(analyst) == ["Tariffs"]
    assert names(analyst, page="board") == []
    assert names(manager) == []
    address = f"{API}/{view['id']}"
    assert manager.get(address).status_code == 404

    shared = {"name": "Duties", "query": {"q": "duties"}, "is_shared": True}
    changed = analyst.put(
        address,
        json.dumps(shared),
        content_type="application/json",
        headers={"If-Match": made.headers["ETag"]},
    )
    assert changed.status_code == 200, changed.content
    assert names(manager) == ["Duties"]
    assert manager.delete(address).status_code == 403
    assert names(analyst) == ["Duties"]
    assert analyst.delete(address).status_code == 204
    assert names(analyst) == []


def test_who_may_only_read_keeps_views_and_does_not_share_them(
    person: Callable[..., Client],
) -> None:
    viewer = person("viewer")
    assert send(viewer, {"name": "Mine", "query": {"topic": "earnings"}}).status_code == 201
    refused = send(viewer, {"name": "Ours", "is_shared": True})
    assert refused.status_code == 403
    assert names(viewer) == ["Mine"]


def test_what_a_key_makes_is_everybodys(
    person: Callable[..., Client], organisation: Organisation, make_key: Callable[..., str]
) -> None:
    key = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})
    made = send(key, {"name": "Credit", "query": {"topic": "credit"}, "page": "board"}).json()
    assert (made["is_shared"], made["owner"]) == (True, "")
    manager, viewer = person("manager"), person("viewer")
    assert names(viewer) == ["Credit"]
    assert viewer.delete(f"{API}/{made['id']}").status_code == 403
    assert manager.delete(f"{API}/{made['id']}").status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"name": "", "query": {}}, 422, "/name"),
        ({"name": "A", "query": {"colour": "red"}}, 422, "/query"),
        ({"name": "A", "query": {"q": "x" * 201}}, 422, "/query/q"),
        ({"name": "A", "query": {"order": "best"}, "page": "board"}, 422, "/query"),
        ({"name": "Taken", "query": {}}, 409, "/name"),
    ],
)
def test_what_cannot_be_kept_is_named(
    person: Callable[..., Client], body: dict[str, Any], status: int, pointer: str
) -> None:
    analyst = person("analyst")
    send(analyst, {"name": "Taken", "query": {}})
    answer = send(analyst, body)
    assert answer.status_code == status, answer.content
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_another_organisation_sees_none_of_them(
    person: Callable[..., Client],
    organisation: Organisation,
    organisation_b: Organisation,
    make_key: Callable[..., str],
) -> None:
    view = send(person("manager"), {"name": "Ours", "is_shared": True}).json()
    key = Client(headers={"Authorization": f"Bearer {make_key(organisation_b)}"})
    assert names(key) == []
    assert key.delete(f"{API}/{view['id']}").status_code == 404
    with organisation_scope(organisation.pk):
        assert SavedView.objects.count() == 1
