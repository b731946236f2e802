"""Sources over REST, messages of webhooks, OPML and dead letters."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.finance_sentiment.models import Document, Fault, RefusedItem, Source, SourcePolling
from apps.finance_sentiment.services.sources.opml import OpmlRefused, opml_parse
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from rootstock.webhooks.signing import signed_headers

SOURCES = "/api/v1/finance/sources"
FEED = {"name": "Wire", "kind": "feed", "url": "https://wire.example/feed", "credibility": 0.9}


@pytest.fixture
def api(organisation: Organisation, make_key: Callable[..., str]) -> Callable[..., Any]:
    client = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})

    def call(method: str, path: str, data: Any = None, **headers: str) -> Any:
        return client.generic(
            method,
            path,
            json.dumps(data) if data is not None else "",
            content_type="application/json",
            headers=headers,
        )

    return call


@pytest.fixture
def hook(api: Callable[..., Any]) -> dict[str, Any]:
    made = api("POST", SOURCES, {"name": "Desk", "kind": "hook"})
    assert made.status_code == 201, made.content
    return dict(made.json())


@pytest.fixture
def send(hook: dict[str, Any]) -> Callable[..., Any]:
    """Sends a signed message; what is given by name replaces what is right."""

    def post(content: Any, message_id: str = "", **wrong: Any) -> Any:
        body = json.dumps(content).encode()
        headers = signed_headers(
            [wrong.get("secret", hook["secret"])],
            message_id or uuid.uuid4().hex,
            int(time.time()) + wrong.get("late", 0),
            body,
        )
        headers |= wrong.get("headers", {})
        return Client().generic(
            "POST",
            wrong.get("path", hook["hook_path"]),
            wrong.get("body", body),
            content_type="application/json",
            headers=headers,
        )

    return post


def test_a_source_is_made_changed_asked_and_taken_away(api, organisation):
    made = api("POST", SOURCES, FEED)
    assert made.status_code == 201, made.content
    source = made.json()
    assert source["secret"] == ""
    assert source["health"]["next_at"]
    path = f"{SOURCES}/{source['id']}"
    changed = api("PATCH", path, {"credibility": 0.2, "source_group": "wires"})
    assert changed.json()["credibility"] == 0.2
    stale = api("PATCH", path, {"credibility": 1}, **{"If-Match": '"old"'})
    assert stale.status_code == 412
    assert [s["name"] for s in api("GET", f"{SOURCES}?group=wires").json()["results"]] == ["Wire"]
    assert api("POST", f"{path}/poll").status_code == 202
    assert api("POST", f"{path}/rotate-secret").status_code == 409
    assert api("DELETE", path).status_code == 204
    assert api("GET", path).status_code == 404
    with organisation_scope(organisation.pk):
        assert SourcePolling.objects.get().next_at is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "http://169.254.169.254/latest"}, "/url"),
        ({"url": "ftp://wire.example/"}, "/url"),
        ({"url": ""}, "/url"),
        ({"credibility": 1.5}, "/credibility"),
        ({"interval_seconds": 1}, "/interval_seconds"),
        ({"kind": "list", "selectors": {}}, "/selectors"),
        ({"kind": "list", "selectors": {"item": "li["}}, "/selectors"),
        ({"selectors": {"item": "li"}}, "/selectors"),
        ({"name": "  "}, "/name"),
        ({"kind": "telex"}, "/kind"),
    ],
)
def test_what_is_wrong_with_a_source_is_said_where(api, change, field):
    answer = api("POST", SOURCES, {**FEED, **change})
    assert answer.status_code == 422
    assert any(e["pointer"].startswith(field) for e in answer.json()["errors"])


def test_a_signed_message_is_taken_once(api, send, hook, organisation):
    documents = [
        {"external_id": "a", "title": "Bank fined", "published_at": "2026-03-01T10:00:00Z"},
        {"title": "Undated", "url": "https://desk.example/2"},
        {"external_id": "b", "title": 7},
        {"external_id": "c", "body": ""},
    ]
    first = send({"documents": documents}, "msg-1")
    assert first.status_code == 202, first.content
    assert first.json() == {
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "refused": 2,
        "replayed": False,
    }
    again = send({"documents": documents}, "msg-1")
    assert again.json() == {**first.json(), "replayed": True}
    edited = send([{**documents[0], "title": "Bank fined again"}])
    assert edited.json()["updated"] == 1
    with organisation_scope(organisation.pk):
        assert {d.source for d in Document.objects.all()} == {"Desk"}
        assert Document.objects.get(external_id="a").revision == 2
        assert Document.objects.get(title="Undated").is_undated
        assert RefusedItem.objects.count() == 2
    refused = api("GET", "/api/v1/finance/refused-items?state=open").json()["results"]
    assert {item["key"] for item in refused} == {"b", "c"}
    one = next(item for item in refused if item["key"] == "b")
    path = f"/api/v1/finance/refused-items/{one['id']}"
    assert api("POST", f"{path}/retry", {}).status_code == 422
    corrected = {"title": "Seven", "published_at": "2026-03-01T10:00:00Z"}
    assert api("POST", f"{path}/retry", corrected).json()["state"] == "taken"
    assert api("POST", "/api/v1/finance/refused-items/retry").json() == {"taken": 0, "refused": 1}
    other = next(item for item in refused if item["key"] == "c")
    dismissed = api("POST", f"/api/v1/finance/refused-items/{other['id']}/dismiss")
    assert dismissed.json()["state"] == "dismissed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "whsec_" + "A" * 43 + "="},
        {"late": -900},
        {"late": 900},
        {"headers": {"webhook-timestamp": "²"}},
        {"headers": {"webhook-signature": "v1,ü"}},
        {"headers": {"webhook-id": ""}},
        {"body": b'{"documents": [{"title": "Other"}]}'},
    ],
)
def test_a_message_that_is_not_signed_right_is_refused(send, wrong, organisation):
    answer = send({"documents": [{"title": "A"}]}, **wrong)
    assert answer.status_code == 401
    assert answer.json()["type"].endswith("signature")
    with organisation_scope(organisation.pk):
        assert not Document.objects.exists()


def test_addresses_without_a_hook_and_messages_without_documents(api, send, hook):
    assert send({}, path="/api/v1/finance/hooks/nobody").status_code == 404
    for content in ({}, [], 5, {"documents": []}, {"documents": "x"}, [{}] * 1001):
        assert send(content).status_code == 422
    api("PATCH", f"{SOURCES}/{hook['id']}", {"enabled": False})
    assert send([{"title": "A"}]).status_code == 409


def test_the_old_secret_is_good_for_a_while_after_a_rotation(api, send, hook):
    rotated = api("POST", f"{SOURCES}/{hook['id']}/rotate-secret").json()
    assert rotated["secret"] != hook["secret"]
    assert send([{"title": "A"}]).status_code == 202
    assert send([{"title": "B"}], secret=rotated["secret"]).status_code == 202
    twice = api("POST", f"{SOURCES}/{hook['id']}/rotate-secret").json()
    assert send([{"title": "C"}]).status_code == 401
    assert "secret" not in api("GET", f"{SOURCES}/{hook['id']}").json()
    assert twice["secret"]


OPML = """<?xml version="1.0"?><opml version="1.0"><body>
<outline text="Wires"><outline text="One &amp; only" xmlUrl="https://one.example/f"/>
<outline title="Two" text="x" xmlUrl="https://two.example/f"/></outline>
<outline text="Two" xmlUrl="https://three.example/f"/><outline text="In" xmlUrl="http://10.0.0.1/f"/></body></opml>"""


def test_opml_goes_in_and_comes_out_again(api, organisation):
    first = api("POST", f"{SOURCES}/opml", {"opml": OPML}).json()
    assert (first["created"], first["known"]) == (3, 0)
    assert [r["name"] for r in first["refused"]] == ["In"]
    assert api("POST", f"{SOURCES}/opml", {"opml": OPML}).json()["known"] == 3
    out = opml_parse(api("GET", f"{SOURCES}/opml").content)
    assert {(o.name, o.url, o.group) for o in out} == {
        ("One & only", "https://one.example/f", "Wires"),
        ("Two", "https://two.example/f", "Wires"),
        ("Two (three.example)", "https://three.example/f", ""),
    }
    assert api("POST", f"{SOURCES}/opml", {"opml": "<html/>"}).status_code == 422


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_no_file_breaks_the_reader_of_opml(data):
    try:
        opml_parse(b"<opml><body><outline " + data)
    except OpmlRefused as error:
        assert str(error)


def test_another_organisation_sees_no_source(api, hook, organisation_b, make_key):
    stranger = Client(headers={"Authorization": f"Bearer {make_key(organisation_b)}"})
    assert stranger.get(f"{SOURCES}/{hook['id']}").status_code == 404
    assert stranger.get(SOURCES).json()["results"] == []


def test_health_is_told_in_codes(api, organisation):
    made = api("POST", SOURCES, FEED).json()
    with organisation_scope(organisation.pk):
        SourcePolling.objects.filter(source=Source.objects.get()).update(
            fault=Fault.TIMEOUT, failures=3, notes=["undated"]
        )
    health = api("GET", f"{SOURCES}/{made['id']}").json()["health"]
    assert (health["fault"], health["failures"], health["notes"]) == ("timeout", 3, ["undated"])
