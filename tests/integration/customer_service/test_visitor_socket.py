"""A visitor's socket: their own conversations in order and nothing else, from the channel's sites only."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.layers import get_channel_layer
from django.core.cache import cache
from django.db import connections

from apps.customer_service.consumers import visitor as consumer
from apps.customer_service.consumers.groups import TYPING, talk_group
from apps.customer_service.models import Channel, Conversation, Message, Visitor
from apps.customer_service.services.conversations import conversation_open
from apps.customer_service.services.messages import (
    message_add,
    reply_begin,
    reply_chunk,
    reply_finish,
)
from apps.customer_service.services.visitors import token_issue
from rootstock.config.asgi import application
from rootstock.realtime import notify, polling
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

ORIGIN = "https://shop.example"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, no_hooks: None) -> None:
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.2)
    cache.clear()


class Socket:
    """A client that speaks the protocol."""

    def __init__(self, origin: str | None = ORIGIN) -> None:
        headers = [(b"host", b"testserver:8000")]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        self.wire = ApplicationCommunicator(
            application,
            {
                "type": "websocket",
                "path": "/ws/service/",
                "query_string": b"",
                "headers": headers,
                "subprotocols": [],
                "client": ("203.0.113.9", 40000),
            },
        )

    async def open(self) -> Socket:
        await self.wire.send_input({"type": "websocket.connect"})
        assert (await self.wire.receive_output(5))["type"] == "websocket.accept"
        return self

    async def say(self, **frame: Any) -> None:
        await self.wire.send_input({"type": "websocket.receive", "text": json.dumps(frame)})

    async def hear(self, timeout: float = 5) -> dict[str, Any]:
        output = await self.wire.receive_output(timeout)
        if output["type"] == "websocket.close":
            return {"type": "closed", "code": output["code"]}
        return dict(json.loads(output["text"]))

    async def enter(self, token: str) -> dict[str, Any]:
        await self.say(action="authenticate", token=token)
        return await self.hear()

    async def subscribe(self, conversation: uuid.UUID, last: int | None = None) -> dict[str, Any]:
        stream = f"service.c.{conversation.hex}"
        await self.say(action="subscribe", stream=stream, last_event_id=last)
        return await self.hear()

    async def close(self) -> None:
        await self.wire.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.wire.wait(5)


class Shop:
    """A channel with one visitor and their conversation."""

    def __init__(self, organisation: Organisation, name: str = "Shop") -> None:
        self.organisation = organisation
        with organisation_scope(organisation.pk):
            self.channel = Channel.objects.create(name=name, key=f"{name}-key", origins=[ORIGIN])
        self.visitor, self.talk, self.token = self.person()

    def person(self) -> tuple[Visitor, Conversation, str]:
        with organisation_scope(self.organisation.pk):
            visitor = Visitor.objects.create()
            talk = conversation_open(channel=self.channel, visitor=visitor, origin="widget")
            return visitor, talk, token_issue(channel=self.channel, visitor=visitor)[0]

    def say(self, author: str = "visitor", body: str = "Hello") -> Message:
        with organisation_scope(self.organisation.pk):
            return message_add(conversation=self.talk, author=author, body=body)


def later(function: Callable[..., Any]) -> Any:
    """Run beside the event loop, as a request would."""

    def run(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        finally:
            connections.close_all()

    return sync_to_async(run, thread_sensitive=False)


@pytest.fixture
def shop(live_db: None, organisation: Organisation) -> Shop:
    return Shop(organisation)


async def test_messages_and_pieces_of_a_reply_arrive_in_order(shop: Shop) -> None:
    socket = await Socket().open()
    assert (await socket.enter(shop.token))["type"] == "authenticated"
    assert (await socket.subscribe(shop.talk.pk, 0))["last_event_id"] == 0

    def answer() -> None:
        question = shop.say()
        shop.say("note", "not for the visitor")
        with organisation_scope(shop.organisation.pk):
            reply = reply_begin(conversation=shop.talk, in_reply_to=question)
            for index, text in enumerate(("It ", "left.")):
                reply_chunk(message=reply, attempt=1, index=index, text=text)
            reply_finish(message=reply, body="It left.")

    await later(answer)()
    heard = [await socket.hear() for _ in range(5)]
    assert [frame["id"] for frame in heard] == [1, 2, 3, 4, 5]
    assert [frame["event"] for frame in heard] == [
        "message",
        "message",
        "chunk",
        "chunk",
        "message",
    ]
    assert heard[-1]["data"]["body"] == "It left."
    assert "not for" not in str(heard)
    # Gone for a while: what was missed comes, once.
    await socket.close()
    again = await Socket().open()
    await again.enter(shop.token)
    await again.subscribe(shop.talk.pk, 3)
    assert [(await again.hear())["id"] for _ in range(2)] == [4, 5]
    await again.close()


async def test_lost_pointers_only_delay(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify._Sender, "tell", lambda *_: None)
    socket = await Socket().open()
    await socket.enter(shop.token)
    await socket.subscribe(shop.talk.pk)
    await later(shop.say)()
    assert (await socket.hear())["event"] == "message"
    await socket.close()


async def test_nobody_hears_somebody_elses_conversation(
    shop: Shop, organisation_b: Organisation
) -> None:
    _eve, eves, token = await later(shop.person)()
    other = await later(Shop)(organisation_b, "Other")
    socket = await Socket().open()
    assert (await socket.subscribe(shop.talk.pk))["code"] == "not-authenticated"
    await socket.enter(token)
    for stream in (
        f"service.c.{shop.talk.pk.hex}",
        f"service.c.{other.talk.pk.hex}",
        f"service.c.{eves.pk}",
        "service.inbox",
        "service.c.",
        None,
    ):
        await socket.say(action="subscribe", stream=stream)
        assert (await socket.hear())["code"] == "unknown-stream", stream
    await socket.say(action="typing", conversation=str(shop.talk.pk))
    assert (await socket.hear())["code"] == "unknown-stream"
    # The socket stays with its visitor.
    assert (await socket.enter(shop.token))["code"] == "not-allowed"
    assert (await socket.subscribe(eves.pk))["type"] == "subscribed"
    await socket.close()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://shop.example"])
async def test_a_foreign_site_is_turned_away(shop: Shop, origin: str) -> None:
    socket = await Socket(origin).open()
    assert (await socket.enter(shop.token))["code"] == "origin-not-allowed"
    assert await socket.hear() == {"type": "closed", "code": consumer.NOT_ALLOWED}


@pytest.mark.parametrize("origin", [None, "http://testserver:8000", "https://testserver:8000"])
async def test_our_own_frame_and_programs_are_let_in(shop: Shop, origin: str | None) -> None:
    socket = await Socket(origin).open()
    assert (await socket.enter(shop.token))["type"] == "authenticated"
    await socket.close()


async def test_without_a_good_token_nothing_is_heard(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in ("", None, "x", shop.token[:-1] + "!"):
        socket = await Socket().open()
        assert (await socket.enter(token))["code"] == "signed-out"  # type: ignore[arg-type]
        assert (await socket.hear())["code"] == 4401
    monkeypatch.setattr(consumer, "HELLO_SECONDS", 0.1)
    silent = await Socket().open()
    assert (await silent.hear())["code"] == "signed-out"
    assert (await silent.hear())["code"] == 4401


async def test_a_channel_that_is_switched_off_falls_silent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "RECHECK_SECONDS", 0.2)
    socket = await Socket().open()
    await socket.enter(shop.token)

    def switch_off() -> None:
        with organisation_scope(shop.organisation.pk):
            Channel.objects.update(enabled=False)

    await later(switch_off)()
    assert (await socket.hear())["code"] == "signed-out"
    assert (await socket.hear())["code"] == 4401


async def test_a_flood_of_frames_ends_the_socket(shop: Shop) -> None:
    socket = await Socket().open()
    await socket.enter(shop.token)
    for _ in range(consumer.MOST_FRAMES):
        await socket.say(action="ping")
    heard = [await socket.hear() for _ in range(consumer.MOST_FRAMES + 1)]
    assert heard[-2]["code"] == "too-many-frames"
    assert heard[-1] == {"type": "closed", "code": 4429}


async def test_typing_goes_both_ways_and_says_nothing_else(shop: Shop) -> None:
    socket = await Socket().open()
    await socket.enter(shop.token)
    await socket.subscribe(shop.talk.pk)
    layer = get_channel_layer()
    group = talk_group(shop.organisation.pk, shop.talk.pk)
    agent = await layer.new_channel()
    await layer.group_add(group, agent)
    await socket.say(action="typing", conversation=str(shop.talk.pk))
    heard = await layer.receive(agent)
    assert (heard["side"], heard["conversation"]) == ("visitor", str(shop.talk.pk))
    about = {"conversation": str(shop.talk.pk), "member": "m", "name": "ann@example.com"}
    await layer.group_send(group, {"type": "talk.presence", "here": True, "hello": True, **about})
    await layer.group_send(group, {"type": TYPING, "side": "people", **about})
    assert await socket.hear() == {"type": "typing", "conversation": str(shop.talk.pk)}
    await socket.close()


async def test_idle_sockets_share_one_look_at_the_database(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many listen: one query for each organisation and interval."""
    looks: list[int] = []
    real = polling.heads
    monkeypatch.setattr(
        polling, "heads", lambda names: looks.append(len(list(names))) or real(names)
    )
    sockets = [await Socket().open() for _ in range(20)]
    for socket in sockets:
        await socket.enter(shop.token)
        await socket.subscribe(shop.talk.pk)
    await later(shop.say)()
    for socket in sockets:
        assert (await socket.hear())["event"] == "message"
    assert set(looks) <= {1}
    for socket in sockets:
        await socket.close()
