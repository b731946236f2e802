"""From a stored document to a scored one, its story and its counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.finance_sentiment.inference import TOPIC
from apps.finance_sentiment.models import Document, Story, TimeBucket
from apps.finance_sentiment.selectors.trends import trend_series
from apps.finance_sentiment.services.buckets import buckets_rebuild
from apps.finance_sentiment.services.intake import documents_upsert
from apps.finance_sentiment.services.requeueing import documents_requeue
from rootstock.realtime.models import Event

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def _counts() -> list[tuple]:
    return sorted(
        TimeBucket.objects.values_list(
            "width", "start", "kind", "key", "documents", "documents_negative", "documents_neutral",
            "documents_positive", "stories", "stories_negative", "stories_neutral",
            "stories_positive", "unscored",
        )
    )  # fmt: skip


def test_a_headline_is_scored_with_its_probability_topic_and_model(score, models):
    score({"title": "Northlight Oil profit rises to a record"})
    document = Document.objects.get()
    assert document.status == "scored"
    assert document.sentiment == "positive"
    assert document.sentiment_probabilities["positive"] == 0.9
    assert document.topics == ["energy"]
    assert [used["version"] for used in document.models_used] == [
        "finance.sentiment v1",
        "finance.topic v1",
    ]
    assert document.language_detected == "en"
    event = Event.objects.get(stream="finance.live", type="document.scored")
    assert event.payload["sentiment"] == {"label": "positive", "probability": 0.9}
    assert event.payload["story_count"] == 1


def test_the_same_batch_again_changes_nothing(post, drain, models, scope):
    rows = [
        {"external_id": "1", "title": "Bank wins approval for merger"},
        {"external_id": "2", "title": "Gas falls for a third day"},
    ]
    first = post(*[{**row, "published_at": NOON} for row in rows])
    drain()
    before = _counts()
    asked = len(models.asked)
    second = post(*[{**row, "published_at": NOON} for row in rows])
    drain()
    assert (first.created, second.created, second.unchanged) == (2, 0, 2)
    assert [row.id for row in first.documents] == [row.id for row in second.documents]
    assert _counts() == before
    assert len(models.asked) == asked


def test_a_changed_title_is_a_new_revision_that_is_scored_and_counted_anew(score, models):
    score({"external_id": "1", "title": "Oil profit rises", "published_at": NOON})
    score(
        {
            "external_id": "1",
            "title": "Bank fraud uncovered at Harbour Trust",
            "published_at": NOON + timedelta(hours=2),
        }
    )
    document = Document.objects.get()
    assert (document.revision, document.sentiment, document.topics) == (2, "negative", ["credit"])
    stories = Story.objects.get()
    assert stories.document_count == 1
    assert stories.title.startswith("Bank fraud")
    points = trend_series(topic="", start=NOON, end=NOON + timedelta(hours=3), width=3600)
    assert [(point.positive, point.negative) for point in points] == [(0, 0), (0, 0), (0, 1)]
    assert not TimeBucket.objects.filter(key="energy").exists()


def test_copies_and_small_edits_are_one_story_and_exact_copies_are_not_classified_again(
    score, models
):
    title = "Harbour Trust reports a surprise loss of 410 million in the third quarter"
    score({"source": "A", "title": title, "published_at": NOON})
    score(
        {"source": "B", "title": title, "published_at": NOON + timedelta(minutes=3)},
        {
            "source": "C",
            "title": title + ", shares fall",
            "published_at": NOON + timedelta(minutes=5),
        },
        {"source": "D", "title": "Gas wins at auction", "published_at": NOON},
    )
    assert Story.objects.count() == 2
    story = Story.objects.order_by("-document_count").first()
    assert (story.document_count, story.sources) == (3, ["A", "B", "C"])
    assert (story.first_seen_at, story.last_seen_at) == (NOON, NOON + timedelta(minutes=5))
    assert models.asked.count(title) == 1
    assert (
        Document.objects.get(source="B").models_used == Document.objects.get(source="A").models_used
    )
    hour = trend_series(topic="", start=NOON, end=NOON + timedelta(hours=1), width=3600)[0]
    assert (hour.documents, hour.stories, hour.stories_negative) == (4, 2, 1)


def test_the_same_words_a_week_later_are_another_story(score, models):
    score({"source": "A", "title": "Shares close higher on Tuesday", "published_at": NOON})
    score(
        {
            "source": "B",
            "title": "Shares close higher on Tuesday",
            "published_at": NOON + timedelta(days=7),
        }
    )
    assert Story.objects.count() == 2


def test_an_earlier_copy_that_comes_late_moves_the_story_to_its_bucket(score, models):
    title = "Regulator opens lawsuit against Tallow Street bank"
    score({"source": "A", "title": title, "published_at": NOON})
    score({"source": "B", "title": title, "published_at": NOON - timedelta(hours=1)})
    points = trend_series(
        topic="", start=NOON - timedelta(hours=1), end=NOON + timedelta(hours=1), width=3600
    )
    assert [(point.stories, point.documents) for point in points] == [(1, 1), (0, 1)]


def test_chinese_is_stored_and_shown_unscored_with_the_reason(score, models):
    score({"title": "央行宣布下调存款准备金率零点五个百分点", "published_at": NOON})
    document = Document.objects.get()
    assert (document.status, document.unscored_reason) == ("unscored", "language")
    assert (document.language_detected, document.sentiment, document.topics) == ("zh", "", [])
    assert models.asked == []
    point = trend_series(topic="", start=NOON, end=NOON + timedelta(hours=1), width=3600)[0]
    assert (point.unscored, point.documents) == (1, 0)
    assert Event.objects.get(stream="finance.live").payload["reason"] == "language"


def test_a_deployed_model_that_reads_it_scores_what_was_unscored(score, drain, models):
    score({"title": "央行宣布下调存款准备金率零点五个百分点", "published_at": NOON})
    models.languages = ("en", "zh")
    assert documents_requeue() == 1
    drain()
    assert Document.objects.get().status == "scored"


def test_without_a_sentiment_model_documents_wait_unscored(score, models):
    models.deployed = set()
    score({"title": "Bank wins"})
    assert Document.objects.get().unscored_reason == "no-model"


def test_without_a_topic_model_sentiment_is_still_given(score, models):
    models.deployed -= {TOPIC}
    score({"title": "Bank wins"})
    document = Document.objects.get()
    assert (document.status, document.sentiment, document.topics) == ("scored", "positive", [])


def test_nothing_to_read_is_never_guessed(score, models):
    score({"title": "🚀🚀🚀"})
    assert Document.objects.get().unscored_reason == "no-text"


def test_when_nobody_answers_documents_stay_pending_and_are_scored_later(
    post, drain, models, scope
):
    models.down = True
    post({"title": "Bank wins"})
    assert drain() == 0
    assert Document.objects.get().status == "pending"
    models.down = False
    assert drain() == 1
    assert Document.objects.get().attempts == 1


def test_buckets_equal_a_recount_from_scratch(score, models):
    titles = [
        "Oil profit rises",
        "Bank fraud trial",
        "Index plunges",
        "Gas plan",
        "Loan loss grows",
    ]
    for number in range(40):
        score(
            {
                "external_id": str(number % 30),
                "title": f"{titles[number % 5]} in region {number % 7}",
                "published_at": NOON + timedelta(minutes=number * 7 % 200, seconds=number),
            }
        )
    before = _counts()
    assert before
    buckets_rebuild()
    assert _counts() == before


def test_a_document_that_workers_die_of_goes_alone_and_is_given_up_in_the_end(
    post, drain, models, scope
):
    post({"title": "Poison"}, {"title": "Bank wins", "source": "B"})
    Document.objects.filter(title="Poison").update(attempts=6)
    drain()
    assert Document.objects.get(title="Poison").status == "failed"
    assert Document.objects.get(title="Bank wins").status == "scored"


def test_an_empty_list_is_harmless(scope):
    assert documents_upsert(documents=[]).documents == []
