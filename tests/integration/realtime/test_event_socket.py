"""The socket: every event once and in order, whatever happens to pointers and connections."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connections

from rootstock.config.asgi import application
from rootstock.realtime import consumers, notify, polling, streams
from rootstock.realtime.services import event_append_many
from rootstock.tenancy.models import Membership, Role
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope


@pytest.fixture(autouse=True)
def stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of the test's own, and a quick poll."""
    monkeypatch.setattr(streams, "_streams", dict(streams._streams))
    streams.register("t.stream", permission=Permission.FINANCE_READ)
    streams.register("t.other", permission=Permission.FINANCE_READ)
    streams.register("t.secret", permission=Permission.AUDIT_READ)
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.2)


def session_of(user: Any, organisation: Any) -> str:
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session["organisation_id"] = str(organisation.pk)
    session.create()
    return str(session.session_key)


def append(organisation: Any, count: int, name: str = "t.stream") -> None:
    with organisation_scope(organisation.pk):
        event_append_many(name, [("t.event", {"n": n}) for n in range(count)])
    connections.close_all()


write = sync_to_async(append, thread_sensitive=False)


class Socket:
    """A client that speaks the protocol."""

    def __init__(self, session_key: str | None, origin: str = "http://testserver") -> None:
        headers = [(b"origin", origin.encode()), (b"host", b"testserver")]
        if session_key:
            headers.append((b"cookie", f"sessionid={session_key}".encode()))
        self.wire = ApplicationCommunicator(
            application,
            {
                "type": "websocket",
                "path": "/ws/events/",
                "query_string": b"",
                "headers": headers,
                "subprotocols": [],
            },
        )

    async def open(self) -> bool:
        await self.wire.send_input({"type": "websocket.connect"})
        return (await self.wire.receive_output(5))["type"] == "websocket.accept"

    async def send(self, text: str | None = None, data: bytes | None = None) -> None:
        await self.wire.send_input({"type": "websocket.receive", "text": text, "bytes": data})

    async def say(self, **frame: Any) -> None:
        await self.send(json.dumps(frame))

    async def hear(self, timeout: float = 5) -> dict[str, Any]:
        output = await self.wire.receive_output(timeout)
        if output["type"] == "websocket.close":
            return {"type": "closed", "code": output["code"]}
        return dict(json.loads(output["text"]))

    async def subscribe(self, last: int | None = None, stream: str = "t.stream") -> dict[str, Any]:
        await self.say(action="subscribe", stream=stream, last_event_id=last)
        return await self.hear()

    async def numbers(self, count: int) -> list[int]:
        return [(await self.hear())["id"] for _ in range(count)]

    async def close(self) -> None:
        await self.wire.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wire.wait(5)


@pytest.fixture
def member(live_db, organisation, make_user) -> str:
    """The session of an analyst."""
    return session_of(make_user(organisation, role=Role.ANALYST), organisation)


async def test_live_events_arrive_in_order(member, organisation) -> None:
    socket = Socket(member)
    assert await socket.open()
    await write(organisation, 3)
    assert await socket.subscribe() == {
        "type": "subscribed",
        "stream": "t.stream",
        "last_event_id": 3,
    }
    await write(organisation, 2)
    event = await socket.hear()
    assert {key: event[key] for key in ("type", "stream", "id", "event", "data")} == {
        "type": "event",
        "stream": "t.stream",
        "id": 4,
        "event": "t.event",
        "data": {"n": 0},
    }
    assert event["at"]
    assert await socket.numbers(1) == [5]
    await socket.close()


async def test_reconnecting_client_gets_what_it_missed(member, organisation) -> None:
    socket = Socket(member)
    await socket.open()
    await socket.subscribe(0)
    await write(organisation, 700)
    assert await socket.numbers(300) == list(range(1, 301))
    await socket.close()
    await write(organisation, 900)
    again = Socket(member)
    await again.open()
    assert (await again.subscribe(300))["last_event_id"] == 300
    assert await again.numbers(1300) == list(range(301, 1601))
    assert await again.wire.receive_nothing(0.3)
    await again.close()


