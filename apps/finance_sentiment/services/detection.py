"""Looking for surges: from buckets to alerts.

Each rule has a detector and judges each of its subjects by itself. The detector runs on event time. While documents
arrive as they are published, that is the wall clock, and `MonitorClock.next_evaluation_at` has the tick close empty
buckets too; in a replay or an import it is the newest document. Every run starts from a state that lies a little back
and judges the buckets since then again, so documents that come somewhat late count, and running twice changes nothing.

An alert does not wait for its bucket to close: counts only grow, so what is a surge by now will be one then. Only what
raises an alert is taken from open buckets; everything else, its end above all, waits for them to close.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from apps.finance_sentiment.inference import (
    Bucket,
    SurgeDetector,
    SurgeState,
    Verdict,
    surge_config,
    surge_memory,
)
from apps.finance_sentiment.models import (
    EVERYTHING,
    Alert,
    Monitor,
    MonitorClock,
    Portfolio,
    Rule,
    Subject,
    SubjectKind,
)
from apps.finance_sentiment.selectors.alerts import alerts_open
from apps.finance_sentiment.selectors.signals import (
    EventClock,
    event_clock,
    first_document_at,
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
from apps.finance_sentiment.services.buckets import bucket_start
from apps.finance_sentiment.services.rules import RULE_FIELDS, rules_get_or_create
from rootstock.tenancy.scope import current_organisation_id


@dataclass(frozen=True, slots=True)
class _Span:
    """What a run judges: closed buckets before `edge`, of which those before `settle` are settled, and open ones before
    `reach`."""

    rule: Rule
    clock: EventClock
    length: timedelta
    lateness: timedelta
    grace: timedelta
    edge: datetime
    settle: datetime
    reach: datetime

    @property
    def watched_until(self) -> datetime:
        """How long after the newest document a bucket may still change something."""
        rule = self.rule
        quiet = rule.window + rule.recovery + rule.minimum_firing + rule.pending
        return self.clock.newest + quiet * self.length + self.lateness

    @property
    def next_at(self) -> datetime:
        """When the next bucket is closed."""
        return self.edge + self.length + self.grace


@dataclass(slots=True)
class _Run:
    """What judging one subject came to."""

    settled: SurgeState
    last: SurgeState
    verdicts: list[Verdict] = field(default_factory=list)


def detection_run(*, now: datetime | None = None) -> list[Change]:
    """Judge all closed buckets of the current organisation by every rule and raise, follow and resolve alerts."""
    now = now or timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"finance.detect:{current_organisation_id()}"],
        )
    rules = rules_get_or_create()
    enabled = _judgeable(rules)
    clock = event_clock(now=now)
    if clock is None:
        MonitorClock.objects.update(next_evaluation_at=None)
        return []
    alerts: dict[tuple[object, Subject], Alert] = {}
    changes = []
    for alert in alerts_open():
        alerts[alert.rule_id, Subject(alert.kind, alert.key)] = alert
    first = first_document_at() or clock.newest
    spans = [_span(rule, clock, now) for rule in enabled]
    has_run = MonitorClock.objects.filter(evaluated_until__isnull=False).exists()
    for span in spans:
        changes += _judge(span, first, alerts, has_run=has_run)
    changes += _ended([rule for rule in rules if not rule.enabled], alerts)
    _set_clock(spans, clock)
    changes_announce(changes=changes)
    return changes


def _judgeable(rules: Iterable[Rule]) -> list[Rule]:
    """Those that are switched on, but for portfolios whose past is being counted again: it would look like a surge."""
    waiting = {
        str(pk)
        for pk in Portfolio.objects.filter(counted_at__isnull=True).values_list("pk", flat=True)
    }
    return [
        rule
        for rule in rules
        if rule.enabled and not (rule.scope == SubjectKind.PORTFOLIO and rule.key in waiting)
    ]


def _ended(rules: Iterable[Rule], alerts: dict[tuple[object, Subject], Alert]) -> list[Change]:
    """Nothing would ever end the alerts of a rule that is switched off."""
    disabled = {rule.pk for rule in rules}
    return [
        alert_resolve(alert=alert, at=alert.last_seen_at)
        for (rule_id, _subject), alert in alerts.items()
        if rule_id in disabled
    ]


def _span(rule: Rule, clock: EventClock, now: datetime) -> _Span:
    length = timedelta(seconds=rule.bucket_seconds)
    is_fast = rule.bucket_seconds < 30
    grace = timedelta(seconds=2 if is_fast else 5)
    lateness = max(length, timedelta(seconds=60 if is_fast else 600))
    edge = bucket_start(now - grace if clock.live else clock.newest, rule.bucket_seconds)
    settle = bucket_start(edge - lateness, rule.bucket_seconds)
    reach = bucket_start(now, rule.bucket_seconds) + length if clock.live else edge
    return _Span(rule, clock, length, lateness, grace, edge, settle, reach)


def _judge(
    span: _Span,
    first: datetime,
    alerts: dict[tuple[object, Subject], Alert],
    *,
    has_run: bool,
) -> list[Change]:
    rule = span.rule
    config = surge_config(rule)
    detector = SurgeDetector(config)
    monitors = {monitor.subject: monitor for monitor in rule.monitors.all()}
    states = {subject: _state(monitor) for subject, monitor in monitors.items()}
    # A subject that is new has been silent so far: its zeros count as seen.
    memory = surge_memory(config) * span.length
    beginning = bucket_start(max(first, span.edge - memory), rule.bucket_seconds)
    starts = [state.last_start for state in states.values()]
    is_known = bool(starts) and all(starts)
    start = min(moment for moment in starts if moment) if is_known else beginning
    buckets = _buckets(rule, monitors, start, span.reach)
    changes: list[Change] = []
    judged: list[Monitor] = []
    for subject in _watched(rule, monitors, buckets):
        monitor = monitors.get(subject) or Monitor(rule=rule, kind=subject.kind, key=subject.key)
        run = _advance(
            detector, states.get(subject, SurgeState()), buckets.get(subject, []), beginning, span
        )
        if not run.verdicts:
            continue
        # A rule that is new or changed judges from the beginning what is past and known.
        is_rejudged = subject in monitors and monitor.settled is None
        alert = alerts.get((rule.pk, subject))
        found = _alerts(
            subject,
            run.verdicts,
            alert,
            span,
            past_is_known=is_rejudged or (has_run and not monitors),
        )
        is_open = found[-1].kind != "resolved" if found else alert is not None
        early = None if is_open else _raised_early(detector, run, buckets.get(subject, []), span)
        if early:
            found += _alerts(subject, [*run.verdicts, early], None, span, past_is_known=True)
        changes += found
        monitor.settled = run.settled.to_json()
        monitor.verdict = verdict_facts(run.verdicts[-1])
        judged.append(monitor)
    Monitor.objects.bulk_create(
        judged,
        update_conflicts=True,
        unique_fields=["organisation", "rule", "kind", "key"],
        update_fields=["settled", "verdict", "updated_at"],
    )
    return changes


def _state(monitor: Monitor) -> SurgeState:
    """Where its detector stands; one that an earlier release wrote otherwise is learned anew, as with a new rule."""
    if monitor.settled:
        try:
            return SurgeState.from_json(monitor.settled)
        except ValueError:
            monitor.settled = None
    return SurgeState()


def _buckets(
    rule: Rule, monitors: Iterable[Subject], start: datetime, end: datetime
) -> dict[Subject, list[Bucket]]:
    """Those of the rule's subjects; of everything where no model tells topics apart."""
    seconds = rule.bucket_seconds
    found = story_buckets(kind=rule.scope, key=rule.key, start=start, end=end, seconds=seconds)
    each_topic = rule.scope == SubjectKind.TOPIC and not rule.key
    if each_topic and not found and not {*monitors} - {EVERYTHING}:
        return story_buckets(kind=SubjectKind.ALL, start=start, end=end, seconds=seconds)
    return found


