"""How a reply came about, as agents see it: understood, found, step by step; old and odd traces break nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.customer_service.models import Answer, Document, Message, Passage, Source, Suggestion
from apps.customer_service.selectors.traces import message_explain, trace_explain
from apps.customer_service.services.messages import message_add


@pytest.fixture
def passage(scope: Any) -> Passage:
    """A page of a document."""
    source = Source.objects.create(kind="file", title="Handbook")
    document = Document.objects.create(
        source=source, key="h.pdf", title="Delivery times", state="ready"
    )
    return Passage.objects.create(
        document=document, position=0, headings=["Parcels"], text="Two days.", page=3
    )


@pytest.fixture
def answer(scope: Any) -> Answer:
    """A prepared answer."""
    return Answer.objects.create(intent="delivery_time", title="How long does it take?")


@pytest.fixture
def reply(conversation: Any, passage: Passage, answer: Answer) -> Message:
    """With a trace as the assistant writes it."""
    return message_add(
        conversation=conversation,
        author="assistant",
        body="Two days. [1]",
        kind="composed",
        citations=[{"number": 1, "passage": str(passage.pk), "title": "Delivery times"}],
        trace={
            "language": "en",
            "seconds": 0.05,
            "question": "how long does <NAME>'s parcel take",
            "steps": [
                {"step": "mask", "seconds": 0.001, "masked": {"NAME": 1}},
                {
                    "step": "understand",
                    "seconds": 0.01,
                    "intent": "delivery_time",
                    "probability": 0.8712,
                    "in_scope": True,
                    "emotion": "anger",
                    "emotions": {"neutral": 0.2, "anger": 0.7, "joy": 0.1, "sadness": 0.0},
                    "versions": {"service.intent": "v3"},
                    "absent": {"service.emotion": "not deployed"},
                },
                {
                    "step": "template",
                    "seconds": 0.01,
                    "answer": str(answer.pk),
                    "match": 0.41,
                    "candidates": [
                        {"key": f"{answer.pk}:0:live", "score": 0.8, "cosine": 0.7, "words": []},
                        {"key": f"{answer.pk}:1:live", "score": 0.5},
                    ],
                },
                {
                    "step": "retrieve",
                    "seconds": 0.02,
                    "model": "base:small",
                    "candidates": [
                        {
                            "key": str(passage.pk),
                            "score": 0.9,
                            "bm25": 4.2,
                            "words": ["parcel", "take"],
                        },
                        {"key": "01900000-0000-7000-8000-000000000000", "score": 0.1},
                    ],
                },
                {"step": "compose", "seconds": 0.005, "by": "extractive", "support": 0.93},
            ],
        },
    )


@pytest.fixture
def browser(scope: Any, make_user: Any) -> Client:
    """An agent."""
    client = Client()
    client.force_login(make_user(scope, "agent"), "django.contrib.auth.backends.ModelBackend")
    return client


def test_a_reply_tells_what_was_understood_and_found(reply, answer):
    found = message_explain(reply)
    assert (found.kind, found.milliseconds, found.language) == ("From the sources", 50.0, "en")
    assert found.question == "how long does <NAME>'s parcel take"
    assert (found.intent, found.probability, found.in_scope) == ("delivery_time", 0.8712, True)
    assert [word for _name, word, _share in found.emotions][:2] == ["Angry", "Neutral"]
    assert found.versions == [("service.intent", "v3")]
    assert found.absent == [("service.emotion", "not deployed")]
    (near,) = found.answers
    assert (near.name, near.where, near.score, near.used) == (
        "How long does it take?", "delivery_time", 0.8, False,
    )  # fmt: skip
    used, gone = found.passages
    assert (used.name, used.where, used.used) == ("Delivery times", "Parcels · page 3", True)
    assert (used.bm25, used.cosine, used.words) == (4.2, None, "parcel, take")
    assert (gone.name, gone.used) == ("A passage that is gone", False)
    assert (found.match, found.support, found.search_model) == (0.41, 0.93, "base:small")
    slowest = max(found.steps, key=lambda step: step.milliseconds)
    assert (slowest.label, slowest.share) == ("Sources searched", 1.0)
    assert found.steps[0].notes == ["NAME × 1"]


def test_a_prepared_answer_that_was_given_is_marked(reply, answer):
    reply.kind = "template"
    assert message_explain(reply).answers[0].used


def test_the_drawer_shows_it(browser, reply):
    path = f"/service/conversations/{reply.conversation_id}/messages/{reply.pk}/trace/"
    html = browser.get(path).content.decode()
    for text in ("delivery_time", "87", "Angry", "Delivery times", "Parcels · page 3", "v3"):
        assert text in html
    assert "how long does &lt;NAME&gt;" in html
    assert 'href="/models/deployments/service.intent/"' in html
    other = f"/service/conversations/{reply.pk}/messages/{reply.pk}/trace/"
    assert browser.get(other).status_code == 404


def test_a_message_of_the_visitor_and_a_proposal_have_one_too(browser, conversation, reply):
    asked = message_add(
        conversation=conversation,
        author="visitor",
        body="Where?",
        trace={"language": "zh", "intent": "refund", "probability": 0.5, "in_scope": False},
    )
    html = browser.get(
        f"/service/conversations/{conversation.pk}/messages/{asked.pk}/trace/"
    ).content.decode()
    assert "refund" in html
    assert "Out of scope" in html
    proposed = Suggestion.objects.create(
        conversation=conversation, question=asked, body="x", trace=reply.trace
    )
    html = browser.get(f"/service/suggestions/{proposed.pk}/trace/").content.decode()
    assert "Delivery times" in html


@pytest.mark.parametrize(
    "trace",
    [
        {},
        {"steps": None},
        {"steps": ["x", {"seconds": "fast"}, {"step": "new step", "error": "Boom: 1"}]},
        {"emotions": {"anger": "much"}, "versions": [], "probability": True},
        {"steps": [{"step": "retrieve", "seconds": 0.1, "candidates": [{"key": "no id"}, {}]}]},
        {"steps": [{"step": "mask", "masked": 3}, {"step": "guard", "guard": {"links": 2}}]},
    ],
)
def test_no_trace_breaks_the_page(scope, trace):
    found = trace_explain(trace)
    assert found.intent == ""
    assert all(step.label for step in found.steps)
