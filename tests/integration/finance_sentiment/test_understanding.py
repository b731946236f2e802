"""What is understood of a document: who is named and how, topics by words, events, novelty, and why."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from finance_fakes import FakeModels

from apps.finance_sentiment import inference, taxonomy
from apps.finance_sentiment.inference import Target, deployed, explaining
from apps.finance_sentiment.inference import discovery as discovering
from apps.finance_sentiment.models import Alias, Document, Entity, Mention, Topic, TopicProposal
from apps.finance_sentiment.selectors.entities import (
    entity_breakdown,
    entity_rows,
    entity_series,
    mentions_of,
    review_queue,
)
from apps.finance_sentiment.services import explaining as explained
from apps.finance_sentiment.services import scoring, vocabulary
from apps.finance_sentiment.services.entities import EntityRefused, entities_take, entity_parse
from apps.finance_sentiment.services.explaining import document_explain, mention_explain
from apps.finance_sentiment.services.mentions import mention_decide, name_learn
from apps.finance_sentiment.services.relinking import documents_relink
from apps.finance_sentiment.services.topics import (
    TopicRefused,
    proposal_dismiss,
    proposal_promote,
    proposals_store,
    topic_create,
    topic_update,
    uncovered_documents,
)
from rootstock.tenancy.models import Organisation

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
Score = Callable[..., Any]


@pytest.fixture
def take(scope: Organisation, actor: Any) -> Callable[..., Any]:
    return lambda *rows: entities_take(entities=[entity_parse(row) for row in rows], actor=actor)


@pytest.fixture
def spans(models: FakeModels, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Deploys a tagger that knows capitalised words and a model of places: bad is what comes before "slides"."""
    asked: list[Any] = []
    plain = models.targets

    def targets() -> dict[str, Target]:
        found = plain()
        for name in (inference.NER, inference.ENTITY_SENTIMENT):
            found[name] = Target(
                name=name,
                deployment_id=uuid.uuid5(uuid.NAMESPACE_DNS, name),
                version_id=uuid.uuid5(uuid.NAMESPACE_URL, name),
                version_label=f"{name} v1",
                languages=("en",),
                labels=("negative", "neutral", "positive"),
                model_path="nowhere",
            )
        return found

    def ask(
        targets: Mapping[str, Target],
        requests: Mapping[str, Sequence[str]],
        rows: Mapping[str, Sequence[Any]],
    ) -> tuple[Any, dict[str, list[dict[str, Any]]]]:
        asked.append(rows)
        outputs = {
            inference.NER: [_tag(text) for text in rows.get(inference.NER, [])],
            inference.ENTITY_SENTIMENT: [
                {"spans": [_judge(row["text"], *span) for span in row["spans"]]}
                for row in rows.get(inference.ENTITY_SENTIMENT, [])
            ],
        }
        return models.classify(targets, dict(requests)), outputs

    monkeypatch.setattr(scoring, "targets_resolve", targets)
    monkeypatch.setattr(explained, "targets_resolve", targets)
    monkeypatch.setattr(deployed, "ask", ask)
    monkeypatch.setattr(explaining, "ask", ask)
    return asked


def _tag(text: str) -> dict[str, Any]:
    found, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        if word[0].isupper():
            found.append(
                {"start": start, "end": at, "label": "company", "text": word, "score": 0.9}
            )
    return {"entities": found}


def _judge(text: str, start: int, end: int) -> dict[str, Any]:
    bad = text[end:].strip().startswith("slides")
    label = "negative" if bad else "positive"
    return {
        "start": start,
        "end": end,
        "label": label,
        "probabilities": {
            "negative": 0.9 if bad else 0.05,
            "neutral": 0.05,
            "positive": 0.05 if bad else 0.9,
        },
    }


def said() -> dict[str, tuple[str | None, str, str]]:
    return {
        mention.surface: (
            mention.entity.key if mention.entity else None,
            mention.sentiment,
            mention.basis,
        )
        for mention in Mention.objects.select_related("entity").order_by("start")
    }


def test_without_models_of_places_a_name_has_the_sentiment_of_its_document(
    models: FakeModels, score: Score, take: Callable[..., Any]
) -> None:
    take({"name": "Harbour Trust plc", "instruments": [{"symbol": "HBT", "exchange": "XLON"}]})
    score({"title": "Fraud uncovered at  Harbour Trust (HBT)", "published_at": NOON})
    document = Document.objects.get()
    assert said() == {
        "Harbour Trust": ("harbour-trust-plc", "negative", "document"),
        "HBT": ("harbour-trust-plc", "negative", "document"),
    }
    for mention in mentions_of([document.pk]):
        assert document.title[mention.start : mention.end] == mention.surface
    assert document.event == "fraud"


