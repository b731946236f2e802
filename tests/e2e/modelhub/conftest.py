"""The real web process, a browser that is signed in, and a tiny base model."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client

from rootstock.launch.programs import programs
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
def inference_address() -> Iterator[str]:
    """Where the inference process of an installation listens: a path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="rs-") as directory:
        yield f"unix://{directory}/inference.sock"


@pytest.fixture
def web(
    live_db: None, artifacts: Path, tmp_path: Path, settings: Any, inference_address: str
) -> Iterator[str]:
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
            "ROOTSTOCK_INFERENCE_ADDRESS": inference_address,
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
def processes(
    web: str, inference_address: str, artifacts: Path, tiny_base: Path, tmp_path: Path
) -> Iterator[str]:
    """The address of a whole installation: web, both workers, the scheduler and the inference process.

    The tiny base is in the hub's cache as `acme/tiny`.
    """
    snapshot = tmp_path / "hub/hub/models--acme--tiny/snapshots/0"
    shutil.copytree(tiny_base, snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("0")
    run = tmp_path / "run"
    run.mkdir()
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
        "ROOTSTOCK_ARTIFACTS": str(artifacts),
        "ROOTSTOCK_INFERENCE_ADDRESS": inference_address,
        "OMP_NUM_THREADS": "1",
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_OFFLINE": "1",
    }
    port = int(web.rsplit(":", 1)[1])
    started = {}
    try:
        wanted = [
            program
            for program in programs(environment, host="127.0.0.1", port=port)
            if program.name != "web"
        ]
        for program in wanted:
            with (run / f"{program.name}.log").open("wb") as log:
                started[program.name] = subprocess.Popen(
                    program.command, cwd=ROOT, env=environment, stdout=log, stderr=log
                )
        deadline = time.monotonic() + 120
        for program in wanted:
            while program.healthy is not None and not program.healthy():
                words = (run / f"{program.name}.log").read_text()[-2000:]
                assert started[program.name].poll() is None, words
                assert time.monotonic() < deadline, f"{program.name} did not start: {words}"
                time.sleep(0.3)
        yield web
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def open_anonymous(web: str) -> Iterator[Callable[..., Any]]:
    """Opens a page as nobody, or with cookies; afterwards the console must be clean."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    complaints: list[str] = []

    def note(message: Any) -> None:
        # A form that is refused comes back with status 422, which Chromium writes down as well.
        if message.type == "error" and "status of 422" not in message.text:
            complaints.append(message.text)

    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)

        def go(
            path: str,
            *,
            width: int = 1280,
            height: int = 900,
            cookies: Sequence[Any] = (),
            **options: Any,
        ) -> Any:
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            context.add_cookies(list(cookies))
            page = context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(web + path)
            page.wait_for_function("() => window.Alpine !== undefined")
            return page

        yield go
        browser.close()
    assert complaints == []


@pytest.fixture
def open_page(
    web: str,
    organisation: Organisation,
    make_user: Callable[..., Any],
    open_anonymous: Callable[..., Any],
) -> Callable[..., Any]:
    """Opens a page as an owner of the organisation; afterwards the console must be clean."""
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    cookie = {"name": django_settings.SESSION_COOKIE_NAME, "value": session, "url": web}

    def go(path: str, **options: Any) -> Any:
        return open_anonymous(path, cookies=[cookie], **options)

    return go
