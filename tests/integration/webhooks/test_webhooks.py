"""Deliveries: signed, tried ten times over three days, logged, and never sent where they may not go."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now

from rootstock.common.actors import SYSTEM
from rootstock.outbox import dispatch
from rootstock.outbox.models import OutboxMessage
from rootstock.realtime.models import Event
from rootstock.tenancy.scope import organisation_scope
from rootstock.webhooks import events, services
from rootstock.webhooks.models import Attempt, Delivery, Endpoint
from rootstock.webhooks.signing import secret_create, sign, verify


class Receiver(http.server.BaseHTTPRequestHandler):
    """Remembers what came and answers what the test wants."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        self.send_response(server.status)
        if server.status == 302:
            self.send_header("Location", f"http://127.0.0.1:{server.server_port}/elsewhere")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"\x00ok\n")

    do_GET = do_POST  # noqa: N815 - the name that http.server calls

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Any]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.0/8"
    server: Any = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.status = [], 204
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event type of the test's own; the test plays the worker."""
    monkeypatch.setattr(events, "_types", dict(events._types))
    events.register("test.alert.opened", "An alert")
    events.register("test.alert.closed", "No alert")
    monkeypatch.setattr("rootstock.outbox.services.publish", lambda *_: True)


@pytest.fixture
def endpoint(live_db: None, organisation: Any, receiver: Any) -> Endpoint:
    with organisation_scope(organisation.pk):
        return services.endpoint_create(
            url=f"http://127.0.0.1:{receiver.server_port}/in",
            event_types=["test.alert.opened"],
            actor=SYSTEM,
        )


def emit(organisation: Any, data: dict[str, Any] | None = None) -> Delivery:
    with organisation_scope(organisation.pk):
        (delivery,) = services.webhook_emit("test.alert.opened", data or {"id": 7, "t": "警报"})
    return delivery


def work(organisation: Any) -> None:
    """Do what is in the outbox now, whenever it was to be done."""
    with organisation_scope(organisation.pk):
        OutboxMessage.objects.filter(topic=services.TOPIC).update(available_at=Now())
        ids = list(OutboxMessage.objects.filter(topic=services.TOPIC).values_list("pk", flat=True))
    for message_id in ids:
        assert dispatch.run(message_id, organisation.pk) == "done"


def reread(organisation: Any, row: Any) -> Any:
    with organisation_scope(organisation.pk):
        return type(row).objects.get(pk=row.pk)


def test_delivered_and_signed(endpoint, organisation, receiver) -> None:
    delivery = emit(organisation)
    assert receiver.got == []  # not inside the transaction of the change
    work(organisation)
    ((path, headers, body),) = receiver.got
    assert path == "/in"
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == f"msg_{delivery.pk.hex}"
    message = json.loads(body)
    assert message["type"] == "test.alert.opened"
    assert message["data"] == {"id": 7, "t": "警报"}
    now = int(datetime.now(UTC).timestamp())
    assert verify(endpoint.secret, headers, body, now=now)
    assert not verify(endpoint.secret, headers, body + b" ", now=now)
    assert not verify(endpoint.secret, headers, body, now=now + 600)
    assert not verify(secret_create(), headers, body, now=now)
    done = reread(organisation, delivery)
    assert (done.state, done.tries) == ("delivered", 1)
    with organisation_scope(organisation.pk):
        attempt = Attempt.objects.get()
        assert (attempt.status, attempt.error, attempt.answer) == (204, "", "")


def test_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks reference libraries."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_receiver_down_for_74_hours_is_reached_at_the_tenth_try(
    endpoint, organisation, receiver, monkeypatch
) -> None:
    """The clock is moved on to the time of each try; the receiver comes back in the last hour."""
    clock = datetime.now(UTC)
    monkeypatch.setattr("rootstock.webhooks.services.timezone.now", lambda: clock)
    start, delivery, ids = clock, emit(organisation), set()
    for number in range(1, 11):
        down = clock - start < timedelta(hours=74)
        receiver.status = 503 if down else 200
        work(organisation)
        _, headers, body = receiver.got[-1]
        ids.add(headers["webhook-id"])
        assert headers["webhook-timestamp"] == str(int(clock.timestamp()))
        assert verify(endpoint.secret, headers, body, now=int(clock.timestamp()))
        delivery = reread(organisation, delivery)
        assert delivery.tries == number
        if delivery.state == "delivered":
            break
        clock = delivery.next_try_at
    assert (delivery.state, delivery.tries) == ("delivered", 10)
    assert timedelta(hours=75) < clock - start < timedelta(hours=76)
    assert len(ids) == 1
    with organisation_scope(organisation.pk):
        assert Attempt.objects.count() == 10


