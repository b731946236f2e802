"""A page of the demonstration's shop with the widget in it, and the other side of it, played by the test.

Fixtures: import them by name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.customer_service.demo.channel import channel_setup
from apps.customer_service.demo.shop import server
from apps.customer_service.models import Conversation, Message
from apps.customer_service.services.messages import (
    message_add,
    reply_begin,
    reply_chunk,
    reply_finish,
)
from rootstock.tenancy.models import Membership, Organisation
from rootstock.tenancy.scope import organisation_scope
from tests.e2e.customer_service.widget_world import PATIENCE_MS, SCREENSHOTS, Inside


@pytest.fixture
def shop(address: str, organisation: Organisation) -> Iterator[str]:
    """The address of the shop: another origin, under the policy of demo/shop.py."""
    site = server(port=0, widget=address)
    thread = threading.Thread(target=site.serve_forever, daemon=True)
    thread.start()
    origin = f"http://127.0.0.1:{site.server_address[1]}"
    with organisation_scope(organisation.pk):
        channel_setup(str, origin=origin)
    yield origin
    site.shutdown()
    site.server_close()


class Desk(Inside):
    """What happens on the other side."""

    def __init__(self, organisation: Organisation, member: Any) -> None:
        super().__init__(organisation)
        self.member = member

    def conversation(self) -> Conversation:
        return Conversation.objects.select_related("visitor", "channel").get()

    def begin(self, *pieces: str) -> Message:
        """The assistant begins to answer the last question."""

        def work() -> Message:
            talk = self.conversation()
            asked = talk.messages.filter(author="visitor").order_by("-sequence").first()
            assert asked is not None
            reply = reply_begin(conversation=talk, in_reply_to=asked)
            for index, piece in enumerate(pieces):
                reply_chunk(message=reply, attempt=reply.attempt, index=index, text=piece)
            return reply

        reply: Message = self.do(work)
        return reply

    def finish(self, reply: Message, body: str, **more: Any) -> None:
        """The assistant has answered."""
        self.do(lambda: reply_finish(message=reply, body=body, kind="composed", **more))

    def say(self, body: str) -> None:
        """An agent writes."""
        self.do(
            lambda: message_add(
                conversation=self.conversation(), author="agent", body=body, member=self.member
            )
        )

    def said(self) -> list[str]:
        """What was stored, in order."""
        return [body for _pk, body in self.stored()]


@pytest.fixture
def desk(organisation: Organisation, make_user: Callable[..., Any]) -> Desk:
    """The other side."""
    user = make_user(organisation, role="agent")
    user.name = "Mei"
    user.save()
    with organisation_scope(organisation.pk):
        member = Membership.objects.select_related("user").get(user=user)
    return Desk(organisation, member)


@pytest.fixture
def visit(chromium: Any, shop: str) -> Iterator[Callable[..., Any]]:
    """Opens a page of the shop; afterwards no script has failed and no policy was broken."""
    complaints: list[str] = []

    def note(message: Any) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            complaints.append(message.text)

    def go(path: str = "/", *, width: int = 1280, height: int = 860, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(shop + path)
        page.locator("#rootstock-widget .launcher").wait_for()
        return page

    yield go
    assert complaints == []


def frame(page: Any) -> Any:
    """The inside of the widget."""
    return page.frame_locator("#rootstock-widget iframe")


def ask(page: Any, text: str) -> None:
    """Write and send."""
    field = frame(page).locator("textarea")
    field.fill(text)
    field.press("Enter")


def bubbles(page: Any) -> list[str]:
    """What stands in the panel, without the greeting."""
    texts: list[str] = frame(page).locator(".message:not(.greeting) .bubble").all_inner_texts()
    return [text.strip() for text in texts]


def eventually(ask: Callable[[], Any], wanted: Any) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while ask() != wanted:
        assert time.monotonic() < deadline, f"never {wanted!r}"
        time.sleep(0.1)


def shot(page: Any, name: str) -> None:
    """Keep a picture for people to look at when ROOTSTOCK_SCREENSHOTS names a directory."""
    if SCREENSHOTS:
        page.wait_for_timeout(400)
        page.screenshot(path=Path(SCREENSHOTS) / f"widget-{name}.png")
