"""A publisher's server on this machine: each path answers what the test says."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class FeedServer:
    """`routes` are bytes, a reply, or a function of the request's headers that makes one; `asked` is what came."""

    url: str = ""
    routes: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def reply(self, path: str, headers: dict[str, str]) -> Reply:
        self.asked.append((path, headers))
        route = self.routes.get(path)
        if callable(route):
            route = route(headers)
        if route is None:
            return 404, {}, b""
        return route if isinstance(route, tuple) else (200, {"Content-Type": "text/xml"}, route)


def rss(*items: dict[str, str]) -> bytes:
    """A feed of items given by the names of their elements."""
    inner = "".join(
        "<item>" + "".join(f"<{name}>{text}</{name}>" for name, text in item.items()) + "</item>"
        for item in items
    )
    return f'<rss version="2.0"><channel><title>T</title>{inner}</channel></rss>'.encode()


def bomb(megabytes: int = 40) -> Reply:
    """A few kilobytes that unpack to many megabytes."""
    packed = gzip.compress(b"<rss><channel>" + b" " * megabytes * 2**20)
    return 200, {"Content-Encoding": "gzip", "Content-Type": "text/xml"}, packed


@contextmanager
def serving() -> Iterator[FeedServer]:
    feeds = FeedServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, body = feeds.reply(self.path, headers)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        feeds.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield feeds
        finally:
            server.shutdown()
            thread.join()
