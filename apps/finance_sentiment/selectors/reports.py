"""The daily report: what it holds, and the reports there are."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import translation

from apps.finance_sentiment.inference.forecasts import SeriesTooShort
from apps.finance_sentiment.models import (
    EVERYTHING,
    Alert,
    DailyReport,
    Document,
    Entity,
    Portfolio,
    ReportSubscription,
    Subject,
    SubjectKind,
    Thread,
)
from apps.finance_sentiment.selectors.alerts import subject_label
from apps.finance_sentiment.selectors.calendars import day_plan
from apps.finance_sentiment.selectors.figures import (
    Figures,
    everything_figures,
    subject_figures,
)
from apps.finance_sentiment.selectors.forecasts import subject_forecast
from apps.finance_sentiment.selectors.signals import first_document_at
from apps.finance_sentiment.selectors.threads import thread_documents
from apps.finance_sentiment.selectors.trends import DAY, chart_width, day_series, trend_series

MOVERS, ALERTS, THREADS, SOURCES, PORTFOLIOS = 8, 20, 10, 4, 20
_DAYS = 30
# A mover is out of the ordinary by so many standard deviations, or it is none.
_LEAST_MOVEMENT = 2.0

Labels = dict[str, str]


def reports() -> QuerySet[DailyReport]:
    """The latest day first, without what they hold."""
    return DailyReport.objects.defer("content").order_by("-day")


def subscriptions() -> QuerySet[ReportSubscription]:
    """Who gets the reports."""
    return ReportSubscription.objects.select_related("user", "channel").order_by("id")


def report_content(*, start: datetime, end: datetime) -> dict[str, Any]:
    """What was said in [start, end), as JSON types.

    Names of subjects are kept in every language of the interface, so that nothing is looked up when it is read.
    """
    first = first_document_at()

    def figures(kind: str) -> list[Figures]:
        return subject_figures(kind=kind, start=start, end=end, first=first)

    return {
        "summary": _summary(start, end, first),
        "hours": _hours(start, end),
        "days": _days(end),
        "topics": _movers(figures(SubjectKind.TOPIC), _topic_labels),
        "entities": _movers(figures(SubjectKind.ENTITY), _entity_labels),
        "portfolios": _portfolios(figures(SubjectKind.PORTFOLIO)),
        "alerts": _alerts(start, end),
        "threads": _threads(start, end),
        "forecast": _forecast(end),
        "models": _models(start, end),
    }


def _summary(start: datetime, end: datetime, first: datetime | None) -> dict[str, Any]:
    everything = everything_figures(start=start, end=end, first=first)
    opened = Alert.objects.filter(opened_at__gte=start, opened_at__lt=end)
    return {
        **_figures(everything),
        "documents": everything.documents + everything.unscored,
        "unscored": everything.unscored,
        "sources": sum(
            1
            for one in subject_figures(
                kind=SubjectKind.SOURCE_GROUP, start=start, end=end, first=first
            )
            if one.documents or one.unscored
        ),
        "alerts_opened": opened.count(),
        "alerts_open": Alert.objects.exclude(state=Alert.State.RESOLVED).count(),
    }


def _figures(one: Figures) -> dict[str, Any]:
    return {
        "stories": one.stories,
        "negative": one.negative,
        "share": round(one.share, 4),
        "usual_stories": _rounded(one.usual_stories, 1),
        "usual_negative": _rounded(one.usual_negative, 1),
        "usual_share": _rounded(one.usual_share, 4),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _hours(start: datetime, end: datetime) -> list[list[Any]]:
    """[start, stories, negative] of as many parts of the time as fit beside each other."""
    width = max(3600, chart_width(start=start, end=end))
    points = trend_series(start=start, end=end, width=width)
    return [[point.start.isoformat(), point.stories, point.stories_negative] for point in points]


def _days(end: datetime) -> list[list[Any]]:
    """[day, stories, negative] of the days before the one in which the report ends."""
    days = [day for day in day_plan().days(end - timedelta(days=_DAYS), end) if day.end <= end]
    points = day_series(subject=EVERYTHING, days=days)
    return [[str(point.day), point.stories, point.stories_negative] for point in points]


def _movers(
    found: Sequence[Figures], labels: Callable[[Sequence[str]], dict[str, Labels]]
) -> list[dict[str, Any]]:
    """Those that are furthest from what is usual for them, or the busiest where nothing is known to be usual."""
    known = [one for one in found if one.usual_stories is not None]
    moved = [one for one in known if one.movement >= _LEAST_MOVEMENT]
    moved.sort(key=lambda one: -one.movement)
    chosen = (moved if known else [one for one in found if one.stories])[:MOVERS]
    names = labels([one.key for one in chosen])
    return [
        {"key": one.key, "labels": names[one.key], **_figures(one)}
        for one in chosen
        if one.key in names
    ]


def _topic_labels(keys: Sequence[str]) -> dict[str, Labels]:
    return {key: _labels(Subject(SubjectKind.TOPIC, key)) for key in keys}


def _labels(subject: Subject) -> Labels:
    names = {}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            names[language] = subject_label(subject)
    return names


def _entity_labels(keys: Sequence[str]) -> dict[str, Labels]:
    """Their names; those that are gone are left out."""
    names = Entity.objects.filter(pk__in=keys).values_list("pk", "name", "name_zh")
    return {
        str(pk): {
            language: name_zh if name_zh and language.startswith("zh") else name
            for language, _name in settings.LANGUAGES
        }
        for pk, name, name_zh in names
    }


def _portfolios(found: Iterable[Figures]) -> list[dict[str, Any]]:
    """Every portfolio and watch-list by name, with what is said of its entities."""
    figures = {one.key: one for one in found}
    quiet = Figures("", 0, 0, 0, 0, None, None)
    return [
        {
            "key": str(row.pk),
            "name": row.name,
            "kind": row.kind,
            **_figures(figures.get(str(row.pk), quiet)),
        }
        for row in Portfolio.objects.order_by("name")[:PORTFOLIOS]
    ]


def _alerts(start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Those that were opened in the time or are still open, the heaviest first."""
    rows = Alert.objects.filter(
        Q(opened_at__gte=start, opened_at__lt=end)
        | (Q(opened_at__lt=end) & ~Q(state=Alert.State.RESOLVED))
    )
    return [
        {
            "id": str(row.pk),
            "labels": _labels(row.subject),
            "rule": row.rule_name,
            "state": row.state,
            "opened_at": row.opened_at.isoformat(),
            "resolved_at": row.resolved_at.isoformat() if row.resolved_at else None,
            "peak_negative": row.peak_negative,
            "peak_score": round(row.peak_score, 2),
            "by": row.acknowledged_by or row.resolved_by,
        }
        for row in rows.order_by("-peak_score", "-id")[:ALERTS]
    ]


