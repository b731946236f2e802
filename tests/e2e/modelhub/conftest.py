"""The real web process, a browser that is signed in, and a tiny base model."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from rootstock.tenancy.models import Organisation

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/integration/modelhub"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from modelhub_helpers import write_tiny_base

    return write_tiny_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def web(live_db: None, artifacts: Path, tmp_path: Path, settings: Any) -> Iterator[str]:
    """The address of a web process on the test session's servers."""
    if not (ROOT / "platform/rootstock/web/static/dist/training-run.js").exists():
        pytest.skip(
            "the front end is not built: run `npm ci && npm run build` in platform/frontend"
        )
    settings.VAR = tmp_path / "var"
    settings.VAR.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "uvicorn",
            "rootstock.config.asgi:application",
            "--port",
            str(port),
            "--log-level",
            "warning",
        ],
        cwd=ROOT,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
            "ROOTSTOCK_ARTIFACTS": str(artifacts),
        },
    )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, "the web process ended"
            try:
                urllib.request.urlopen(f"{address}/healthz", timeout=5).close()  # noqa: S310
                break
            except OSError:
                assert time.monotonic() < deadline, "the web process did not start"
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture
def open_page(
    web: str, organisation: Organisation, make_user: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """Opens a page as an owner of the organisation; afterwards the console must be clean."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    complaints: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)

        def go(path: str, *, width: int = 1280, height: int = 900, **options: Any) -> Any:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            context.add_cookies(
                [{"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": web}]
            )
            page = context.new_page()
            page.on(
                "console",
                lambda message: (
                    complaints.append(message.text) if message.type == "error" else None
                ),
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(web + path)
            page.wait_for_function("() => window.Alpine !== undefined")
            return page

        yield go
        browser.close()
    assert complaints == []
