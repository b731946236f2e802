"""What the assistant says of its own accord, in the visitor's language.

These are parts of a conversation, not words of a page: the language is the visitor's, whatever the page around it
speaks, and is stored with the message. Hence not gettext.
"""

from __future__ import annotations

from typing import Any

_PHRASES: dict[str, dict[str, str]] = {
    "greeting": {
        "en": "Hello! What can I help you with?",
        "zh": "您好！请问有什么可以帮您？",
    },
    "thanks": {
        "en": "You are welcome. Is there anything else I can do for you?",
        "zh": "不客气。还有什么可以帮您的吗？",
    },
    "bye": {
        "en": "Goodbye, and thank you for writing. You can come back here at any time.",
        "zh": "再见，感谢您的咨询。需要时随时回来找我。",
    },
    "identity": {
        "en": "I am the assistant here, a program that answers from our documents. You can ask for a person any time.",
        "zh": "我是智能助手，一个根据我们的资料回答问题的程序。您随时可以要求转接人工客服。",
    },
    "hand-off": {
        "en": "I am passing you on to somebody of our team. They can read what we have written here.",
        "zh": "正在为您转接人工客服，客服人员可以看到我们之前的对话。",
    },
    "unknown": {
        "en": "I have found nothing in our documents that answers this.",
        "zh": "抱歉，我在现有资料中没有找到这个问题的答案。",
    },
    "nothing-else": {
        "en": "I have found nothing else in our documents that answers this.",
        "zh": "抱歉，我在现有资料中没有找到其他答案。",
    },
    "rephrase": {
        "en": "You can put it in other words, or I can pass you on to somebody of our team.",
        "zh": "您可以换个说法再问一次，也可以转接人工客服。",
    },
    "sorry": {
        "en": "I am sorry about the trouble.",
        "zh": "给您带来不便，非常抱歉。",
    },
    "blocked": {
        "en": "I cannot answer this.",
        "zh": "抱歉，这个问题我无法回答。",
    },
    "empty": {
        "en": "There is nothing in your message that I could read. What would you like to know?",
        "zh": "我没有读到您的问题，请问您想了解什么？",
    },
    "failed": {
        "en": "Something went wrong on our side and I cannot answer now.",
        "zh": "抱歉，系统出现问题，暂时无法回答。",
    },
    "people": {"en": "Talk to a person", "zh": "转人工客服"},
}

# Value of the button that asks for people.
PEOPLE_CHOICE = "people"


def phrase(name: str, language: str) -> str:
    """A sentence of the assistant's own, in "zh" or "en"."""
    return _PHRASES[name]["zh" if language == "zh" else "en"]


def sentences(names: list[str], language: str) -> str:
    """Several of them in a row."""
    return ("" if language == "zh" else " ").join(phrase(name, language) for name in names)


def people_choice(language: str) -> dict[str, Any]:
    """The button that asks for people."""
    return {"kind": "hand-off", "label": phrase("people", language), "value": PEOPLE_CHOICE}
