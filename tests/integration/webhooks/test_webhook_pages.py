"""Settings, Webhooks, as a manager and as a viewer see it."""

from __future__ import annotations

from typing import Any

import pytest

from rootstock.common.actors import SYSTEM
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from rootstock.webhooks import events, services
from rootstock.webhooks.models import Delivery, Endpoint


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_types", dict(events._types))
    events.register("test.alert.opened", "An alert")
    monkeypatch.setattr("rootstock.outbox.services.publish", lambda *_: True)


@pytest.fixture
def manager(live_db: None, client: Any, organisation: Any, make_user: Any) -> Any:
    client.force_login(
        make_user(organisation, role=Role.MANAGER), "django.contrib.auth.backends.ModelBackend"
    )
    return client


def make(organisation: Any) -> Endpoint:
    with organisation_scope(organisation.pk):
        return services.endpoint_create(
            url="https://hooks.example.com/in", event_types=["test.alert.opened"], actor=SYSTEM
        )


def test_first_endpoint_and_its_secret(manager, organisation) -> None:
    assert "No endpoint yet" in manager.get("/settings/webhooks/").content.decode()
    assert manager.get("/settings/webhooks/new/").status_code == 200
    wrong = manager.post(
        "/settings/webhooks/new/",
        {"url": "http://192.168.1.1/", "event_types": ["test.alert.opened"]},
    )
    assert wrong.status_code == 422
    assert "not a public address" in wrong.content.decode()
    made = manager.post(
        "/settings/webhooks/new/",
        {"url": "https://hooks.example.com/in", "event_types": ["test.alert.opened"]},
    )
    assert "whsec_" in made.content.decode()
    assert "no-store" in made.headers["Cache-Control"]
    assert "hooks.example.com" in manager.get("/settings/webhooks/").content.decode()


def test_change_switch_test_replay_rotate_remove(manager, organisation, monkeypatch) -> None:
    endpoint = make(organisation)
    path = f"/settings/webhooks/{endpoint.pk}/"
    assert "Nothing sent yet" in manager.get(path).content.decode()
    changed = manager.post(
        path,
        {"url": endpoint.url, "description": "Desk <b>", "event_types": ["test.alert.opened"]},
    )
    assert changed.status_code == 302
    assert "Desk &lt;b&gt;" in manager.get(path).content.decode()
    ping = manager.post(path + "ping/")
    page = manager.get(ping.url).content.decode()
    assert "webhook.ping" in page
    assert "Not tried yet" in page
    monkeypatch.setattr(
        "rootstock.webhooks.services.letter_send",
        lambda letter: services.Tried(410, "", "<script>", 12, final=True),
    )
    with organisation_scope(organisation.pk):
        ids = list(OutboxMessage.objects.values_list("pk", flat=True))
    for message_id in ids:
        dispatch.run(message_id, organisation.pk)
    page = manager.get(ping.url).content.decode()
    assert "410" in page
    assert "<script>" not in page.split("<main", 1)[1].split("</main", 1)[0]
    assert "410 Gone" in manager.get(path).content.decode()
    assert manager.post(path + "switch/").status_code == 302
    assert manager.post(ping.url + "replay/").status_code == 302
    with organisation_scope(organisation.pk):
        assert Delivery.objects.get().state == "pending"
        assert Endpoint.objects.get().disabled_at is None
    assert "whsec_" in manager.post(path + "rotate/").content.decode()
    manager.post(path + "remove/", {"confirm": "no"})
    assert manager.get(path).status_code == 200
    manager.post(path + "remove/", {"confirm": endpoint.url})
    assert manager.get(path).status_code == 404


def test_viewer_is_refused_and_nobody_is_sent_to_sign_in(
    live_db, client, organisation, make_user
) -> None:
    endpoint = make(organisation)
    assert client.get("/settings/webhooks/").status_code == 302
    client.force_login(
        make_user(organisation, role=Role.VIEWER), "django.contrib.auth.backends.ModelBackend"
    )
    for path in ("", "new/", f"{endpoint.pk}/"):
        assert client.get(f"/settings/webhooks/{path}").status_code == 403


def test_other_organisations_endpoint_is_not_there(manager, organisation_b) -> None:
    foreign = make(organisation_b)
    assert manager.get(f"/settings/webhooks/{foreign.pk}/").status_code == 404
    assert manager.post(f"/settings/webhooks/{foreign.pk}/rotate/").status_code == 404
