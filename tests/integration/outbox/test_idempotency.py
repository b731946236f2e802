"""Fifty equal requests do it once and get one answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response

from rootstock.common.api import ApiView
from rootstock.common.problems import Problem
from rootstock.outbox.idempotency import idempotent
from rootstock.outbox.models import IdempotencyKey
from rootstock.outbox.tasks import expire_keys
from rootstock.realtime.models import Stream
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope


class Things(ApiView):
    """A view that writes a row for each call."""

    permission = Permission.FINANCE_WRITE

    @idempotent
    def post(self, request: Request) -> Response:
        if request.data.get("fail") == "problem":
            Stream.objects.create(name="undone")
            raise Problem(422, "invalid", "No.")
        if request.data.get("fail") == "crash":
            Stream.objects.create(name="undone")
            return Response({"oops": True}, status=503)
        row = Stream.objects.create(name=f"s{Stream.objects.count()}")
        return Response({"id": str(row.pk), "中": 1.5}, status=201, headers={"Location": "/x"})


urlpatterns = [path("api/v1/things/", Things.as_view()), path("", include("rootstock.config.urls"))]
pytestmark = pytest.mark.urls(__name__)


def send(token: str, key: str | None = "k1", body: str = '{"a": 1}', query: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    if key is not None:
        headers["Idempotency-Key"] = key
    return Client().post(
        "/api/v1/things/" + query, data=body, content_type="application/json", headers=headers
    )


def count(organisation: Any) -> int:
    with organisation_scope(organisation.pk):
        return Stream.objects.count()


def test_fifty_at_once_write_one_row_and_answer_alike(live_db, organisation, make_key) -> None:
    token, answers = make_key(organisation), []

    def run() -> None:
        answers.append(send(token))
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
    assert sorted(map(str, replayed)) == ["None"] + ["true"] * 49
    assert {answer.headers["Location"] for answer in answers} == {"/x"}
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/json"}
    assert count(organisation) == 1


def test_changed_request_is_refused(live_db, organisation, make_key) -> None:
    token = make_key(organisation)
    assert send(token).status_code == 201
    for answer in (send(token, body='{"a": 2}'), send(token, query="?b=1")):
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:rootstock:problem:idempotency-key-reused"
    assert count(organisation) == 1


def test_without_a_key_nothing_is_remembered(live_db, organisation, make_key) -> None:
    token = make_key(organisation)
    assert send(token, key=None).status_code == send(token, key=None).status_code == 201
    assert count(organisation) == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "tab\tbed"])
def test_malformed_key(live_db, organisation, make_key, key: str) -> None:
    assert send(make_key(organisation), key=key).status_code == 422


@pytest.mark.parametrize("fail, status", [("problem", 422), ("crash", 503)])
def test_failure_leaves_nothing_and_the_key_is_free(
    live_db, organisation, make_key, fail: str, status: int
) -> None:
    token = make_key(organisation)
    assert send(token, body=f'{{"fail": "{fail}"}}').status_code == status
    assert count(organisation) == 0
    assert send(token).status_code == 201


def test_keys_belong_to_the_organisation(live_db, organisation, organisation_b, make_key) -> None:
    first, second = send(make_key(organisation)), send(make_key(organisation_b))
    assert first.json()["id"] != second.json()["id"]


def test_in_flight_for_long_is_a_conflict(live_db, organisation, make_key, monkeypatch) -> None:
    monkeypatch.setattr("rootstock.outbox.idempotency.WAIT_SECONDS", 0.2)
    token, answers = make_key(organisation), []

    def other() -> None:
        answers.append(send(token))
        connections.close_all()

    with organisation_scope(organisation.pk):
        IdempotencyKey.objects.create(key="k1", request_digest=b"x")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert answers[0].status_code == 409
    assert answers[0].headers["Retry-After"]


def test_keys_are_kept_two_days(live_db, organisation, make_key) -> None:
    from datetime import timedelta

    from django.db.models.functions import Now

    send(make_key(organisation))
    expire_keys()
    with organisation_scope(organisation.pk):
        assert IdempotencyKey.objects.count() == 1
        IdempotencyKey.objects.update(created_at=Now() - timedelta(hours=49))
    expire_keys()
    with organisation_scope(organisation.pk):
        assert IdempotencyKey.objects.count() == 0
