"""Files of past dialogues: which form a row has, and what is wrong with it."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from apps.customer_service.services.learning.dialogue_files import (
    BadRow,
    DialogueLine,
    FileRefused,
    dialogues_read,
)
from apps.customer_service.services.learning.dialogue_spool import Spool

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def read(
    text: str | bytes, name: str = "talks.csv", encoding: str = ""
) -> list[DialogueLine | BadRow]:
    data = text.encode() if isinstance(text, str) else text
    zone = ZoneInfo("Asia/Shanghai")
    return list(dialogues_read(io.BytesIO(data), name=name, zone=zone, now=NOW, encoding=encoding))


def lines(text: str | bytes, name: str = "talks.csv", encoding: str = "") -> list[DialogueLine]:
    found = read(text, name, encoding)
    good = [each for each in found if isinstance(each, DialogueLine)]
    assert good == found, found
    return good


def test_a_message_in_each_row_under_the_names_of_other_systems() -> None:
    text = (
        "会话ID,时间,角色,内容,评分,已解决,情绪\n"
        "A1,2026-03-04 08:15,客户,快递到哪了,,,愤怒\n"
        "A1,2026-03-04 08:16,人工客服,今天送到,5,是,\n"
    )
    asked, told = lines(text.encode("gb18030"), encoding="gb18030")
    assert (asked.conversation, asked.who, asked.text) == ("A1", "visitor", "快递到哪了")
    assert (asked.emotion, told.who, told.rating, told.resolved) == ("anger", "agent", 5, True)
    assert asked.time == datetime(2026, 3, 4, 0, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "turns",
    [
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}],
        [["customer", "Hi"], ["bot", "Hello"]],
    ],
)
def test_a_dialogue_in_each_row(turns: object) -> None:
    row = {"session_id": "S", "messages": turns, "rating": 4, "intent": "greet", "language": "en"}
    found = lines(json.dumps(row), "talks.jsonl")
    assert [(each.who, each.text) for each in found] == [("visitor", "Hi"), ("assistant", "Hello")]
    assert [each.conversation for each in found] == ["S", "S"]
    assert [(each.rating, each.intent, each.place) for each in found] == [
        (4, "greet", 0),
        (None, "", 1),
    ]


def test_texts_alone_are_customer_and_agent_in_turn() -> None:
    found = lines(json.dumps({"dialog": ["Hi", "Hello", "Bye"]}), "talks.jsonl")
    assert [each.who for each in found] == ["visitor", "agent", "visitor"]
    again = lines(json.dumps({"dialog": ["Hi", "Hello", "Bye"]}), "talks.jsonl")
    assert found[0].conversation == again[0].conversation != ""


def test_a_question_and_its_answer() -> None:
    asked, told = lines(gzip.compress("问题,答案\n怎么退货,三十天内\n".encode()), "faq.csv.gz")
    assert (asked.who, asked.text, told.who, told.text) == (
        "visitor",
        "怎么退货",
        "agent",
        "三十天内",
    )


def test_what_is_wrong_is_told_with_its_line_and_column() -> None:
    text = (
        "conversation,time,who,text,rating\n"
        "A,2026-03-04,customer,Hi,\n"
        "A,yesterday,agent,Hello,\n"
        "A,2026-03-04,martian,Hello,\n"
        ",2026-03-04,agent,Hello,\n"
        "A,2030-01-01,agent,Hello,\n"
        "A,2026-03-04,agent,,\n"
        "A,2026-03-04,agent,Hello,6\n"
    )
    bad = [(row.line, row.column) for row in read(text) if isinstance(row, BadRow)]
    assert bad == [
        (3, "time"),
        (4, "who"),
        (5, "conversation"),
        (6, "time"),
        (7, "text"),
        (8, "rating"),
    ]


def test_a_dialogue_with_a_wrong_turn_is_left_out_whole() -> None:
    good = {"id": "B", "turns": [{"who": "customer", "text": "Hi"}]}
    wrong = {"id": "A", "turns": [{"who": "customer", "text": "Hi"}, {"who": "agent"}]}
    refused, line = read(f"{json.dumps(wrong)}\n{json.dumps(good)}", "talks.jsonl")
    assert isinstance(refused, BadRow)
    assert (refused.line, refused.column) == (1, "turns[1].text")
    assert isinstance(line, DialogueLine) and line.conversation == "B"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("talks.csv", "a,b\n1,2\n", "who said what"),
        ("talks.pdf", "x", ".csv"),
        ("talks.csv", "会话,内容\n甲,你好你好你好你好\n".encode("gb18030"), "gb18030"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(name: str, text: str | bytes, said: str) -> None:
    with pytest.raises(FileRefused, match=said):
        read(text, name)


def test_lines_come_back_by_conversation_and_time_however_they_stood() -> None:
    text = (
        "conversation,time,who,text\n"
        "B,2026-03-04 08:16,agent,second\n"
        "A,2026-03-04 09:00,customer,only\n"
        "B,2026-03-04 08:15,customer,first\n"
        "C,,agent,as it stands\n"
        "C,2026-03-04 08:00,customer,in the file\n"
    )
    with Spool() as spool:
        spool.fill(lines(text))
        found = [[each.text for each in dialogue] for dialogue in spool.dialogues(most=2)]
        assert spool.count == 3
    assert found == [["only"], ["first", "second"], ["as it stands", "in the file"]]


def test_what_is_beyond_the_longest_dialogue_is_named() -> None:
    text = "conversation,who,text\n" + "A,customer,again\n" * 5
    with Spool() as spool:
        spool.fill(lines(text))
        [dialogue] = spool.dialogues(most=3)
        assert (len(dialogue), spool.surplus) == (3, [5, 6])
