"""Follow-ups are made to stand alone; full questions are left as they are. Measured on a set written by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from apps.customer_service.services.answering.context import standalone
from apps.customer_service.services.answering.questions import Turn

sys.path.insert(0, str(Path(__file__).parent))
from follow_ups import SET


def _turns(asked: list[str]) -> list[Turn]:
    return [turn for text in asked for turn in (Turn("visitor", text), Turn("assistant", "Yes."))]


@pytest.mark.parametrize(
    ("language", "asked", "text", "wanted"), [row for row in SET if not row[3]]
)
def test_a_full_question_stays_as_it_is(language, asked, text, wanted) -> None:
    assert standalone(text, _turns(asked), language).text == text


def test_follow_ups_carry_the_subject() -> None:
    missed = []
    follow_ups = [row for row in SET if row[3]]
    for language, asked, text, wanted in follow_ups:
        found = standalone(text, _turns(asked), language).text.casefold()
        if not all(word in found for word in wanted):
            missed.append((text, found))
    assert len(missed) <= 0.05 * len(follow_ups), missed


def test_small_talk_between_is_no_subject() -> None:
    turns = _turns(["How do I reset my password?", "thank you!", "hello?"])
    assert "password" in standalone("And on the phone?", turns, "en").text


def test_what_people_were_asked_for_is_no_subject() -> None:
    turns = _turns(["怎么退货？", "转人工"])
    assert "退货" in standalone("那要多久？", turns, "zh").text