def test_never_reached_is_given_up_and_the_endpoint_disabled(
    endpoint, organisation, receiver
) -> None:
    receiver.status = 500
    delivery = emit(organisation)
    for _ in range(10):
        work(organisation)
    assert reread(organisation, delivery).state == "failed"
    disabled = reread(organisation, endpoint)
    assert disabled.disabled_reason == services.SILENT
    with organisation_scope(organisation.pk):
        assert services.webhook_emit("test.alert.opened", {}) == []
        assert Event.objects.get(stream="webhooks").type == "endpoint.disabled"
    work(organisation)
    assert len(receiver.got) == 10


def test_410_disables_at_once(endpoint, organisation, receiver) -> None:
    receiver.status = 410
    first, second = emit(organisation), emit(organisation)
    work(organisation)
    assert reread(organisation, endpoint).disabled_reason == services.GONE
    assert {reread(organisation, d).state for d in (first, second)} == {"failed"}
    assert len(receiver.got) == 1


def test_redirect_is_a_failure_and_never_followed(endpoint, organisation, receiver) -> None:
    receiver.status = 302
    delivery = emit(organisation)
    work(organisation)
    assert [path for path, _, _ in receiver.got] == ["/in"]
    waiting = reread(organisation, delivery)
    assert (waiting.state, waiting.tries) == ("pending", 1)


def test_both_secrets_verify_for_a_day_after_rotation(
    endpoint, organisation, receiver, monkeypatch
) -> None:
    old = endpoint.secret
    with organisation_scope(organisation.pk):
        new = services.endpoint_rotate_secret(endpoint=endpoint, actor=SYSTEM).secret
    assert new != old
    emit(organisation)
    work(organisation)
    _, headers, body = receiver.got[-1]
    now = int(headers["webhook-timestamp"])
    assert verify(old, headers, body, now=now)
    assert verify(new, headers, body, now=now)
    later = datetime.now(UTC) + timedelta(hours=25)
    monkeypatch.setattr("rootstock.webhooks.services.timezone.now", lambda: later)
    emit(organisation)
    work(organisation)
    _, headers, body = receiver.got[-1]
    now = int(headers["webhook-timestamp"])
    assert verify(new, headers, body, now=now)
    assert not verify(old, headers, body, now=now)


def test_secret_is_encrypted_in_the_database(endpoint, organisation, settings) -> None:
    with organisation_scope(organisation.pk), connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM webhooks_endpoint")
        (stored,) = cursor.fetchone()
    assert "whsec_" not in stored
    assert reread(organisation, endpoint).secret == endpoint.secret
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-0123456789"
    assert reread(organisation, endpoint).secret == endpoint.secret
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(RuntimeError, match="ROOTSTOCK_OLD_SECRET_KEYS"):
        reread(organisation, endpoint)


def test_long_data_is_cut_below_20_kb(endpoint, organisation, receiver) -> None:
    emit(organisation, {"id": 1, "text": "长" * 20_000, "list": ["x" * 50] * 1000})
    work(organisation)
    _, _, body = receiver.got[-1]
    assert len(body) < 20_000
    assert json.loads(body)["data"] == {"id": 1, "truncated": True}


def test_only_subscribed_endpoints_hear(endpoint, organisation, organisation_b) -> None:
    with organisation_scope(organisation.pk):
        assert services.webhook_emit("test.alert.closed", {}) == []
        with pytest.raises(events.UnknownEvent):
            services.webhook_emit("test.nothing", {})
    with organisation_scope(organisation_b.pk):
        assert services.webhook_emit("test.alert.opened", {}) == []


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/in", "http://169.254.169.254/", "ftp://8.8.8.8/", "nonsense", ""]
)
def test_inner_addresses_are_refused_when_entered(live_db, organisation, url: str) -> None:
    with organisation_scope(organisation.pk), pytest.raises(ValidationError):
        services.endpoint_create(url=url, event_types=["test.alert.opened"], actor=SYSTEM)


def test_inner_address_behind_a_name_is_refused_when_sending(
    endpoint, organisation, settings, receiver
) -> None:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = ""
    emit(organisation)
    work(organisation)
    assert receiver.got == []
    with organisation_scope(organisation.pk):
        assert "not a public address" in Attempt.objects.get().error


