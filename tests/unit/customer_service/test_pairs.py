"""Which reply answered which question, and which pairs are one."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from apps.customer_service.services.learning.merging import groups_of
from apps.customer_service.services.learning.pairs import Dialogue, Pair, Said, pairs_of

TOLD = "You have thirty days from delivery to send unused goods back."


def dialogue(*turns: tuple[str, str], **values: Any) -> Dialogue:
    messages = [Said(who, text) for who, text in turns]
    return Dialogue(uuid.uuid4(), messages, **{"resolved": True, "imported": True, **values})


def pair(question: str, reply: str, intent: str = "", language: str = "en") -> Pair:
    return Pair(uuid.uuid4(), question, reply, language, intent, ("resolved",))


def test_the_reply_of_a_person_counts_and_not_what_the_assistant_tried() -> None:
    [found] = pairs_of(
        dialogue(
            ("visitor", "Hello! How long may I send the tent back?"),
            ("assistant", "Our shops are open from nine to six every day."),
            ("visitor", "agent!!"),
            ("system", "Handed over"),
            ("note", "Looks upset"),
            ("agent", TOLD),
            ("visitor", "Thanks"),
            ("agent", "You're welcome! Have a nice day and enjoy the tent."),
        )
    )
    assert (found.question, found.reply) == ("How long may I send the tent back?", TOLD)
    assert found.reasons == ("resolved", "agent")


def test_of_a_stretch_the_question_that_the_reply_speaks_of_is_taken() -> None:
    [found] = pairs_of(
        dialogue(
            ("visitor", "Where is the shop in Leeds?"),
            ("assistant", "In Briggate, number seven, beside the arcade."),
            ("visitor", "And another thing: can unused goods be sent back after delivery?"),
            ("agent", TOLD),
            rating=5,
        )
    )
    assert found.question.startswith("And another thing")


def test_what_identifies_somebody_is_masked_in_both() -> None:
    [found] = pairs_of(
        dialogue(
            ("visitor", "I am Li Wei, my number is 13812345678, when does the parcel come?"),
            ("agent", "Dear Li Wei, it comes today. We wrote to li.wei@example.com as well."),
            names=("Li Wei", "li.wei@example.com"),
        )
    )
    assert "Li Wei" not in found.question + found.reply
    assert "13812345678" not in found.question
    assert "example.com" not in found.reply


@pytest.mark.parametrize(
    "values", [{"resolved": False}, {"rating": 1}, {"imported": False}], ids=str
)
def test_what_nothing_says_went_well_has_no_pair(values: dict[str, Any]) -> None:
    talk = dialogue(("visitor", "How long may I return goods?"), ("assistant", TOLD), **values)
    assert list(pairs_of(talk)) == []


def test_follow_ups_and_small_talk_are_no_questions() -> None:
    talk = dialogue(
        *(("visitor", "你好"), ("agent", "您好，我是小林，很高兴为您服务，请讲。")),
        *(("visitor", "那周六呢？"), ("agent", "周六也照常派送，会提前给您打电话。")),
        rating=5,
    )
    assert list(pairs_of(talk)) == []


def test_pairs_asked_or_answered_alike_are_one_with_their_support() -> None:
    pairs = [
        pair("How do I return the tent?", TOLD),
        pair("How do I return the tent??", "Press Return beside the order."),
        pair("return period", TOLD + " Thanks for asking!"),
        pair("Do you rent tents?", "Not to private persons, only to schools and clubs."),
    ]
    first, second = groups_of(pairs)
    assert (first.support, second.support) == (3, 1)
    assert (first.question, set(first.variants)) == (
        "return period", {"How do I return the tent?", "How do I return the tent??"},
    )  # fmt: skip
    assert first.score > second.score


def test_what_people_have_told_apart_stays_apart() -> None:
    same = "Where is it?"
    groups = groups_of([pair(same, TOLD, "returns"), pair(same, TOLD, "parcels"), pair(same, TOLD)])
    assert sorted((group.intent, group.support) for group in groups) == [
        ("parcels", 1),
        ("returns", 2),
    ]


def test_one_language_does_not_speak_for_another() -> None:
    text = "JP123 OK, 30 days 30 days 30 days"
    assert len(groups_of([pair(text, text), pair(text, text, language="zh")])) == 2
