"""Pages of alerts and of what is set up for them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from django.test import Client

from apps.finance_sentiment.models import (
    Alert,
    AlertChannel,
    AlertRoute,
    EscalationChain,
    NoticeSettings,
    Silence,
)
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))
from alert_stage import Worker, alert_make

pytestmark = pytest.mark.django_db
ROOT = "/public-opinion/alerts/"


@pytest.fixture
def person(organisation, make_user):
    return make_user(organisation, "manager", "ada@example.com")


@pytest.fixture
def page(person):
    client = Client()
    client.force_login(person)
    return client


def seen(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return re.sub(r"<[^>]+>|\s+", " ", answer.content.decode())


def test_from_nothing_to_a_person_who_is_told(page, person, organisation):
    assert "Nobody is told of alerts yet" in seen(page, ROOT)
    for name in ("silences", "routes", "chains", "channels"):
        assert "yet" in seen(page, f"{ROOT}{name}/") or "No silence" in seen(page, f"{ROOT}{name}/")
    answer = page.post(
        f"{ROOT}channels/new/",
        {"name": "Hook", "medium": "webhook", "address": "https://desk.example.com/"},
    )
    assert "whsec_" in answer.content.decode()
    with organisation_scope(organisation.pk):
        channel = AlertChannel.objects.get()
    assert "whsec_" not in seen(page, f"{ROOT}channels/{channel.pk}/")
    answer = page.post(
        f"{ROOT}chains/new/",
        {
            "name": "Desk",
            "do_0": "tell", "whom_0": f"person:{person.pk}",
            "do_1": "wait", "number_1": "5",
            "do_3": "tell", "whom_3": f"channel:{channel.pk}",
        },
    )  # fmt: skip
    assert answer.status_code == 302, answer.content.decode()
    assert "ada@example.com → wait 5 min → Hook" in seen(page, f"{ROOT}chains/")
    with organisation_scope(organisation.pk):
        chain = EscalationChain.objects.get()
    values = {"name": "All", "chain": str(chain.pk), "group_wait_seconds": 0, "position": 1}
    answer = page.post(f"{ROOT}routes/new/", {**values, "enabled": "on", "keys": "ener*"})
    assert answer.status_code == 302, answer.content.decode()
    assert "ener*" in seen(page, f"{ROOT}routes/")
    with organisation_scope(organisation.pk):
        alert = alert_make()
        worker = Worker()
        worker.until(1)
        assert [letter.address for letter in worker.sent] == ["ada@example.com"]
    text = seen(page, f"{ROOT}{alert.pk}/")
    assert "ada@example.com · E-mail" in text
    assert "Nobody is told" not in seen(page, ROOT)


def test_a_mistake_is_told_at_its_field_and_keeps_what_was_written(page, organisation):
    answer = page.post(
        f"{ROOT}channels/new/",
        {"name": "Group", "medium": "slack", "address": "https://evil.example/"},
    )
    assert answer.status_code == 422
    assert "hooks.slack.com" in answer.content.decode()
    assert 'value="Group"' in answer.content.decode()
    answer = page.post(f"{ROOT}chains/new/", {"name": "X", "do_0": "repeat", "number_0": "2"})
    assert answer.status_code == 422
    answer = page.post(f"{ROOT}me/", {"digest_minutes": 0, "quiet_from": "22:00"})
    assert answer.status_code == 422
    with organisation_scope(organisation.pk):
        assert not EscalationChain.objects.exists()
        assert not NoticeSettings.objects.exists()


def test_what_one_can_do_about_an_alert(page, person, organisation, make_user):
    with organisation_scope(organisation.pk):
        alert, other = alert_make("energy"), alert_make("credit")
    path = f"{ROOT}{alert.pk}/"
    page.post(path, {"action": "assign", "user": str(person.pk)})
    page.post(path, {"action": "comment", "comment": "looking"})
    page.post(path, {"action": "silence", "minutes": "60", "reason": "planned"})
    text = seen(page, path)
    assert "assigned to ada@example.com" in text
    assert "looking" in text and "Silenced" in text
    page.post(path, {"action": "resolve", "comment": "a drill"})
    page.post(ROOT, {"alert": [str(other.pk), str(alert.pk), "nonsense"]})
    with organisation_scope(organisation.pk):
        states = dict(Alert.objects.values_list("key", "state"))
        assert states == {"energy": "resolved", "credit": "acknowledged"}
        silence = Silence.objects.get()
    assert "planned" in seen(page, f"{ROOT}silences/")
    page.post(f"{ROOT}silences/{silence.pk}/end/")
    with organisation_scope(organisation.pk):
        assert Silence.objects.get().ended_by
    assert "Credit" in seen(page, f"{ROOT}?state=acknowledged")
    assert "Credit" not in seen(page, f"{ROOT}?mine=1")
    reader = Client()
    reader.force_login(make_user(organisation, "viewer"))
    assert reader.post(path, {"action": "comment", "comment": "x"}).status_code == 403
    assert reader.get(f"{ROOT}routes/new/").status_code == 403


def test_routes_and_chains_are_changed_and_removed(page, organisation):
    page.post(f"{ROOT}chains/new/", {"name": "Desk", "do_0": "tell", "whom_0": "role:manager"})
    with organisation_scope(organisation.pk):
        chain = EscalationChain.objects.get()
    values = {"name": "All", "chain": str(chain.pk), "group_wait_seconds": 0, "position": 1}
    page.post(f"{ROOT}routes/new/", values)
    with organisation_scope(organisation.pk):
        route = AlertRoute.objects.get()
    assert "selected>Desk" in page.get(f"{ROOT}routes/{route.pk}/").content.decode()
    page.post(f"{ROOT}chains/{chain.pk}/remove/")  # refused: a route takes it
    page.post(f"{ROOT}routes/{route.pk}/", {**values, "chain": "", "least_score": "2.5"})
    page.post(f"{ROOT}chains/{chain.pk}/remove/")
    with organisation_scope(organisation.pk):
        assert not EscalationChain.objects.exists()
        assert AlertRoute.objects.get().matcher == {"least_score": 2.5}
    page.post(f"{ROOT}routes/{route.pk}/remove/")
    with organisation_scope(organisation.pk):
        assert not AlertRoute.objects.exists()