def test_one_sentence_is_good_for_one_company_and_bad_for_another(
    spans: list[Any], score: Score, take: Callable[..., Any]
) -> None:
    take({"name": "Acme Mining"}, {"name": "Bolt Motors"})
    score({"title": "Acme Mining gains as Bolt Motors slides on Tuesday", "published_at": NOON})
    found = said()
    assert found["Acme Mining"] == ("acme-mining", "positive", "entity")
    assert found["Bolt Motors"] == ("bolt-motors", "negative", "entity")
    assert found["Tuesday"][0] is None
    assert len(spans) == 1, "all questions are asked in one call"
    used = {row["deployment"] for row in Document.objects.get().models_used}
    assert used == {"finance.sentiment", "finance.topic", "finance.ner", "finance.entity_sentiment"}


def test_a_copy_says_of_everybody_what_the_original_says(
    spans: list[Any], score: Score, take: Callable[..., Any]
) -> None:
    take({"name": "Acme Mining"}, {"name": "Bolt Motors"})
    title = "Acme Mining gains as Bolt Motors slides"
    score({"title": title, "published_at": NOON})
    score({"title": title, "external_id": "copy", "source": "Echo", "published_at": NOON})
    assert len(spans) == 1
    assert Mention.objects.filter(sentiment="negative", basis="entity").count() == 2


def test_names_hold_for_their_time_and_in_languages_that_no_model_reads(
    models: FakeModels, score: Score, take: Callable[..., Any]
) -> None:
    take(
        {
            "name": "Hairun",
            "name_zh": "海润光伏",
            "aliases": [{"text": "ST海润", "kind": "st-rename", "valid_from": "2026-03-01"}],
        }
    )
    score(
        {"title": "*ST海润公告亏损", "published_at": NOON},
        {"title": "*ST海润在二月", "published_at": NOON - timedelta(days=20)},
    )
    [mention] = Mention.objects.filter(state="linked")
    assert (mention.surface, mention.sentiment) == ("*ST海润", "")
    assert mention.document.status == Document.Status.UNSCORED


def test_a_doubtful_name_waits_for_a_person_and_the_decision_stays(
    models: FakeModels, score: Score, take: Callable[..., Any], actor: Any
) -> None:
    take({"name": "Target Corporation", "key": "target"}, {"name": "Gap Inc", "key": "gap"})
    score({"title": "Gap in the plan of Target", "published_at": NOON})
    questions = {question.folded: question for question in review_queue()}
    assert set(questions) == {"gap", "target"}
    assert [entity.key for entity in questions["gap"].candidates] == ["gap"]
    target = Entity.objects.get(key="target")
    mention_decide(mention=questions["target"].mention, actor=actor, entity=target)
    mention_decide(mention=questions["gap"].mention, actor=actor, entity=None)
    take({"name": "Another"})
    documents_relink(after=None)
    assert {(mention.surface, mention.state) for mention in Mention.objects.all()} == {
        ("Target", "linked"),
        ("Gap", "dismissed"),
    }
    assert review_queue() == []


def test_a_learned_name_links_documents_that_are_stored(
    models: FakeModels, score: Score, spans: list[Any], take: Callable[..., Any], actor: Any
) -> None:
    take({"name": "Nimbus Holdings", "key": "nimbus"})
    score(
        {"title": "Skyward rises", "published_at": NOON},
        {"title": "Regulators look at Skyward", "published_at": NOON, "external_id": "2"},
    )
    [question] = [each for each in review_queue(state="unknown") if each.folded == "skyward"]
    assert question.count == 2
    entity = Entity.objects.get(key="nimbus")
    assert mention_decide(mention=question.mention, actor=actor, entity=entity) == 1
    name_learn(mention=question.mention, entity=entity)
    count, last, _changes = documents_relink(after=None)
    assert (count, documents_relink(after=last)[0]) == (2, 0)
    assert Mention.objects.filter(entity=entity, state="linked").count() == 2


def test_what_names_an_entity_is_checked(take: Callable[..., Any]) -> None:
    for row, field in (
        ({"key": ""}, "name"),
        ({"name": "A", "kind": "planet"}, "kind"),
        ({"name": "A", "aliases": [{"text": "B", "valid_from": "yesterday"}]}, "valid_from"),
        ({"name": "A", "aliases": [{"text": "…"}]}, "aliases"),
        ({"name": "A", "symbol": "X"}, "instruments"),
        ({"name": "A", "ambiguity": 3, "alias": "B"}, "ambiguity"),
    ):
        with pytest.raises(EntityRefused) as refused:
            entity_parse(row)
        assert refused.value.field == field, row


def test_listings_of_one_company_and_names_of_several(take: Callable[..., Any]) -> None:
    first = take(
        {
            "name": "PingAn",
            "aliases": "平安|中国平安",
            "instruments": [
                {"symbol": "601318", "exchange": "XSHG"},
                {"symbol": "2318", "exchange": "XHKG"},
            ],
        }
    )
    assert (first.created, first.instruments) == (1, 2)
    assert set(Entity.objects.get().instruments.values_list("listing", flat=True)) == {"a", "h"}
    alone = Alias.objects.get(text="平安").ambiguity
    take({"name": "PingAn Bank", "aliases": ["平安"]})
    assert all(alias.ambiguity > alone for alias in Alias.objects.filter(text="平安"))
    with pytest.raises(EntityRefused, match="PingAn"):
        take({"name": "Other", "symbol": "601318", "exchange": "XSHG"})


