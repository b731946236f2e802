from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest

from apps.finance_sentiment.demo.stream import SOURCES, DemoDocument, DemoStream
from apps.finance_sentiment.demo.topics import TOPIC_SLUGS
from ml_core.detection import Bucket, SurgeConfig, SurgeDetector, Verdict
from ml_core.text import lsh_bands, minhash_signature, near_duplicate

# Hours of the stream are judged.
pytestmark = pytest.mark.slow

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def produced(stream: DemoStream, seconds: float) -> list[DemoDocument]:
    end = START + timedelta(seconds=seconds)
    return list(itertools.takewhile(lambda d: d.published_at < end, stream.documents(START)))


def verdicts(documents: list[DemoDocument], seconds: int, bucket: int) -> dict[str, list[Verdict]]:
    """What a detector says on the true labels of the first edition of each story."""
    counts: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    stories: set[int] = set()
    for document in documents:
        if document.story in stories:
            continue
        stories.add(document.story)
        index = int((document.published_at - START).total_seconds() // bucket)
        counts[document.topic, index][0] += 1
        counts[document.topic, index][1] += document.sentiment == "negative"
    detector = SurgeDetector(SurgeConfig.for_bucket(bucket))
    return {
        topic: detector.replay(
            Bucket(START + timedelta(seconds=bucket * i), *counts[topic, i])
            for i in range(seconds // bucket)
        )
        for topic in TOPIC_SLUGS
    }


@pytest.mark.parametrize("bucket", [5, 10])
def test_each_surge_of_an_hour_alerts_once_and_clears_before_the_next(bucket: int) -> None:
    stream = DemoStream(seed=4)
    said = verdicts(produced(stream, 3600), 3600, bucket)
    surges = stream.schedule(START, 3600 - 60)
    raised = sorted((v.start, topic) for topic in said for v in said[topic] if v.raised)
    cleared = sorted((v.start, topic) for topic in said for v in said[topic] if v.cleared)
    horizon = START + timedelta(seconds=3540)
    raised = [event for event in raised if event[0] < horizon]
    assert len(surges) >= 28
    assert [topic for _, topic in raised] == [surge.topic for surge in surges]
    assert [topic for _, topic in cleared] == [surge.topic for surge in surges]
    for surge, (up, _), (down, _), following in itertools.zip_longest(
        surges, raised, cleared, surges[1:]
    ):
        assert surge.start <= up <= surge.fades
        assert surge.fades < down
        assert following is None or down < following.start


def test_surges_show_when_only_english_can_be_scored() -> None:
    stream = DemoStream(seed=8)
    english = [document for document in produced(stream, 1800) if document.language == "en"]
    said = verdicts(english, 1800, 5)
    raised = sorted((v.start, topic) for topic in said for v in said[topic] if v.raised)
    surges = stream.schedule(START, 1800)
    assert [topic for _, topic in raised][: len(surges)] == [surge.topic for surge in surges]


def test_calm_hour_raises_no_alert() -> None:
    documents = produced(DemoStream(seed=5, with_surges=False), 3600)
    assert not any(v.raised for said in verdicts(documents, 3600, 5).values() for v in said)
    assert len(documents) / 3600 == pytest.approx(0.7 * 1.21, rel=0.15)


def test_documents_are_fresh_ordered_and_ready_to_post() -> None:
    documents = produced(DemoStream(seed=1), 400)
    assert len({document.external_id for document in documents}) == len(documents)
    moments = [document.published_at for document in documents]
    assert moments == sorted(moments)
    assert {d.language for d in documents} == {"en", "zh"}
    for document in documents:
        assert document.source in SOURCES[document.language]
        assert set(document.as_payload()) == {
            "external_id", "source", "title", "language", "published_at",
        }  # fmt: skip


def test_same_seed_and_start_repeat_and_another_start_is_all_new() -> None:
    stream = DemoStream(seed=2)
    first = list(itertools.islice(stream.documents(START), 50))
    assert list(itertools.islice(stream.documents(START), 50)) == first
    later = list(itertools.islice(stream.documents(START + timedelta(hours=1)), 50))
    assert not {d.external_id for d in first} & {d.external_id for d in later}
    assert stream.schedule(START, 900) == stream.schedule(START, 900)


def test_near_duplicates_are_the_syndicated_copies() -> None:
    documents = produced(DemoStream(seed=3), 1200)
    by_band: dict[int, list[DemoDocument]] = defaultdict(list)
    first_of: dict[int, DemoDocument] = {}
    merged_wrongly = copies_found = copies = 0
    for document in documents:
        bands = lsh_bands(minhash_signature(document.title))
        same = {
            other.story
            for band in bands
            for other in by_band[band]
            if near_duplicate(document.title, other.title)
        }
        for band in bands:
            by_band[band].append(document)
        if document.story in first_of:
            copies += 1
            copies_found += document.story in same
        merged_wrongly += bool(same - {document.story})
        first_of.setdefault(document.story, document)
    print(f"{len(documents)} documents, {copies_found}/{copies} copies, {merged_wrongly} wrong")
    assert copies > 100
    assert copies_found / copies >= 0.98
    assert merged_wrongly / len(documents) <= 0.02
    sources = Counter(
        len({d.source for d in documents if d.story == story}) for story in list(first_of)[:300]
    )
    assert max(sources) <= 4


def test_surges_follow_the_clock_and_topics_take_turns() -> None:
    stream = DemoStream(seed=6)
    surges = stream.schedule(START, 3600)
    assert [b.start - a.start for a, b in itertools.pairwise(surges)] == [
        timedelta(seconds=120)
    ] * (len(surges) - 1)
    assert all(a.topic != b.topic for a, b in itertools.pairwise(surges))
    assert {surge.topic for surge in surges[:8]} == set(TOPIC_SLUGS)
    surge = surges[0]
    assert surge.strength(surge.start - timedelta(seconds=1)) == 0.0
    assert surge.strength(surge.full) == 1.0
    assert surge.strength(surge.end) == 0.0


def test_a_start_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        next(DemoStream(seed=1).documents(datetime(2026, 1, 1)))  # noqa: DTZ001