def _watched(rule: Rule, *known: Iterable[Subject]) -> list[Subject]:
    """Every subject of the rule; all topics together only where no model tells topics apart.

    A surge of one topic is one of all topics too: that would be two alerts for one event.
    """
    subjects = {subject for some in known for subject in some}
    if rule.scope == SubjectKind.ALL:
        return [EVERYTHING]
    if rule.key:
        return [Subject(rule.scope, rule.key)]
    nothing = [EVERYTHING] if rule.scope == SubjectKind.TOPIC else []
    return sorted(subjects - {EVERYTHING}) or nothing


def _advance(
    detector: SurgeDetector,
    state: SurgeState,
    buckets: Sequence[Bucket],
    beginning: datetime,
    span: _Span,
) -> _Run:
    """Judge what is closed since `state`."""
    run = _Run(settled=state, last=state)
    stops = (span.settle - span.length, span.edge - span.length)
    for later, verdict in detector.walk(
        state, buckets, since=beginning, until=span.edge, stops=stops
    ):
        run.verdicts.append(verdict)
        run.last = later
        if verdict.start < span.settle:
            run.settled = later
    return run


def _raised_early(
    detector: SurgeDetector, run: _Run, buckets: Sequence[Bucket], span: _Span
) -> Verdict | None:
    """The verdict on an open bucket that already raises an alert."""
    coming = [bucket for bucket in buckets if bucket.start >= span.edge]
    judged = detector.walk(run.last, coming, since=span.edge, until=span.reach)
    return next((verdict for _state, verdict in judged if verdict.raised), None)


def _alerts(
    subject: Subject,
    verdicts: Sequence[Verdict],
    alert: Alert | None,
    span: _Span,
    *,
    past_is_known: bool,
) -> list[Change]:
    """What the verdicts mean for the alerts of a rule on a subject; `alert` is the open one."""
    rule = span.rule
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
                rule=rule,
                subject=subject,
                moment=verdict.since or verdict.start,
                tolerance=span.lateness,
            )
            if earlier is None:
                figures = {name: getattr(rule, name) for name in RULE_FIELDS}
                change = alert_open(
                    rule=rule,
                    subject=subject,
                    verdict=verdict,
                    before=verdicts[:place],
                    figures=figures,
                )
            elif is_last:
                change = alert_reopen(alert=earlier, verdict=verdict)
            else:
                continue
            changes.append(change)
            alert = change.alert
    return _condensed(changes)


def _condensed(changes: Sequence[Change]) -> list[Change]:
    """At most one update of each alert: the page needs the last figures, not the way to them."""
    kept: list[Change] = []
    for change in changes:
        previous = kept[-1] if kept else None
        if previous and change.kind == "updated" and previous.alert is change.alert:
            continue
        kept.append(change)
    return kept


def _set_clock(spans: Sequence[_Span], clock: EventClock) -> None:
    """Have the tick look again when the next bucket is closed, as long as something can change."""
    some_open = alerts_open().exists()
    wanted = [
        span.next_at
        for span in spans
        if span.clock.live and (some_open or span.edge < span.watched_until)
    ]
    MonitorClock.objects.update(
        # also where every rule is off: what is past is known to a rule that is made later
        evaluated_until=max((span.edge for span in spans), default=clock.newest),
        next_evaluation_at=min(wanted, default=None),
    )
