"""A server that speaks OpenAI's protocol, on a port of this machine, for tests of its callers.

It echoes: a chat answers with the last message reversed in pieces, an embedding is made from the text's length.
`failures` are statuses it answers with before it works; `says` is what a chat answers instead; `seen` are the bodies
and keys it was sent.
"""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-right"


class OpenAiServer(ThreadingHTTPServer):
    """What it was asked, and how it shall behave."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.failures: list[int] = []
        self.says = ""
        self.seen: list[dict[str, Any]] = []
        self.base64 = False
        self.nonsense = False
        self.break_off = False
        self.piece_seconds = 0.0
        self.hung_up = threading.Event()

    @property
    def url(self) -> str:
        """The base address with its /v1."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: OpenAiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self._answer(json.loads(self.rfile.read(length)))

    def _answer(self, body: dict[str, Any]) -> None:
        server = self.server
        server.seen.append({"path": self.path, "body": body})
        if server.failures:
            status = server.failures.pop(0)
            self._send({"error": {"message": f"told to fail with {status}"}}, status)
        elif server.nonsense:
            self._send({"hello": "world"})
        elif self.headers.get("Authorization") != f"Bearer {KEY}":
            self._send({"error": {"message": "Incorrect API key provided"}}, 401)
        elif self.path == "/v1/models":
            self._send({"object": "list", "data": [{"id": "echo", "object": "model"}]})
        elif body.get("model") != "echo":
            self._send(
                {"error": {"message": f"The model {body.get('model')!r} does not exist"}}, 404
            )
        elif self.path == "/v1/embeddings":
            self._embed(body)
        elif self.path == "/v1/chat/completions":
            self._chat(body)
        else:
            self._send({"error": "no such path"}, 404)

    def _embed(self, body: dict[str, Any]) -> None:
        rows = []
        for index, text in enumerate(body["input"]):
            vector = [float(len(text)), 1.0, 0.0, -2.0][: body.get("dimensions", 4)]
            packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
            rows.append({"index": index, "embedding": packed if self.server.base64 else vector})
        # Not in order: the index says which is which.
        self._send({"object": "list", "data": rows[::-1], "usage": {"prompt_tokens": 7}})

    def _chat(self, body: dict[str, Any]) -> None:
        text = self.server.says or body["messages"][-1]["content"][::-1]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            self._event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
            for start in range(0, len(text), 2):
                self._event({"choices": [{"delta": {"content": text[start : start + 2]}}]})
                time.sleep(self.server.piece_seconds)
            if self.server.break_off:
                return
            self._event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self._event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.server.hung_up.set()

    def _event(self, content: dict[str, Any]) -> None:
        self.wfile.write(f": ping\n\ndata: {json.dumps(content)}\n\n".encode())
        self.wfile.flush()

    def _send(self, content: dict[str, Any], status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def openai_server() -> Iterator[OpenAiServer]:
    """The running server."""
    with OpenAiServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
