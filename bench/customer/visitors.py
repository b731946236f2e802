"""Visitors as programs: the REST and the socket of the visitor's protocol, many at once on one event loop."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect


class Talk:
    """A visitor with a conversation and an open socket on it."""

    def __init__(
        self, http: httpx.AsyncClient, token: str, talk: str, line: ClientConnection
    ) -> None:
        self._http, self._talk, self.line = http, talk, line
        self._headers = {"Authorization": f"Bearer {token}"}

    @classmethod
    async def begin(cls, http: httpx.AsyncClient, url: str) -> Self:
        """Through `http`, whose base is the channel's address; `url` is that of the installation."""
        session = (await http.post("session", json={})).raise_for_status().json()
        headers = {"Authorization": f"Bearer {session['token']}"}
        made = await http.post("conversations", json={}, headers=headers)
        talk = made.raise_for_status().json()
        line = await connect(
            f"{url.replace('http', 'ws', 1)}/ws/service/", open_timeout=60, ping_interval=None
        )
        stream = f"service.c.{uuid.UUID(talk['id']).hex}"
        await line.send(json.dumps({"action": "authenticate", "token": session["token"]}))
        subscribe = {
            "action": "subscribe",
            "stream": stream,
            "last_event_id": talk["last_event_id"],
        }
        await line.send(json.dumps(subscribe))
        one = cls(http, session["token"], talk["id"], line)
        await one.hear("subscribed")
        return one

    async def hear(self, kind: str, timeout: float = 60) -> dict[str, Any]:
        """The next frame of a kind."""
        async with asyncio.timeout(timeout):
            while True:
                frame = json.loads(await self.line.recv())
                if frame["type"] == kind:
                    return dict(frame)
                if frame["type"] == "error":
                    raise RuntimeError(frame["detail"])

    async def say(self, text: str) -> str:
        """Send a message; its client id."""
        name = uuid.uuid4().hex
        answer = await self._http.post(
            f"conversations/{self._talk}/messages",
            json={"client_id": name, "body": text},
            headers=self._headers,
        )
        answer.raise_for_status()
        return name

    async def ask(self, text: str) -> dict[str, float]:
        """Ask, and hear the answer to its end: seconds from the sending to the first chunk and to the whole."""
        started = time.perf_counter()
        first = 0.0
        saying = asyncio.create_task(self.say(text))
        while True:
            event = await self.hear("event")
            if event["event"] == "chunk" and not first:
                first = time.perf_counter() - started
            message = event["data"] if event["event"] == "message" else {}
            if message.get("author") == "assistant" and message["state"] != "streaming":
                await saying
                whole = time.perf_counter() - started
                return {"first": first or whole, "whole": whole}

    async def echo(self, text: str) -> float:
        """Seconds from the sending of a message until it comes back on the socket."""
        started = time.perf_counter()
        saying = asyncio.create_task(self.say(text))
        while True:
            event = await self.hear("event")
            if event["event"] == "message" and event["data"]["body"] == text:
                took = time.perf_counter() - started
                await saying
                return took


def channel_client(url: str, key: str) -> httpx.AsyncClient:
    """A client of one channel for many visitors."""
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    return httpx.AsyncClient(base_url=f"{url}/widget/api/{key}/", timeout=60, limits=limits)
