"""What workers do for webhooks."""

from __future__ import annotations

from rootstock.outbox.handlers import Payload, handler, message_scope
from rootstock.webhooks import services


def _send(payload: Payload) -> services.Tried | None:
    with message_scope():
        letter = services.letter_read(payload["delivery_id"])
    return None if letter is None else services.letter_send(letter)


@handler(services.TOPIC, prepare=_send)
def deliver(payload: Payload, tried: services.Tried | None) -> None:
    """Note what came of the try that `_send` made; tries of the schedule are messages of their own."""
    services.delivery_tried(payload["delivery_id"], tried)
