"""Alerts without a detector, and a worker with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from apps.finance_sentiment.models import Alert, Notification, Subject
from apps.finance_sentiment.services.alerting import escalation, notifying
from apps.finance_sentiment.services.alerting.sending import Letter, Tried
from apps.finance_sentiment.services.alerts import Change, changes_announce, mutes_announce
from rootstock.outbox.models import OutboxMessage

BEGAN = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)


def alert_make(key: str = "energy", kind: str = "topic", **values: Any) -> Alert:
    """An alert as the detector opens it."""
    stories = values.pop("stories", [])
    alert = Alert.objects.create(
        kind=kind,
        key=key,
        opened_at=BEGAN,
        last_seen_at=BEGAN,
        peak_score=values.pop("peak_score", 2.0),
        evidence={
            "latest": {"observed": 12, "expected": 1.5, "share": 0.6, "baseline_share": 0.2},
            "stories": [
                {"id": story, "title": f"Story {story}", "sources": ["Wire"], "documents": 1}
                for story in stories
            ],
            "models": ["finance.sentiment v3"],
        },
        **values,
    )
    changes_announce(changes=[Change("opened", alert)])
    alert.refresh_from_db()
    return alert


def alert_over(alert: Alert) -> None:
    """The surge is over."""
    alert.refresh_from_db()
    alert.state, alert.resolved_at = "resolved", timezone.now()
    alert.save()
    changes_announce(changes=[Change("resolved", alert)])


def subject(alert: Alert) -> Subject:
    return alert.subject


@dataclass
class Worker:
    """Does what is due at a moment, in the order in which it became due; what it sends is kept."""

    start: datetime = field(default_factory=timezone.now)
    sent: list[Letter] = field(default_factory=list)
    answer: Callable[[Letter], Tried] = lambda letter: Tried(True, 200)

    def until(self, seconds: float) -> None:
        """Work until so many seconds after the start."""
        end = self.start + timedelta(seconds=seconds)
        for _ in range(1000):
            message = (
                OutboxMessage.objects.filter(topic__startswith="finance.", available_at__lte=end)
                .exclude(topic__in=["finance.score", "finance.detect"])
                .order_by("available_at", "id")
                .first()
            )
            if message is None:
                return
            now = max(message.available_at, self.start)
            message.delete()
            self._do(message.topic, message.payload, now)
        raise AssertionError("it never comes to rest")

    def _do(self, topic: str, payload: dict[str, Any], now: datetime) -> None:
        if topic == escalation.TOPIC:
            escalation.group_run(payload["group_id"], now=now)
        elif topic == notifying.TOPIC:
            letter = notifying.letter_read(payload["notification_id"], now=now)
            if letter is not None:
                self.sent.append(letter)
                tried = self.answer(letter)
                notifying.notification_tried(payload["notification_id"], tried, now=now)
        else:
            mutes_announce()

    @property
    def told(self) -> list[tuple[str, str]]:
        """By which way, and about what, in order."""
        return [(letter.medium, letter.subject) for letter in self.sent]


def told_here() -> list[str]:
    """The people who were told in the application, by address."""
    rows = Notification.objects.filter(medium="in_app").select_related("user").order_by("id")
    return [row.user.email for row in rows if row.user]