def test_topics_by_words_stand_beside_those_of_the_model(
    models: FakeModels, score: Score, monkeypatch: pytest.MonkeyPatch, actor: Any
) -> None:
    monkeypatch.setattr(vocabulary, "topics_built_in", taxonomy.topics_built_in)
    score({"title": "Oil workers strike over layoffs", "published_at": NOON})
    document = Document.objects.get()
    assert document.topics == ["energy", "labour"]
    assert Topic.objects.filter(origin="built-in").count() >= 20
    labour = Topic.objects.get(slug="labour")
    topic_update(topic=labour, actor=actor, values={"enabled": False})
    topic_create(actor=actor, values={"name": "Walkouts", "slug": "walkouts", "terms": ["strike"]})
    documents_relink(after=None)
    document.refresh_from_db()
    assert document.topics == ["energy", "walkouts"]
    with pytest.raises(TopicRefused):
        topic_create(actor=actor, values={"name": "Walkouts"})


def test_what_no_topic_covers_is_proposed_and_becomes_a_topic(
    models: FakeModels, score: Score, monkeypatch: pytest.MonkeyPatch, actor: Any
) -> None:
    models.deployed = {inference.SENTIMENT}
    now = datetime.now(UTC) - timedelta(hours=1)
    titles = [f"Heat wave number {n} closes harbour {n}" for n in range(6)]
    score(
        *[
            {"title": title, "published_at": now + timedelta(minutes=n)}
            for n, title in enumerate(titles)
        ]
    )
    documents = uncovered_documents(days=2)
    assert documents
    group = discovering.Group(tuple(range(len(documents))), ["heat wave", "harbour"], 0.8)
    assert proposals_store(documents=documents, groups=[group], model="base x") == 1
    proposal = TopicProposal.objects.get()
    topic = proposal_promote(
        proposal=proposal, actor=actor, values={"slug": "heat", "name": "Heat", "name_zh": "高温"}
    )
    documents_relink(after=None)
    assert all("heat" in document.topics for document in Document.objects.all())
    assert topic.origin == "discovered"
    with pytest.raises(TopicRefused):
        proposal_dismiss(proposal=proposal, actor=actor)
    proposals_store(documents=documents, groups=[group], model="base x")
    proposal_dismiss(proposal=TopicProposal.objects.get(state="open"), actor=actor)
    assert proposals_store(documents=documents, groups=[group], model="base x") == 0


def test_the_same_event_at_the_same_company_is_less_new_each_time(
    models: FakeModels, score: Score, take: Callable[..., Any]
) -> None:
    take({"name": "Harbour Trust"})
    for hour, title in enumerate(
        ("Fraud found at Harbour Trust", "Second report of fraud: Harbour Trust offices searched")
    ):
        score({"title": title, "published_at": NOON + timedelta(hours=hour)})
    score(
        {
            "title": "Harbour Trust wins contract for a bridge",
            "published_at": NOON + timedelta(hours=3),
        }
    )
    assert list(Document.objects.order_by("published_at").values_list("novelty", flat=True)) == [
        1.0,
        0.75,
        1.0,
    ]


def test_the_page_of_an_entity_counts_documents(
    spans: list[Any], score: Score, take: Callable[..., Any]
) -> None:
    take({"name": "Acme Mining"}, {"name": "Bolt Motors"})
    score(
        {"title": "Acme Mining gains as Bolt Motors slides, says Acme Mining", "published_at": NOON}
    )
    acme, bolt = Entity.objects.get(key="acme-mining"), Entity.objects.get(key="bolt-motors")
    start, end = NOON - timedelta(hours=2), NOON + timedelta(hours=2)
    points = entity_series(entity=bolt, start=start, end=end, width=3600)
    assert len(points) == 4
    assert [(point.negative, point.positive) for point in points if point.negative] == [(1, 0)]
    rows = {row.key: (row.documents, row.negative) for row in entity_rows(start=start, end=end)}
    assert rows == {"acme-mining": (1, 0), "bolt-motors": (1, 1)}
    parts = entity_breakdown(entity=acme, start=start, end=end)
    assert [part.name for part in parts["sources"]] == ["Wire"]


def test_why_a_word_weighs_what_it_weighs(
    spans: list[Any], score: Score, take: Callable[..., Any]
) -> None:
    take({"name": "Bolt Motors"})
    score({"title": "Bank fraud hits shares of Bolt Motors slides", "published_at": NOON})
    found = document_explain(Document.objects.get())()
    assert found.label == "negative"
    heaviest = max(found.words, key=lambda word: word.weight)
    assert found.text[heaviest.start : heaviest.end] == "fraud"
    mention = mention_explain(Mention.objects.get(entity__isnull=False))()
    heaviest = max(mention.words, key=lambda word: word.weight)
    assert mention.text[heaviest.start : heaviest.end] == "slides"
    assert mention.deployment == "finance.entity_sentiment"
