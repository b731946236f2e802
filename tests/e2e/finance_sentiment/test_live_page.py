"""The live board in a browser: a posted headline appears scored, and a cut connection loses nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings

from apps.finance_sentiment.models import Alert
from apps.finance_sentiment.services.alerts import Change, changes_announce
from rootstock.tenancy.scope import organisation_scope
from tests.wire import Wire

ROOT = Path(__file__).resolve().parents[3]
FAKES = ROOT / "tests" / "integration" / "finance_sentiment"
INSTALLED = ROOT / "tests" / "chaos" / "finance_sentiment"
DIST = ROOT / "platform/rootstock/web/static/dist"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# Playwright's own event loop runs in this thread; Django must not mind.
# Generous: on a loaded machine everything takes longer. Speed is what the benchmark measures.
PATIENCE_MS = 60_000

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def processes(live_db: None, tmp_path: Path) -> Iterator[str]:
    """The web process and a worker whose models are rules; gives the address."""
    if not (DIST / "finance-live.js").exists():
        pytest.skip("the front end is not built: run `npm run build` in platform/frontend")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = [ROOT, ROOT / "platform", FAKES, INSTALLED]
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    commands = {
        "web": ["uvicorn", "rootstock.config.asgi:application", "--port", str(port)],
        "worker": [
            "celery", "-A", "rootstock.config.celery", "worker", "--pool", "threads",
            "--concurrency", "4", "--queues", "default,ingest", "--include",
            "finance_fakes_installed", "--without-gossip", "--without-mingle",
        ],
        "beat": ["celery", "-A", "rootstock.config.celery", "beat", "--scheduler",
                 "celery.beat:Scheduler", "--pidfile="],
    }  # fmt: skip
    running = []
    for name, command in commands.items():
        with (tmp_path / f"{name}.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [sys.executable, "-m", *command],
                    env=environment,
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                )
            )
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{address}/healthz").status_code == 200:
                    break
            except httpx.HTTPError:
                assert time.monotonic() < deadline, (tmp_path / "web.log").read_text()[-2000:]
            time.sleep(0.3)
        yield address
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def wire(processes: str) -> Iterator[Wire]:
    """What the browser reaches the web process through."""
    with Wire(int(processes.rsplit(":", 1)[1])) as wire:
        yield wire


@pytest.fixture
def page(wire: Wire, organisation: Any, make_user: Callable[..., Any]) -> Iterator[Any]:
    """The live board of a signed-in analyst."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    user = make_user(organisation, role="analyst")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{wire.address}{settings.LOGIN_REDIRECT_URL}sign-in/?next=/public-opinion/")
        page.fill("[name=username]", user.email)
        page.fill("[name=password]", "correct horse")
        page.keyboard.press("Enter")
        page.wait_for_selector("#live-data", state="attached")
        yield page
        browser.close()


@pytest.fixture
def send(processes: str, organisation: Any, make_key: Callable[..., str]) -> Callable[..., None]:
    """Posts headlines over REST."""
    key = make_key(organisation)

    def post(*titles: str) -> None:
        now = datetime.now(UTC)
        documents = [
            {
                "external_id": title,
                "source": "Ledger Wire",
                "title": title,
                "published_at": (now + timedelta(milliseconds=place)).isoformat(),
            }
            for place, title in enumerate(titles)
        ]
        answer = httpx.post(
            f"{processes}/api/v1/finance/documents",
            json={"documents": documents},
            headers={"Authorization": f"Bearer {key}"},
            timeout=60,
        )
        assert answer.status_code == 202, answer.text

    return post


def titles(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(".headline-title").all_inner_texts()]


def test_headlines_appear_scored_and_a_cut_connection_loses_none(page, send, wire):
    page.get_by_text("No headline has arrived yet").wait_for()
    send("Northlight oil profit rises to a record", "央行宣布下调存款准备金率零点五个百分点")
    page.locator(".headline", has_text="Northlight").locator(".sentiment-positive").wait_for()
    page.locator(".headline[data-status=unscored]", has_text="央行").wait_for()

    wire.cut()
    names = ("Orrin", "Tessaly", "Kestrane", "Dunmarrow", "Pellam")
    missed = [f"{name} bank faces fraud trial over {n * 913} loans" for n, name in enumerate(names)]
    send(*missed[:3])
    send(*missed[3:])
    time.sleep(3)
    assert not set(missed) & set(titles(page))
    wire.mend()
    page.locator(".headline", has_text=missed[-1]).wait_for()
    send("Shares talks go on at the exchange")
    page.locator(".headline", has_text="talks go on").wait_for()
    seen = titles(page)
    assert sorted(seen) == sorted(set(seen))
    assert len(seen) == 8


def test_paused_headlines_wait_until_they_are_asked_for(page, send):
    send("Gas rises on a cold spell")
    page.locator(".headline", has_text="Gas rises").wait_for()
    page.locator("body").press(" ")
    send("Oil falls after talks")
    page.get_by_role("button", name="Show 1 new headline").click()
    page.locator(".headline", has_text="Oil falls").wait_for()


def test_an_alert_appears_is_taken_and_goes_without_reload(page, organisation):
    with organisation_scope(organisation.pk):
        alert = Alert.objects.create(
            key="energy",
            opened_at=datetime.now(UTC),
            last_seen_at=datetime.now(UTC),
            evidence={"latest": {"observed": 12, "expected": 1.5}},
        )
        changes_announce(changes=[Change("opened", alert)])
    pinned = page.locator(".live-alert")
    pinned.get_by_text("12 negative stories").wait_for()
    pinned.get_by_role("button", name="Acknowledge").click()
    pinned.get_by_text("Taken by").wait_for()
    with organisation_scope(organisation.pk):
        alert.refresh_from_db()
        assert alert.state == "acknowledged"
        alert.state, alert.resolved_at = "resolved", datetime.now(UTC)
        alert.save()
        changes_announce(changes=[Change("resolved", alert)])
    pinned.wait_for(state="detached")
