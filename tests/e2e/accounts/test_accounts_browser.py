"""In Chromium: sign in, make a key, use it over REST, revoke it; the pages in the dark, in Chinese, on a phone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.cache import cache

from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.scope import organisation_scope
from tests.live_server import live_server

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).resolve().parents[3]
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PASSWORD = "correct horse"
PAGES = [
    "settings/people", "settings/keys", "settings/keys/new", "settings/audit", "settings/organisation", "account",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on PATH")
    if not (ROOT / "platform/rootstock/web/static/dist/app.js").exists():
        pytest.skip("the front end is not built")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


@pytest.fixture
def url(live_db: None) -> Iterator[str]:
    cache.clear()
    with live_server() as address:
        yield address


@pytest.fixture
def owner(organisation: Any, make_user: Any) -> Any:
    return make_user(organisation, role="owner", email="owner@example.com")


def sign_in(page: Any, url: str, email: str) -> None:
    page.goto(f"{url}/sign-in/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")


def test_a_key_from_its_making_to_its_end(browser: Any, url: str, owner: Any) -> None:
    page = browser.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if "Content Security" in m.text else None)
    sign_in(page, url, owner.email)
    page.goto(f"{url}/settings/keys/")
    page.get_by_role("link", name="Make a key").click()
    page.get_by_label("Name", exact=True).fill("news loader")
    page.get_by_label("Public opinion: read headlines").check()
    page.get_by_role("button", name="Make the key").click()
    text = page.locator("#key-text code").inner_text()
    assert re.fullmatch(r"rk_[0-9A-Za-z]+_[0-9A-Za-z]{43}", text)
    headers = {"Authorization": f"Bearer {text}"}
    assert httpx.get(f"{url}/api/v1/me", headers=headers).json()["permissions"] == ["finance:read"]

    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="news loader").click()
    page.get_by_role("button", name="Revoke…").click()
    dialog = page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Revoke", exact=True)
    assert confirm.is_disabled()
    dialog.get_by_role("textbox").fill("news loader")
    confirm.click()
    page.get_by_text("no longer works").wait_for()
    refused = httpx.get(f"{url}/api/v1/me", headers=headers)
    assert refused.status_code == 401
    assert refused.json()["type"] == "urn:rootstock:problem:revoked-key"
    assert faults == []


def test_the_pages_fit_a_phone_and_speak_chinese(
    browser: Any, url: str, organisation: Any, owner: Any, tmp_path: Path
) -> None:
    with organisation_scope(organisation.pk):
        audit_record(actor=SYSTEM, action="test.thing", target="x", target_id="1", changes={"a": 1})
    context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    sign_in(page, url, owner.email)
    context.add_cookies([{"name": "django_language", "value": "zh-hans", "url": url}])
    shots = Path(os.environ.get("ROOTSTOCK_SCREENSHOTS", tmp_path))
    for name in (
        "settings/people",
        "settings/keys",
        "settings/keys/new",
        "settings/audit",
        "settings/organisation",
        "account",
    ):
        page.goto(f"{url}/{name}/")
        assert page.locator("html").get_attribute("lang") == "zh-Hans"
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 360, f"{name} is {wide} px wide"
        page.screenshot(path=str(shots / f"{name.replace('/', '-')}-zh-dark.png"), full_page=True)


def test_a_lockout_says_when_to_come_back(browser: Any, url: str, owner: Any) -> None:
    page = browser.new_page()
    page.goto(f"{url}/sign-in/")
    for _ in range(5):
        page.get_by_label("E-mail").fill(owner.email)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Too many attempts").wait_for()
    assert page.locator("time").first.get_attribute("datetime")
