"""Insights and the desk's settings: they fit, in both languages and schemes, and break no rule of accessibility."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.customer_service.models import (
    CannedReply,
    Conversation,
    ConversationLabel,
    Macro,
    UnansweredCluster,
    UnansweredQuestion,
)
from apps.customer_service.services.conversations import conversation_changed
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from tests.e2e.customer_service.desk_world import Shop, picture

AXE = Path(__file__).resolve().parents[3] / "platform/frontend/node_modules/axe-core/axe.min.js"
SETTINGS = ("", "reply-times/", "labels/", "canned/", "canned/new/", "macros/", "macros/new/")
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "zh": {"viewport": {"width": 1280, "height": 800}, "locale": "zh-CN"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True},
}

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


def sound(page: Any) -> None:
    """No rule broken, nothing wider than the screen, nothing said in the console."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    if AXE.exists():
        page.evaluate(AXE.read_text())
        broken = page.evaluate(
            "axe.run(document.getElementById('main'), {resultTypes: ['violations']}).then((r) =>"
            " r.violations.map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html)]))"
        )
        assert broken == [], f"{page.url}: {json.dumps(broken, indent=1)}"
    assert page.errors == [], page.url


def a_day(shop: Shop) -> None:
    """What supervisors look at: moods, ratings, times, and a question that had no answer."""
    now = timezone.now()
    rows = [
        ("Li Wei", "anger", "delivery_status", 2, 40),
        ("Ann Lee", "joy", "refund", 5, 12),
        ("陈小明", "sadness", "delivery_status", 3, 25),
        ("Bo", "neutral", "opening_hours", 4, 5),
    ]
    for hours, (name, emotion, intent, csat, minutes) in enumerate(rows, 2):
        made = shop.asks(name, "Where is my parcel?")
        with organisation_scope(shop.organisation.pk):
            began = now - timedelta(hours=4 * hours)
            Conversation.objects.filter(pk=made.pk).update(
                created_at=began, hand_off_at=began + timedelta(minutes=1), emotion=emotion,
                intent=intent, csat=csat, status="resolved", contained=False,
                first_reply_at=began + timedelta(minutes=3),
                resolved_at=began + timedelta(minutes=minutes),
            )  # fmt: skip
            if hours == 2:
                cluster = UnansweredCluster.objects.create(title="Do you ship to Norway?")
                UnansweredQuestion.objects.create(
                    conversation=made, cluster=cluster, text="Norway?", reason="no-passage"
                )


@pytest.mark.parametrize("screen", SCREENS)
def test_insights_are_read_on_every_screen(sign_in, address, shop, screen):
    a_day(shop)
    page = sign_in("Ann", Role.MANAGER, **SCREENS[screen])
    page.goto(f"{address}/service/insights/?range=24h")
    page.locator("#clusters", has_text="Do you ship to Norway?").wait_for()
    page.locator("#volume canvas, #volume svg").first.wait_for()
    picture(page, f"insights-{screen}", whole=True)
    sound(page)


def test_the_load_is_live_and_the_conversations_behind_a_number_open(sign_in, address, shop):
    a_day(shop)
    page = sign_in("Ann", Role.MANAGER)
    page.goto(f"{address}/service/insights/?range=24h")
    live = page.locator("#insights-now .number", has_text="Waiting")
    live.get_by_text("0", exact=True).wait_for()
    talk = shop.asks("Li Wei", "Anybody there?")
    live.get_by_text("1", exact=True).wait_for()
    with organisation_scope(shop.organisation.pk):
        talk.emotion = "anger"
        talk.save()
        conversation_changed(conversation=talk)
    page.locator("#insights-now .number", has_text="Angry").get_by_text("1", exact=True).wait_for()
    page.locator("a.number", has_text="Handed over to people").click()
    page.locator("tbody tr").nth(4).wait_for()
    sound(page)
    with page.expect_download() as file:
        page.goto(f"{address}/service/insights/?range=24h")
        page.get_by_role("link", name="CSV").first.click()
    lines = Path(file.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("id,channel,status")


@pytest.mark.parametrize("screen", SCREENS)
def test_settings_are_set_on_every_screen(sign_in, address, shop, screen):
    page = sign_in("Ann", Role.OWNER, **SCREENS[screen])
    for path in SETTINGS:
        page.goto(f"{address}/service/desk/{path}")
        sound(page)
        if screen == "light":
            picture(page, f"desk-{path.strip('/').replace('/', '-') or 'agents'}-empty")
    with organisation_scope(shop.organisation.pk):
        ConversationLabel.objects.create(name="vip")
        bodies = {"en": "We are sorry, {customer}.", "zh": "非常抱歉，{customer}。"}
        sorry = CannedReply.objects.create(short="sorry", bodies=bodies)
        steps = [
            {"do": "reply", "canned": "sorry"},
            {"do": "label", "label": "vip"},
            {"do": "priority", "priority": 2},
            {"do": "resolve"},
        ]
        late = Macro.objects.create(name="Late parcel", steps=steps)
    for path in (*SETTINGS, f"canned/{sorry.pk}/", f"macros/{late.pk}/"):
        page.goto(f"{address}/service/desk/{path}")
        name = path.replace(f"{sorry.pk}/", "edit").replace(f"{late.pk}/", "edit")
        picture(page, f"desk-{name.strip('/').replace('/', '-') or 'agents'}-{screen}", whole=True)
        sound(page)
