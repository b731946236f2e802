"""The board: movers against their usual, topics by time, open alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from apps.finance_sentiment.models import Alert, Entity, Subject, SubjectKind, TimeBucket
from apps.finance_sentiment.selectors.board import board_figures, heat_map, mover_of
from apps.finance_sentiment.services.buckets import WIDTHS, bucket_start
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

pytestmark = pytest.mark.django_db

API = "/api/v1/finance/board"
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


@pytest.fixture
def signed_in(organisation: Organisation, make_user: Callable[..., Any]) -> Client:
    client = Client()
    client.force_login(make_user(organisation, "analyst", "ada@example.com"))
    return client


def told(at: datetime, kind: str, key: str, stories: int, negative: int = 0) -> None:
    """Stories of a subject at a moment, in the buckets of every width."""
    for width in WIDTHS:
        bucket, _made = TimeBucket.objects.get_or_create(
            kind=kind, key=key, start=bucket_start(at, width), width=width
        )
        bucket.stories += stories
        bucket.stories_negative += negative
        bucket.save(update_fields=["stories", "stories_negative"])


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents since a month."""
    from apps.finance_sentiment.selectors import board

    monkeypatch.setattr(board, "first_document_at", lambda: NOON - timedelta(days=30))


def movers(**more: Any) -> dict[str, dict[str, Any]]:
    found = board_figures(start=NOON - HOUR, end=NOON, **more)
    return {mover["key"]: mover for mover in found["movers"]}


def test_what_left_its_usual_comes_first_and_says_how(scope: Organisation, history: None) -> None:
    entity = Entity.objects.create(key="harbour", name="Harbour Trust")
    for weeks in range(5):
        at = NOON - timedelta(days=7 * weeks, minutes=30)
        told(at, SubjectKind.TOPIC, "energy", 40 if weeks else 41, 8)
        told(at, SubjectKind.TOPIC, "credit", 40, 8 if weeks else 30)
        told(at, SubjectKind.ENTITY, str(entity.pk), 2 if weeks else 30, 1)
        if weeks:
            told(at, SubjectKind.TOPIC, "mergers", 25, 2)
    found = movers()
    assert [*found][-1] == "energy"
    assert found["credit"]["moved"] == "share"
    assert (found["credit"]["share"], found["credit"]["usual_share"]) == (0.75, 0.2)
    assert found[str(entity.pk)]["label"] == "Harbour Trust"
    assert found[str(entity.pk)]["moved"] == "volume"
    assert found[str(entity.pk)]["usual_stories"] == 2
    # What fell silent has moved, too.
    assert (found["mergers"]["stories"], found["mergers"]["usual_stories"]) == (0, 25)
    assert found["mergers"]["movement"] > found["energy"]["movement"]


def test_other_hours_are_not_its_usual(scope: Organisation, history: None) -> None:
    told(NOON - timedelta(minutes=30), SubjectKind.TOPIC, "energy", 5)
    told(NOON - timedelta(hours=1, minutes=30), SubjectKind.TOPIC, "energy", 50)
    told(NOON - timedelta(days=7, hours=3), SubjectKind.TOPIC, "energy", 50)
    told(NOON + timedelta(minutes=1), SubjectKind.TOPIC, "energy", 50)
    assert (movers()["energy"]["stories"], movers()["energy"]["usual_stories"]) == (5, 0)


@pytest.mark.parametrize("minutes", [1, 15, 59, 60, 61, 200, 1440])
def test_hours_and_minutes_together_count_every_story_once(
    scope: Organisation, history: None, minutes: int
) -> None:
    start, end = NOON - timedelta(minutes=minutes), NOON + timedelta(minutes=23)
    at, stories = start, 0
    while at < end:
        told(at, SubjectKind.TOPIC, "energy", 1)
        at, stories = at + timedelta(minutes=7), stories + 1
    [mover] = board_figures(start=start, end=end)["movers"]
    assert mover["stories"] == stories


