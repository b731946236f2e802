"""REST of alerts and of what is set up for them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.test import Client

from apps.finance_sentiment.models import Notification
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from alert_stage import Worker, alert_make

pytestmark = pytest.mark.django_db
ROOT = "/api/v1/finance/alerting"
JSON = "application/json"


@pytest.fixture
def api(organisation, make_key):
    return Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})


def made(answer):
    assert answer.status_code == 201, answer.json()
    return answer.json()


@pytest.fixture
def hook(api):
    return made(
        api.post(
            f"{ROOT}/channels",
            {"name": "Desk", "medium": "webhook", "address": "https://desk.example.com/hook"},
            JSON,
        )
    )


def test_from_a_channel_to_what_was_sent(api, hook, organisation):
    assert hook["secret"].startswith("whsec_")
    assert "secret" not in api.get(f"{ROOT}/channels/{hook['id']}").json()
    assert "desk.example.com/hook" not in api.get(f"{ROOT}/channels").content.decode()
    chain = made(
        api.post(
            f"{ROOT}/chains",
            {"name": "Desk", "steps": [{"kind": "channel", "channel": hook["id"]}]},
            JSON,
        )
    )
    route = made(
        api.post(
            f"{ROOT}/routes",
            {"name": "All", "chain": chain["id"], "matcher": {"kinds": ["topic"]}, "group_by": ["subject"]},
            JSON,
        )
    )  # fmt: skip
    assert route["matcher"] == {"kinds": ["topic"]}
    with organisation_scope(organisation.pk):
        alert = alert_make()
        Worker().until(60)
    (sent,) = api.get(f"{ROOT}/notifications", {"alert": str(alert.pk)}).json()["results"]
    assert (sent["state"], sent["channel"], len(sent["attempts"])) == ("sent", hook["id"], 1)
    log = api.get(f"/api/v1/finance/alerts/{alert.pk}").json()["entries"]
    assert {entry["kind"] for entry in log} == {"told", "chain-ended"}
    answer = api.delete(f"{ROOT}/channels/{hook['id']}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:rootstock:problem:in-use")
    answer = api.post(f"{ROOT}/notifications/{sent['id']}/retry")
    assert answer.status_code == 409


def test_a_failed_message_is_sent_again_on_request(api, hook, organisation):
    answer = api.post(f"{ROOT}/channels/{hook['id']}/test")
    assert answer.status_code == 202
    with organisation_scope(organisation.pk):
        Notification.objects.update(state="failed")
    answer = api.post(f"{ROOT}/notifications/{answer.json()['id']}/retry")
    assert (answer.status_code, answer.json()["state"]) == (202, "waiting")


def test_a_silence_is_made_and_ended(api, organisation):
    until = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    with organisation_scope(organisation.pk):
        alert = alert_make("energy")
    silence = made(
        api.post(
            f"{ROOT}/silences",
            {"matcher": {"keys": ["ener*"]}, "ends_at": until, "reason": "planned"},
            JSON,
        )
    )
    path = f"/api/v1/finance/alerts/{alert.pk}"
    assert api.get(path).json()["muted"] == "silence"
    assert len(api.get("/api/v1/finance/alerts", {"muted": "true"}).json()["results"]) == 1
    ended = api.post(f"{ROOT}/silences/{silence['id']}/end").json()
    assert ended["ended_by"]
    assert api.get(path).json()["muted"] == ""
    assert api.post(f"{ROOT}/silences/{silence['id']}/end").status_code == 409
    assert api.get(f"{ROOT}/silences", {"active": "true"}).json()["results"] == []


def test_an_alert_is_assigned_commented_and_ended(api, organisation, make_user):
    ada = make_user(organisation, "analyst", "ada@example.com")
    with organisation_scope(organisation.pk):
        alert = alert_make()
    path = f"/api/v1/finance/alerts/{alert.pk}"
    given = api.post(f"{path}/assign", {"user": str(ada.pk)}, JSON).json()
    assert given["assigned_to"] == "ada@example.com"
    assert (
        len(api.get("/api/v1/finance/alerts", {"assigned_to": str(ada.pk)}).json()["results"]) == 1
    )
    api.post(f"{path}/comment", {"comment": "looking"}, JSON)
    ended = api.post(f"{path}/resolve", {"comment": "a drill"}, JSON).json()
    assert (ended["state"], [entry["kind"] for entry in ended["entries"]]) == (
        "resolved",
        ["assigned", "told", "commented", "resolved"],
    )
    assert api.post(f"{path}/assign", {"user": None}, JSON).status_code == 409
    assert api.post(f"{path}/comment", {"comment": "after all"}, JSON).status_code == 200


NOBODY = "0190f1c2-7a34-7cc0-9a7b-1f2e3d4c5b6a"
MAIL = {"name": "X", "medium": "email", "address": "a@example.com"}
FAR = {"starts_at": "9998-01-01T00:00:00Z", "ends_at": "9999-12-31T00:00:00Z"}


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("channels", {**MAIL, "medium": "slack", "address": "https://evil.example/"}, "/address"),
        ("channels", {**MAIL, "quiet_from": "22:00"}, "/quiet_until"),
        ("channels", {**MAIL, "time_zone": "Mars/Base"}, "/time_zone"),
        ("chains", {"name": "X", "steps": [{"kind": "wait"}]}, "/steps/0/wait_seconds"),
        ("chains", {"name": "X", "steps": [{"kind": "channel", "channel": NOBODY}]}, "/steps/0/channel"),
        ("routes", {"name": "X", "chain": NOBODY}, "/chain"),
        ("routes", {"name": "X", "chain": None, "matcher": {"least_score": -1}}, "/matcher/least_score"),
        ("silences", {"matcher": {}, "ends_at": "2020-01-01T00:00:00Z", "reason": "past"}, "/ends_at"),
        ("silences", {"matcher": {}, **FAR, "reason": "far"}, "/starts_at"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_where_it_stands(api, path, body, pointer):
    answer = api.post(f"{ROOT}/{path}", body, JSON)
    assert answer.status_code == 422, answer.content
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_only_a_person_has_quiet_hours_of_their_own(api, organisation, make_user):
    assert api.get(f"{ROOT}/me").status_code == 409
    user = make_user(organisation, "viewer")
    person = Client()
    person.force_login(user)
    answer = person.patch(
        f"{ROOT}/me", {"quiet_from": "22:00", "quiet_until": "07:00", "time_zone": "UTC"}, JSON
    )
    assert answer.json()["quiet_until"] == "07:00:00"
    assert person.get(f"{ROOT}/me").json()["time_zone"] == "UTC"
    assert person.post(f"{ROOT}/routes", {"name": "X", "chain": None}, JSON).status_code == 403


def test_a_personal_channel_is_seen_by_its_owner_alone(api, organisation, make_user):
    one, other = Client(), Client()
    one.force_login(make_user(organisation, "manager"))
    other.force_login(make_user(organisation, "manager"))
    body = {"name": "Mine", "medium": "email", "address": "me@example.com", "personal": True}
    channel = made(one.post(f"{ROOT}/channels", body, JSON))
    path = f"{ROOT}/channels/{channel['id']}"
    assert [client.get(path).status_code for client in (one, other, api)] == [200, 404, 404]
    assert api.post(f"{ROOT}/channels", {**body, "name": "Nobody's"}, JSON).status_code == 409
