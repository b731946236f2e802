"""Stories of one event become one thread; what an edit overwrote can still be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.test import Client

from apps.finance_sentiment.inference import InferenceUnavailable
from apps.finance_sentiment.inference.threading import Placement
from apps.finance_sentiment.models import (
    Document,
    DocumentVersion,
    Entity,
    Mention,
    Source,
    Story,
    Thread,
    ThreadStory,
)
from apps.finance_sentiment.models.threads import DIMENSIONS
from apps.finance_sentiment.services import threads as service
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
ENGLISH = {
    "source": "Wire",
    "external_id": "en",
    "title": "Trump raises tariffs on South Korea to 25%",
    "published_at": NOON,
}
CHINESE = {
    "source": "快讯",
    "external_id": "zh",
    "title": "特朗普称提高对韩国关税税率至25%",
    "published_at": NOON + timedelta(hours=1),
}
OTHER = {
    "source": "Wire",
    "external_id": "other",
    "title": "Starbucks closes shops in Canada",
    "published_at": NOON + timedelta(hours=1),
}
# What the encoder is taken to understand: texts with words of one line mean the same.
MEANINGS = (("tariffs", "关税"), ("Starbucks", "星巴克"), ("outlook", "展望"))


class FakeEncoder:
    """Vectors by words; can be down."""

    def __init__(self) -> None:
        self.down = False
        self.asked: list[str] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        if self.down:
            raise InferenceUnavailable("nobody answers")
        self.asked += texts
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text in enumerate(texts):
            place = next(
                (at for at, words in enumerate(MEANINGS) if any(word in text for word in words)),
                len(MEANINGS) + sum(map(ord, text)) % 300,
            )
            vectors[row, place] = 1.0
        return vectors


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> FakeEncoder:
    fake = FakeEncoder()
    monkeypatch.setattr(service, "meanings", fake)
    return fake


@pytest.fixture
def place(organisation: Organisation) -> Callable[[], int]:
    """Places every story that waits, as a worker would; returns how many."""

    def work() -> int:
        batch = service.threads_read(organisation_id=organisation.pk)
        with organisation_scope(organisation.pk):
            return service.threads_write(batch=batch)

    return work


@pytest.fixture
def told(
    models: Any, score: Callable[..., Any], encoder: FakeEncoder, place: Callable[[], int]
) -> Callable[..., None]:
    """Stores documents, scores them and places their stories."""

    def tell(*documents: dict[str, Any]) -> None:
        score(*documents)
        place()

    return tell


@pytest.fixture
def finance_api(organisation: Organisation, make_key: Callable[..., str]) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_key(organisation)}"})


@pytest.fixture
def pages(organisation: Organisation, make_user: Callable[..., Any]) -> Client:
    client = Client()
    client.force_login(make_user(organisation, "manager", "ada@example.com"))
    return client


def thread_of(external_id: str) -> Thread:
    return Thread.objects.get(places__story__documents__external_id=external_id)


def test_a_chinese_and_an_english_report_of_one_event_are_one_thread(
    told: Callable[..., None],
) -> None:
    told(ENGLISH, CHINESE, OTHER)

    thread = thread_of("en")
    assert thread == thread_of("zh")
    assert thread != thread_of("other")
    assert (thread.story_count, thread.document_count, thread.source_count) == (2, 2, 2)
    assert thread.title == ENGLISH["title"]
    assert sorted(thread.languages) == ["en", "zh"]
    assert (thread.first_seen_at, thread.last_seen_at) == (NOON, NOON + timedelta(hours=1))


def test_a_later_report_joins_the_stored_thread(told: Callable[..., None]) -> None:
    told(ENGLISH)
    told(CHINESE)

    assert thread_of("en") == thread_of("zh")
    joined = ThreadStory.objects.get(story__documents__external_id="zh")
    assert joined.probability is not None and joined.probability > 0.35


def test_the_same_event_a_week_later_is_another_thread(told: Callable[..., None]) -> None:
    told(ENGLISH, {**CHINESE, "published_at": NOON + timedelta(days=7)})

    assert thread_of("en") != thread_of("zh")


def test_corroboration_weighs_sources_by_their_credibility(told: Callable[..., None]) -> None:
    Source.objects.create(name="Wire", credibility=0.9)
    Source.objects.create(name="快讯", credibility=0.2)
    told(ENGLISH, CHINESE)

    assert thread_of("en").corroboration == pytest.approx(1 - 0.1 * 0.8)


def test_stories_wait_while_nobody_gives_vectors(
    told: Callable[..., None], encoder: FakeEncoder, place: Callable[[], int]
) -> None:
    encoder.down = True
    told(ENGLISH, CHINESE)
    assert not Thread.objects.exists()

    encoder.down = False
    assert place() == 2
    assert place() == 0
    assert Thread.objects.count() == 1


def test_a_batch_that_another_worker_has_placed_is_left_alone(
    told: Callable[..., None],
    score: Callable[..., Any],
    organisation: Organisation,
) -> None:
    score(ENGLISH)
    first = service.threads_read(organisation_id=organisation.pk)
    second = service.threads_read(organisation_id=organisation.pk)

    assert service.threads_write(batch=first) == 1
    assert service.threads_write(batch=second) == 0
    assert Thread.objects.count() == 1


def test_a_thread_goes_with_its_last_story(told: Callable[..., None]) -> None:
    told(ENGLISH, OTHER)
    gone = thread_of("en").pk

    told({**ENGLISH, "title": OTHER["title"], "published_at": OTHER["published_at"]})

    assert not Thread.objects.filter(pk=gone).exists()
    assert thread_of("other").document_count == 2
    assert ThreadStory.objects.count() == Story.objects.count() == 1


def test_two_threads_that_a_report_shows_to_be_one_are_merged(
    told: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    told({**ENGLISH, "title": "Seoul shares fall"}, {**CHINESE, "title": "首尔股市下跌"})
    first, second = thread_of("en"), thread_of("zh")
    assert first != second
    monkeypatch.setattr(
        service,
        "place_report",
        lambda report, near: Placement(first.pk, 0.9, (second.pk,)),
    )
    monkeypatch.setattr(
        service,
        "_candidates",
        lambda reports: {first.pk: service._Open(), second.pk: service._Open()},
    )
    told(OTHER)

    assert Thread.objects.count() == 1
    assert thread_of("en").story_count == 3


def test_linked_entities_of_titles_are_shared_names(
    told: Callable[..., None], score: Callable[..., Any], organisation: Organisation
) -> None:
    entity = Entity.objects.create(key="northlight", name="Northlight Oil")
    score({**ENGLISH, "title": "北光石油下调展望"}, {**OTHER, "title": "Rain"})
    document = Document.objects.get(external_id="en")
    Mention.objects.create(
        document=document,
        entity=entity,
        state=Mention.State.LINKED,
        surface="北光石油",
        folded="北光石油",
        start=0,
        end=4,
        published_at=NOON,
    )

    batch = service.threads_read(organisation_id=organisation.pk)
    assert {story.title: story.entities for story in batch.stories} == {
        "北光石油下调展望": ["Northlight Oil"],
        "Rain": [],
    }


def test_old_vectors_are_dropped_and_take_no_newcomer(told: Callable[..., None]) -> None:
    told(ENGLISH)
    assert service.vectors_forget(now=datetime.now(UTC) + service.KEPT + timedelta(days=1)) == 1

    told(CHINESE)
    assert thread_of("en") != thread_of("zh")


def test_an_edit_keeps_what_was_said_before(
    models: Any, post: Callable[..., Any], scope: Organisation
) -> None:
    post(ENGLISH)
    post({**ENGLISH, "title": "Trump lowers tariffs on South Korea"})
    post({**ENGLISH, "title": "Trump lowers tariffs on South Korea", "body": "Seoul, March 4."})
    post({**ENGLISH, "title": "Trump lowers tariffs on South Korea", "body": "Seoul, March 4."})

    document = Document.objects.get()
    assert document.revision == 3
    versions = DocumentVersion.objects.order_by("revision")
    assert [(row.revision, row.title, row.body) for row in versions] == [
        (1, ENGLISH["title"], ""),
        (2, "Trump lowers tariffs on South Korea", ""),
    ]


def test_threads_are_found_and_read_over_rest(told: Callable[..., None], finance_api: Any) -> None:
    told(ENGLISH, CHINESE, OTHER)

    found = finance_api.get("/api/v1/finance/threads", {"least_sources": 2}).json()["results"]
    assert [row["title"] for row in found] == [ENGLISH["title"]]
    detail = finance_api.get(f"/api/v1/finance/threads/{found[0]['id']}").json()
    assert [story["documents"][0]["source"] for story in detail["stories"]] == ["Wire", "快讯"]
    assert detail["stories"][0]["probability"] is None
    searched = finance_api.get("/api/v1/finance/threads", {"q": "关税"}).json()["results"]
    assert [row["id"] for row in searched] == [found[0]["id"]]


def test_what_people_decide_stays(told: Callable[..., None], finance_api: Any) -> None:
    told(ENGLISH, CHINESE)
    thread, story = thread_of("en"), Story.objects.get(documents__external_id="zh")

    answer = finance_api.post(
        f"/api/v1/finance/threads/{thread.pk}/split",
        {"story": str(story.pk)},
        content_type="application/json",
    )
    assert answer.status_code == 200
    told(
        {
            **ENGLISH,
            "source": "Post",
            "external_id": "post",
            "title": "US lifts Korea tariffs to 25%",
        }
    )
    assert thread_of("zh").pk != thread_of("en").pk

    merged = finance_api.post(
        f"/api/v1/finance/threads/{thread_of('en').pk}/merge",
        {"thread": str(thread_of("zh").pk)},
        content_type="application/json",
    )
    assert merged.json()["story_count"] == 3
    assert thread_of("zh") == thread_of("en")


def test_versions_are_read_over_rest(
    models: Any, post: Callable[..., Any], scope: Organisation, finance_api: Any
) -> None:
    post(ENGLISH)
    post({**ENGLISH, "title": "Trump lowers tariffs"})
    document = Document.objects.get()

    answer = finance_api.get(f"/api/v1/finance/documents/{document.pk}/versions").json()
    assert [row["title"] for row in answer["results"]] == [ENGLISH["title"]]


def test_pages_show_the_thread_and_the_edit(told: Callable[..., None], pages: Any) -> None:
    told({**ENGLISH, "title": "Trump lowers tariffs on South Korea"}, CHINESE)
    told(ENGLISH)
    thread = thread_of("en")

    listed = pages.get("/public-opinion/threads/?from=2026-03-01T00:00&to=2026-03-31T00:00")
    assert f"/public-opinion/threads/{thread.pk}/" in listed.content.decode()
    shown = pages.get(f"/public-opinion/threads/{thread.pk}/").content.decode()
    assert CHINESE["title"] in shown
    document = Document.objects.get(external_id="en")
    edits = pages.get(f"/public-opinion/documents/{document.pk}/edits/").content.decode()
    assert "<del>lowers</del><ins>raises</ins>" in edits
