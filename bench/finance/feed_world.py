"""Two hundred publishers on this machine: well-behaved, slow, broken, huge, moved, hostile.

Each feed gets a new item every `ITEM_SECONDS` and lists the latest `LISTED`, so that what it should have led to is
known at any moment.
"""

from __future__ import annotations

import gzip
import http.server
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

ITEM_SECONDS = 20
LISTED = 40
# How many feeds behave how; together 200.
KINDS = {
    "plain": 45,
    "json": 5,
    "twice": 15,
    "edited": 15,
    "charset": 15,
    "undated": 10,
    "moved": 10,
    "elsewhere": 10,
    "huge": 5,
    "repaired": 10,
    "flapping": 10,
    "endless": 5,
    "bomb": 10,
    "trickle": 20,
    "silent": 5,
    "html": 5,
    "cut": 5,
}
# What a feed that never brings anything is to show.
FAULTS = {
    "endless": "too-large",
    "bomb": "too-large",
    "trickle": "timeout",
    "silent": "timeout",
    "html": "not-a-feed",
    "cut": "protocol",
}
_CHINESE = "上海股市午后下跌，银行板块领跌，监管部门约谈三家公司"
_FILLER = "A long description of what the market did today, and why nobody had foreseen it. " * 60


def feed_names() -> list[str]:
    """All feeds, such as `plain-3`."""
    return [f"{kind}-{number}" for kind, count in KINDS.items() for number in range(count)]


def kind_of(name: str) -> str:
    """How a feed behaves."""
    return name.rsplit("-", 1)[0]


@dataclass
class World:
    """The state of the publishers."""

    url: str = ""
    begun: float = field(default_factory=time.time)
    frozen_at: float | None = None
    asked: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self) -> int:
        """Items that each feed has published so far."""
        return LISTED // 2 + int(((self.frozen_at or time.time()) - self.begun) / ITEM_SECONDS)

    def freeze(self) -> None:
        """No further item, no further edit."""
        self.frozen_at = time.time()

    def unsettled(self) -> int:
        """Feeds that can be read and were not yet read after the last item; a flapping one fails every second time."""
        with self.lock:
            since = self.frozen_at or time.time()
            return sum(
                sum(at > since for at in self.asked[name])
                < (2 if kind_of(name) == "flapping" else 1)
                for name in feed_names()
                if kind_of(name) not in FAULTS
            )

    def expected(self) -> dict[str, dict[str, str]]:
        """By feed that can be read: the title of each item that it has listed, by guid."""
        return {
            name: {self.guid(name, k): self.title(name, k) for k in range(self.count())}
            for name in feed_names()
            if kind_of(name) not in FAULTS
        }

    def guid(self, name: str, k: int) -> str:
        """The id of an item."""
        return f"{name}/{k}"

    def title(self, name: str, k: int) -> str:
        """An edited feed changes the titles of its items once in a while, one at a time."""
        start = _CHINESE if kind_of(name) == "charset" else "Report"
        edition = 0
        if kind_of(name) == "edited" and k % 5 == 0:
            # What is not listed any more is not edited any more.
            edition = max(0, min(self.count(), k + LISTED) - k) // 6
        return f"{start} {name} number {k}" + (f", edition {edition}" if edition else "")

    def etag(self, name: str) -> str:
        """Changes with the items."""
        return f'"{name}-{self.count()}"'


def _xml(world: World, name: str) -> bytes:
    kind = kind_of(name)
    listed = range(max(0, world.count() - LISTED), world.count())
    items = [_item(world, name, k) for k in reversed(listed)]
    if kind == "twice":
        items = [item for item in items for _copy in range(2)]
    text = f"<rss version='2.0'><channel><title>{name}</title>{''.join(items)}</channel></rss>"
    if kind == "charset":
        return f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode("gb18030")
    if kind == "repaired":
        text = text.replace("</title><link>", "&nbsp;& more</title><link>", 1)
        text = text.replace("&nbsp;& more", "", 1).removesuffix("</channel></rss>") + "<br>&nbsp;"
    return text.encode()


