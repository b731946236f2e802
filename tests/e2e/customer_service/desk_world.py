"""A shop whose customers write, and what a page of the desk looks like: for the tests of the desk in browsers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from apps.customer_service.models import Channel, Conversation, Message, Visitor
from apps.customer_service.selectors.conversations import messages_after, public_message
from apps.customer_service.services.conversations import (
    conversation_changed,
    conversation_hand_off,
    conversation_open,
)
from apps.customer_service.services.messages import message_add, reply_begin, reply_finish
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

# Where screenshots of the pages go, for whoever wants to look at them.
SCREENSHOTS = os.environ.get("ROOTSTOCK_SCREENSHOTS", "")

# As the assistant writes it.
TRACE: dict[str, Any] = {
    "language": "en",
    "seconds": 0.084,
    "question": "where is my parcel",
    "steps": [
        {"step": "language", "seconds": 0.0004, "language": "en"},
        {
            "step": "understand",
            "seconds": 0.021,
            "intent": "delivery_status",
            "probability": 0.93,
            "in_scope": True,
            "emotions": {"anger": 0.61, "neutral": 0.3, "sadness": 0.08, "joy": 0.01},
            "versions": {"service.intent": "v4", "service.emotion": "v2"},
        },
        {"step": "template", "seconds": 0.0101, "model": "base:small", "match": 0.34},
        {
            "step": "retrieve",
            "seconds": 0.0402,
            "model": "base:small",
            "candidates": [
                {"key": "gone", "score": 0.81, "cosine": 0.74, "bm25": 5.1, "words": ["parcel"]}
            ],
        },
        {"step": "compose", "seconds": 0.0049, "by": "extractive", "support": 0.91},
    ],
}


class Shop:
    """What happens on the customers' side."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation = organisation
        with organisation_scope(organisation.pk):
            self.channel = Channel.objects.create(name="Shop", key="shop-key-0001")

    def asks(self, name: str, *said: str, language: str = "en", **values: Any) -> Conversation:
        """Somebody asks the assistant, and then for people."""
        with organisation_scope(self.organisation.pk):
            visitor = Visitor.objects.create(
                name=name, email="li.wei@example.com", attributes={"city": "Berlin", "orders": 7}
            )
            made = conversation_open(
                channel=self.channel,
                visitor=visitor,
                origin="widget",
                language=language,
                page_title="Delivery",
            )
            for text in said:
                asked = message_add(conversation=made, author="visitor", body=text)
            reply = reply_begin(conversation=made, in_reply_to=asked)
            reply_finish(
                message=reply,
                body="Parcels usually take **two days**. [1]",
                kind="composed",
                citations=[source()],
                trace=TRACE,
            )
            conversation_hand_off(conversation=made, reason="people-asked")
            if values:
                for field, value in values.items():
                    setattr(made, field, value)
                made.save()
                conversation_changed(conversation=made)
            return made

    def says(self, conversation: Conversation, text: str) -> Message:
        """The customer writes."""
        with organisation_scope(self.organisation.pk):
            return message_add(conversation=conversation, author="visitor", body=text)

    def sees(self, conversation: Conversation) -> list[str]:
        """What the customer is shown."""
        with organisation_scope(self.organisation.pk):
            shown = messages_after(conversation, 0, public=True)
            return [public_message(message)["body"] for message in shown]


def source() -> dict[str, Any]:
    """A passage that is quoted."""
    return {
        "number": 1,
        "title": "Delivery times",
        "url": "https://shop.example/delivery",
        "page": 3,
        "heading": "Within the country",
        "quote": "A parcel takes two days within the country.",
    }


def picture(page: Any, name: str, *, whole: bool = False) -> None:
    """For whoever wants to look at it; `whole`: what lies below the screen, too."""
    if SCREENSHOTS:
        page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}.png"), full_page=whole)


def row(page: Any, name: str) -> Any:
    """A conversation in the list."""
    return page.locator(".inbox-row", has_text=name)
