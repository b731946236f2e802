"""A browser, and the gallery in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
DIST = ROOT / "platform/rootstock/web/static/dist"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    """The address of the gallery."""
    if not (DIST / "app.js").exists():
        pytest.skip(
            "the front end is not built: run `npm ci && npm run build` in platform/frontend"
        )
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/e2e/web/serve_gallery.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the gallery did not start"
        yield address
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


class Sockets:
    """The other end of the page's socket: sends events, and counts what was asked."""

    def __init__(self) -> None:
        self.routes: list[Any] = []
        self.asked: list[dict[str, Any]] = []

    def handle(self, route: Any) -> None:
        """Accept every subscription."""
        self.routes.append(route)

        def answer(text: str) -> None:
            frame = json.loads(text)
            if frame["action"] == "subscribe":
                self.asked.append(frame)
                last = frame["last_event_id"] or 0
                route.send(
                    json.dumps(
                        {"type": "subscribed", "stream": frame["stream"], "last_event_id": last}
                    )
                )
            elif frame["action"] == "ping":
                route.send(json.dumps({"type": "pong"}))

        route.on_message(answer)

    def event(self, stream: str, number: int, name: str, data: dict[str, Any]) -> None:
        """Send one event on the newest connection."""
        frame = {"type": "event", "stream": stream, "id": number, "event": name, "data": data}
        self.routes[-1].send(json.dumps({**frame, "at": "2026-01-01T00:00:00Z"}))


@pytest.fixture
def open_page(browser: Any, gallery: str) -> Iterator[Callable[..., Any]]:
    """Opens a page of the gallery; afterwards the console must be clean."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def go(path: str = "/", *, width: int = 1280, height: int = 800, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.sockets = Sockets()
        page.route_web_socket("**/ws/events/", page.sockets.handle)
        page.goto(gallery + path)
        page.wait_for_function("() => window.Alpine !== undefined")
        return page

    yield go
    for context in contexts:
        context.close()
    assert complaints == [], "the console is not clean"
