"""Insights: is it helping? Each number opens the conversations that it counts."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.customer_service.models import Channel, Emotion
from apps.customer_service.selectors.conversations import INBOX
from apps.customer_service.selectors.inbox import agent_rows
from apps.customer_service.selectors.insights import (
    FIGURES,
    InsightQuery,
    insight_agents,
    insight_clusters,
    insight_conversations,
    insight_csv,
    insight_figures,
    insight_intents,
    insight_trend,
    load_now,
    relative_change,
)
from apps.customer_service.services.assignment import members_answering
from rootstock.common.ids import uuid_of
from rootstock.realtime.selectors import heads
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest
from rootstock.web.overview import Number
from rootstock.web.timerange import TimeRange, time_range

PAGE = 50


@requires(Permission.SERVICE_READ)
@require_GET
def insights(request: PageRequest) -> HttpResponse:
    """The numbers, their course, intents, agents, and what goes on now."""
    # Read before the rows: what is committed in between makes the page look once more.
    last_event_id = heads([INBOX])[INBOX]
    span, channel = time_range(request), uuid_of(request.GET.get("channel", ""))
    query = InsightQuery(span.start, span.end, channel)
    figures = insight_figures(query)
    before = insight_figures(InsightQuery(span.before.start, span.before.end, channel))
    base = _address(span, channel)
    context = {
        **_now(channel),
        "range": span,
        "channels": Channel.objects.order_by("name"),
        "numbers": _numbers(figures, before, base, span),
        "times": _times(figures, before, base, span),
        "intents": insight_intents(query),
        "people": insight_agents(query),
        "clusters": insight_clusters(query),
        "base": base,
        "csv": f"{reverse('service:insights-csv')}?{base}",
        "data": {
            "trend": insight_trend(query),
            "emotions": {key: str(label) for key, label in Emotion.choices},
            "label": str(span.label),
            "lastEventId": last_event_id,
        },
    }
    return render(request, "customer_service/insights.html", context)


@requires(Permission.SERVICE_READ)
@require_GET
def insights_now(request: PageRequest) -> HttpResponse:
    """What goes on at this moment, read anew when something changes."""
    channel = uuid_of(request.GET.get("channel", ""))
    return render(request, "customer_service/desk/_now.html", _now(channel))


@requires(Permission.SERVICE_READ)
@require_GET
def insights_conversations(request: PageRequest) -> HttpResponse:
    """The conversations behind a number."""
    span, channel = time_range(request), uuid_of(request.GET.get("channel", ""))
    figure, value = request.GET.get("figure", ""), request.GET.get("value", "")[:120]
    figure = figure if figure in FIGURES else ""
    query = InsightQuery(span.start, span.end, channel)
    rows = insight_conversations(query, figure, value.replace("\x00", ""))
    rows = rows.select_related("visitor", "channel", "assignee__user")
    page = Paginator(rows.order_by("-created_at", "-pk"), PAGE).get_page(request.GET.get("page"))
    context = {
        "range": span,
        "page": page,
        "total": page.paginator.count,
        "title": _titles().get(figure, _("Conversations")),
        "value": value.replace("_", " ") if figure in ("intent", "emotion") else "",
        "back": f"{reverse('service:insights')}?{_address(span, channel)}",
    }
    return render(request, "customer_service/insights_conversations.html", context)


@requires(Permission.SERVICE_READ)
@require_GET
def insights_csv(request: PageRequest) -> HttpResponse:
    """The conversations of the range, a line each."""
    span, channel = time_range(request), uuid_of(request.GET.get("channel", ""))
    return HttpResponse(
        insight_csv(InsightQuery(span.start, span.end, channel)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="conversations.csv"'},
    )


def _titles() -> dict[str, str]:
    return {
        "ended": _("Ended conversations"),
        "contained": _("Settled by the assistant"),
        "handed-off": _("Handed over to people"),
        "answered": _("Answered by people"),
        "resolved": _("Resolved conversations"),
        "rated": _("Rated conversations"),
        "missed": _("Not answered in time"),
        "unanswered": _("With an unanswered question"),
        "intent": _("Conversations about"),
        "emotion": _("Conversations of customers who were"),
        "agent": _("Conversations of an agent"),
    }


def _address(span: TimeRange, channel: uuid.UUID | None) -> str:
    values = (
        {"range": span.preset}
        if span.preset
        else {"from": span.start.isoformat(), "to": span.end.isoformat()}
    )
    return urlencode(values | ({"channel": str(channel)} if channel else {}))


def _now(channel: uuid.UUID | None) -> dict[str, Any]:
    """The live part of the page."""
    now = load_now(channel)
    inbox = f"{reverse('service:inbox')}?" + (f"channel={channel}&" if channel else "")
    words = _("now")
    return {
        "channel": channel,
        "now": [
            Number(_("Waiting"), now["waiting"], words, url=f"{inbox}status=waiting"),
            Number(_("With people"), now["assigned"], words, url=f"{inbox}status=assigned"),
            Number(
                _("With the assistant"), now["assistant"], words, url=f"{inbox}status=assistant"
            ),
            Number(_("Overdue"), now["overdue"], words, url=f"{inbox}sort=sla"),
            Number(_("Angry customers"), now["angry"], words, url=f"{inbox}emotion=anger"),
        ],
        "longest_wait": _duration(now["longest_wait"]),
        "agents": agent_rows(members_answering()),
    }


def _numbers(
    figures: dict[str, Any], before: dict[str, Any], base: str, span: TimeRange
) -> list[Number]:
    share = figures["containment"]
    return [
        Number(
            _("Conversations"),
            figures["conversations"],
            span.label,
            change=relative_change(figures["conversations"], before["conversations"]),
            url=_behind(base, ""),
        ),
        Number(
            _("Settled by the assistant"),
            None if share is None else round(100 * share),
            _("of %(n)d ended") % {"n": figures["ended"]},
            unit="%",
            change=relative_change(share, before["containment"]),
            rise_is="good",
            url=_behind(base, "contained"),
        ),
        Number(
            _("Rating"),
            figures["csat"],
            _("of %(n)d customers") % {"n": figures["rated"]},
            unit="/ 5",
            change=relative_change(figures["csat"], before["csat"]),
            rise_is="good",
            url=_behind(base, "rated"),
        ),
        Number(
            _("Handed over to people"),
            figures["handed_off"],
            span.label,
            change=relative_change(figures["handed_off"], before["handed_off"]),
            rise_is="bad",
            url=_behind(base, "handed-off"),
        ),
        Number(
            _("Not answered in time"),
            figures["missed"],
            span.label,
            change=relative_change(figures["missed"], before["missed"]),
            rise_is="bad",
            url=_behind(base, "missed"),
        ),
        Number(
            _("With an unanswered question"),
            figures["unanswered"],
            span.label,
            change=relative_change(figures["unanswered"], before["unanswered"]),
            rise_is="bad",
            url=_behind(base, "unanswered"),
        ),
    ]


def _times(
    figures: dict[str, Any], before: dict[str, Any], base: str, span: TimeRange
) -> list[Number]:
    rows = (
        ("first_reply_median", _("First answer"), _("half are faster"), "answered"),
        ("first_reply_most", _("First answer"), _("nine in ten are faster"), "answered"),
        ("resolution_median", _("Resolution"), _("half are faster"), "resolved"),
        ("resolution_most", _("Resolution"), _("nine in ten are faster"), "resolved"),
    )
    return [
        Number(
            label,
            _duration(figures[name]),
            words,
            change=relative_change(figures[name], before[name]),
            rise_is="bad",
            url=_behind(base, figure),
        )
        for name, label, words, figure in rows
    ]


def _behind(base: str, figure: str) -> str:
    chosen = f"&figure={figure}" if figure else ""
    return f"{reverse('service:insights-conversations')}?{base}{chosen}"


def _duration(seconds: float | None) -> str | None:
    """95 seconds as "2 min"."""
    if seconds is None:
        return None
    if seconds < 60:
        return _("%(n)d s") % {"n": round(seconds)}
    if seconds < 3600:
        return _("%(n)d min") % {"n": round(seconds / 60)}
    hours, rest = divmod(round(seconds / 60), 60)
    return _("%(h)d h %(m)d min") % {"h": hours, "m": rest}
