"""Bringing dialogues and deciding on what was found in them: every screen, by keyboard, with nothing broken."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from apps.customer_service.models import Conversation, MinedPair
from apps.customer_service.services.learning.dialogue_jobs import IMPORT_JOB, dialogues_given
from rootstock.common.actors import SYSTEM
from rootstock.jobs.models import Job
from rootstock.tenancy.models import Role
from rootstock.tenancy.scope import organisation_scope
from tests.e2e.customer_service.desk_world import Shop, picture
from tests.e2e.customer_service.test_desk_pages_browser import SCREENS, sound

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]


def a_past(shop: Shop) -> MinedPair:
    """An import with two wrong rows, and pairs found in dialogues."""
    with organisation_scope(shop.organisation.pk):
        turns = [{"who": "customer", "text": "Do you rent tents?"}, {"who": "agent", "text": "No."}]
        dialogues_given([{"id": "A", "turns": turns}], zone=UTC, actor=SYSTEM)
        bad = [{"line": 3, "column": "time", "reason": "No time"}] * 2
        result = {
            "created": 1,
            "grown": 0,
            "unchanged": 2,
            "messages": 2,
            "bad": 2,
            "bad_rows": bad,
        }
        Job.objects.create(
            kind=IMPORT_JOB, title="Import dialogues: talks.csv", params={"name": "talks.csv"},
            queue="default", state="succeeded", result=result,
        )  # fmt: skip
        pairs = [
            MinedPair.objects.create(
                question=question, reply=reply, language=language, score=0.9 - number / 10,
                digest=str(number), support=9 - number, reasons=["resolved", "rated", "agent", "edited"],
                variants=["tent hire", "Can I hire a tent?"], conversation=Conversation.objects.get(),
            )
            for number, (question, reply, language) in enumerate(
                [
                    ("Do you rent tents?", "Not to private persons, only to schools and clubs.", "en"),
                    ("支持数字人民币吗", "数字人民币还不支持，云闪付可以通过银联通道付款。", "zh"),
                    ("Engraving on a bottle?", "Single engravings are done in our shops.", "en"),
                ]
            )
        ]  # fmt: skip
        return pairs[0]


@pytest.mark.parametrize("screen", SCREENS)
def test_pages_are_sound_on_every_screen(
    sign_in: Any, address: str, shop: Shop, screen: str
) -> None:
    page = sign_in("Ann", Role.OWNER, **SCREENS[screen])
    for path in ("learning/import/", "learning/pairs/"):
        page.goto(f"{address}/service/{path}")
        sound(page)
    pair = a_past(shop)
    with organisation_scope(shop.organisation.pk):
        job = Job.objects.get(kind=IMPORT_JOB)
    shown = {
        "import": "learning/import/",
        "report": f"learning/import/{job.pk}/",
        "pairs": "learning/pairs/",
        "pair": f"learning/pairs/{pair.pk}/",
    }
    for name, path in shown.items():
        page.goto(f"{address}/service/{path}")
        picture(page, f"learning-{name}-{screen}", whole=True)
        sound(page)


def test_pairs_are_chosen_by_keyboard_and_decided_on_at_once(
    sign_in: Any, address: str, shop: Shop
) -> None:
    a_past(shop)
    page = sign_in("Ann", Role.OWNER)
    page.goto(f"{address}/service/learning/pairs/")
    for key in "jxjx":
        page.keyboard.press(key)
    page.get_by_text("2 chosen").wait_for()
    page.get_by_role("button", name="Take over").click()
    page.get_by_text("2 pairs are in the draft").wait_for()
    assert page.locator("#pair-list tbody tr").count() == 1
    page.get_by_role("link", name="Engraving on a bottle?").click()
    page.get_by_role("textbox", name="Answer").fill("Engraving is done while you wait.")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("You have decided on all").wait_for()
    assert page.errors == []
