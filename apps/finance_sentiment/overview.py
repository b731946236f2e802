"""The monitor's numbers on the Overview, what waits for a person, and the first steps."""

from __future__ import annotations

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.finance_sentiment.demo.stream import SOURCES as DEMO_SOURCES
from apps.finance_sentiment.models import ALL_TOPICS, Alert, Document
from apps.finance_sentiment.selectors.alerts import alerts_open, subject_label
from apps.finance_sentiment.selectors.trends import TrendPoint, trend_series
from rootstock.web.overview import Attention, Number
from rootstock.web.timerange import TimeRange, time_range


def numbers(request: HttpRequest) -> list[Number]:
    """Stories, the share of negative ones, and open alerts."""
    day = time_range(request)
    now, before = _total(day), _total(day.before)
    live = reverse("finance:live")
    return [
        Number(
            _("Stories"),
            now.stories,
            day.label,
            change=_change(now.stories, before.stories),
            url=live,
        ),
        Number(
            _("Negative"),
            round(100 * _share(now), 1) if now.stories else None,
            day.label,
            unit="%",
            change=_change(_share(now), _share(before)),
            rise_is="bad",
            url=f"{live}?sentiment=negative",
        ),
        Number(_("Open alerts"), alerts_open().count(), _("now"), url=reverse("finance:alerts")),
    ]


def attention(request: HttpRequest) -> list[Attention]:
    """Open alerts that nobody has acknowledged, and what is assigned to the reader; muted ones wait for nobody."""
    mine = Q(assigned_to_id=request.user.pk) & ~Q(state=Alert.State.RESOLVED)
    alerts = Alert.objects.filter(mine | Q(state=Alert.State.OPEN, muted="")).order_by(
        "-opened_at"
    )[:20]
    return [
        Attention(
            title=_("Surge of negative news: %(topic)s") % {"topic": subject_label(alert.subject)},
            detail=_("%(peak)d negative stories in one window") % {"peak": alert.peak_negative},
            url=reverse("finance:alert", args=[alert.pk]),
            tone="bad",
            at=alert.opened_at,
        )
        for alert in alerts
    ]


def open_alert_count(request: HttpRequest) -> int | None:
    """The badge beside "Alerts"; nothing when there is none."""
    return alerts_open().count() or None


def has_own_documents(request: HttpRequest) -> bool:
    """Whether anything came from elsewhere than the demonstration."""
    demo = [source for sources in DEMO_SOURCES.values() for source in sources]
    return Document.objects.exclude(source__in=demo).exists()


def has_scored_documents(request: HttpRequest) -> bool:
    """Whether a model has scored anything."""
    return Document.objects.filter(status=Document.Status.SCORED).exists()


def _total(span: TimeRange) -> TrendPoint:
    points = trend_series(topic=ALL_TOPICS, start=span.start, end=span.end, width=3600)
    return TrendPoint(
        start=span.start,
        stories=sum(point.stories for point in points),
        stories_negative=sum(point.stories_negative for point in points),
    )


def _share(total: TrendPoint) -> float:
    return total.stories_negative / total.stories if total.stories else 0.0


def _change(now: float, before: float) -> float | None:
    return (now - before) / before if before else None
