"""Search: documents are found by words of both languages, by meaning and by facets, page by page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.test import Client

from apps.finance_sentiment.inference import InferenceUnavailable
from apps.finance_sentiment.models import Document, Entity, Mention, Story, ThreadStory
from apps.finance_sentiment.models.desk import DocumentWords, Holding, Portfolio
from apps.finance_sentiment.models.threads import DIMENSIONS
from apps.finance_sentiment.selectors import search, search_pages
from apps.finance_sentiment.services.indexing import documents_index
from apps.finance_sentiment.services.mentions import mention_decide
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
TARIFFS = {"title": "Trump raises tariffs on South Korea to 25%", "published_at": NOON}
RECALL = {"title": "Northlight recalls heaters", "published_at": NOON + timedelta(hours=1)}
CHINESE = {
    "title": "特朗普称提高对韩国关税税率至25%",
    "source": "快讯",
    "published_at": NOON + timedelta(hours=2),
}
OLD = {"title": "Northlight opens a plant", "published_at": NOON - timedelta(days=300)}


@pytest.fixture(autouse=True)
def nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meaning is compared in the tests that say so."""

    def refuse(text: str) -> Any:
        raise InferenceUnavailable("nobody answers")

    monkeypatch.setattr(search_pages, "query_meaning", refuse)


@pytest.fixture
def find(organisation: Organisation, make_key: Callable[..., str]) -> Callable[..., Any]:
    client = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})

    def ask(**asked: object) -> dict[str, Any]:
        answer = client.get("/api/v1/finance/search", asked)
        assert answer.status_code == asked.pop("status", 200), answer.content
        found: dict[str, Any] = answer.json()
        return found

    return ask


def titles(found: dict[str, Any]) -> list[str]:
    return [row["title"] for row in found["results"]]


def test_words_of_both_languages_find_documents_newest_first(
    models: Any, score: Callable[..., Any], find: Callable[..., Any]
) -> None:
    score(TARIFFS, RECALL, CHINESE, OLD)

    assert titles(find(q="northlight", order="newest")) == [RECALL["title"], OLD["title"]]
    assert titles(find(q="关税", order="newest")) == [CHINESE["title"]]
    assert titles(find(q="tariff on Korea", order="newest")) == [TARIFFS["title"]]
    assert titles(find(q="northlight tariffs", order="newest")) == []
    assert titles(find()) == [each["title"] for each in (CHINESE, RECALL, TARIFFS, OLD)]


