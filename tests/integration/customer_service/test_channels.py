"""Channels: the script and the frame that pages of others load, the pages of the dashboard, REST."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.customer_service.models import Channel
from apps.customer_service.services import channel_check
from apps.customer_service.services.channels import channel_create
from apps.customer_service.services.visitors import identity_read
from apps.customer_service.views.channel_examples import PYTHON
from rootstock.common.actors import SYSTEM
from rootstock.common.http import Answer
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

ROOT = Path(__file__).resolve().parents[3]
BUILT = ROOT / "platform/rootstock/web/static/dist/widget"
SHOP = "https://shop.example"

needs_build = pytest.mark.skipif(
    not (BUILT / "loader.js").exists(), reason="the front end is not built"
)


@pytest.fixture
def shop(organisation: Organisation) -> Channel:
    """A channel on one site."""
    with organisation_scope(organisation.pk):
        return channel_create(name="Shop", actor=SYSTEM, origins=[SHOP])


@pytest.fixture
def owner(organisation: Organisation, make_user: Callable[..., Any]) -> Client:
    """Signed in as an owner."""
    client = Client()
    client.force_login(make_user(organisation), backend="django.contrib.auth.backends.ModelBackend")
    return client


def change(organisation: Organisation, channel: Channel, **values: Any) -> None:
    with organisation_scope(organisation.pk):
        Channel.objects.filter(pk=channel.pk).update(**values)


# --- what pages of others load ------------------------------------------------------------------------


@needs_build
def test_the_script_is_small():
    size = {path.name: len(gzip.compress(path.read_bytes())) for path in BUILT.iterdir()}
    assert size["loader.js"] <= 10_000
    assert sum(size.values()) <= 30_000


@needs_build
def test_the_script_knows_its_channel_and_is_cached(client, shop):
    answer = client.get(f"/widget/{shop.key}/loader.js")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/javascript")
    assert "public" in answer["Cache-Control"]
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert shop.key in answer.content.decode()
    assert not answer.cookies
    assert "Cookie" not in answer.get("Vary", "")
    again = client.get(f"/widget/{shop.key}/loader.js", headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304


@needs_build
def test_the_script_is_sent_compressed(client, shop):
    answer = client.get(f"/widget/{shop.key}/loader.js", headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    assert len(answer.content) <= 10_000


def test_an_unknown_or_disabled_channel_only_says_so(client, organisation, shop):
    assert "no widget" in client.get("/widget/nothing/loader.js").content.decode()
    change(organisation, shop, enabled=False)
    text = client.get(f"/widget/{shop.key}/loader.js").content.decode()
    assert text.startswith("console.error(")
    assert "switched off" in text
    assert client.get(f"/widget/{shop.key}/frame").status_code == 404
    change(organisation, shop, enabled=True, origins=[])
    assert "no site" in client.get(f"/widget/{shop.key}/loader.js").content.decode()


def test_the_frame_is_for_the_sites_of_its_channel_only(client, shop):
    answer = client.get(f"/widget/{shop.key}/frame")
    assert answer.status_code == 200
    policy = answer["Content-Security-Policy"]
    assert f"frame-ancestors 'self' {SHOP}" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "X-Frame-Options" not in answer
    assert not answer.cookies
    assert "csrf" not in answer.content.decode()
    again = client.get(f"/widget/{shop.key}/frame", headers={"If-None-Match": answer["ETag"]})
    assert again.status_code == 304
    # A browser takes these headers for those it has kept.
    assert again["Content-Security-Policy"] == policy
    assert "X-Frame-Options" not in again


def test_somebody_signed_in_elsewhere_loads_it_all_the_same(
    shop, organisation_b, make_user: Callable[..., Any]
):
    client = Client()
    client.force_login(
        make_user(organisation_b), backend="django.contrib.auth.backends.ModelBackend"
    )
    assert client.get(f"/widget/{shop.key}/frame").status_code == 200


# --- pages ---------------------------------------------------------------------------------------------


def test_a_channel_is_made_and_its_tag_shown(owner, organisation):
    address = reverse("service:channel-new")
    made = owner.post(address, {"name": "Shop", "origins": f"{SHOP}/\n\n", "enabled": "on"})
    assert made.status_code == 302
    with organisation_scope(organisation.pk):
        channel = Channel.objects.get()
    assert channel.origins == [SHOP]
    page = owner.get(made["Location"]).content.decode()
    assert f"/widget/{channel.key}/loader.js" in page
    refused = owner.post(address, {"name": "Shop", "origins": "shop.example"})
    assert refused.status_code == 422
    assert "is not the address of a site" in refused.content.decode()
    assert "a channel of this name already" in refused.content.decode()
    assert "Shop" in owner.get(reverse("service:channels")).content.decode()


def test_look_hours_and_questions_are_kept(owner, organisation, shop):
    look = {
        "colour": "#0f7350", "scheme": "dark", "position": "left", "title_en": "Juniper & Pine",
        "title_zh": "青松小店", "greeting_en": "Hello", "greeting_zh": "",
        "suggestions_en": "Where is my order?\n\nReturns", "suggestions_zh": "我的订单在哪里？",
    }  # fmt: skip
    assert owner.post(reverse("service:channel-look", args=[shop.pk]), look).status_code == 302
    hours = {
        "mon": "09:00-12:00, 13:00–18:00", "holidays": "2027-01-01", "audiences": "public, vip",
        "attachments": "on", "fields-TOTAL_FORMS": "2", "fields-INITIAL_FORMS": "0",
        "fields-0-kind": "email", "fields-0-required": "on", "fields-1-kind": "choice",
        "fields-1-label_en": "About", "fields-1-choices": "Order | 订单\nOther",
    }  # fmt: skip
    assert owner.post(reverse("service:channel-hours", args=[shop.pk]), hours).status_code == 302
    with organisation_scope(organisation.pk):
        channel = Channel.objects.get()
    assert channel.appearance["suggestions"] == [
        {"en": "Where is my order?", "zh": "我的订单在哪里？"},
        {"en": "Returns"},
    ]
    assert channel.business_hours == {"mon": [["09:00", "12:00"], ["13:00", "18:00"]]}
    assert channel.audiences == ["public", "vip"]
    email, about = channel.pre_chat["fields"]
    assert (email["name"], email["required"]) == ("email", True)
    assert about["choices"] == [{"en": "Order", "zh": "订单"}, {"en": "Other"}]
    page = owner.get(reverse("service:channel-hours", args=[shop.pk])).content.decode()
    assert "13:00-18:00" in page
    assert "Order | 订单" in page
    wrong = owner.post(reverse("service:channel-hours", args=[shop.pk]), {**hours, "mon": "nine"})
    assert wrong.status_code == 422
    assert "Times are written as" in wrong.content.decode()


def test_the_preview_is_framed_by_our_pages_only(owner, shop):
    answer = owner.get(reverse("service:channel-preview", args=[shop.pk]))
    assert "frame-ancestors 'self'" in answer["Content-Security-Policy"]
    assert "X-Frame-Options" not in answer


def test_a_new_secret_refuses_what_the_old_one_signed(owner, organisation, shop):
    page = owner.get(reverse("service:channel-identity", args=[shop.pk]))
    assert shop.identity_secret in page.content.decode()
    assert page["Cache-Control"] == "no-store"
    owner.post(reverse("service:channel-rotate", args=[shop.pk]))
    with organisation_scope(organisation.pk):
        assert Channel.objects.get().identity_secret != shop.identity_secret


def test_the_program_that_signs_is_believed(shop):
    program: dict[str, Any] = {}
    exec(PYTHON, program)  # noqa: S102 - it is what the page tells people to run
    token = program["identity"](shop.identity_secret, "42", "Li Wei", "li@example.com")
    identity = identity_read(token, secret=shop.identity_secret, now=time.time())
    assert (identity.subject, identity.name) == ("42", "Li Wei")


def test_the_page_says_whether_the_tag_works(owner, shop, monkeypatch):
    tag = f'<script src="http://testserver/widget/{shop.key}/loader.js" async></script>'
    served = Answer(200, {}, f"<html>{tag}".encode(), f"{SHOP}/")
    monkeypatch.setattr(channel_check, "fetch", lambda *_, **__: served)
    address = reverse("service:channel-check", args=[shop.pk])
    assert "The widget works on" in owner.post(address, {"url": f"{SHOP}/"}).content.decode()
    served.headers["content-security-policy"] = "default-src 'self'"  # type: ignore[index]
    page = owner.post(address, {"url": f"{SHOP}/"}).content.decode()
    assert "script-src &#x27;self&#x27; http://testserver" in page


def test_who_may_only_read_changes_nothing(organisation, shop, make_user: Callable[..., Any]):
    viewer = Client()
    viewer.force_login(
        make_user(organisation, role="viewer"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    assert viewer.get(reverse("service:channel", args=[shop.pk])).status_code == 200
    assert viewer.post(reverse("service:channel", args=[shop.pk]), {}).status_code == 403
    assert viewer.get(reverse("service:channel-identity", args=[shop.pk])).status_code == 403
    assert viewer.post(reverse("service:channel-remove", args=[shop.pk])).status_code == 403


def test_a_channel_is_removed_by_its_name(owner, organisation, shop):
    address = reverse("service:channel-remove", args=[shop.pk])
    owner.post(address, {"confirm": "no"})
    with organisation_scope(organisation.pk):
        assert Channel.objects.exists()
    owner.post(address, {"confirm": "Shop"})
    with organisation_scope(organisation.pk):
        assert not Channel.objects.exists()


# --- REST ----------------------------------------------------------------------------------------------


def test_rest_makes_reads_changes_and_removes(
    client, organisation, organisation_b, make_key: Callable[..., str]
):
    headers = {"Authorization": f"Bearer {make_key(organisation)}"}

    def ask(method: str, path: str, data: Any = None, **more: str) -> Any:
        return client.generic(
            method,
            f"/api/v1/service/{path}",
            "" if data is None else __import__("json").dumps(data),
            content_type="application/json",
            headers={**headers, **more},
        )

    made = ask("POST", "channels", {"name": "Shop", "origins": [SHOP]})
    assert made.status_code == 201, made.content
    channel = made.json()
    assert channel["identity_secret"]
    assert re.search(r"widget/[a-z0-9]{20}/loader\.js", channel["tag"])
    path = f"channels/{channel['id']}"
    assert "identity_secret" not in ask("GET", path).json()
    wrong = ask("PATCH", path, {"origins": ["nowhere"], "appearance": {"colour": "red"}})
    assert wrong.status_code == 422
    assert {one["pointer"] for one in wrong.json()["errors"]} == {"/origins", "/appearance"}
    assert ask("PATCH", path, {"enabled": False}).json()["enabled"] is False
    rotated = ask("POST", f"{path}/rotate-secret").json()
    assert rotated["identity_secret"] != channel["identity_secret"]
    assert len(ask("GET", "channels").json()["results"]) == 1
    other = {"Authorization": f"Bearer {make_key(organisation_b)}"}
    assert ask("GET", path, **other).status_code == 404
    assert ask("DELETE", path).status_code == 204
    assert ask("GET", path).status_code == 404


def test_rest_checks_a_page(client, organisation, shop, make_key: Callable[..., str], monkeypatch):
    served = Answer(200, {}, b"<html>", f"{SHOP}/")
    monkeypatch.setattr(channel_check, "fetch", lambda *_, **__: served)
    answer = client.post(
        f"/api/v1/service/channels/{shop.pk}/check",
        {"url": f"{SHOP}/"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {make_key(organisation)}"},
    )
    assert answer.status_code == 200
    assert answer.json()["works"] is False
    assert answer.json()["findings"][0]["code"] == "missing"
