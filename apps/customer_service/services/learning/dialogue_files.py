"""Past dialogues in files: a message, a whole dialogue, or a question with its answer in each row.

Which of these a row is, is told by its columns; docs/service_learning.md shows each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from typing import IO, Any, Final

from django.utils.translation import gettext as _

from apps.customer_service.services.learning.dialogue_lines import (
    DialogueLine,
    Fault,
    line_read,
    text_of,
)
from rootstock.common.line_files import BadRow, FileRefused, rows_read

__all__ = ["BadRow", "DialogueLine", "FileRefused", "dialogues_read", "forms_shown", "row_lines"]

# A dialogue in one row with more is refused; of one in many rows the rest is.
MOST_TURNS: Final = 2000
_COLUMNS: Final = (
    *("conversation", "id", "time", "who", "text", "customer", "language", "resolved", "rating"),
    *("intent", "emotion", "edited", "question", "answer"),
)
# What other systems call them.
_OTHER_NAMES: Final = {
    "conversation": "conversation_id dialogue_id dialog_id session_id ticket_id 会话 会话id 会话编号",
    "time": "created_at timestamp date sent_at 时间 发送时间",
    "who": "role author sender speaker from 角色 发送方 说话人",
    "text": "message content body utterance value 内容 消息",
    "customer": "customer_id user_id 客户 顾客 客户id",
    "language": "lang locale 语言",
    "rating": "csat score 评分 满意度",
    "intent": "label category 意图 分类",
    "emotion": "mood 情绪",
    "resolved": "solved 已解决 是否解决",
    "question": "query 问题 提问 问",
    "answer": "response reply 答案 回答 回复 答",
    "turns": "messages dialogue dialog utterances conversations 对话 消息列表",
}
_ALIASES: Final = {name: ours for ours, names in _OTHER_NAMES.items() for name in names.split()}
# Of what a dialogue in one row says, what holds for each of its turns, and what is said once.
_SHARED: Final = ("time", "customer", "language")
_ONCE: Final = ("resolved", "rating", "intent")


def dialogues_read(
    file: IO[bytes], *, name: str, zone: tzinfo, now: datetime, encoding: str = ""
) -> Iterator[DialogueLine | BadRow]:
    """Every message of a file in the order of its lines, and every row that is none.

    `zone` is that of times which name none. A dialogue that stands in one row is taken whole or not at all.

    Raises:
        FileRefused: unknown kind, wrong encoding, damaged archive, columns that do not say who said what.
    """
    rows = rows_read(
        file, name=name, fields=_COLUMNS, needed=(), aliases=_ALIASES, encoding=encoding
    )
    first = True
    for line, row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        if first and not _has_a_form(row):
            raise FileRefused(_forms())
        first = False
        try:
            yield from row_lines(row, line=line, zone=zone, now=now)
        except Fault as fault:
            yield BadRow(line, str(fault), fault.column)


def row_lines(
    row: Mapping[str, Any], *, line: int, zone: tzinfo, now: datetime
) -> list[DialogueLine]:
    """The messages of one row.

    Raises:
        Fault: what is wrong, and in which column.
    """
    plain = {_ALIASES.get(key, key): value for key, value in row.items()}
    if isinstance(plain.get("conversation"), list):
        plain["turns"] = plain.pop("conversation")
    if "turns" in plain:
        rows = _of_dialogue(plain)
    elif "question" in plain and "who" not in plain:
        rows = _of_pair(plain)
    else:
        return [line_read(plain, line=line, zone=zone, now=now)]
    return [
        _turn(each, line=line, place=place, zone=zone, now=now) for place, each in enumerate(rows)
    ]


def forms_shown() -> list[tuple[str, str]]:
    """Each form of a file with an example, for people."""
    return [
        (
            _("A message in each row"),
            "conversation,time,who,text,resolved,rating\n"
            "T-1,2026-03-04 08:15,customer,Where is my parcel?,,\n"
            "T-1,2026-03-04 08:17,agent,It arrives today.,yes,5",
        ),
        (
            _("A dialogue in each line of JSON"),
            '{"id": "T-1", "rating": 5, "turns": [{"who": "customer", "text": "Where is my parcel?"}, '
            '{"who": "agent", "text": "It arrives today."}]}',
        ),
        (_("A question and its answer"), "question,answer\nWhere is my parcel?,It arrives today."),
    ]


def _has_a_form(row: Mapping[str, Any]) -> bool:
    names = {_ALIASES.get(key, key) for key in row}
    return (
        "turns" in names
        or isinstance(row.get("conversation"), list)
        or {"question", "answer"} <= names
        or {"conversation", "who", "text"} <= names
    )


def _forms() -> str:
    return _(
        "The columns do not say who said what. A file has the columns conversation, who and text with a message in "
        "each row; or question and answer; or, as JSON lines, a list of turns in each row."
    )


def _of_dialogue(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of messages of a dialogue that stands in one row."""
    turns = row["turns"]
    if not isinstance(turns, list) or not turns:
        raise Fault("turns", _("This must be a list of messages."))
    if len(turns) > MOST_TURNS:
        raise Fault("turns", _("More than %(limit)d messages.") % {"limit": MOST_TURNS})
    messages = [_message(turn, place) for place, turn in enumerate(turns)]
    key = text_of(row, "conversation") or text_of(row, "id") or _made_up_key(messages)
    shared = {name: row[name] for name in _SHARED if name in row}
    rows = [{**shared, **message, "conversation": key} for message in messages]
    rows[0] |= {name: row[name] for name in _ONCE if name in row}
    return rows


def _message(turn: Any, place: int) -> dict[str, Any]:
    """A turn as a row: an object, a pair of who and text, or a text where customer and agent take turns."""
    if isinstance(turn, Mapping):
        found: dict[Any, Any] = {_ALIASES.get(key, key): value for key, value in turn.items()}
        # As collections of talks with language models say it.
        if turn.get("from") == "human":
            found["who"] = "customer"
        return found
    if isinstance(turn, list | tuple) and len(turn) == 2:
        return {"who": turn[0], "text": turn[1]}
    if isinstance(turn, str):
        return {"who": "agent" if place % 2 else "customer", "text": turn}
    raise Fault(f"turns[{place}]", _("A message is an object with who and text."))


def _of_pair(row: dict[str, Any]) -> list[dict[str, Any]]:
    """A question and its answer as a dialogue of two messages."""
    told: dict[str, Any] = {
        name: row[name] for name in ("time", "customer", "language") if name in row
    }
    question: dict[str, Any] = {"who": "customer", "text": row.get("question"), **told}
    question |= {name: row[name] for name in (*_ONCE, "emotion") if name in row}
    answer: dict[str, Any] = {"who": "agent", "text": row.get("answer"), **told}
    answer |= {"edited": row["edited"]} if "edited" in row else {}
    for column in ("question", "answer"):
        if not text_of(row, column):
            raise Fault(column, _("This is needed."))
    key = text_of(row, "conversation") or text_of(row, "id") or _made_up_key([question, answer])
    return [{**message, "conversation": key} for message in (question, answer)]


def _turn(
    row: Mapping[str, Any], *, line: int, place: int, zone: tzinfo, now: datetime
) -> DialogueLine:
    try:
        return line_read(row, line=line, place=place, zone=zone, now=now)
    except Fault as fault:
        raise Fault(f"turns[{place}].{fault.column}", str(fault)) from fault


def _made_up_key(messages: list[dict[str, Any]]) -> str:
    """The same for the same dialogue, so that reading a file again changes nothing."""
    told = json.dumps(messages, ensure_ascii=True, default=str, sort_keys=True)
    return f"file:{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}"
