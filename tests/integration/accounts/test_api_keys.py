"""API keys over REST: made, used, bounded, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from rootstock.accounts.models import ApiKey
from rootstock.audit.models import AuditEntry
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(organisation, make_key):
    key = make_key(organisation)
    return Client(headers={"Authorization": f"Bearer {key}"})


def with_key(text: str, **more: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {text}"}, **more)


def create(api: Client, **fields):
    body = {"name": "loader", "scopes": ["finance:read"], **fields}
    return api.post("/api/v1/api-keys", body, content_type="application/json")


def test_a_new_key_works_and_its_text_is_shown_once(api, organisation):
    made = create(api)
    assert made.status_code == 201, made.content
    text = made.json()["key"]
    assert text.startswith(f"rk_{made.json()['prefix']}_")
    me = with_key(text).get("/api/v1/me")
    assert me.status_code == 200, me.content
    assert me.json()["permissions"] == ["finance:read"]
    assert me.json()["organisation"]["id"] == str(organisation.pk)
    listed = api.get(f"/api/v1/api-keys/{made.json()['id']}").json()
    assert "key" not in listed
    secret = text.rsplit("_", 1)[1]
    with organisation_scope(organisation.pk):
        row = ApiKey.objects.get(prefix=made.json()["prefix"])
        assert secret.encode() not in bytes(row.digest)
        assert AuditEntry.objects.filter(action="accounts.api_key.create").count() == 1
        entry = AuditEntry.objects.get(action="accounts.api_key.create")
    assert secret not in str(entry.changes)
    assert entry.request_id == made["X-Request-ID"]
    assert entry.ip == "127.0.0.1"


def test_a_key_cannot_give_more_than_it_has(organisation, make_key):
    small = with_key(make_key(organisation, scopes=["keys:write", "finance:read"]))
    refused = create(small, scopes=["finance:read", "finance:write"])
    assert refused.status_code == 403
    assert refused["Content-Type"].startswith("application/problem+json")
    assert refused.json()["errors"] == [{"pointer": "/scopes", "detail": "finance:write"}]
    assert create(small).status_code == 201


def test_a_key_cannot_rotate_a_key_that_may_do_more(api, organisation, make_key):
    big = create(api, scopes=["audit:read"]).json()
    small = with_key(make_key(organisation, scopes=["keys:write"]))
    refused = small.post(
        f"/api/v1/api-keys/{big['id']}/rotate", {}, content_type="application/json"
    )
    assert refused.status_code == 403
    # Ending one gives nobody anything.
    assert small.delete(f"/api/v1/api-keys/{big['id']}").status_code == 204


def test_a_revoked_key_is_refused_and_says_so(api):
    made = create(api).json()
    assert api.delete(f"/api/v1/api-keys/{made['id']}").status_code == 204
    refused = with_key(made["key"]).get("/api/v1/me")
    assert refused.status_code == 401
    assert refused.json()["type"] == "urn:rootstock:problem:revoked-key"
    assert refused["WWW-Authenticate"].startswith("Bearer")
    wrong_secret = made["key"][:-1] + ("a" if made["key"][-1] != "a" else "b")
    assert with_key(wrong_secret).get("/api/v1/me").json()["type"].endswith("invalid-key")


def test_rotation_with_and_without_overlap(api, organisation):
    made = create(api).json()
    path = f"/api/v1/api-keys/{made['id']}/rotate"
    second = api.post(path, {"overlap_seconds": 3600}, content_type="application/json").json()
    assert second["prefix"] == made["prefix"]
    assert with_key(made["key"]).get("/api/v1/me").status_code == 200
    assert with_key(second["key"]).get("/api/v1/me").status_code == 200
    with organisation_scope(organisation.pk):
        ApiKey.objects.filter(pk=made["id"]).update(
            previous_expires_at=timezone.now() - timedelta(seconds=1)
        )
    assert with_key(made["key"]).get("/api/v1/me").status_code == 401
    third = api.post(path, {}, content_type="application/json").json()
    assert with_key(second["key"]).get("/api/v1/me").status_code == 401
    assert with_key(third["key"]).get("/api/v1/me").status_code == 200


def test_an_expired_key_and_an_expiry_in_the_past(api, organisation):
    past = create(api, expires_at="2020-01-01T00:00:00Z")
    assert past.status_code == 422
    assert past.json()["errors"][0]["pointer"] == "/expires_at"
    made = create(api, expires_at=(timezone.now() + timedelta(days=1)).isoformat()).json()
    assert with_key(made["key"]).get("/api/v1/me").status_code == 200
    with organisation_scope(organisation.pk):
        ApiKey.objects.filter(pk=made["id"]).update(expires_at=timezone.now())
    assert with_key(made["key"]).get("/api/v1/me").json()["type"].endswith("expired-key")


def test_networks_bind_a_key(api):
    made = create(api, networks=["203.0.113.7/24", "2001:db8::/32"]).json()
    assert made["networks"] == ["203.0.113.0/24", "2001:db8::/32"]
    text = made["key"]
    assert with_key(text, REMOTE_ADDR="203.0.113.200").get("/api/v1/me").status_code == 200
    assert with_key(text, REMOTE_ADDR="::ffff:203.0.113.9").get("/api/v1/me").status_code == 200
    refused = with_key(text, REMOTE_ADDR="198.51.100.1").get("/api/v1/me")
    assert refused.json()["type"].endswith("key-network")
    forged = with_key(text, REMOTE_ADDR="198.51.100.1", HTTP_X_FORWARDED_FOR="203.0.113.9")
    assert forged.get("/api/v1/me").status_code == 401
    assert create(api, networks=["not a network"]).status_code == 422


def test_last_use_is_written_at_most_once_a_minute(api, organisation, django_assert_num_queries):
    made = create(api).json()
    client = with_key(made["key"])

    def last_used():
        with organisation_scope(organisation.pk):
            return ApiKey.objects.get(pk=made["id"]).last_used_at

    assert last_used() is None
    client.get("/api/v1/me")
    first = last_used()
    assert first is not None
    client.get("/api/v1/me")
    assert last_used() == first


def test_a_key_survives_a_new_secret_key_and_its_digest_moves_on(api, organisation, settings):
    made = create(api).json()
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-of-this-installation-0123456789"
    assert with_key(made["key"]).get("/api/v1/me").status_code == 200
    settings.SECRET_KEY_FALLBACKS = []
    assert with_key(made["key"]).get("/api/v1/me").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rk_",
        "rk_a",
        "rk_a_",
        "nonsense",
        "rk_aaaaaaaa_bbbb",
        "rk_é_x",
        "rk_a_b_c",
        "rk_" + "a" * 5000,
    ],
)
def test_a_malformed_key_is_a_401_problem(db, text):
    refused = Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/me")
    assert refused.status_code == 401
    assert refused["Content-Type"].startswith("application/problem+json")


def test_if_match_guards_a_change(api):
    made = create(api)
    path = f"/api/v1/api-keys/{made.json()['id']}"
    etag = api.get(path)["ETag"]
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304
    changed = api.patch(
        path, {"name": "second"}, content_type="application/json", headers={"If-Match": etag}
    )
    assert changed.status_code == 200
    late = api.patch(
        path, {"name": "third"}, content_type="application/json", headers={"If-Match": etag}
    )
    assert late.status_code == 412
    assert api.get(path).json()["name"] == "second"
