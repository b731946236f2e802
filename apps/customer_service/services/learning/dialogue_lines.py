"""One message of a past dialogue: what each of its values may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from django.utils.translation import gettext as _

from apps.customer_service.inference.understanding import emotion_of
from apps.customer_service.models import Message

_WHO: Final = {
    Message.Author.VISITOR: "visitor customer user client consumer buyer 顾客 客户 用户 买家 访客",
    Message.Author.ASSISTANT: "assistant bot robot machine model gpt ai 机器人 助手 智能客服",
    Message.Author.AGENT: "agent staff operator support seller employee 客服 人工 坐席 卖家 人工客服",
    Message.Author.SYSTEM: "system 系统",
    Message.Author.NOTE: "note 备注",
}
AUTHORS: Final = {word: author for author, words in _WHO.items() for word in words.split()}
_YES: Final = {"true", "yes", "y", "1", "是"}
_NO: Final = {"false", "no", "n", "0", "否"}
LONGEST_TEXT: Final = 20_000
_LONGEST: Final = {"conversation": 200, "customer": 200, "intent": 120, "language": 10}
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DialogueLine:
    """A message of a past dialogue. What holds for the whole of it may stand in any of its lines.

    `line` is that of the file and `place` the turn in it, where a row holds several. `time` is None where none is told.
    """

    line: int
    place: int
    conversation: str
    time: datetime | None
    who: str
    text: str
    customer: str = ""
    language: str = ""
    resolved: bool | None = None
    rating: int | None = None
    intent: str = ""
    emotion: str = ""
    edited: bool = False


class Fault(ValueError):
    """What is wrong with a row, and in which column."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def line_read(
    row: Mapping[str, Any], *, line: int, zone: tzinfo, now: datetime, place: int = 0
) -> DialogueLine:
    """The message that a row's values make. Times that name no zone are in `zone`.

    Raises:
        Fault: a value is missing or cannot be.
    """
    for column in ("conversation", "who", "text"):
        if not text_of(row, column):
            raise Fault(column, _("This is needed."))
    who = AUTHORS.get(text_of(row, "who").casefold())
    if who is None:
        raise Fault("who", _("Nobody known; write customer, assistant, agent, system or note."))
    text = text_of(row, "text")
    if len(text) > LONGEST_TEXT:
        raise Fault("text", _("Longer than %(limit)d characters.") % {"limit": LONGEST_TEXT})
    return DialogueLine(
        line=line,
        place=place,
        conversation=_short(row, "conversation"),
        time=_time(row.get("time"), zone, now),
        who=str(who),
        text=text,
        customer=_short(row, "customer"),
        language=_short(row, "language"),
        resolved=_flag(row, "resolved"),
        rating=_rating(row),
        intent=_short(row, "intent"),
        emotion=_emotion(row),
        edited=_flag(row, "edited") or False,
    )


def text_of(row: Mapping[str, Any], column: str) -> str:
    """A value as text; "" where there is none.

    Raises:
        Fault: it is no text.
    """
    value = row.get(column)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Fault(column, _("This must be a text."))
    text = str(value)
    if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Fault(column, _("This holds a character that is none."))
    return text.strip()


def _short(row: Mapping[str, Any], column: str) -> str:
    text = text_of(row, column)
    if len(text) > _LONGEST[column]:
        raise Fault(column, _("Longer than %(limit)d characters.") % {"limit": _LONGEST[column]})
    return text


def _flag(row: Mapping[str, Any], column: str) -> bool | None:
    value = row.get(column)
    if isinstance(value, bool):
        return value
    word = text_of(row, column).casefold()
    if not word:
        return None
    if word in _YES | _NO:
        return word in _YES
    raise Fault(column, _("Write yes or no."))


def _rating(row: Mapping[str, Any]) -> int | None:
    word = text_of(row, "rating")
    if not word:
        return None
    try:
        value = float(word)
    except ValueError:
        value = 0.0
    if value not in (1, 2, 3, 4, 5):
        raise Fault("rating", _("A whole number from 1 to 5."))
    return int(value)


def _emotion(row: Mapping[str, Any]) -> str:
    word = text_of(row, "emotion")
    if not word:
        return ""
    emotion = emotion_of(word)
    if emotion is None:
        raise Fault("emotion", _("Write anger, sadness, joy or neutral."))
    return str(emotion)


def _time(value: Any, zone: tzinfo, now: datetime) -> datetime | None:
    """A moment: ISO 8601, or seconds or thousandths of seconds since 1970."""
    word = str(value).strip() if value is not None else ""
    if not word or isinstance(value, bool):
        return None
    try:
        if _is_count(word):
            seconds = float(word)
            moment = datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
        else:
            moment = datetime.fromisoformat(word.replace("/", "-"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Fault(
            "time", _("No time; write it like 2026-03-04T08:15:00Z or 2026-03-04 08:15.")
        ) from error
    if not _EARLIEST <= moment <= now + timedelta(days=1):
        raise Fault("time", _("Before 1990 or in the future."))
    return moment


def _is_count(word: str) -> bool:
    """Seconds have nine digits or more; eight (20260304) and fourteen are a date."""
    digits = word.split(".", maxsplit=1)[0]
    return digits.isascii() and digits.isdigit() and len(digits) >= 9 and len(digits) != 14