@pytest.mark.parametrize("loss", [0.2, 1.0])
async def test_dropped_pointers_only_delay(member, organisation, monkeypatch, loss: float) -> None:
    told = notify.stream_advanced
    chance = random.Random(7)

    def drop(*pointer: Any) -> None:
        if chance.random() >= loss:
            told(*pointer)

    monkeypatch.setattr("rootstock.realtime.services.stream_advanced", drop)
    socket = Socket(member)
    await socket.open()
    await socket.subscribe(0)

    async def writer() -> None:
        for _ in range(40):
            await write(organisation, chance.randint(1, 9))

    task = asyncio.create_task(writer())
    numbers = await socket.numbers(40)
    await task
    from rootstock.realtime.selectors import stream_head

    def head() -> int:
        with organisation_scope(organisation.pk):
            return stream_head("t.stream")

    last = await sync_to_async(head, thread_sensitive=False)()
    numbers += await socket.numbers(last - len(numbers))
    assert numbers == list(range(1, last + 1))
    assert await socket.wire.receive_nothing(0.4)
    await socket.close()


async def test_many_sockets_of_one_process_all_hear_everything(member, organisation) -> None:
    sockets = [Socket(member) for _ in range(6)]
    for socket in sockets:
        await socket.open()
        await socket.subscribe(0)
    for size in (1, 250, 3, 600):
        await write(organisation, size)
    heard = await asyncio.gather(*(socket.numbers(854) for socket in sockets))
    assert all(numbers == list(range(1, 855)) for numbers in heard)
    await asyncio.gather(*(socket.close() for socket in sockets))


async def test_two_streams_on_one_socket_and_unsubscribe(member, organisation) -> None:
    socket = Socket(member)
    await socket.open()
    await socket.subscribe(0)
    await socket.subscribe(0, "t.other")
    await write(organisation, 2, "t.other")
    assert [(await socket.hear())["stream"] for _ in range(2)] == ["t.other"] * 2
    await socket.say(action="unsubscribe", stream="t.other")
    assert (await socket.hear())["type"] == "unsubscribed"
    await write(organisation, 1, "t.other")
    await write(organisation, 1)
    assert (await socket.hear())["stream"] == "t.stream"
    await socket.close()


async def test_number_from_the_future_is_a_reset(member, organisation) -> None:
    socket = Socket(member)
    await socket.open()
    await write(organisation, 2)
    await socket.subscribe(99)
    assert await socket.hear() == {"type": "reset", "stream": "t.stream", "last_event_id": 2}
    await write(organisation, 1)
    assert await socket.numbers(1) == [3]
    await socket.close()


@pytest.mark.parametrize(
    "frame, code",
    [
        ("no json", "malformed"),
        ("[1]", "malformed"),
        ("[" * 2000, "malformed"),
        ("{}", "unknown-action"),
        ('{"action": "subscribe"}', "unknown-stream"),
        ('{"action": "subscribe", "stream": ["t.stream"]}', "unknown-stream"),
        ('{"action": "subscribe", "stream": "t.nobody"}', "unknown-stream"),
        ('{"action": "subscribe", "stream": "t.secret"}', "not-allowed"),
        ('{"action": "subscribe", "stream": "t.stream", "last_event_id": "4"}', "malformed"),
        ('{"action": "subscribe", "stream": "t.stream", "last_event_id": -1}', "malformed"),
        ('{"action": "subscribe", "stream": "t.stream", "last_event_id": 1e400}', "malformed"),
        (f'{{"action": "subscribe", "stream": "t.stream", "last_event_id": {2**63}}}', "malformed"),
        ('{"action": "unsubscribe", "stream": "t.stream"}', "unknown-stream"),
        ('{"action": "ping", "x": "' + "y" * 5000 + '"}', "too-large"),
    ],
)
async def test_bad_frames_are_told_and_survived(member, frame: str, code: str) -> None:
    socket = Socket(member)
    await socket.open()
    await socket.send(frame)
    answer = await socket.hear()
    assert (answer["type"], answer["code"]) == ("error", code)
    await socket.say(action="ping")
    assert await socket.hear() == {"type": "pong"}
    await socket.send(data=b"\x00\xff")
    assert (await socket.hear())["code"] == "malformed"
    await socket.close()