def test_without_a_week_the_stretches_just_before_are_usual(
    scope: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.finance_sentiment.selectors import board

    monkeypatch.setattr(board, "first_document_at", lambda: NOON - timedelta(hours=3))
    for hours in range(3):
        told(NOON - timedelta(hours=hours, minutes=30), SubjectKind.TOPIC, "energy", 6 - hours)
    found = board_figures(start=NOON - HOUR, end=NOON)
    assert found["usual"] == {"stretches": 2, "seconds": 3600}
    assert found["movers"][0]["usual_stories"] == 4.5


def test_without_history_nothing_is_usual_and_the_busiest_come_first(scope: Organisation) -> None:
    told(NOON - timedelta(minutes=30), SubjectKind.TOPIC, "energy", 2)
    told(NOON - timedelta(minutes=30), SubjectKind.TOPIC, "credit", 7)
    found = board_figures(start=NOON - HOUR, end=NOON)
    assert found["usual"]["stretches"] == 0
    assert [mover["key"] for mover in found["movers"]] == ["credit", "energy"]
    assert found["movers"][0]["usual_stories"] is None


def test_a_share_of_few_stories_moves_less_than_one_of_many() -> None:
    few = mover_of(Subject("topic", "a"), (2, 2), (40, 8), 4)
    many = mover_of(Subject("topic", "b"), (20, 20), (40, 8), 4)
    assert many.movement > few.movement > 0


def test_the_heat_map_has_topics_by_time_on_the_organisations_clock(scope: Organisation) -> None:
    told(NOON - timedelta(minutes=50), SubjectKind.TOPIC, "energy", 3, 2)
    told(NOON - timedelta(minutes=1), SubjectKind.TOPIC, "energy", 1)
    told(NOON - timedelta(minutes=1), SubjectKind.TOPIC, "credit", 2, 2)
    found = heat_map(start=NOON - HOUR, end=NOON)
    assert found["width"] == 300
    assert len(found["starts"]) == 12
    energy, credit = found["rows"]
    assert (energy["topic"], credit["topic"]) == ("energy", "credit")
    assert (energy["stories"][2], energy["negative"][2], energy["stories"][-1]) == (3, 2, 1)

    scope.time_zone = "Asia/Kolkata"
    scope.save()
    found = heat_map(start=NOON - timedelta(days=30), end=NOON)
    assert all(start.endswith("18:30:00+00:00") for start in found["starts"])
    assert sum(found["rows"][0]["stories"]) == 4


def test_rest_gives_the_board_and_refuses_what_is_no_range(
    organisation: Organisation, signed_in: Client
) -> None:
    now = datetime.now(UTC)
    with organisation_scope(organisation.pk):
        told(now - timedelta(minutes=5), SubjectKind.TOPIC, "energy", 3, 2)
        Alert.objects.create(key="energy", opened_at=now, last_seen_at=now)
    answer = signed_in.get(API)
    assert answer.status_code == 200, answer.content
    board = answer.json()
    assert board["movers"][0]["label"] == "Energy"
    assert board["heat"]["rows"][0]["topic"] == "energy"
    assert [alert["topic"] for alert in board["alerts"]] == ["energy"]
    for query, pointer in (
        ("since=2026-03-04T12:00:00Z&until=2026-03-04T11:00:00Z", "/until"),
        ("since=2026-01-01T00:00:00Z&until=2026-03-04T11:00:00Z", "/since"),
        ("until=0001-01-01T00:00:00Z", "/since"),
        ("since=9999-12-31T00:00:00Z&until=9999-12-31T11:00:00Z", "/since"),
        ("since=yesterday", "/since"),
    ):
        answer = signed_in.get(f"{API}?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["pointer"] == pointer, answer.content


@pytest.mark.parametrize("range_", ["from=2025-01-01&to=2026-01-01", "range=30d", "range=15m"])
def test_the_page_shows_any_range(signed_in: Client, range_: str) -> None:
    answer = signed_in.get(f"/public-opinion/?{range_}")
    assert answer.status_code == 200
    assert 'id="heat"' in answer.content.decode()


def test_a_second_look_within_seconds_reads_no_buckets(
    scope: Organisation, history: None, django_assert_max_num_queries: Any
) -> None:
    told(NOON - timedelta(minutes=30), SubjectKind.TOPIC, "energy", 5)
    first = board_figures(start=NOON - HOUR, end=NOON)
    with django_assert_max_num_queries(0):
        assert board_figures(start=NOON - HOUR, end=NOON) == first


def test_without_redis_the_board_is_counted(
    scope: Organisation, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any, **_more: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(cache, "get", broken)
    monkeypatch.setattr(cache, "set", broken)
    told(NOON - timedelta(minutes=30), SubjectKind.TOPIC, "energy", 5)
    assert movers()["energy"]["stories"] == 5
