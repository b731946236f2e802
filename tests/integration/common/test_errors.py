"""One error shape everywhere, headers of every answer, and what a failed request leaves behind."""

from __future__ import annotations

import json
import zlib

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import path
from rest_framework.response import Response

from rootstock.audit.models import AuditEntry
from rootstock.audit.services import audit_record
from rootstock.common.api import ApiView
from rootstock.common.problems import Problem
from rootstock.config import urls as real_urls
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import current_organisation_id, organisation_scope

pytestmark = pytest.mark.django_db


def note(request, label: str) -> None:
    audit_record(actor=request.actor, action=label, target="x", target_id="1")


class Failing(ApiView):
    """Writes a row, then fails in the asked way."""

    def post(self, request, how: str):
        note(request, f"test.{how}")
        if how == "crash":
            raise RuntimeError("a bug")
        if how == "conflict":
            raise Problem(409, "test", "no")
        if how == "unavailable":
            return Response({"detail": "x"}, status=503)
        if how == "database":
            Organisation.objects.raw("SELECT 1/0 AS id")[0]
        return Response({"organisation": str(current_organisation_id())})


def page(request, how: str):
    note(request, f"test.page.{how}")
    raise RuntimeError("a bug")


class Urls:
    urlpatterns = [
        path("api/v1/failing/<str:how>", Failing.as_view()),
        path("failing/<str:how>", page),
        *real_urls.urlpatterns,
    ]
    handler400 = real_urls.handler400
    handler403 = real_urls.handler403
    handler404 = real_urls.handler404
    handler500 = real_urls.handler500


@pytest.fixture
def api(organisation, make_key):
    return Client(
        headers={"Authorization": f"Bearer {make_key(organisation)}"}, raise_request_exception=False
    )


def check_problem(response, status: int) -> dict:
    assert response.status_code == status, response.content[:300]
    assert response["Content-Type"].startswith("application/problem+json")
    body = response.json()
    assert body["status"] == status
    assert {"type", "title", "detail"} <= set(body)
    assert body["type"].startswith("urn:rootstock:problem:")
    return body


@pytest.mark.parametrize("how", ["crash", "conflict", "unavailable", "database"])
def test_a_failed_request_leaves_nothing(api, organisation, settings, how):
    settings.ROOT_URLCONF = Urls
    response = api.post(f"/api/v1/failing/{how}", {}, content_type="application/json")
    check_problem(response, {"conflict": 409, "unavailable": 503}.get(how, 500))
    assert "a bug" not in response.content.decode()
    with organisation_scope(organisation.pk):
        assert AuditEntry.objects.filter(action=f"test.{how}").count() == 0
    fine = api.post("/api/v1/failing/no", {}, content_type="application/json")
    assert fine.json() == {"organisation": str(organisation.pk)}
    with organisation_scope(organisation.pk):
        assert AuditEntry.objects.filter(action="test.no").count() == 1


def test_a_failed_page_leaves_nothing(organisation, make_user, settings):
    settings.ROOT_URLCONF = Urls
    client = Client(raise_request_exception=False)
    client.force_login(make_user(organisation))
    response = client.get("/failing/now")
    assert response.status_code == 500
    assert response["Content-Type"].startswith("text/html")
    with organisation_scope(organisation.pk):
        assert AuditEntry.objects.filter(action="test.page.now").count() == 0


def test_errors_that_no_view_answers(api):
    check_problem(api.get("/api/v1/no-such-thing"), 404)
    check_problem(api.get("/api/"), 404)
    wrong = check_problem(api.put("/api/v1/me", {}, content_type="application/json"), 405)
    assert wrong["type"].endswith("method-not-allowed")
    assert "GET" in api.put("/api/v1/me")["Allow"]
    check_problem(api.get("/api/v1/me", headers={"Accept": "text/html"}), 406)
    check_problem(api.post("/api/v1/api-keys", "a=b", content_type="text/plain"), 415)
    check_problem(Client().get("/api/v1/me"), 401)
    assert Client().get("/api/v1/me")["WWW-Authenticate"].startswith("Bearer")
    check_problem(Client().get("/api/v1/me", headers={"Host": "evil.example"}), 400)
    check_problem(api.get("/api/v1/me?x=%00"), 400)


