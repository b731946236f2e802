"""An installation with its workers, a look inside it, and people who sign in: for the tests of the widget in browsers.

Fixtures: import them by name.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from apps.customer_service.models import Message
from rootstock.launch.programs import programs
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

ROOT = Path(__file__).resolve().parents[3]
LOADER = ROOT / "platform/rootstock/web/static/dist/widget/loader.js"
SCREENSHOTS = os.environ.get("ROOTSTOCK_SCREENSHOTS", "")
# Generous: on a loaded machine everything takes longer.
PATIENCE_MS = 120_000
STARTS_WITHIN = 180.0


@pytest.fixture
def installation(live_db: None, tmp_path: Path) -> Iterator[str]:
    """The address of an installation: web, worker and scheduler. It has no model, so it finds by words."""
    if not LOADER.exists():
        pytest.skip("the front end is not built: run `npm run build` in platform/frontend")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "rootstock.config.settings.test",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "platform"), str(ROOT)]),
        "ROOTSTOCK_ARTIFACTS": str(tmp_path),
        "ROOTSTOCK_INFERENCE_ADDRESS": f"unix://{tmp_path}/none.sock",
        # Sites of the tests, and what flows call, are on this machine.
        "ROOTSTOCK_HTTP_ALLOW_PRIVATE": "127.0.0.1/32",
        "OMP_NUM_THREADS": "1",
    }
    wanted = [
        program
        for program in programs(environment, host="127.0.0.1", port=port)
        if program.name in {"web", "worker", "beat"}
    ]
    logs = {program.name: tmp_path / f"{program.name}.log" for program in wanted}
    started = {}
    try:
        for program in wanted:
            with logs[program.name].open("wb") as log:
                started[program.name] = subprocess.Popen(
                    program.command, cwd=ROOT, env=environment, stdout=log, stderr=log
                )
        deadline = time.monotonic() + STARTS_WITHIN
        for program in wanted:
            while program.healthy is not None and not program.healthy():
                words = logs[program.name].read_text()[-2000:]
                assert started[program.name].poll() is None, words
                assert time.monotonic() < deadline, f"{program.name} did not start: {words}"
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in started.values():
            process.terminate()
        for process in started.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Inside:
    """Looks into the organisation, from a thread of its own: the test's belongs to the browser's event loop."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._pool = ThreadPoolExecutor(1)

    def do(self, work: Callable[[], Any]) -> Any:
        """Run inside the organisation."""

        def scoped() -> Any:
            try:
                with organisation_scope(self._organisation.pk):
                    return work()
            finally:
                # The thread ends without a word; the pool would miss its connection.
                connections["default"].close()

        return self._pool.submit(scoped).result(60)

    def eventually(self, work: Callable[[], Any], what: str) -> Any:
        """Wait until something is true."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not (found := self.do(work)):
            assert time.monotonic() < deadline, what
            time.sleep(0.3)
        return found

    def stored(self) -> list[tuple[str, str]]:
        """(id, body) of what the visitor may see, in order."""

        def rows() -> list[tuple[str, str]]:
            shown = Message.objects.exclude(author="note").order_by("sequence")
            return [(str(pk), body) for pk, body in shown.values_list("pk", "body")]

        found: list[tuple[str, str]] = self.do(rows)
        return found


@pytest.fixture
def inside(organisation: Organisation) -> Inside:
    return Inside(organisation)


def sign_in(browser: Any, address: str, user: Any, path: str, **options: Any) -> Any:
    """A page of the dashboard, in a browser of its own, as somebody."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}, **options).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}/sign-in/?next={path}")
    page.fill("[name=username]", user.email)
    page.fill("[name=password]", "correct horse")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}{path}")
    return page


def knowledge_publish(page: Any, address: str, files: Any) -> None:
    """What somebody does who gives the assistant a document: upload it, wait until it is read, publish it."""
    page.goto(f"{address}/service/knowledge/add/")
    page.locator("#files").set_input_files(files)
    page.locator("#knowledge-upload .button-primary").click()
    page.locator("#knowledge-uploads .badge-ok").wait_for()
    page.goto(f"{address}/service/knowledge/")
    page.locator("#source-list .knowledge-state .badge-ok").first.wait_for()
    page.goto(f"{address}/service/knowledge/releases/")
    page.locator("#draft form .button-primary").click()
    page.locator("#release-list tbody tr").first.wait_for()


class Widget:
    """The visitor's side: the page of a site, and the panel in it."""

    def __init__(self, browser: Any, site: str, locale: str) -> None:
        self.page = browser.new_context(
            viewport={"width": 1280, "height": 860}, locale=locale
        ).new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        # Scripts that failed, and what the page's policy has forbidden.
        self.broken: list[str] = []
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        self.page.on("console", self._note)
        self.page.goto(site)
        self.inside = self.page.frame_locator("#rootstock-widget iframe")
        self.open()

    def _note(self, message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            self.broken.append(message.text)

    def open(self) -> None:
        """Press the button."""
        self.page.locator("#rootstock-widget .launcher").click()
        self.inside.locator("textarea").wait_for()

    def ask(self, text: str) -> None:
        """Write and send."""
        field = self.inside.locator("textarea")
        field.fill(text)
        field.press("Enter")

    def sees(self, text: str) -> None:
        """Somebody who is not the visitor has said this, to the end."""
        said = ".message:not(.visitor)[data-state=done] .bubble"
        self.inside.locator(said, has_text=text).last.wait_for()

    def shown(self) -> list[str]:
        """Ids of what stands in the list, in its order; what waits to be sent has none yet."""
        rows = self.inside.locator("ol.messages > li:is(.message, .told):not(.greeting)")
        found: list[str] = rows.evaluate_all("all => all.map((one) => one.dataset.id ?? 'waiting')")
        return found

    def picture(self, name: str) -> None:
        """Keep a picture for people to look at when ROOTSTOCK_SCREENSHOTS names a directory."""
        if SCREENSHOTS:
            self.page.wait_for_timeout(400)
            self.page.screenshot(path=Path(SCREENSHOTS) / f"{name}.png")
