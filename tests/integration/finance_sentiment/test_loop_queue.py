"""Which documents people are asked about, and what is made of their answers."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.finance_sentiment.models import Document, LabelCandidate, Mention, Story
from apps.finance_sentiment.selectors.candidates import (
    candidate_next,
    measured,
    queue_progress,
)
from apps.finance_sentiment.services.loop import rows
from apps.finance_sentiment.services.loop.candidates import candidate_skip, candidates_draw
from apps.finance_sentiment.services.loop.labels import document_doubt, label_give, label_undo
from apps.finance_sentiment.services.loop.teaching import labels_collect, labels_freeze
from rootstock.common.actors import Actor
from rootstock.modelhub.models import DatasetExample
from rootstock.modelhub.storage import absolute_path
from rootstock.tenancy.models import Organisation

pytestmark = pytest.mark.django_db
ADA, BOB = Actor("user", "01", "Ada"), Actor("user", "02", "Bob")
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own transaction holds back nothing."""
    monkeypatch.setattr(rows, "settled", lambda: datetime.now(UTC) + timedelta(seconds=1))


@pytest.fixture
def documents(scope: Organisation) -> list[Document]:
    """Forty scored documents; the third wavers, the fourth has a mention of the other kind, the fifth is news."""
    made = [
        Document(
            external_id=str(number),
            source="Wire",
            title=f"Item {number}",
            language_detected="en",
            published_at=NOW,
            received_at=NOW,
            scored_at=NOW,
            status="scored",
            sentiment="negative",
            sentiment_probabilities={"negative": 0.9, "neutral": 0.06, "positive": 0.04},
            topics=["markets"],
            topic_probabilities={"markets": 0.95},
            novelty=0.2,
            models_used=[
                {
                    "deployment": "finance.sentiment",
                    "version_id": "00000000-0000-7000-8000-000000000000",
                    "version": "finance.sentiment v1",
                }
            ],
        )
        for number in range(40)
    ]
    made[3].sentiment_probabilities = {"negative": 0.41, "neutral": 0.40, "positive": 0.19}
    made[5].novelty, made[5].topic_probabilities = 0.95, {"markets": 0.3}
    Document.objects.bulk_create(made)
    Mention.objects.create(
        document=made[4], surface="Item", folded="item", start=0, end=4, sentiment="positive",
        probability=0.9, basis="entity", published_at=NOW,
    )  # fmt: skip
    return made


def test_each_reason_finds_what_it_is_for(documents: list[Document]) -> None:
    assert candidates_draw(count=20, seed=1) == {
        "random": 6, "margin": 1, "disagreement": 1, "novel": 1,
    }  # fmt: skip
    found = {
        each.reason: each.document.title
        for each in LabelCandidate.objects.exclude(reason="random").select_related("document")
    }
    assert found == {"margin": "Item 3", "disagreement": "Item 4", "novel": "Item 5"}
    lots = LabelCandidate.objects.filter(reason="random")
    assert set(lots.values_list("probability", flat=True)) == {6 / 40}
    assert Counter(lots.values_list("people", flat=True)) == {1: 5, 2: 1}


def test_a_lot_is_drawn_from_all_and_never_twice(documents: list[Document]) -> None:
    label_give(document=documents[0], question="sentiment", values=["negative"], actor=ADA)
    for _ in range(7):
        candidates_draw(count=20)
    lots = LabelCandidate.objects.filter(reason="random")
    assert lots.count() == len(documents)
    assert lots.filter(document=documents[0]).exists()


def test_the_queue_asks_each_person_once_and_goes_on(documents: list[Document]) -> None:
    candidates_draw(count=20, seed=1)
    document_doubt(document=documents[7], actor=BOB)
    first = candidate_next(ADA)
    assert first is not None
    assert (first.document.title, "doubted" in first.reasons) == ("Item 7", True)
    waiting = queue_progress(ADA).waiting
    label_give(document=first.document, question="sentiment", values=["neutral"], actor=ADA)
    second = candidate_next(ADA)
    assert second is not None
    assert second.document != first.document
    candidate_skip(document=second.document, actor=ADA)
    progress = queue_progress(ADA)
    assert (progress.waiting, progress.today) == (waiting - 2, 1)
    label_undo(actor=ADA)
    again = candidate_next(ADA)
    assert again is not None
    assert again.document == first.document


