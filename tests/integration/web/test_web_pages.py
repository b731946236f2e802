"""The pages of the shell with real accounts, organisations and the whole URLconf."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from rootstock.tenancy.models import Organisation, Role
from rootstock.web.catalogue import catalogue_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def sign_in(organisation: Organisation, make_user: Callable[..., Any]) -> Callable[..., Client]:
    """A browser that is signed in: `sign_in("viewer")`."""

    def make(role: str = Role.OWNER, **headers: str) -> Client:
        client = Client(headers=headers)
        client.force_login(
            make_user(organisation, role), backend="django.contrib.auth.backends.ModelBackend"
        )
        return client

    return make


def _config(html: str) -> dict[str, Any]:
    found = re.search(r'<script id="shell-config" type="application/json">(.*?)</script>', html)
    assert found
    return json.loads(found[1])


def test_whoever_is_not_signed_in_is_asked_to(client: Client) -> None:
    for path in ("/", "/attention/"):
        answer = client.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/sign-in/")


def test_the_overview_answers_its_question(sign_in: Callable[..., Client]) -> None:
    html = sign_in().get("/").content.decode()
    assert "Everything is all right. Nothing needs you." in html
    assert "Acme" in html
    assert _config(html)["jobs"] is True


def test_settings_are_for_those_who_may_change_them(sign_in: Callable[..., Client]) -> None:
    owner = {e["url"] for e in _config(sign_in().get("/").content.decode())["palette"]}
    viewer = {e["url"] for e in _config(sign_in("viewer").get("/").content.decode())["palette"]}
    assert "/settings/keys/" in owner
    assert "/settings/keys/" not in viewer
    assert viewer < owner


def test_every_page_of_the_palette_opens(sign_in: Callable[..., Client]) -> None:
    client = sign_in()
    for entry in _config(client.get("/").content.decode())["palette"]:
        answer = client.get(entry["url"], follow=True)
        assert answer.status_code == 200, entry
        assert entry["url"].split("#")[0] == answer.request["PATH_INFO"], "sent elsewhere"


def test_the_policy_is_strict(sign_in: Callable[..., Client]) -> None:
    policy = sign_in().get("/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "style-src 'self'" in policy
    assert "unsafe" not in policy


def test_red_up_and_the_theme_reach_the_page(
    sign_in: Callable[..., Client], organisation: Organisation
) -> None:
    organisation.trend_colours = Organisation.TrendColours.RED_UP
    from rootstock.tenancy.scope import organisation_scope

    with organisation_scope(organisation.pk):
        organisation.save()
    client = sign_in()
    client.cookies["theme"] = "dark"
    html = client.get("/").content.decode()
    assert 'class="red-up"' in html
    assert 'data-theme="dark"' in html
    client.cookies["theme"] = '"><script>'
    assert 'data-theme="system"' in client.get("/").content.decode()


def test_the_catalogue_is_one_language_and_may_be_kept(client: Client) -> None:
    version = catalogue_version()
    chinese = client.get(f"/i18n/zh-hans/{version}.js", headers={"accept-language": "en"})
    assert "immutable" in chinese.headers["Cache-Control"]
    assert "javascript" in chinese.headers["Content-Type"]
    assert client.get(f"/i18n/xx/{version}.js").status_code == 404


def test_an_unknown_address_is_our_page_in_the_browser_s_language(client: Client) -> None:
    answer = client.get("/nowhere/", headers={"accept-language": "zh-CN"})
    assert answer.status_code == 404
    assert 'lang="zh-Hans"' in answer.content.decode()


def test_a_stale_form_says_what_to_do() -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/i18n/setlang/", {"language": "zh-hans"})
    assert answer.status_code == 403
    assert "This form had gone stale" in answer.content.decode()


def test_a_page_beyond_the_role_says_so(sign_in: Callable[..., Client]) -> None:
    answer = sign_in("viewer").get("/settings/keys/")
    assert answer.status_code == 403
    assert "Your role does not include this" in answer.content.decode()


def test_the_languages_of_the_settings_are_those_of_the_shell() -> None:
    assert [code for code, _ in settings.LANGUAGES] == ["en", "zh-hans"]
