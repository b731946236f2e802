"""Search: who said what, when, and how is it meant?"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.finance_sentiment.models import Entity, Portfolio, SavedView, Sentiment
from apps.finance_sentiment.selectors.search import FACETS, Facets, SearchQuery
from apps.finance_sentiment.selectors.search_pages import (
    BadCursor,
    Found,
    Order,
    SearchPage,
    search_page,
)
from apps.finance_sentiment.taxonomy import event_label
from apps.finance_sentiment.topics import topic_label
from apps.finance_sentiment.views.saved_views import saved_views_menu
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest
from rootstock.tenancy.scope import organisation_scope
from rootstock.web.timerange import PRESETS

SIZE = 50
RANGES = ("24h", "7d", "30d", "90d")
_TITLES = {
    "topic": gettext_lazy("Topics"),
    "sentiment": gettext_lazy("Sentiment"),
    "source": gettext_lazy("Sources"),
    "entity": gettext_lazy("Entities"),
    "language": gettext_lazy("Languages"),
    "event": gettext_lazy("Events"),
}
_LANGUAGES = {"en": gettext_lazy("English"), "zh": gettext_lazy("Chinese")}
_LENGTHS = {"q": 200, "topic": 60, "source": 100, "language": 8, "event": 40}


@dataclass(frozen=True, slots=True)
class Asked:
    """What stands in the address: the query, and the time and order as people chose them."""

    query: SearchQuery
    order: Order
    range: str
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of a facet with the address that asks for it, or no longer where it was chosen."""

    facet: str
    title: str
    label: str
    url: str
    count: int | None = None


@requires(Permission.FINANCE_READ)
@require_GET
def search(request: PageRequest) -> HttpResponseBase:
    """Documents by words, meaning and facets; the model is asked after the request's transaction."""
    asked = _asked(request.GET)
    cursor = request.GET.get("cursor", "")[:300]
    organisation = request.organisation
    zone = timezone.get_current_timezone()

    def finish() -> HttpResponse:
        problem = ""
        try:
            page = _page(organisation.pk, asked, cursor)
        except BadCursor:
            problem = _("This page of the search is not there any more; it begins anew.")
            page = _page(organisation.pk, asked, "")
        with organisation_scope(organisation.pk), timezone.override(zone):
            is_first = not cursor or bool(problem)
            context = _context(request, asked, page, is_first=is_first) | {"problem": problem}
            return render(request, "finance_sentiment/search.html", context)

    return LateAnswer(finish)


def _page(organisation_id: uuid.UUID, asked: Asked, cursor: str) -> SearchPage:
    return search_page(organisation_id, asked.query, order=asked.order, cursor=cursor, size=SIZE)


def _context(
    request: PageRequest, asked: Asked, page: SearchPage, *, is_first: bool
) -> dict[str, Any]:
    facets = _facets(request.GET, asked.query, page.facets)
    return {
        "asked": asked,
        "found": [_shown(found) for found in page.results],
        "facets": facets,
        "chosen": _chosen(request.GET, asked.query),
        "counted": page.facets,
        "words_only": page.words_only,
        "next": f"?{urlencode(_address(request.GET) | {'cursor': page.next})}" if page.next else "",
        "first_page": "" if is_first else f"?{urlencode(_address(request.GET))}",
        "ranges": [(name, PRESETS[name][1]) for name in RANGES],
        "kept": {
            name: value
            for name, value in _address(request.GET).items()
            if name not in {"q", "order", "range", "from", "to"}
        },
        "views": saved_views_menu(request, SavedView.Page.SEARCH),
    }


def _shown(found: Found) -> dict[str, Any]:
    document = found.document
    scored = document.status == document.Status.SCORED
    return {
        "document": document,
        "hit": found.hit,
        "sentiment": document.sentiment if scored else "",
        "probability": (document.sentiment_probabilities or {}).get(document.sentiment),
        "topics": [topic_label(topic) for topic in document.topics] if scored else [],
        "told": document.story.document_count if document.story else 0,
    }


# --- facets -----------------------------------------------------------------------------------


