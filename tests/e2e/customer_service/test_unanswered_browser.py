"""A question without an answer shows in the queue by itself, becomes an answer, is published, and is answered."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from apps.customer_service.models import (
    Channel,
    Message,
    UnansweredCluster,
    UnansweredQuestion,
    Visitor,
)
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.conversations import conversation_open
from apps.customer_service.services.messages import message_add
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation, Role
from rootstock.tenancy.scope import organisation_scope

sys.path.insert(0, str(Path(__file__).parent))

from desk_world import picture
from widget_world import Inside, inside, installation, sign_in

__all__ = ["inside", "installation"]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
QUESTION = "Do you sell gift cards?"


def ask(address: str, text: str) -> None:
    """What the widget does for a visitor who writes one thing."""
    with httpx.Client(base_url=f"{address}/widget/api/shop/", timeout=60) as http:
        session = http.post("session", json={}).json()
        http.headers["Authorization"] = f"Bearer {session['token']}"
        talk = http.post("conversations", json={}).json()["id"]
        sent = http.post(f"conversations/{talk}/messages", json={"client_id": "1", "body": text})
        assert sent.status_code < 300, sent.text


def last_reply() -> Message | None:
    return Message.objects.filter(author="assistant", state="done").order_by("-pk").first()


def test_from_the_queue_to_an_answer(
    installation: str, chromium: Any, inside: Inside, organisation: Organisation, make_user: Any
) -> None:
    inside.do(lambda: Channel.objects.create(name="Shop", key="shop"))
    user = inside.do(lambda: make_user(organisation, Role.MANAGER))
    page = sign_in(chromium, installation, user, "/service/unanswered/")
    page.get_by_text("No open question").wait_for()

    # Asked in vain, it shows without a reload.
    ask(installation, QUESTION)
    page.locator("#cluster-list").get_by_text(QUESTION).click()
    page.get_by_label("Text of the answer").fill("Yes, of 20 and 50 euros, in every shop.")
    page.get_by_role("button", name="Make it an answer").click()
    page.get_by_text("Visitors get it with the next release").first.wait_for()

    page.get_by_role("link", name="Publish").click()
    page.get_by_role("button", name="Publish", exact=True).click()
    page.get_by_text("visitors are answered from it now").wait_for()

    ask(installation, QUESTION)
    reply = inside.eventually(
        lambda: (found := last_reply()) and found.kind == "template" and found,
        "the answer that was published",
    )
    assert reply.body == "Yes, of 20 and 50 euros, in every shop."


def _furnish(organisation: Organisation) -> dict[str, str]:
    """A queue with something of everything."""
    with organisation_scope(organisation.pk):
        conversation = conversation_open(
            channel=None, visitor=Visitor.objects.create(), origin="widget", language="en"
        )
        message = message_add(conversation=conversation, author="visitor", body=QUESTION)
        message_add(
            conversation=conversation, author="agent",
            body="Yes, we have cards of 20 and 50 euros. You find them at every till.",
        )  # fmt: skip
        groups = {
            QUESTION: ["Is there a gift card?", "can i buy a gift card online"],
            "Which gift cards are there?": ["gift cards with a picture?"],
            "可以开具增值税专用发票吗？": ["能开专票吗", "發票可以開公司抬頭嗎"],
            "Do you ship to Iceland?": [],
        }
        paths = {"list": "/service/unanswered/", "learning": "/service/learning/"}
        for title, others in groups.items():
            language = "en" if title.isascii() else "zh"
            cluster = UnansweredCluster.objects.create(
                title=title, language=language, size=1 + len(others),
                last_asked_at=conversation.created_at,
            )  # fmt: skip
            for number, text in enumerate([title, *others]):
                first = title == QUESTION and not number
                UnansweredQuestion.objects.create(
                    cluster=cluster, text=text, language=language, reason="no-passage",
                    message=message if first else None, conversation=conversation if first else None,
                )  # fmt: skip
            if title == QUESTION:
                paths["cluster"] = f"/service/unanswered/{cluster.pk}/"
        answer_save(
            values={"title": "Returns?", "questions": ["May I return it?"], "bodies": {"en": "Yes."}},
            actor=SYSTEM,
        )  # fmt: skip
        return paths


def test_the_pages_fit_every_screen(
    live_db: None, address: str, chromium: Any, organisation: Organisation, make_user: Any
) -> None:
    paths = _furnish(organisation)
    user = make_user(organisation, Role.OWNER)
    screens: dict[str, dict[str, Any]] = {
        "light": {"color_scheme": "light"},
        "dark": {"color_scheme": "dark"},
        "zh": {"locale": "zh-CN"},
    }
    for name, options in screens.items():
        page = sign_in(chromium, address, user, paths["list"], **options)
        errors: list[str] = []
        page.on("pageerror", lambda error, told=errors: told.append(str(error)))
        page.on(
            "console",
            lambda said, told=errors: told.append(said.text) if said.type == "error" else None,
        )
        for which, path in paths.items():
            page.goto(address + path)
            page.locator("main h1").wait_for()
            picture(page, f"{name}-{which}", whole=True)
            page.set_viewport_size({"width": 360, "height": 740})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), which
            picture(page, f"{name}-{which}-phone", whole=True)
            page.set_viewport_size({"width": 1440, "height": 900})
        assert errors == []
