"""Sources in a browser: a feed is added, what it brings and what fails appear by themselves."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.finance_sentiment.models import Source
from apps.finance_sentiment.services.sources.managing import source_poll_now
from apps.finance_sentiment.services.sources.polling import polls_claim, source_poll
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from tests.live_server import live_server

sys.path.insert(0, str(Path(__file__).parents[2] / "integration/finance_sentiment"))
from feed_server import FeedServer, rss, serving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PATIENCE_MS = 30_000


@pytest.fixture
def feeds(settings: Any) -> Iterator[FeedServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.0/8"
    with serving() as server:
        yield server


@pytest.fixture
def page(live_db: None, organisation: Organisation, make_user: Callable[..., Any]) -> Iterator[Any]:
    """The sources of a signed-in analyst."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    user = make_user(organisation, role="analyst")
    with live_server() as address, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{address}/sign-in/?next=/public-opinion/sources/")
        page.fill("[name=username]", user.email)
        page.fill("[name=password]", "correct horse")
        page.click("main button[type=submit], main form button")
        page.wait_for_url("**/public-opinion/sources/")
        yield page
        browser.close()


def poll_all(organisation: Organisation) -> None:
    """What the poller would do with everything that is there."""
    with organisation_scope(organisation.pk):
        for source in Source.objects.all():
            source_poll_now(source=source)
    claimed: list[list[str]] = []
    polls_claim(hand_on=lambda arguments: claimed.append(arguments) or True)
    for organisation_id, source_id, token in claimed:
        source_poll(organisation_id=organisation_id, source_id=source_id, token=token)


def test_a_feed_is_added_read_and_found_at_fault(page, feeds, organisation):
    feeds.routes["/feed"] = rss({"guid": "1", "title": "Oil slips"}, {"guid": "2"})
    page.click("text=Add a source")
    page.fill("[name=name]", "Ledger Wire")
    page.fill("[name=url]", f"{feeds.url}/feed")
    page.click("button:has-text('Add the source')")
    page.wait_for_selector("text=Not asked yet")

    poll_all(organisation)
    page.goto(page.url)
    page.wait_for_selector("text=Oil slips")
    assert page.locator("#documents >> text=undated").count() == 1
    page.click("nav >> text=Sources")
    page.click("text=See why")
    page.wait_for_selector("text=It has neither a title nor a text.")
    page.click("tbody a >> nth=0")
    page.fill("[name=title]", "Gas rises")
    page.fill("[name=published_at]", "2026-03-01 10:00")
    page.click("button:has-text('Take it in')")
    page.wait_for_selector("text=Nothing was refused")

    # the table looks again by itself
    page.click("nav >> text=Sources")
    page.wait_for_selector("#source-list >> text=Well")
    feeds.routes["/feed"] = (200, {}, b"<html><body>Sign in</body></html>")
    poll_all(organisation)
    page.wait_for_selector("#source-list >> text=Not a feed")
