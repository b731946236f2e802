"""Surges become alerts that are acknowledged and end; the clock is that of the events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.finance_sentiment.inference import surge_defaults
from apps.finance_sentiment.models import Alert, AlertEntry, MonitorClock
from apps.finance_sentiment.selectors.signals import event_clock
from apps.finance_sentiment.services.alerts import NotOpen, alert_acknowledge
from apps.finance_sentiment.services.rules import RuleRefused, rule_update, rules_get_or_create
from rootstock.common.actors import Actor
from rootstock.realtime.models import Event

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
PERSON = Actor("user", "7", "Ada")
NAMES = [
    "Orrin", "Tessaly", "Kestrane", "Dunmarrow", "Pellam", "Lindqvar", "Brackwater", "Solmere", "Vantry",
    "Quillon", "Harrowgate", "Mistral", "Yarrow", "Ombersley", "Fenwick", "Caldera", "Juniper", "Zephyr",
]  # fmt: skip


def title(number: int, word: str) -> str:
    """Headlines about oil that no two of are alike."""
    first, second = NAMES[number % 18], NAMES[(number * 7 + number // 18) % 18]
    return f"{first} oil {word} {second} {number * 37 % 1009} {NAMES[(number * 5 + 3) % 18]}"


def calm(start: datetime, minutes: float, first: int = 0) -> list[dict]:
    """A story every 5 s, one in six of them negative."""
    count = int(minutes * 12)
    return [
        {
            "external_id": f"calm-{first + n}",
            "title": title(first + n, "loss at" if n % 6 == 0 else "plan of"),
            "published_at": start + timedelta(seconds=5 * n),
        }
        for n in range(count)
    ]


def storm(start: datetime, seconds: int, first: int = 5000) -> list[dict]:
    """Two negative stories every second."""
    return [
        {
            "external_id": f"storm-{first + n}",
            "title": title(first + n, "fraud at"),
            "published_at": start + timedelta(seconds=n / 2),
        }
        for n in range(seconds * 2)
    ]


@pytest.fixture
def fast_rule(scope):
    return rule_update(
        rule=rules_get_or_create()[0],
        actor=PERSON,
        values={"bucket_seconds": 5, **surge_defaults(5)},
    )


def test_a_surge_opens_an_alert_that_is_acknowledged_and_resolved(score, detect, models, fast_rule):
    score(*calm(START, 6))
    detect()
    assert not Alert.objects.exists()
    surge_at = START + timedelta(minutes=6)
    score(*storm(surge_at, 40))
    detect()
    alert = Alert.objects.get()
    assert (alert.topic, alert.state) == ("energy", "open")
    assert surge_at < alert.opened_at < surge_at + timedelta(seconds=30)
    latest = alert.evidence["latest"]
    assert latest["observed"] > 5 * latest["expected"]
    assert latest["share"] > latest["baseline_share"] + 0.3
    assert alert.evidence["stories"]
    assert alert.evidence["models"] == ["finance.sentiment v1", "finance.topic v1"]
    assert Event.objects.filter(stream="finance.alerts", type="alert.opened").count() == 1

    alert_acknowledge(alert=alert, actor=PERSON, comment="calling the refinery")
    score(*calm(surge_at + timedelta(seconds=40), 3, first=2000))
    detect()
    alert.refresh_from_db()
    assert alert.state == "resolved"
    assert alert.resolved_at > surge_at + timedelta(seconds=40)
    assert (alert.acknowledged_by, alert.comment) == ("Ada", "calling the refinery")
    assert list(AlertEntry.objects.order_by("id").values_list("kind", flat=True)) == [
        "opened",
        "acknowledged",
        "resolved",
    ]
    with pytest.raises(NotOpen):
        alert_acknowledge(alert=alert, actor=PERSON)
    detect()
    assert Alert.objects.count() == 1


def test_more_news_of_every_kind_is_no_surge_of_bad_news(score, detect, models, fast_rule):
    score(*calm(START, 6))
    busy = [
        {**row, "title": row["title"].replace("fraud at", "plan of")} if n % 6 else row
        for n, row in enumerate(storm(START + timedelta(minutes=6), 60))
    ]
    score(*busy)
    detect()
    assert not Alert.objects.exists()


def test_one_story_in_a_hundred_copies_is_no_surge(score, detect, models, fast_rule):
    score(*calm(START, 6))
    copies = [
        {**row, "source": f"Outlet {n}", "title": "Harbour oil fraud trial opens in the capital"}
        for n, row in enumerate(storm(START + timedelta(minutes=6), 50))
    ]
    score(*copies)
    detect()
    assert not Alert.objects.exists()


def test_detecting_after_every_batch_or_once_gives_the_same_alert(
    score, detect, models, fast_rule, django_assert_max_num_queries
):
    rows = [
        *calm(START, 6),
        *storm(START + timedelta(minutes=6), 40),
        *calm(START + timedelta(minutes=6, seconds=40), 3, first=2000),
    ]
    for at in range(0, len(rows), 40):
        score(*rows[at : at + 40])
        detect()
    stepwise = Alert.objects.get()
    assert stepwise.state == "resolved"
    told = Event.objects.count()
    with django_assert_max_num_queries(14):
        detect()
    assert Event.objects.count() == told


def test_a_late_document_counts(score, detect, models, fast_rule):
    """Most of a surge comes after the bucket that follows it: the closed buckets are judged again."""
    score(*calm(START, 6))
    rows = storm(START + timedelta(minutes=6), 40)
    score(rows[-1])
    detect()
    assert not Alert.objects.exists()
    score(*rows[:-1])
    detect()
    assert Alert.objects.exists()


def test_while_documents_arrive_as_they_happen_time_alone_ends_an_alert(
    score, detect, models, fast_rule
):
    now = datetime.now(UTC)
    begin = now - timedelta(minutes=7)
    score(*calm(begin, 6.2), *storm(now - timedelta(seconds=45), 40))
    assert event_clock(now=datetime.now(UTC)).live
    detect(now)
    alert = Alert.objects.get()
    assert alert.state == "open"
    due = MonitorClock.objects.get().next_evaluation_at
    assert now < due <= now + timedelta(seconds=8)
    detect(now + timedelta(minutes=2))
    alert.refresh_from_db()
    assert alert.state == "resolved"
    detect(now + timedelta(minutes=10))
    assert MonitorClock.objects.get().next_evaluation_at is None


def test_an_alert_does_not_wait_for_its_bucket_to_close(score, detect, models, fast_rule):
    rule_update(rule=fast_rule, actor=PERSON, values={"pending": 1})
    began = datetime.fromtimestamp(datetime.now(UTC).timestamp() // 5 * 5 - 5, UTC)
    score(*calm(began - timedelta(minutes=7), 7))
    detect(began + timedelta(seconds=1))
    assert not Alert.objects.exists()
    rows = [
        {**row, "published_at": began + timedelta(milliseconds=100 * n)}
        for n, row in enumerate(storm(began, 12))
    ]
    score(*rows)
    detect(began + timedelta(seconds=3))
    alert = Alert.objects.get()
    assert (alert.opened_at, alert.state) == (began, "open")
    assert alert.evidence["series"]
    # While the bucket fills, and when it has closed, it is the same alert.
    detect(began + timedelta(seconds=4))
    detect(began + timedelta(seconds=8))
    alert.refresh_from_db()
    assert (Alert.objects.count(), alert.state) == (1, "open")
    detect(began + timedelta(minutes=2))
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_a_new_rule_raises_nothing_for_the_past(score, detect, models, fast_rule):
    rows = [
        *calm(START, 6),
        *storm(START + timedelta(minutes=6), 40),
        *calm(START + timedelta(minutes=6, seconds=40), 4, first=2000),
    ]
    strict = rule_update(rule=fast_rule, actor=PERSON, values={"minimum_negative": 10_000})
    score(*rows)
    detect()
    assert not Alert.objects.exists()
    rule_update(rule=strict, actor=PERSON, values={"minimum_negative": 5})
    detect()
    assert not Alert.objects.exists()


def test_a_rule_that_cannot_work_is_refused(fast_rule):
    with pytest.raises(RuleRefused):
        rule_update(rule=fast_rule, actor=PERSON, values={"window": 0})


def test_a_rule_that_is_off_raises_nothing(score, detect, models, fast_rule):
    rule_update(rule=fast_rule, actor=PERSON, values={"enabled": False})
    score(*calm(START, 6), *storm(START + timedelta(minutes=6), 40))
    detect()
    assert not Alert.objects.exists()