class TestRest:
    """/api/v1/webhooks/"""

    @pytest.fixture(autouse=True)
    def _setting(self, client: Any, make_key: Any, endpoint: Any, organisation: Any) -> None:
        self.client, self.endpoint, self.organisation = client, endpoint, organisation
        self.key = make_key(organisation)

    def ask(self, method: str, path: str, body: Any = None, key: str = "", **headers: str) -> Any:
        return getattr(self.client, method)(
            f"/api/v1/webhooks/{path}",
            data=None if body is None else json.dumps(body),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key or self.key}", **headers},
        )

    def test_create_read_change_delete(self) -> None:
        made = self.ask(
            "post",
            "endpoints/",
            {"url": "https://hooks.example.com/a", "event_types": ["test.alert.closed"]},
        )
        assert made.status_code == 201, made.content
        row = made.json()
        assert row["secret"].startswith("whsec_")
        assert row["enabled"] is True
        path = f"endpoints/{row['id']}/"
        read = self.ask("get", path)
        assert "secret" not in read.json()
        changed = self.ask("patch", path, {"enabled": False}, **{"If-Match": read.headers["ETag"]})
        assert changed.json()["enabled"] is False
        stale = self.ask("patch", path, {"enabled": True}, **{"If-Match": read.headers["ETag"]})
        assert stale.status_code == 412
        listed = self.ask("get", "endpoints/").json()["results"]
        assert [each["id"] for each in listed] == [row["id"], str(self.endpoint.pk)]
        assert self.ask("delete", path).status_code == 204
        assert self.ask("get", path).status_code == 404

    @pytest.mark.parametrize(
        "body, pointer",
        [
            ({"url": "http://127.0.0.2.nip.example:1/", "event_types": []}, "/event_types"),
            ({"url": "http://[::1]/", "event_types": ["test.alert.opened"]}, "/url"),
            ({"url": "https://a.example/", "event_types": ["no.such"]}, "/event_types"),
            ({"event_types": ["test.alert.opened"]}, "/url"),
            ({"url": 5, "event_types": "x"}, "/event_types"),
        ],
    )
    def test_bad_input(self, body: Any, pointer: str) -> None:
        answer = self.ask("post", "endpoints/", body)
        assert answer.status_code == 422
        assert any(e["pointer"].startswith(pointer) for e in answer.json()["errors"])

    def test_ping_log_replay_rotate(self, receiver) -> None:
        path = f"endpoints/{self.endpoint.pk}/"
        receiver.status = 410
        assert self.ask("post", path + "ping/").status_code == 202
        work(self.organisation)
        log = self.ask("get", f"deliveries/?endpoint={self.endpoint.pk}").json()["results"]
        assert [(row["event_type"], row["state"]) for row in log] == [("webhook.ping", "failed")]
        one = self.ask("get", f"deliveries/{log[0]['id']}/").json()
        assert [attempt["status"] for attempt in one["attempts"]] == [410]
        assert json.loads(one["body"])["type"] == "webhook.ping"
        again = f"deliveries/{log[0]['id']}/replay/"
        assert self.ask("post", again).status_code == 409  # the endpoint is disabled
        assert self.ask("post", path + "ping/").status_code == 409
        self.ask("patch", path, {"enabled": True})
        receiver.status = 200
        assert self.ask("post", again).status_code == 202
        assert self.ask("post", again).status_code == 409  # pending
        work(self.organisation)
        assert self.ask("get", f"deliveries/{log[0]['id']}/").json()["state"] == "delivered"
        rotated = self.ask("post", path + "rotate-secret/").json()
        assert rotated["secret"] != self.endpoint.secret
        assert rotated["old_secret_until"]

    def test_event_types_are_listed(self) -> None:
        names = [row["name"] for row in self.ask("get", "event-types/").json()["results"]]
        assert names == sorted(names)
        assert "test.alert.opened" in names

    def test_permissions_and_other_organisations(self, make_key, organisation_b) -> None:
        foreign = make_key(organisation_b)
        path = f"endpoints/{self.endpoint.pk}/"
        for method, where in (
            ("get", path),
            ("patch", path),
            ("delete", path),
            ("post", path + "ping/"),
            ("post", path + "rotate-secret/"),
        ):
            assert (
                self.ask(method, where, None if method == "get" else {}, key=foreign).status_code
                == 404
            )
        reader = make_key(self.organisation, scopes=["webhooks:read"])
        assert self.ask("get", path, key=reader).status_code == 200
        assert self.ask("delete", path, key=reader).status_code == 403