def test_what_was_drawn_by_lot_is_asked_blind_and_measures(documents: list[Document]) -> None:
    candidates_draw(count=20, seed=1)
    lots = [row.document for row in LabelCandidate.objects.filter(reason="random")]
    asked = candidate_next(ADA)
    assert asked is not None
    assert asked.blind == (asked.document in lots)
    for place, document in enumerate(lots):
        value = "negative" if place % 3 else "positive"
        label_give(document=document, question="sentiment", values=[value], actor=ADA)
    # What was chosen because a model is probably wrong says nothing of how often it is.
    label_give(document=documents[3], question="sentiment", values=["positive"], actor=ADA)
    (row,) = measured()
    assert (row.version, row.labels) == ("finance.sentiment v1", 6)
    assert row.accuracy == pytest.approx(4 / 6)
    assert 0.2 < row.low < row.accuracy < row.high < 0.95


def test_labels_become_rows_and_corrections_correct_them(documents: list[Document]) -> None:
    for document in documents[:3]:
        label_give(document=document, question="sentiment", values=["positive"], actor=ADA)
    dataset, added = labels_collect(question="sentiment", actor=ADA)
    assert added.added == 3
    label_give(document=documents[0], question="sentiment", values=["neutral"], actor=ADA)
    label_give(document=documents[1], question="sentiment", values=["negative"], actor=BOB)
    again, added = labels_collect(question="sentiment", actor=ADA)
    assert (again, added.added) == (dataset, 0)
    kept = dict(DatasetExample.objects.values_list("text", "label"))
    assert kept == {"Item 0": "neutral", "Item 1": "", "Item 2": "positive"}


def test_topics_and_mentions_become_rows_of_their_tasks(documents: list[Document]) -> None:
    label_give(document=documents[4], question="entity", values=["neutral"], actor=ADA, end=4)
    label_give(document=documents[4], question="topic", values=["energy", "credit"], actor=ADA)
    mentions, _added = labels_collect(question="entity", actor=ADA)
    topics, _added = labels_collect(question="topic", actor=ADA)
    assert (mentions.task, topics.task) == ("span-classification", "multi-label-classification")
    assert DatasetExample.objects.get(dataset=mentions).content == {
        "text": "Item 4", "spans": [[0, 4]], "labels": ["neutral"],
    }  # fmt: skip
    assert sorted(DatasetExample.objects.get(dataset=topics).content["labels"]) == [
        "credit", "energy",
    ]  # fmt: skip
    label_give(document=documents[4], question="entity", values=["positive"], actor=ADA, end=4)
    labels_collect(question="entity", actor=ADA)
    assert DatasetExample.objects.get(dataset=mentions).content["labels"] == ["positive"]
    label_undo(actor=ADA)
    label_undo(actor=ADA)
    label_undo(actor=ADA)
    labels_collect(question="entity", actor=ADA)
    assert not DatasetExample.objects.filter(dataset=mentions).exists()


def test_tellings_of_one_story_lie_in_one_part(documents: list[Document], artifacts: Any) -> None:
    values = ("negative", "neutral", "positive")
    for number, document in enumerate(documents):
        if number % 2 == 0:
            story = Story.objects.create(
                title=document.title, first_seen_at=NOW, last_seen_at=NOW, signature=b""
            )
        Document.objects.filter(pk=document.pk).update(story=story)
        label_give(
            document=document, question="sentiment", values=[values[number // 2 % 3]], actor=ADA
        )
    dataset, _added = labels_collect(question="sentiment", actor=ADA)
    snapshot = labels_freeze(dataset=dataset, actor=ADA)
    home: dict[str, set[str]] = {}
    for part in ("train", "validation", "test"):
        lines = (absolute_path(snapshot.path) / f"{part}.jsonl").read_text().splitlines()
        for line in lines:
            home.setdefault(json.loads(line)["story"], set()).add(part)
    assert len(home) == 20
    assert all(len(parts) == 1 for parts in home.values())


def test_a_label_of_an_edited_text_is_none_of_the_new(documents: list[Document]) -> None:
    label_give(document=documents[0], question="sentiment", values=["positive"], actor=ADA)
    Document.objects.filter(pk=documents[0].pk).update(title="Something else", revision=2)
    dataset, _added = labels_collect(question="sentiment", actor=ADA)
    assert not DatasetExample.objects.filter(dataset=dataset, labelled=True).exists()