def _facets(
    address: QueryDict, query: SearchQuery, facets: Facets
) -> list[tuple[str, list[Choice]]]:
    """Each facet that can still narrow the search, with its values as links."""
    names = _entity_names(value.value for value in facets.values.get("entity", []))
    shown = []
    for facet in FACETS:
        if getattr(query, facet):
            continue
        choices = [
            Choice(
                facet,
                str(_TITLES[facet]),
                _label(facet, value.value, names),
                f"?{urlencode(_address(address) | {facet: value.value})}",
                value.count,
            )
            for value in facets.values.get(facet, [])
        ]
        if choices:
            shown.append((str(_TITLES[facet]), choices))
    return shown


def _chosen(address: QueryDict, query: SearchQuery) -> list[Choice]:
    """What narrows the search, each with the address without it."""
    names = _entity_names([str(query.entity)] if query.entity else [])
    chosen = []
    for facet in FACETS:
        value = getattr(query, facet)
        if value:
            label = _label(facet, str(value), names)
            chosen.append(Choice(facet, str(_TITLES[facet]), label, _without(address, facet)))
    if query.portfolio:
        portfolio = Portfolio.objects.filter(pk=query.portfolio).first()
        label = portfolio.name if portfolio else _("Unknown")
        chosen.append(Choice("portfolio", _("Portfolio"), label, _without(address, "portfolio")))
    return chosen


def _label(facet: str, value: str, names: dict[str, str]) -> str:
    if facet == "topic":
        return topic_label(value)
    if facet == "sentiment":
        return str(dict(Sentiment.choices).get(value, value))
    if facet == "entity":
        return names.get(value, _("Unknown"))
    if facet == "language":
        return str(_LANGUAGES.get(value, value))
    return event_label(value, get_language() or "en") if facet == "event" else value


def _entity_names(ids: Iterable[str]) -> dict[str, str]:
    chinese = (get_language() or "").startswith("zh")
    rows = Entity.objects.filter(pk__in=list(ids)).values_list("pk", "name", "name_zh")
    return {str(pk): (name_zh if chinese and name_zh else name) for pk, name, name_zh in rows}


# --- the address ------------------------------------------------------------------------------


def _address(address: QueryDict) -> dict[str, str]:
    """What is asked for, by name, without a page of it."""
    return {name: str(value) for name, value in address.items() if value and name != "cursor"}


def _without(address: QueryDict, name: str) -> str:
    rest = {key: value for key, value in _address(address).items() if key != name}
    return f"{reverse('finance:search')}?{urlencode(rest)}"


def _asked(address: QueryDict) -> Asked:
    """What the address asks for; what cannot be asked is ignored."""
    texts: dict[str, Any] = {
        name: address.get(name, "").replace("\x00", "").strip()[:length]
        for name, length in _LENGTHS.items()
    }
    sentiment = address.get("sentiment", "")
    query = SearchQuery(
        **texts,
        sentiment=sentiment if sentiment in Sentiment.values else "",
        entity=_id(address.get("entity", "")),
        portfolio=_id(address.get("portfolio", "")),
    )
    order: Order = "newest" if address.get("order") == "newest" else "best"
    span = address.get("range", "")
    if span in RANGES:
        recent = replace(query, since=timezone.now() - PRESETS[span][0])
        return Asked(recent, order, span, "", "")
    first, last = address.get("from", ""), address.get("to", "")
    since, until = _moment(first), _moment(last, is_end=True)
    if since and until and since >= until:
        since = until = None
    query = replace(query, since=since, until=until)
    return Asked(query, order, "", _day(since), _day(until, is_end=True))


def _moment(text: str, *, is_end: bool = False) -> datetime | None:
    """A moment, or a day in the organisation's time zone: its beginning, or its end."""
    try:
        if day := parse_date(text):
            start = timezone.make_aware(datetime.combine(day, time.min))
            return start + timedelta(days=1) if is_end else start
        found = parse_datetime(text)
        return timezone.make_aware(found) if found and timezone.is_naive(found) else found
    except (ValueError, OverflowError):
        return None


def _day(moment: datetime | None, *, is_end: bool = False) -> str:
    if moment is None:
        return ""
    try:
        local = timezone.localtime(moment - timedelta(microseconds=1) if is_end else moment)
    except (ValueError, OverflowError):
        return ""
    return f"{local:%Y-%m-%d}"


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
