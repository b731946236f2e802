"""What customers wrote, and prepared answers, as rows that models are taught by."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from apps.customer_service.models import Message
from apps.customer_service.services.answers import answer_save
from apps.customer_service.services.learning.dialogue_jobs import dialogues_given
from apps.customer_service.services.learning.model_rows import (
    answer_rows,
    feeling_rows,
    question_rows,
)
from rootstock.common.actors import SYSTEM
from rootstock.modelhub.services import dataset_create
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.sources import source_get

TASK = "text-classification"


@pytest.fixture
def spoken(scope: Any) -> None:
    """A dialogue whose first question has an intent, and whose customer is angry, then glad."""
    turns = [
        {"who": "customer", "text": "Where is parcel 7? Call 13812345678!", "emotion": "anger"},
        {"who": "agent", "text": "It comes today."},
        {"who": "customer", "text": "thank you", "emotion": "joy"},
        {"who": "customer", "text": "Do you have a shop in Leeds?"},
    ]
    dialogues_given([{"id": "A", "intent": "parcel", "turns": turns}], zone=UTC, actor=SYSTEM)


def contents(rows: Any) -> list[dict[str, str]]:
    return [dict(row.content) for row in rows]


def test_questions_carry_the_intent_that_was_told(spoken: None) -> None:
    assert contents(question_rows(TASK, "")) == [
        {"text": "Where is parcel 7? Call <PHONE>!", "label": "parcel"},
        {"text": "Do you have a shop in Leeds?"},
    ]


def test_every_message_may_tell_a_feeling_and_a_pull_goes_on(spoken: None) -> None:
    rows = list(feeling_rows(TASK, ""))
    assert [row.content.get("label") for row in rows] == ["anger", "joy", None]
    assert rows[0].subject == (
        "service.message",
        Message.objects.earliest("sequence").pk,
    )
    assert contents(feeling_rows(TASK, rows[1].cursor)) == contents(rows[2:])


def test_what_a_model_was_unsure_of_comes_first_to_people(spoken: None) -> None:
    message = Message.objects.latest("sequence")
    message.trace = {
        "intent": "shop",
        "probability": 0.4,
        "emotions": {"anger": 0.1, "joy": 0.7},
        "emotion": "joy",
    }
    message.save()
    assert list(question_rows(TASK, ""))[-1].uncertainty == pytest.approx(0.6)
    last = list(feeling_rows(TASK, ""))[-1]
    assert (last.uncertainty, last.metadata["model"]) == (pytest.approx(0.3), "joy")


def test_ways_to_ask_for_an_answer_fill_a_data_set_once(scope: Any) -> None:
    values = {"title": "Returns", "intent": "returns", "bodies": {"en": "30 days"}}
    answer = answer_save(values={**values, "questions": ["send back", "怎么退货"]}, actor=SYSTEM)
    assert contents(answer_rows(TASK, ""))[0] == {"text": "Returns", "label": "returns"}
    dataset = dataset_create(name="Intents", actor=SYSTEM, language="mixed")
    source = source_get("service.answers")
    assert source is not None
    assert source_pull(dataset=dataset, source=source, actor=SYSTEM).added == 3
    assert source_pull(dataset=dataset, source=source, actor=SYSTEM).added == 0
    answer_save(values={"questions": ["send back", "return it"]}, actor=SYSTEM, answer=answer)
    assert source_pull(dataset=dataset, source=source, actor=SYSTEM).added == 1
