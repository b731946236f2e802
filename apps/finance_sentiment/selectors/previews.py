"""What a rule would have done: its detector over the stored history, without a trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.finance_sentiment.inference import (
    Bucket,
    SurgeDetector,
    SurgeState,
    Verdict,
    surge_config,
    surge_memory,
)
from apps.finance_sentiment.models import Rule, Subject, SubjectKind
from apps.finance_sentiment.selectors.alerts import subject_label
from apps.finance_sentiment.selectors.signals import first_document_at, story_buckets

# A page waits for it: so many buckets with stories are judged at most, those of the busiest subjects first.
MAX_BUCKETS = 25_000
MAX_SUBJECTS = 50
MAX_ALERTS = 200
CHART_POINTS = 400
MAX_RANGE = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class WouldBeAlert:
    """An alert that the rule would have raised; `closed_at` is None where it would still go on."""

    subject: Subject
    opened_at: datetime
    closed_at: datetime | None
    peak: int
    expected: float
    share: float

    def as_json(self) -> dict[str, Any]:
        """With times as text and the subject's name."""
        return {
            "subject": _subject(self.subject),
            "opened_at": self.opened_at.isoformat(),
            "closed_at": self.closed_at.isoformat() if self.closed_at else None,
            "peak": self.peak,
            "expected": round(self.expected, 2),
            "share": round(self.share, 3),
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have done in [since, until).

    `subjects` are all with stories, the most alerts first; `left_out` those that were not judged, because it would have
    taken too long. `series` are the windows of the first subject, or of the one asked for.
    """

    since: datetime
    until: datetime
    learning_until: datetime | None
    alerts: list[WouldBeAlert]
    subjects: list[tuple[Subject, int]]
    left_out: int
    shown: Subject | None
    series: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON types."""
        return {
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "learning_until": self.learning_until.isoformat() if self.learning_until else None,
            "total": len(self.alerts),
            "alerts": [alert.as_json() for alert in self.alerts[-MAX_ALERTS:]],
            "subjects": [
                {**_subject(subject), "alerts": count} for subject, count in self.subjects
            ],
            "left_out": self.left_out,
            "shown": _subject(self.shown) if self.shown else None,
            "series": self.series,
        }


def rule_preview(
    *, rule: Rule, since: datetime, until: datetime, shown: Subject | None = None
) -> Preview:
    """Judge the stored buckets of [since, until) by `rule`, which need not be stored.

    What is usual is learned from before `since`, as far as there is anything.

    Raises:
        ValueError: the rule's figures do not fit together.
    """
    config = surge_config(rule)
    length = timedelta(seconds=rule.bucket_seconds)
    begin, end = _grid(since, rule.bucket_seconds), _grid(until, rule.bucket_seconds)
    first = first_document_at()
    beginning = max(
        _grid(first, rule.bucket_seconds) if first else end, begin - surge_memory(config) * length
    )
    buckets = _buckets(rule, beginning, end)
    kept = _affordable(buckets)
    detector = SurgeDetector(config)
    judged = {
        subject: [
            verdict
            for _state, verdict in detector.walk(
                SurgeState(), own, since=beginning, until=end, stops=[end - length]
            )
        ]
        for subject, own in kept.items()
    }
    alerts = {subject: _alerts(subject, verdicts, begin) for subject, verdicts in judged.items()}
    counts = sorted(
        ((subject, len(own)) for subject, own in alerts.items()), key=lambda of: (-of[1], of[0])
    )
    if shown not in judged:
        shown = counts[0][0] if counts else None
    learned = beginning + (config.learning + config.window) * length
    return Preview(
        since=begin,
        until=end,
        learning_until=learned if learned > begin else None,
        alerts=sorted(
            (alert for own in alerts.values() for alert in own), key=lambda a: a.opened_at
        ),
        subjects=counts,
        left_out=len(buckets) - len(kept),
        shown=shown,
        series=_series(judged[shown], begin) if shown else [],
    )


def _grid(moment: datetime, seconds: int) -> datetime:
    return datetime.fromtimestamp(int(moment.timestamp() // seconds) * seconds, UTC)


def _buckets(rule: Rule, start: datetime, end: datetime) -> dict[Subject, list[Bucket]]:
    seconds = rule.bucket_seconds
    found = story_buckets(kind=rule.scope, key=rule.key, start=start, end=end, seconds=seconds)
    if not found and rule.scope == SubjectKind.TOPIC and not rule.key:
        return story_buckets(kind=SubjectKind.ALL, start=start, end=end, seconds=seconds)
    return found


def _affordable(buckets: dict[Subject, list[Bucket]]) -> dict[Subject, list[Bucket]]:
    """The busiest subjects, as many as can be judged while somebody waits; one at least."""
    busiest = sorted(buckets, key=lambda subject: -sum(b.negative for b in buckets[subject]))
    kept: dict[Subject, list[Bucket]] = {}
    spent = 0
    for subject in busiest[:MAX_SUBJECTS]:
        spent += len(buckets[subject])
        if kept and spent > MAX_BUCKETS:
            break
        kept[subject] = buckets[subject]
    return kept


def _alerts(subject: Subject, verdicts: Sequence[Verdict], begin: datetime) -> list[WouldBeAlert]:
    """Those that were raised from `begin` on."""
    found: list[WouldBeAlert] = []
    opening: Verdict | None = None
    peak: Verdict | None = None
    for verdict in verdicts:
        if opening is not None and peak is not None:
            if verdict.observed > peak.observed:
                peak = verdict
            if verdict.cleared:
                found.append(_alert(subject, opening, peak, verdict.start))
                opening = peak = None
        if verdict.raised and verdict.is_open:
            opening = peak = verdict
    if opening is not None and peak is not None:
        found.append(_alert(subject, opening, peak, None))
    return [alert for alert in found if alert.opened_at >= begin]


def _alert(
    subject: Subject, opening: Verdict, peak: Verdict, closed_at: datetime | None
) -> WouldBeAlert:
    return WouldBeAlert(
        subject=subject,
        opened_at=opening.since or opening.start,
        closed_at=closed_at,
        peak=peak.observed,
        expected=peak.expected,
        share=peak.share,
    )


def _series(verdicts: Sequence[Verdict], begin: datetime) -> list[dict[str, Any]]:
    """At most `CHART_POINTS` windows: of neighbours the one with the most stories, so that no peak is lost."""
    shown = [verdict for verdict in verdicts if verdict.start >= begin]
    step = max(1, -(-len(shown) // CHART_POINTS))
    groups = [shown[at : at + step] for at in range(0, len(shown), step)]
    return [_point(max(group, key=lambda verdict: verdict.observed)) for group in groups]


def _point(verdict: Verdict) -> dict[str, Any]:
    return {
        "start": verdict.start.isoformat(),
        "observed": verdict.observed,
        "expected": round(verdict.expected, 2),
        "total": verdict.total,
        "score": round(verdict.score, 2),
        "open": verdict.is_open,
    }


def _subject(subject: Subject) -> dict[str, str]:
    return {"kind": subject.kind, "key": subject.key, "label": subject_label(subject)}
