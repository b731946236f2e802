"""Greetings, thanks, goodbyes, and asking for people; in Chinese and English."""

from __future__ import annotations

import pytest

from apps.customer_service.services.answering.small_talk import people_asked, small_talk_kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Hello!", "greeting"),
        ("hi there", "greeting"),
        ("Good morning", "greeting"),
        ("你好", "greeting"),
        ("您好，在吗？", "greeting"),
        ("哈喽", "greeting"),
        ("thank you so much!", "thanks"),
        ("ok thanks", "thanks"),
        ("谢谢你", "thanks"),
        ("好的，谢谢", "thanks"),
        ("非常感谢！", "thanks"),
        ("bye", "bye"),
        ("thanks, bye!", "bye"),
        ("再见", "bye"),
        ("谢谢，再见", "bye"),
        ("Are you a robot?", "identity"),
        ("你是机器人吗", "identity"),
        ("Hello, how do I return shoes?", None),
        ("你好，怎么退货？", None),
        ("Hi, my parcel is late", None),
        ("thanks but that is not what I asked", None),
        ("在吗，我的快递到哪了", None),
        ("好的商品怎么选", None),
        ("high chairs", None),
        ("", None),
    ],
)
def test_small_talk(text: str, kind: str | None) -> None:
    assert small_talk_kind(text) == kind


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a human",
        "can I speak with a real person please",
        "Connect me to an agent",
        "human please",
        "agent",
        "I need a human",
        "let me chat with someone",
        "Transfer me to customer support representative",
        "转人工",
        "人工",
        "我要人工客服",
        "帮我转接客服",
        "找真人",
        "能不能转一下人工",
        "我想和真人说话",
        "請轉人工",
        "叫你们客服来",
    ],
)
def test_people_are_asked_for(text: str) -> None:
    assert people_asked(text)


@pytest.mark.parametrize(
    "text",
    [
        "When are your agents available?",
        "What is the phone number of customer service?",
        "I do not want to talk to a human",
        "Is human hair allowed in the mail?",
        "Can somebody else pick up my parcel?",
        "How do I become an agent for your products?",
        "人工客服几点上班？",
        "客服电话是多少",
        "不用转人工，谢谢",
        "人工智能音箱怎么用",
        "安装要收人工费吗",
        "转账多久到账",
        "怎么换货",
    ],
)
def test_nobody_is_asked_for(text: str) -> None:
    assert not people_asked(text)
