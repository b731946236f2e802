"""A web process, a browser, and agents who sign in: for the tests of the desk."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rootstock.tenancy.models import Organisation, Role
from tests.e2e.customer_service.desk_world import Shop

ROOT = Path(__file__).resolve().parents[3]
DIST = ROOT / "platform/rootstock/web/static/dist"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Generous: on a loaded machine everything takes longer. Speed is what the benchmark measures.
PATIENCE_MS = 60_000


@pytest.fixture
def address(live_db: None, tmp_path: Path) -> Iterator[str]:
    """The web process."""
    if not (DIST / "service-inbox.js").exists():
        pytest.skip("the front end is not built: run `npm run build` in platform/frontend")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
        "PYTHONPATH": os.pathsep.join(map(str, [ROOT, ROOT / "platform"])),
    }
    command = ["-m", "uvicorn", "rootstock.config.asgi:application", "--port", str(port)]
    with (tmp_path / "web.log").open("wb") as log:
        web = subprocess.Popen(
            [sys.executable, *command], env=environment, cwd=ROOT, stdout=log, stderr=log
        )
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{base}/healthz").status_code == 200:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, (tmp_path / "web.log").read_text()[-2000:]
            time.sleep(0.3)
        yield base
    finally:
        web.terminate()
        try:
            web.wait(20)
        except subprocess.TimeoutExpired:
            web.kill()
            web.wait()


@pytest.fixture
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on PATH")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def sign_in(
    address: str, chromium: Any, organisation: Organisation, make_user: Callable[..., Any]
) -> Callable[..., Any]:
    """Opens the inbox of a new agent in a browser of their own: `sign_in("Ann")`."""

    def open_page(name: str, role: str = Role.AGENT, **options: Any) -> Any:
        user = make_user(organisation, role)
        user.name = name
        user.save()
        context = chromium.new_context(**options)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        # What the policy forbids is told in the console only.
        page.on(
            "console",
            lambda told: page.errors.append(told.text) if told.type == "error" else None,
        )
        page.goto(f"{address}/sign-in/?next=/service/")
        page.fill("[name=username]", user.email)
        page.fill("[name=password]", "correct horse")
        page.keyboard.press("Enter")
        page.wait_for_selector("#inbox-data", state="attached")
        return page

    return open_page


@pytest.fixture
def shop(organisation: Organisation) -> Shop:
    return Shop(organisation)
