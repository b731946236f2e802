"""What a flow says by itself, in the visitor's language, and the words by which a visitor leaves one."""

from __future__ import annotations

import re

from apps.customer_service.services.flows.numerals import normalised

__all__ = ["asks", "corrects", "say", "wants_people", "wants_to_cancel"]

# In a long story "a person" is part of the story.
LONGEST_WISH = 100

_WORDS: dict[str, tuple[str, str]] = {
    "yes": ("Yes", "是"),
    "no": ("No", "否"),
    "people": ("Talk to a person", "转人工"),
    "invalid": (
        "Sorry, I could not make that out.",
        "抱歉，我没有看懂。",
    ),
    "too-many": (
        "Sorry, I still cannot make it out. I am bringing in a colleague.",
        "抱歉，我还是没有看懂，马上为您转接同事。",
    ),
    "settled": ("That is done.", "已办理完成。"),
    "cancelled": ("All right, I have stopped here.", "好的，已停止办理。"),
    "declined": ("All right, nothing was changed.", "好的，没有做任何更改。"),
    "people-now": ("I am bringing in a colleague.", "马上为您转接人工同事。"),
    "corrected": ("Thanks, I have changed that.", "好的，已更正。"),
    "failed": (
        "Sorry, our system could not do this just now. I am bringing in a colleague.",
        "抱歉，系统暂时无法办理，马上为您转接同事。",
    ),
    "unknown": (
        "Our system did not answer in time, so I do not know whether this went through. I will not send it a second "
        "time.",
        "系统没有及时答复，我无法确认是否已经办理成功，也不会重复提交。",
    ),
    "offer": (
        "A colleague can look it up for you. Shall I bring one in?",
        "同事可以帮您核实，需要为您转接吗？",
    ),
    "left-alone": (
        "All right. You can ask for a person at any time.",
        "好的，您随时可以要求转人工。",
    ),
}

_POLITE = r"(?:please|ok(?:ay)?|oh|well|actually|sorry|thanks?(?: you)?|no|um+|哦|嗯|那|好吧|请|谢谢|抱歉)"
_CANCEL = re.compile(
    rf"(?:{_POLITE}[\s,.!]*)*"
    r"(?:never ?mind|forget (?:it|about it|that)|cancel(?: (?:it|this|that))?|stop(?: (?:it|this))?|quit|exit|abort|"
    r"leave it|don'?t bother|i changed my mind|算了吧?|取消吧?|不用了|不办了|不要了|不弄了|不问了|不退了|"
    r"退出|停止|我不想办了|当我没说|没事了)"
    rf"(?:[\s,.!]*{_POLITE})*[\s.!了吧啦]*"
)
_PEOPLE = re.compile(
    r"\b(?:(?:talk|speak|chat|connect me|transfer me|put me through|get me|want|need|give me|ask for)"
    r"(?: directly)?(?: to| with| through to)? (?:an? |the |some |your )?(?:real |live |actual |human )*"
    r"(?:person|human|agents?|representatives?|someone real|somebody real|operator|people|support agent|human being|"
    r"colleague|staff))\b"
    r"|^(?:human|agent|representative|operator|real person|(?:a )?person|people)(?: please)?[.!]*$"
    r"|人工|真人|活人|(?:找|叫|换|转|要|跟|和)(?:一?个|位)?(?:人|客服|同事)(?:来|说|聊|谈|处理|吧|$)|转客服|客服人员"
)
_ASKS = re.compile(
    r"^(?:what|when|where|why|who|which|how|do you|does|can i|can you|could|is there|are there|is it|will)\b.{6,}"
    r"|\w+ .{3,}\?$|.{3,}[吗呢嘛]\??$|怎么|如何|为什么|多久|多少钱|什么时候|哪里|能不能|可不可以|有没有"
)
_CORRECTS = re.compile(
    r"(?:no+|nope|sorry|oops|wait|actually|correction|i meant?|i mean|not that|that'?s wrong|wrong|my mistake)\b"
    r"|不对|不是|错了|说错|搞错|写错|我是说|我的意思|应该是|更正|改成|改为|改一下|抱歉|等等|打错"
)


def say(name: str, language: str) -> str:
    """One of the flow's own sentences."""
    english, chinese = _WORDS[name]
    return chinese if language == "zh" else english


def wants_to_cancel(text: str) -> bool:
    """Whether it says nothing but that this is to end: "never mind", 算了; not "cancel my order"."""
    return _CANCEL.fullmatch(normalised(text).lower()) is not None


def wants_people(text: str) -> bool:
    """Whether it asks for a person."""
    plain = normalised(text).lower()
    return len(plain) <= LONGEST_WISH and _PEOPLE.search(plain) is not None


def asks(text: str) -> bool:
    """Whether it has the form of a question."""
    return _ASKS.search(normalised(text).lower()) is not None


def corrects(text: str) -> bool:
    """Whether it begins as a correction does: "no, I meant …", 不对，是…"""
    return _CORRECTS.match(normalised(text).lower()) is not None
