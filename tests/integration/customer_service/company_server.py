"""The demonstration's company on a port of this machine, and one that misbehaves as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apps.customer_service.demo.company import Company


class CompanyServer:
    """Counts what it is asked. `before` may answer instead of the company, or wait, or raise to drop the line."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.company = Company(lambda: self.secrets)
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.before: Callable[[], tuple[int, bytes] | None] = lambda: None
        self.address = ""
        # Where a redirect leads.
        self.location = "http://127.0.0.1:1/"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """One call."""
        self.calls.append((path, headers, body))
        done = self.company.answer(path, headers, body)
        return self.before() or done

    def says(self, status: int, content: Any) -> None:
        """From now on it answers this, after doing what it was asked."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.before = lambda: (status, body)

    def says_once(self, status: int, content: Any) -> None:
        """Once it answers this; then what the company does."""
        body = json.dumps(content).encode()

        def once() -> tuple[int, bytes]:
            self.before = lambda: None
            return status, body

        self.before = once

    def waits(self, seconds: float) -> None:
        """From now on it does what it is asked, and answers late."""

        def wait() -> None:
            time.sleep(seconds)

        self.before = wait


@contextmanager
def company_server() -> Iterator[CompanyServer]:
    """It runs until the end."""
    company = CompanyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = company.answer(self.path, dict(self.headers), body)
            try:
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", company.location)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        company.address = f"http://127.0.0.1:{server.server_port}"
        yield company
        server.shutdown()
        thread.join()