def test_a_slash_more_or_less_makes_no_difference(api):
    assert api.get("/api/v1/me/").status_code == 200
    assert api.get("/api/v1/jobs").status_code == 200
    assert api.get("/api/v1/jobs/").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ('{"name": "x",}', 400, "line 1, column"),
        ('{"name": NaN}', 400, "NaN is not JSON"),
        ('{"name": 1e999}', 400, "too large"),
        ('{"name": ' + "9" * 5000 + "}", 400, "digits"),
        ("[" * 100_000, 400, "nested"),
        ("[" * 40 + "]" * 40, 400, "nested"),
        ('{"name": "\\u0000"}', 422, "NUL"),
        ('{"name": "\\ud800"}', 422, "surrogate"),
        (b'{"name": "\xff"}', 400, "byte 10"),
        ("中文".encode("gbk"), 400, "UTF-8"),
        ('{"name": "x"}'.encode("utf-16"), 400, "UTF-8"),
        ("[]", 422, "dictionary"),
        ('"text"', 422, "dictionary"),
        ("", 422, "required"),
    ],
)
def test_a_bad_body_is_said_clearly(api, body, status, says):
    response = api.generic("POST", "/api/v1/api-keys", body, content_type="application/json")
    problem = check_problem(response, status)
    assert says in json.dumps(problem), problem


def test_a_body_too_large_is_refused_before_it_is_read(api, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1024
    check_problem(
        api.post("/api/v1/api-keys", {"name": "x" * 5000}, content_type="application/json"), 413
    )


def test_garbage_cursors_and_page_sizes(api):
    for cursor in ("x", "%00", "cD0=", "cD1ub3QtYS11dWlk", "é", "b2JzY3VyZQ==", "cD0lMDA="):
        response = api.get("/api/v1/members", {"cursor": cursor})
        assert response.status_code in (200, 422), response.content
        if response.status_code == 422:
            assert response.json()["errors"][0]["pointer"] == "/cursor"
    for size in ("0", "-1", "201", "x", "٣", "1e2", "9" * 500):
        body = check_problem(api.get("/api/v1/members", {"page_size": size}), 422)
        assert body["errors"][0]["pointer"] == "/page_size"


def test_pages_follow_each_other(api, organisation, make_user):
    for _ in range(5):
        make_user(organisation)
    seen, url = [], "/api/v1/members?page_size=2"
    while url:
        body = api.get(url).json()
        seen += [row["id"] for row in body["results"]]
        url = body["next"]
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen)


def test_headers_of_every_answer(api):
    response = api.get("/api/v1/me", headers={"X-Request-ID": "client-chosen-1"})
    assert response["X-Request-ID"] == "client-chosen-1"
    assert {"Authorization", "Cookie"} <= {v.strip() for v in response["Vary"].split(",")}
    assert response["Cache-Control"] == "no-store"
    assert response["RateLimit-Policy"].startswith('"default";q=')
    assert "r=" in response["RateLimit"]
    assert "Access-Control-Allow-Origin" not in response
    forged = api.get("/api/v1/me", headers={"X-Request-ID": "a b\tc"})
    assert forged["X-Request-ID"] != "a b\tc"


def test_the_rate_limit_says_when_to_come_back(api, settings):
    cache.clear()
    settings.ROOTSTOCK_RATE_LIMIT = 2
    assert [api.get("/api/v1/me").status_code for _ in range(2)] == [200, 200]
    refused = api.get("/api/v1/me")
    check_problem(refused, 429)
    assert 1 <= int(refused["Retry-After"]) <= 61
    assert "r=0" in refused["RateLimit"]
    cache.clear()


def test_the_browsers_session_needs_a_csrf_token(organisation, make_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(organisation))
    assert client.get("/api/v1/me").status_code == 200
    refused = client.patch("/api/v1/organisation", {"name": "x"}, content_type="application/json")
    check_problem(refused, 403)
    with organisation_scope(organisation.pk):
        assert Organisation.objects.get().name == "Acme"


def test_a_key_opens_no_page(organisation, make_key):
    response = Client(headers={"Authorization": f"bearer {make_key(organisation)}"}).get(
        "/settings/people/"
    )
    assert response.status_code == 302


def test_a_compressed_body_is_not_read_as_json(api):
    response = api.generic(
        "POST",
        "/api/v1/api-keys",
        zlib.compress(b'{"name": "x"}'),
        content_type="application/json",
        headers={"Content-Encoding": "deflate"},
    )
    check_problem(response, 400)
