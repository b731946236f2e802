"""What the customer service adds to the platform: streams, webhook events, pages, lines of the Overview."""

from __future__ import annotations

from apps.customer_service.registrations import (
    answering,
    channels,
    desk,
    flows,
    knowledge,
    learning,
    loop,
    pages,
)


def register() -> None:
    """Called once, when Django is ready."""
    for part in (pages, channels, desk, knowledge, answering, flows, learning, loop):
        part.register()
