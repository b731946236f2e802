"""The widget's channel on the pages of the demonstration's shop."""

from __future__ import annotations

from collections.abc import Callable

from apps.customer_service.demo.shop import KEY
from apps.customer_service.models import Channel
from apps.customer_service.services.channels import channel_create, channel_update
from rootstock.common.actors import SYSTEM

APPEARANCE = {
    "colour": "#2f5d4a",
    "title": {"en": "Juniper & Pine", "zh": "青松小店"},
    "greeting": {
        "en": "Hello! Ask about orders, returns, sizes or gear. I answer from our help pages and say where I read it.",
        "zh": "您好！订单、退换货、尺码、装备，都可以问我。我会根据帮助文档回答，并注明出处。",
    },
    "suggestions": [
        {"en": "Where is my order?", "zh": "我的订单到哪里了？"},
        {"en": "How do I return something?", "zh": "怎么退货？"},
        {"en": "Which sleeping bag for -5 °C?", "zh": "零下 5 度用哪个睡袋？"},
    ],
}


def channel_setup(write: Callable[[str], object], *, origin: str) -> Channel:
    """The channel "Shop", allowed on the shop's origin; inside an organisation's scope. Safe to run again."""
    channel = Channel.objects.filter(key=KEY).first()
    if channel is None:
        channel = channel_create(name="Shop", actor=SYSTEM, appearance=APPEARANCE)
        channel.key = KEY
        channel.save(update_fields=["key"])
        write("channel of the shop made")
    # The shop may have found another port than last time.
    others = [one for one in channel.origins if not one.startswith("http://127.0.0.1:")]
    return channel_update(channel=channel, actor=SYSTEM, origins=[*others, origin])