async def test_flood_of_errors_closes_the_socket(member) -> None:
    socket = Socket(member)
    await socket.open()
    for _ in range(consumers.MAX_ERRORS):
        await socket.send("x")
    for _ in range(consumers.MAX_ERRORS):
        assert (await socket.hear())["type"] == "error"
    assert await socket.hear() == {"type": "closed", "code": 4400}


async def test_nobody_and_strangers_hear_nothing(
    member, live_db, organisation_b, make_user
) -> None:
    anonymous = Socket(None)
    assert await anonymous.open()
    assert (await anonymous.hear())["code"] == "signed-out"
    assert await anonymous.hear() == {"type": "closed", "code": 4401}
    assert not await Socket(member, origin="https://evil.example").open()


async def test_other_organisations_events_are_not_heard(
    member, organisation, organisation_b
) -> None:
    socket = Socket(member)
    await socket.open()
    await socket.subscribe(0)
    await write(organisation_b, 3)
    assert await socket.wire.receive_nothing(0.5)
    await socket.close()


async def test_session_that_names_a_foreign_organisation(
    live_db, organisation, organisation_b, make_user
) -> None:
    session = await sync_to_async(
        lambda: session_of(make_user(organisation), organisation_b), thread_sensitive=False
    )()
    socket = Socket(session)
    await socket.open()
    assert (await socket.hear())["code"] == "signed-out"


@pytest.mark.parametrize("how", ["signed out", "removed", "deactivated"])
async def test_open_socket_of_who_may_no_longer_listen_is_closed(
    live_db, organisation, make_user, monkeypatch, how: str
) -> None:
    monkeypatch.setattr(consumers, "ACCESS_SECONDS", 0.3)

    def prepare() -> tuple[Any, str]:
        user = make_user(organisation)
        return user, session_of(user, organisation)

    user, session = await sync_to_async(prepare, thread_sensitive=False)()
    socket = Socket(session)
    await socket.open()
    await socket.subscribe(0)

    def revoke() -> None:
        if how == "signed out":
            SessionStore(session).delete()
        elif how == "removed":
            with organisation_scope(organisation.pk):
                Membership.objects.filter(user=user).delete()
        else:
            type(user).objects.filter(pk=user.pk).update(is_active=False)

    await sync_to_async(revoke, thread_sensitive=False)()
    assert (await socket.hear())["code"] == "signed-out"
    assert await socket.hear() == {"type": "closed", "code": 4401}


async def test_smaller_role_loses_its_stream(live_db, organisation, make_user, monkeypatch) -> None:
    monkeypatch.setattr(consumers, "ACCESS_SECONDS", 0.3)

    def prepare() -> str:
        return session_of(make_user(organisation, role=Role.MANAGER), organisation)

    def demote() -> None:
        with organisation_scope(organisation.pk):
            Membership.objects.update(role=Role.VIEWER)

    socket = Socket(await sync_to_async(prepare, thread_sensitive=False)())
    await socket.open()
    await socket.subscribe(0, "t.secret")
    await sync_to_async(demote, thread_sensitive=False)()
    answer = await socket.hear()
    assert (answer["code"], "t.secret" in answer["detail"]) == ("not-allowed", True)
    await write(organisation, 1, "t.secret")
    assert await socket.wire.receive_nothing(0.5)
    await socket.close()
