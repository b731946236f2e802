"""What somebody who takes over must know, in the conversation's own words: nothing is made up."""

from __future__ import annotations

import re

from django.utils import translation
from django.utils.translation import gettext as _

from apps.customer_service.models import Conversation, Message

# The last of what was said; what is older rarely decides the next answer.
_LOOK_BACK = 30
_QUESTION = 300
_TRIED = 3
_TRIED_LENGTH = 120
# Marks of Markdown and numbers of sources: in one line they only disturb.
_MARKS = re.compile(r"\*\*|`+|\s?\[\d+\]|^\s*#+\s+|^\s*[-*]\s+", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)\s]+\)")


def hand_off_summary(conversation: Conversation) -> str:
    """Intent, last question, what the assistant tried and the customer's mood, a line each.

    In the conversation's language, which is what whoever answers it will read: Chinese or English.
    """
    messages = list(
        conversation.messages.exclude(author__in=[Message.Author.NOTE, Message.Author.SYSTEM])
        .filter(state=Message.State.DONE)
        .order_by("-sequence")[:_LOOK_BACK]
    )[::-1]
    asked = [message for message in messages if message.author == Message.Author.VISITOR]
    tried = [
        message
        for message in messages
        if message.author == Message.Author.ASSISTANT and message.kind != "none" and message.body
    ]
    with translation.override("zh-hans" if conversation.language == "zh" else "en"):
        lines = []
        if conversation.intent:
            lines.append(_("Wants: %(intent)s") % {"intent": conversation.intent.replace("_", " ")})
        if asked:
            question = max(asked[-3:], key=_asks)
            lines.append(_("Last question: %(text)s") % {"text": _cut(question.body, _QUESTION)})
        for message in tried[-_TRIED:]:
            verdict = _(" (did not help)") if message.thumb == -1 else ""
            lines.append(
                _("Tried: %(text)s") % {"text": _cut(message.body, _TRIED_LENGTH)} + verdict
            )
        if not tried:
            lines.append(_("Tried: nothing; the assistant had no answer."))
        if conversation.emotion:
            lines.append(_("Mood: %(emotion)s") % {"emotion": conversation.get_emotion_display()})
    return "\n".join(lines)


def _asks(message: Message) -> tuple[bool, int]:
    """A question counts more than "hello?"; then the later one."""
    return (len(message.body.strip()) >= 6, message.sequence)


def _cut(text: str, length: int) -> str:
    one_line = " ".join(_MARKS.sub("", _LINK.sub(r"\1", text)).split())
    return one_line if len(one_line) <= length else one_line[: length - 1] + "…"
