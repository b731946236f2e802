"""What the checker says about pages, and what a channel may be set to."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.customer_service.services import channel_check
from apps.customer_service.services.channel_check import page_check
from apps.customer_service.services.channel_settings import (
    appearance_clean,
    hours_clean,
    origin_clean,
    pre_chat_clean,
)
from rootstock.common.http import AddressRefused, Answer

HOME = "https://chat.example"
TAG = f'<script src="{HOME}/widget/abc/loader.js" async></script>'
SHOP = "https://shop.example"


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Checks a page that would be served like this."""

    def run(html: str, *, headers: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
        def fetch(method: str, url: str, **_: Any) -> Answer:
            return Answer(options.pop("status", 200), headers or {}, html.encode(), url)

        monkeypatch.setattr(channel_check, "fetch", fetch)
        asked = {"home": HOME, "key": "abc", "origins": [SHOP], "enabled": True, **options}
        found = page_check(url=f"{SHOP}/a", **asked)
        return {finding.code: finding for finding in found}

    return run


def test_a_page_with_the_tag_and_no_policy_works(check):
    found = check(f"<body>{TAG}")
    assert all(finding.ok for finding in found.values())
    assert set(found) == {"tag", "origin", "csp"}


def test_a_missing_tag_is_given_to_copy(check):
    found = check("<body><script src='/app.js'></script>")
    assert not found["missing"].ok
    assert found["missing"].fix == TAG


def test_the_tag_of_another_channel_or_address_is_named(check):
    assert "other" in check(f'<script src="{HOME}/widget/other/loader.js">')["other-key"].text
    found = check('<script src="https://old.example/widget/abc/loader.js">')
    assert "https://old.example" in found["other-address"].text


def test_a_site_that_is_not_allowed_is_named(check):
    found = check(TAG, origins=["https://else.example"])
    assert not found["origin"].ok
    assert SHOP in found["origin"].fix


@pytest.mark.parametrize(
    ("policy", "fixes"),
    [
        ("default-src 'self'", [f"script-src 'self' {HOME}", f"frame-src 'self' {HOME}"]),
        (f"default-src 'self'; script-src {HOME}; frame-src {HOME}", []),
        (f"default-src 'self' {HOME}", []),
        ("default-src https:", []),
        ("default-src *", []),
        ("script-src 'none'", [f"script-src {HOME}"]),
        (f"script-src {HOME}; child-src 'self'", [f"child-src 'self' {HOME}"]),
        ("script-src 'strict-dynamic' 'nonce-x'", [f"script-src 'strict-dynamic' 'nonce-x' {HOME}"]),
        ("default-src https://*.example", []),
        ("default-src https://chat.example:8443", [
            f"script-src https://chat.example:8443 {HOME}", f"frame-src https://chat.example:8443 {HOME}",
        ]),
    ],
)  # fmt: skip
def test_a_policy_that_forbids_it_is_told_what_to_add(check, policy, fixes):
    headers = {"content-security-policy": policy}
    found = check(TAG, headers=headers)
    assert found["csp"].ok is (fixes == [])
    told = [
        one.fix
        for one in page_check(url=f"{SHOP}/a", home=HOME, key="abc", origins=[SHOP], enabled=True)
        if one.code == "csp" and not one.ok
    ]
    assert told == fixes


def test_a_policy_in_the_page_counts_and_a_nonce_opens_it(check):
    meta = "<meta http-equiv='Content-Security-Policy' content=\"script-src 'nonce-x1'\">"
    assert not check(meta + TAG)["csp"].ok
    assert check(meta + TAG.replace("<script", "<script nonce=x1"))["csp"].ok


def test_a_page_that_cannot_be_fetched_says_why(monkeypatch):
    def refuse(*_: Any, **__: Any) -> Answer:
        raise AddressRefused("10.0.0.1 is not a public address")

    monkeypatch.setattr(channel_check, "fetch", refuse)
    found = page_check(url="http://10.0.0.1/", home=HOME, key="abc", origins=[], enabled=True)
    assert [one.code for one in found] == ["unreachable"]
    assert "10.0.0.1" in found[0].text


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("https://Shop.Example/", "https://shop.example"),
        ("http://127.0.0.1:8100", "http://127.0.0.1:8100"),
        ("https://shop.example:443", "https://shop.example"),
        ("https://青松.example", "https://xn--lsvp87h.example"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_sites_are_written_one_way(given, clean):
    assert origin_clean(given) == clean


@pytest.mark.parametrize(
    "given",
    [
        "shop.example",
        "https://",
        "https://shop.example/path",
        "https://*.shop.example",
        "https://shop.example; script-src *",
        "https://shop.example\nX-Header: 1",
        "https://a@shop.example",
        "javascript:alert(1)",
        "https://shop.example:99999",
        "*",
    ],
)
def test_what_is_no_site_is_refused(given):
    with pytest.raises(ValidationError):
        origin_clean(given)


def test_settings_are_cleaned_or_refused():
    look = appearance_clean({"colour": "#AABBCC", "greeting": {"en": " Hi "}, "suggestions": [{}]})
    assert look["colour"] == "#aabbcc"
    assert look["greeting"] == {"en": "Hi"}
    assert look["suggestions"] == []
    for wrong in ({"colour": "red"}, {"scheme": "blue"}, {"title": {"fr": "x"}}, {"css": "x"}):
        with pytest.raises(ValidationError):
            appearance_clean(wrong)
    assert hours_clean({"mon": [["09:00", "18:00"]], "tue": []}) == {"mon": [["09:00", "18:00"]]}
    for hours in ({"mon": [["9", "18:00"]]}, {"someday": []}, {"mon": ["09:00"]}):
        with pytest.raises(ValidationError):
            hours_clean(hours)
    field = {"name": "order", "kind": "text", "label": {"en": "Order"}}
    assert pre_chat_clean({"fields": [field]})["fields"][0]["required"] is False
    for fields in ([field, field], [{**field, "kind": "file"}], [{**field, "label": {}}]):
        with pytest.raises(ValidationError):
            pre_chat_clean({"fields": fields})