def _item(world: World, name: str, k: int) -> str:
    kind = kind_of(name)
    published = world.begun + (k - LISTED // 2) * ITEM_SECONDS
    date = "" if kind == "undated" else f"<pubDate>{formatdate(published)}</pubDate>"
    body = f"<description>{_FILLER * 25}</description>" if kind == "huge" else ""
    return (
        f"<item><guid isPermaLink='false'>{world.guid(name, k)}</guid><title>{world.title(name, k)}</title>"
        f"<link>{world.url}/page/{name}/{k}</link>{date}{body}</item>"
    )


def _json(world: World, name: str) -> bytes:
    items = [
        {
            "id": world.guid(name, k),
            "title": world.title(name, k),
            "url": f"{world.url}/page/{name}/{k}",
            "content_text": "",
        }
        for k in range(max(0, world.count() - LISTED), world.count())
    ]
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": name, "items": items}
    return json.dumps(feed).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    world: World
    bomb = gzip.compress(b"<rss><channel>" + b" " * 60_000_000)

    def do_GET(self) -> None:
        """One answer, after its feed's fashion."""
        name = self.path.rsplit("/", 1)[-1]
        world = self.world
        with world.lock:
            first = not self.path.startswith("/new/")
            if first:
                world.asked[name].append(time.time())
            turn = len(world.asked[name])
        kind = kind_of(name)
        try:
            if hasattr(self, f"do_{kind}"):
                getattr(self, f"do_{kind}")()
            elif kind in {"moved", "elsewhere"} and first:
                self._redirect(301 if kind == "moved" else 302, f"/new/{name}")
            elif kind == "flapping" and turn % 2 == 0:
                self._answer(503, b"", {})
            else:
                self._feed(name, kind)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def do_endless(self) -> None:
        """Bytes without end."""
        self._begin(200, {"Content-Type": "text/xml"})
        self.wfile.write(b"<rss><channel>")
        for _part in range(400):
            self.wfile.write(b"<!-- " + b"x" * 65_000 + b" -->")

    def do_bomb(self) -> None:
        """60 kB that unpack to 60 MB."""
        self._answer(200, self.bomb, {"Content-Encoding": "gzip", "Content-Type": "text/xml"})

    def do_trickle(self) -> None:
        """A byte a second."""
        self._begin(200, {"Content-Type": "text/xml"})
        for letter in b"<rss><channel><title>slowly</title>" * 4:
            self.wfile.write(bytes([letter]))
            self.wfile.flush()
            time.sleep(1.0)

    def do_silent(self) -> None:
        """Nothing at all."""
        time.sleep(60.0)

    def do_html(self) -> None:
        """A page where a feed was."""
        page = b"<!doctype html><html><body>Please sign in</body></html>"
        self._answer(200, page, {"Content-Type": "text/html"})

    def do_cut(self) -> None:
        """Less than was announced."""
        self._begin(200, {"Content-Type": "text/xml", "Content-Length": "100000"})
        self.wfile.write(b"<rss><channel>")

    def _feed(self, name: str, kind: str) -> None:
        tag = self.world.etag(name)
        if kind in {"plain", "json"} and self.headers.get("If-None-Match") == tag:
            self._answer(304, b"", {"ETag": tag})
            return
        body = _json(self.world, name) if kind == "json" else _xml(self.world, name)
        self._answer(200, body, {"ETag": tag, "Content-Type": "application/xml"})

    def _redirect(self, status: int, path: str) -> None:
        self._answer(status, b"", {"Location": path})

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self._begin(status, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Be quiet."""


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Visitors hang up; that is theirs."""


@contextmanager
def serving() -> Iterator[World]:
    """The publishers, on a port of their own."""
    world = World()
    handler = type("Handler", (_Handler,), {"world": world})
    with _Server(("127.0.0.1", 0), handler) as server:
        world.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield world
        finally:
            server.shutdown()
            thread.join()
