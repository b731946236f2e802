"""POST /api/v1/service/answer"""

from __future__ import annotations

from django.test import Client

from apps.customer_service.models import Channel
from apps.customer_service.services.assistants import assistant_update
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.scope import organisation_scope


def _client(token: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token}"})


def test_the_assistant_can_be_asked(organisation, make_key) -> None:
    client = _client(make_key(organisation, ["service:read"]))
    body = {"question": "谢谢"}
    said = client.post("/api/v1/service/answer", body, content_type="application/json")
    assert said.status_code == 200, said.content
    assert (said.json()["kind"], said.json()["language"]) == ("small-talk", "zh")
    assert said.json()["trace"]["steps"]


def test_only_with_its_scope_and_a_question(organisation, make_key) -> None:
    other = _client(make_key(organisation, ["jobs:read"]))
    asked = {"question": "hello"}
    url, kind = "/api/v1/service/answer", "application/json"
    assert other.post(url, asked, content_type=kind).status_code == 403
    mine = _client(make_key(organisation, ["service:read"]))
    assert mine.post(url, {}, content_type=kind).status_code == 422


def test_as_a_channel_answers(organisation, make_key) -> None:
    with organisation_scope(organisation.pk):
        channel = Channel.objects.create(name="Shop", key="shop-key-0003")
        assistant_update(values={"small_talk": False}, actor=SYSTEM, channel=channel)
    client = _client(make_key(organisation, ["service:read"]))
    url, kind = "/api/v1/service/answer", "application/json"
    body = {"question": "thank you", "channel": str(channel.pk)}
    assert client.post(url, body, content_type=kind).json()["kind"] == "none"
    body["channel"] = str(organisation.pk)
    assert client.post(url, body, content_type=kind).status_code == 404
