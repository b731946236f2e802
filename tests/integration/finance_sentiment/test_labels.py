"""Labels that people give documents: kept with what the model had said, replaced, taken back, compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from finance_fakes import FakeModels

from apps.finance_sentiment.models import Document, DocumentLabel, LabelCandidate, Mention
from apps.finance_sentiment.selectors.labels import consensus, label_agreement
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db
API = "/api/v1/finance"


@pytest.fixture
def person(organisation: Organisation, make_user: Callable[..., Any]) -> Callable[..., Client]:
    """A signed-in member by name."""

    def enter(name: str, role: str = "analyst") -> Client:
        client = Client()
        client.force_login(make_user(organisation, role, f"{name}@example.com"))
        return client

    return enter


@pytest.fixture
def document(organisation: Organisation, models: FakeModels, score: Callable[..., Any]) -> Document:
    """One that the model takes for negative, with one mention."""
    score({"title": "Harbour Trust settles its lawsuit", "body": "Investors cheer."})
    with organisation_scope(organisation.pk):
        stored = Document.objects.get()
        Mention.objects.create(
            document=stored,
            surface="Harbour Trust",
            folded="harbour trust",
            start=0,
            end=13,
            sentiment="negative",
            probability=0.9,
            published_at=stored.published_at,
        )
        return stored


def give(client: Client, document: Document, *values: str, **more: Any) -> Any:
    body = {"question": "sentiment", "values": list(values), **more}
    return client.post(
        f"{API}/documents/{document.pk}/labels", json.dumps(body), content_type="application/json"
    )


def test_a_label_is_kept_with_what_the_model_had_said(
    person: Callable[..., Client], document: Document
) -> None:
    answer = give(person("ada"), document, "positive")
    assert answer.status_code == 200, answer.content
    sentiment = answer.json()["sentiment"]
    assert (sentiment["said"], sentiment["mine"]) == (["negative"], ["positive"])
    with organisation_scope(document.organisation_id):
        label = DocumentLabel.objects.get()
    assert (label.version, label.said, label.agrees) == (
        "finance.sentiment v1",
        ["negative"],
        False,
    )
    assert label.actor_label
    assert label.said_probability == pytest.approx(0.9)


def test_saying_it_anew_replaces_and_undo_brings_it_back(
    person: Callable[..., Client], document: Document
) -> None:
    ada = person("ada")
    give(ada, document, "positive")
    assert give(ada, document, "neutral").json()["sentiment"]["mine"] == ["neutral"]
    undone = ada.post(f"{API}/labels/undo")
    assert undone.json()["labels"]["sentiment"]["mine"] == ["positive"]
    assert undone.json()["undone"]["values"] == ["neutral"]
    assert ada.post(f"{API}/labels/undo").json()["labels"]["sentiment"]["mine"] is None
    refused = ada.post(f"{API}/labels/undo")
    assert refused.status_code == 409
    kept = ada.get(f"{API}/labels?withdrawn=true").json()["results"]
    assert [each["values"] for each in kept] == [["neutral"], ["positive"]]
    assert ada.get(f"{API}/labels").json()["results"] == []


def test_topics_and_mentions_have_labels_of_their_own(
    person: Callable[..., Client], document: Document
) -> None:
    ada = person("ada")
    topics = [each["topic"] for each in ada.get(f"{API}/labels/choices").json()["topics"]]
    assert len(topics) >= 20
    chosen = [topics[3], topics[1]]
    assert give(ada, document, *chosen, question="topic").json()["topics"]["mine"] == chosen
    state = give(ada, document, "positive", question="entity", start=0, end=13).json()
    assert state["mentions"][0]["mine"] == ["positive"]
    assert state["mentions"][0]["labels"][0]["agrees"] is False
    assert state["sentiment"]["mine"] is None


@pytest.mark.parametrize(
    ("values", "more", "words"),
    [
        (["good"], {}, "negative, neutral, positive"),
        (["no-such-topic"], {"question": "topic"}, "no-such-topic"),
        (["positive"], {"question": "entity", "start": 3, "end": 5}, "no mention"),
        (["positive"], {"start": 1, "end": 2}, "place"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_place(
    person: Callable[..., Client], document: Document, values: list[str], more: Any, words: str
) -> None:
    answer = give(person("ada"), document, *values, **more)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert answer.json()["errors"][0]["pointer"] in ("/values", "/start")


def test_who_may_only_read_gives_no_label(
    person: Callable[..., Client], document: Document
) -> None:
    viewer = person("eve", "viewer")
    assert give(viewer, document, "positive").status_code == 403
    assert viewer.get(f"{API}/documents/{document.pk}/labels").status_code == 200


def test_people_who_disagree_have_a_third_asked(
    person: Callable[..., Client], document: Document
) -> None:
    give(person("ada"), document, "positive")
    state = give(person("bob"), document, "negative").json()["sentiment"]
    assert state["disagreed"]
    assert state["consensus"] is None
    with organisation_scope(document.organisation_id):
        candidate = LabelCandidate.objects.get()
        assert (candidate.reason, candidate.people, candidate.done_at) == ("doubted", 3, None)
    state = give(person("cyd"), document, "positive").json()["sentiment"]
    assert state["consensus"] == ["positive"]
    with organisation_scope(document.organisation_id):
        assert LabelCandidate.objects.get().done_at is not None
        figures = {row.question: row for row in label_agreement()}
    assert figures["sentiment"].raw == pytest.approx(1 / 3)
    assert figures["sentiment"].model == pytest.approx(1 / 3)


def test_a_doubt_asks_others(person: Callable[..., Client], document: Document) -> None:
    answer = person("ada").post(f"{API}/documents/{document.pk}/doubt")
    assert answer.json()["reason"] == "doubted"
    again = person("bob").post(f"{API}/documents/{document.pk}/doubt")
    assert again.status_code == 200
    with organisation_scope(document.organisation_id):
        assert len(LabelCandidate.objects.get().skipped_by) == 2


def test_most_people_decide() -> None:
    assert consensus([["a"], ["b"], ["a"]]) == ("a",)
    assert consensus([["a"], ["b"]]) is None
    assert consensus([]) is None