def test_what_is_common_and_what_is_rare_is_found_on_every_page(
    models: Any,
    score: Callable[..., Any],
    find: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More documents than are looked at one by one: the index is asked, day by day into the past."""
    monkeypatch.setattr(search, "WALKED", 3)
    rows = [
        {"title": f"Heaters of maker {n}", "published_at": NOON - timedelta(days=3 * n, minutes=n)}
        for n in range(12)
    ]
    score(*rows, TARIFFS)

    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = find(q="heaters", order="newest", page_size=5, **cursor)
        seen += titles(page)
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert seen == [row["title"] for row in rows]
    assert titles(find(q="maker 11", order="newest")) == ["Heaters of maker 11"]
    since = (NOON - timedelta(days=7)).isoformat()
    assert titles(find(q="heaters", order="newest", since=since)) == seen[:3]
    until = (NOON - timedelta(days=30)).isoformat()
    assert titles(find(q="heaters", order="newest", until=until)) == seen[10:]


def test_the_pages_of_a_search_do_not_move(
    models: Any, score: Callable[..., Any], find: Callable[..., Any]
) -> None:
    score(
        *({"title": f"Heaters {n}", "published_at": NOON - timedelta(minutes=n)} for n in range(4))
    )
    first = find(q="heaters", order="newest", page_size=2)
    score({"title": "Heaters again", "published_at": NOON + timedelta(minutes=1)})

    rest = find(q="heaters", order="newest", page_size=2, cursor=first["next"])
    assert titles(first) + titles(rest) == [f"Heaters {n}" for n in range(4)]
    assert rest["facets"] is None


def test_the_best_answer_has_the_rarest_words(
    models: Any, score: Callable[..., Any], find: Callable[..., Any]
) -> None:
    score(TARIFFS, RECALL, OLD)

    found = find(q="northlight recall")
    assert titles(found) == [RECALL["title"], OLD["title"]]
    assert found["results"][0]["words"] == ["northlight", "recall"]
    assert found["results"][0]["score"] > found["results"][1]["score"] > 0
    assert found["words_only"] == "unavailable"


def test_an_english_question_finds_a_chinese_story_by_its_meaning(
    models: Any,
    score: Callable[..., Any],
    find: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    score(RECALL, CHINESE)
    axis = np.zeros(DIMENSIONS, np.float32)
    axis[0] = 1.0
    story = Story.objects.get(title=CHINESE["title"])
    ThreadStory.objects.filter(story=story).update(vector=axis)
    monkeypatch.setattr(search_pages, "query_meaning", lambda text: axis)

    found = find(q="customs duties")
    assert titles(found) == [CHINESE["title"]]
    assert found["results"][0]["cosine"] == 1.0
    assert found["words_only"] is None


def test_facets_count_and_narrow(
    models: Any, score: Callable[..., Any], find: Callable[..., Any]
) -> None:
    score(TARIFFS, RECALL, CHINESE)
    document = Document.objects.get(title=RECALL["title"])
    entity = Entity.objects.create(key="northlight", name="Northlight")
    mention = Mention.objects.create(
        document=document,
        surface="Northlight",
        folded="northlight",
        start=0,
        end=10,
        published_at=document.published_at,
    )
    assert titles(find(entity=str(entity.pk))) == []
    mention_decide(mention=mention, actor=SYSTEM, entity=entity)

    facets = find()["facets"]
    assert (facets["counted"], facets["is_all"]) == (3, True)
    assert facets["values"]["source"] == [
        {"value": "Wire", "count": 2},
        {"value": "快讯", "count": 1},
    ]
    assert facets["values"]["entity"] == [{"value": str(entity.pk), "count": 1}]
    assert titles(find(source="快讯")) == [CHINESE["title"]]
    assert titles(find(entity=str(entity.pk))) == [RECALL["title"]]
    assert titles(find(sentiment=document.sentiment, q="heaters")) == [RECALL["title"]]


def test_a_portfolio_narrows_to_its_entities(
    models: Any, score: Callable[..., Any], find: Callable[..., Any]
) -> None:
    score(TARIFFS, RECALL)
    entity = Entity.objects.create(key="northlight", name="Northlight")
    document = Document.objects.get(title=RECALL["title"])
    Mention.objects.create(
        document=document, entity=entity, state="linked", surface="Northlight", folded="northlight",
        start=0, end=10, published_at=document.published_at,
    )  # fmt: skip
    documents_index(document_ids=[document.pk])
    portfolio = Portfolio.objects.create(name="Heating")
    assert titles(find(portfolio=str(portfolio.pk))) == []
    Holding.objects.create(portfolio=portfolio, entity=entity)

    assert titles(find(portfolio=str(portfolio.pk))) == [RECALL["title"]]


def test_an_edited_document_is_found_by_its_new_words(
    models: Any, score: Callable[..., Any], find: Callable[..., Any]
) -> None:
    score({**RECALL, "external_id": "1"})
    score({**RECALL, "external_id": "1", "title": "Northlight recalls boilers"})

    assert titles(find(q="heaters", order="newest")) == []
    assert titles(find(q="boilers", order="newest")) == ["Northlight recalls boilers"]


def test_the_command_indexes_what_is_stored(
    models: Any, score: Callable[..., Any], find: Callable[..., Any], organisation: Organisation
) -> None:
    score(TARIFFS, RECALL)
    DocumentWords.objects.all().delete()
    assert titles(find(q="heaters")) == []

    call_command("index_documents", organisation=organisation.slug)
    assert titles(find(q="heaters")) == [RECALL["title"]]


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"cursor": "nonsense"}, "/cursor"),
        ({"cursor": "W10"}, "/cursor"),
        ({"entity": "nobody"}, "/entity"),
        ({"since": "2026-03-05T00:00:00Z", "until": "2026-03-04T00:00:00Z"}, "/until"),
        ({"page_size": 201}, "/page_size"),
    ],
)
def test_what_cannot_be_asked_is_named(
    organisation: Organisation, make_key: Callable[..., str], asked: dict[str, Any], pointer: str
) -> None:
    client = Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})
    answer = client.get("/api/v1/finance/search", asked)

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_another_organisation_finds_nothing_of_it(  # noqa: PLR0917 - fixtures
    models: Any,
    post: Callable[..., Any],
    drain: Callable[[], int],
    organisation: Organisation,
    organisation_b: Organisation,
    make_key: Callable[..., str],
) -> None:
    with organisation_scope(organisation.pk):
        post(RECALL)
    drain()

    def found(whose: Organisation) -> list[str]:
        client = Client(headers={"Authorization": f"Bearer {make_key(whose)}"})
        return titles(client.get("/api/v1/finance/search", {"q": "heaters"}).json())

    assert found(organisation) == [RECALL["title"]]
    assert found(organisation_b) == []