def _threads(start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The events that most sources told of, each with who told it first and where."""
    rows = Thread.objects.filter(last_seen_at__gte=start, first_seen_at__lt=end)
    return [
        {
            "id": str(row.pk),
            "title": row.title,
            "sources": row.source_count,
            "documents": row.document_count,
            "stories": row.story_count,
            "negative": row.negative_count,
            "corroboration": round(row.corroboration, 3),
            "told": _told(row),
        }
        for row in rows.order_by("-source_count", "-document_count", "-id")[:THREADS]
    ]


def _told(thread: Thread) -> list[dict[str, str]]:
    """The first document of each of the first sources."""
    found: dict[str, dict[str, str]] = {}
    rows = thread_documents(thread).values_list("source", "title", "url", "id")
    for source, title, url, pk in rows[: 10 * SOURCES]:
        told = {"source": source, "title": title[:300], "url": url[:2000], "id": str(pk)}
        found.setdefault(source, told)
    return list(found.values())[:SOURCES]


def _forecast(end: datetime) -> dict[str, Any] | None:
    """Negative stories by the day for a week, with what such forecasts were worth; None without enough past."""
    try:
        made = subject_forecast(
            subject=EVERYTHING, measure="negatives", width=DAY, model="mixed", now=end
        )
    except SeriesTooShort:
        return None
    told = made.as_json()
    days = day_plan().next_days(end, len(made.ahead))
    return {
        "past": [[one["start"], one["value"]] for one in told["history"][-_DAYS:]],
        "ahead": [
            {**one, "day": str(day.day)} for one, day in zip(told["ahead"], days, strict=True)
        ],
        "backtest": told["backtest"],
    }


def _models(start: datetime, end: datetime) -> list[str]:
    """The model versions that judged the latest documents of the time."""
    used = Document.objects.filter(
        published_at__gte=start, published_at__lt=end, status=Document.Status.SCORED
    ).order_by("-published_at", "-id")
    return sorted(
        {
            one["version"]
            for models in used.values_list("models_used", flat=True)[:300]
            for one in models
        }
    )


def subscription_of(user_id: uuid.UUID | None) -> ReportSubscription | None:
    """That of a person, if the reports are sent to them."""
    mine = ReportSubscription.objects.filter(user__isnull=False, channel__isnull=True)
    return mine.filter(user=user_id).first() if user_id else None
