"""Looking for surges: from buckets to alerts.

The detector runs on event time. While documents arrive as they are published, that is the wall
clock, and `MonitorClock.next_evaluation_at` has the tick close empty buckets too; in a replay or an
import it is the newest document. Every run starts from a state that lies a little back and judges
the buckets since then again, so documents that come somewhat late count, and running twice changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from apps.finance_sentiment.inference import (
    Bucket,
    Phase,
    SurgeDetector,
    SurgeState,
    Verdict,
    surge_config,
)
from apps.finance_sentiment.models import (
    ALL_TOPICS,
    EVERYTHING,
    Alert,
    MonitorClock,
    Subject,
    SubjectKind,
    SurgeRule,
    TopicMonitor,
)
from apps.finance_sentiment.selectors.alerts import alerts_open
from apps.finance_sentiment.selectors.signals import (
    EventClock,
    event_clock,
    first_document_at,
    stored_width,
    story_buckets,
)
from apps.finance_sentiment.services.alerts import (
    Change,
    alert_covering,
    alert_follow,
    alert_open,
    alert_reopen,
    alert_resolve,
    changes_announce,
    verdict_facts,
)
from apps.finance_sentiment.services.buckets import WIDTHS, bucket_start
from apps.finance_sentiment.services.rules import rule_get_or_create
from rootstock.tenancy.scope import current_organisation_id


@dataclass(frozen=True, slots=True)
class _Span:
    """What a run judges: closed buckets before `edge`; those before `settle` are settled."""

    rule: SurgeRule
    clock: EventClock
    length: timedelta
    lateness: timedelta
    grace: timedelta
    edge: datetime
    settle: datetime


@dataclass(slots=True)
class _Run:
    """What judging one topic came to."""

    settled: SurgeState
    verdicts: list[Verdict] = field(default_factory=list)


def detection_run(*, now: datetime | None = None) -> list[Change]:
    """Judge all closed buckets of the current organisation and raise, follow and resolve alerts."""
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"finance.detect:{current_organisation_id()}"],
        )
    rule = rule_get_or_create()
    clock = event_clock(now=now)
    if clock is None or not rule.enabled:
        MonitorClock.objects.update(next_evaluation_at=None)
        return []
    span = _span(rule, clock, now)
    changes = _judge(span)
    _set_clock(span)
    changes_announce(changes=changes)
    return changes


def _span(rule: SurgeRule, clock: EventClock, now: datetime) -> _Span:
    length = timedelta(seconds=rule.bucket_seconds)
    is_fast = rule.bucket_seconds < 30
    grace = timedelta(seconds=2 if is_fast else 5)
    lateness = max(length, timedelta(seconds=60 if is_fast else 600))
    edge = bucket_start(now - grace if clock.live else clock.newest, rule.bucket_seconds)
    settle = bucket_start(edge - lateness, rule.bucket_seconds)
    return _Span(rule, clock, length, lateness, grace, edge, settle)


def _judge(span: _Span) -> list[Change]:
    rule = span.rule
    config = surge_config(rule)
    detector = SurgeDetector(config)
    monitors = {monitor.topic: monitor for monitor in TopicMonitor.objects.all()}
    states = {
        topic: SurgeState.from_json(monitor.settled) if monitor.settled else SurgeState()
        for topic, monitor in monitors.items()
    }
    # A topic that is new has been silent so far: its zeros count as seen.
    memory = (config.learning + config.window + 3 * config.slow_half_life) * span.length
    first = first_document_at() or span.edge
    beginning = bucket_start(max(first, span.edge - memory), rule.bucket_seconds)
    starts = [state.last_start for state in states.values()]
    is_known = bool(starts) and all(starts)
    start = min(moment for moment in starts if moment) if is_known else beginning
    buckets = story_buckets(
        start=start,
        end=span.edge,
        seconds=rule.bucket_seconds,
        stored=stored_width(rule.bucket_seconds, WIDTHS),
    )
    open_alerts = {alert.topic: alert for alert in alerts_open()}
    changes: list[Change] = []
    judged: list[TopicMonitor] = []
    for topic in _watched(monitors, buckets):
        monitor = monitors.get(topic) or TopicMonitor(topic=topic)
        run = _advance(
            detector, states.get(topic, SurgeState()), buckets.get(topic, []), beginning, span
        )
        if not run.verdicts:
            continue
        # Only with a new rule is a known topic judged from the beginning: the past is then known.
        is_rejudged = topic in monitors and monitor.settled is None
        changes += _alerts(
            topic, run.verdicts, open_alerts.get(topic), span, past_is_known=is_rejudged
        )
        monitor.settled = run.settled.to_json()
        monitor.verdict = verdict_facts(run.verdicts[-1])
        judged.append(monitor)
    TopicMonitor.objects.bulk_create(
        judged,
        update_conflicts=True,
        unique_fields=["organisation", "topic"],
        update_fields=["settled", "verdict", "updated_at"],
    )
    return changes


def _watched(*known: Iterable[str]) -> list[str]:
    """Every topic; all topics together only where no model tells topics apart.

    A surge of one topic is one of all topics too: that would be two alerts for one event.
    """
    topics = {topic for some in known for topic in some} - {ALL_TOPICS}
    return sorted(topics) or [ALL_TOPICS]


def _advance(
    detector: SurgeDetector,
    state: SurgeState,
    buckets: Sequence[Bucket],
    beginning: datetime,
    span: _Span,
) -> _Run:
    """Judge what is closed since `state`; empty buckets one by one only where it matters."""
    run = _Run(settled=state)
    by_start = {bucket.start: bucket for bucket in buckets}
    wanted = {*by_start, span.settle - span.length, span.edge - span.length}
    if state.last_start is None:
        wanted.add(beginning)
    queue = sorted(
        start
        for start in wanted
        if beginning <= start < span.edge and (state.last_start is None or start > state.last_start)
    )
    for start in queue:
        while state.last_start is not None and state.phase not in (Phase.LEARNING, Phase.NORMAL):
            following = state.last_start + span.length
            if following >= start:
                break
            state = _step(detector, state, Bucket(following, 0, 0), run, span)
        state = _step(detector, state, by_start.get(start, Bucket(start, 0, 0)), run, span)
    return run


def _step(
    detector: SurgeDetector, state: SurgeState, bucket: Bucket, run: _Run, span: _Span
) -> SurgeState:
    state, verdict = detector.update(state, bucket)
    run.verdicts.append(verdict)
    if bucket.start < span.settle:
        run.settled = state
    return state


def _alerts(
    topic: str,
    verdicts: Sequence[Verdict],
    alert: Alert | None,
    span: _Span,
    *,
    past_is_known: bool,
) -> list[Change]:
    """What the verdicts mean for the alerts of a topic; `alert` is the open one."""
    changes: list[Change] = []
    for place, verdict in enumerate(verdicts):
        is_last = place == len(verdicts) - 1
        if past_is_known and not is_last:
            continue
        if alert is not None and not verdict.is_open and (verdict.cleared or is_last):
            if verdict.start >= alert.last_seen_at:
                changes.append(alert_resolve(alert=alert, at=verdict.start, verdict=verdict))
                alert = None
        elif alert is not None and verdict.is_open:
            change = alert_follow(alert=alert, verdict=verdict)
            changes += [change] if change else []
        elif alert is None and verdict.is_open and (verdict.raised or is_last):
            earlier = alert_covering(
                rule=None,
                subject=_subject(topic),
                moment=verdict.since or verdict.start,
                tolerance=span.lateness,
            )
            if earlier is None:
                change = alert_open(
                    rule=None,
                    subject=_subject(topic),
                    verdict=verdict,
                    before=verdicts[:place],
                )
            elif is_last:
                change = alert_reopen(alert=earlier, verdict=verdict)
            else:
                continue
            changes.append(change)
            alert = change.alert
    return _condensed(changes)


def _subject(topic: str) -> Subject:
    return Subject(SubjectKind.TOPIC, topic) if topic else EVERYTHING


def _condensed(changes: Sequence[Change]) -> list[Change]:
    """At most one update of each alert: the page needs the last figures, not the way to them."""
    kept: list[Change] = []
    for change in changes:
        previous = kept[-1] if kept else None
        if previous and change.kind == "updated" and previous.alert is change.alert:
            continue
        kept.append(change)
    return kept


def _set_clock(span: _Span) -> None:
    """Have the tick look again when the next bucket is closed, as long as something can change."""
    config = span.rule
    quiet = (config.window + config.recovery + config.minimum_firing + config.pending) * span.length
    is_watched = span.clock.live and (
        span.edge - span.clock.newest < quiet + span.lateness or alerts_open().exists()
    )
    MonitorClock.objects.update(
        evaluated_until=span.edge,
        next_evaluation_at=(span.edge + span.length + span.grace if is_watched else None),
    )
