"""Pages of entities, of the queue of doubtful names, and of one document."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.finance_sentiment.inference import (
    InferenceUnavailable,
    ModelUnusable,
    written_text,
)
from apps.finance_sentiment.models import (
    Alias,
    Document,
    Entity,
    EntityKind,
    Instrument,
    Mention,
)
from apps.finance_sentiment.selectors.entities import (
    document_mentions,
    entity_breakdown,
    entity_mentions,
    entity_rows,
    entity_series,
    review_queue,
)
from apps.finance_sentiment.selectors.prices import (
    instrument_chosen,
    instruments_priced,
    sentiment_and_price,
)
from apps.finance_sentiment.selectors.trends import chart_width
from apps.finance_sentiment.services.entities import (
    EntityRefused,
    alias_remove,
    entities_take,
    entity_parse,
    entity_remove,
)
from apps.finance_sentiment.services.explaining import (
    Explanation,
    NotExplained,
    document_explain,
    mention_explain,
)
from apps.finance_sentiment.services.mentions import mention_decide, name_learn
from apps.finance_sentiment.services.name_files import NamesReport, names_import
from apps.finance_sentiment.services.relinking import relink_start
from apps.finance_sentiment.taxonomy import event_label
from apps.finance_sentiment.topics import topic_label
from apps.finance_sentiment.views.entity_forms import (
    AliasForm,
    DecisionForm,
    EntityForm,
    InstrumentForm,
    NamesFileForm,
)
from rootstock.common.line_files import FileRefused
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.web.timerange import TimeRange, time_range

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE
_SHOWN = 200


@requires(READ)
@require_GET
def entity_list(request: HttpRequest) -> HttpResponse:
    """Who is spoken of, and how?"""
    span = time_range(request, default="7d")
    q = request.GET.get("q", "").strip()[:200]
    kind = request.GET.get("kind", "")
    kind = kind if kind in EntityKind.values else ""
    rows = entity_rows(start=span.start, end=span.end, q=q, kind=kind, most=_SHOWN)
    context = {
        "rows": rows,
        "range": span,
        "q": q,
        "kind": kind,
        "kinds": EntityKind.choices,
        "waiting": Mention.objects.filter(state=Mention.State.REVIEW, is_decided=False).count(),
        "is_empty": not rows and not Entity.objects.exists(),
        "may_write": _may_write(request),
    }
    return render(request, "finance_sentiment/entities.html", context)


@requires(READ)
@require_GET
def entity_detail(request: HttpRequest, entity_id: uuid.UUID) -> HttpResponse:
    """How is this company doing in public?"""
    entity = get_object_or_404(Entity, pk=entity_id)
    span = time_range(request, default="7d")
    width = chart_width(start=span.start, end=span.end)
    points = entity_series(entity=entity, start=span.start, end=span.end, width=width)
    page = Paginator(entity_mentions(entity=entity), 25).get_page(request.GET.get("page"))
    counts = {
        name: sum(getattr(point, name) for point in points)
        for name in ("negative", "neutral", "positive")
    }
    listing = instrument_chosen(entity, request.GET.get("listing", ""))
    parts = entity_breakdown(entity=entity, start=span.start, end=span.end)
    context = {
        "entity": entity,
        "range": span,
        "counts": counts,
        "documents": sum(counts.values()),
        "topics": [(topic_label(row.name), row) for row in parts["topics"]],
        "events": [(event_label(row.name, _language()), row) for row in parts["events"]],
        "sources": [(row.name, row) for row in parts["sources"]],
        "page": page,
        "aliases": entity.aliases.order_by("kind", "text"),
        "instruments": entity.instruments.order_by("exchange"),
        "listings": instruments_priced(entity),
        "listing": listing,
        "alias_form": AliasForm(),
        "instrument_form": InstrumentForm(),
        "may_write": _may_write(request),
        "data": {
            "points": [point.as_json() for point in points],
            "label": str(span.label),
            "name": entity.name,
            "prices": _beside_prices(entity, listing, span),
        },
    }
    return render(request, "finance_sentiment/entity.html", context)


def _beside_prices(
    entity: Entity, listing: Instrument | None, span: TimeRange
) -> dict[str, Any] | None:
    """Sentiment by the day with what a listing closed at; None without a listing."""
    if listing is None:
        return None
    days = sentiment_and_price(entity=entity, instrument=listing, start=span.start, end=span.end)
    return {
        "listing": str(listing),
        "currency": listing.currency,
        "days": [day.as_json() for day in days],
    }


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def entity_new(request: HttpRequest) -> HttpResponse:
    """Follow a company, product, person or place."""
    form = EntityForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            report = entities_take(entities=[entity_parse(form.values())], actor=_actor(request))
        except EntityRefused as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            _reread(request)
            return redirect("finance:entity", report.ids[0])
    status = 422 if form.errors else 200
    return render(request, "finance_sentiment/entity_new.html", {"form": form}, status=status)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def entity_import(request: HttpRequest) -> HttpResponse:
    """Bring a file of names."""
    form = NamesFileForm(request.POST or None, request.FILES or None)
    report: NamesReport | None = None
    if request.method == "POST" and form.is_valid():
        upload = form.cleaned_data["file"]
        try:
            report = names_import(file=upload, name=upload.name, actor=_actor(request))
        except FileRefused as error:
            form.add_error("file", str(error))
        else:
            _reread(request)
    status = 422 if form.errors else 200
    context = {"form": form, "report": report}
    return render(request, "finance_sentiment/entity_import.html", context, status=status)


@requires(WRITE)
@require_POST
def entity_add(request: HttpRequest, entity_id: uuid.UUID) -> HttpResponse:
    """Add a name or a listing."""
    entity = get_object_or_404(Entity, pk=entity_id)
    given: dict[str, Any] = {"key": entity.key, "name": entity.name}
    alias, listing = AliasForm(request.POST), InstrumentForm(request.POST)
    if "text" in request.POST and alias.is_valid():
        given["aliases"] = [alias.values()]
    elif "symbol" in request.POST and listing.is_valid():
        given["instruments"] = [listing.cleaned_data]
    else:
        messages.error(request, _("A name, or a symbol with its exchange, is needed."))
        return redirect("finance:entity", entity_id)
    try:
        entities_take(entities=[entity_parse(given)], actor=_actor(request))
    except EntityRefused as error:
        messages.error(request, str(error))
    else:
        _reread(request)
    return redirect("finance:entity", entity_id)


@requires(WRITE)
@require_POST
def entity_delete(request: HttpRequest, entity_id: uuid.UUID) -> HttpResponse:
    """Forget an entity, when its name was typed to confirm."""
    entity = get_object_or_404(Entity, pk=entity_id)
    if request.POST.get("confirm") != entity.name:
        messages.error(request, _("The name was not typed as it is: nothing was removed."))
        return redirect("finance:entity", entity_id)
    entity_remove(entity=entity, actor=_actor(request))
    messages.success(request, _("Removed. The documents stay."))
    return redirect("finance:entities")


@requires(WRITE)
@require_POST
def alias_delete(request: HttpRequest, alias_id: uuid.UUID) -> HttpResponse:
    """Take a name away."""
    alias = get_object_or_404(Alias.objects.select_related("entity"), pk=alias_id)
    entity = alias.entity_id
    alias_remove(alias=alias, actor=_actor(request))
    _reread(request)
    return redirect("finance:entity", entity)


@requires(READ)
@require_http_methods(["GET", "POST"])
def review(request: HttpRequest) -> HttpResponse:
    """Who is meant?"""
    if request.method == "POST":
        if not _may_write(request):
            messages.error(request, _("Your role does not include this."))
        else:
            _decide(request)
        return redirect(request.get_full_path())
    state = request.GET.get("state", Mention.State.REVIEW)
    state = state if state == Mention.State.UNKNOWN else Mention.State.REVIEW
    context = {
        "questions": [
            (question, _around(question.mention)) for question in review_queue(state=state)
        ],
        "state": state,
        "entities": Entity.objects.order_by("name")[:2000],
        "may_write": _may_write(request),
    }
    return render(request, "finance_sentiment/entity_review.html", context)


@requires(READ)
@require_GET
def document_detail(request: HttpRequest, document_id: uuid.UUID) -> HttpResponse:
    """What was made of this document, and of whom it speaks."""
    document = get_object_or_404(Document.objects.select_related("story"), pk=document_id)
    mentions = list(document_mentions(document))
    text = written_text(document.title, document.body)
    context = {
        "document": document,
        "parts": _parts(text, mentions),
        "mentions": mentions,
        "topics": [topic_label(topic) for topic in document.topics],
        "event": event_label(document.event, _language()) if document.event else "",
        "probability": (document.sentiment_probabilities or {}).get(document.sentiment),
    }
    return render(request, "finance_sentiment/document.html", context)


@requires(READ)
@require_GET
def document_why(request: HttpRequest, document_id: uuid.UUID) -> HttpResponseBase:
    """Why was this document judged so?"""
    document = get_object_or_404(Document, pk=document_id)
    return _why(request, lambda: document_explain(document))


@requires(READ)
@require_GET
def mention_why(request: HttpRequest, mention_id: uuid.UUID) -> HttpResponseBase:
    """Why does it speak so of whom it names?"""
    mention = get_object_or_404(Mention.objects.select_related("document"), pk=mention_id)
    return _why(request, lambda: mention_explain(mention))


def _why(request: HttpRequest, prepare: Any) -> HttpResponseBase:
    """The explanation as a part of a page; the model is asked after the request's transaction."""
    try:
        ask = prepare()
    except NotExplained as error:
        return _why_part(request, problem=str(error))

    def finish() -> HttpResponse:
        try:
            return _why_part(request, explanation=ask())
        except (InferenceUnavailable, ModelUnusable):
            return _why_part(request, problem=_("The model does not answer now. Try again."))

    return LateAnswer(finish)


def _why_part(
    request: HttpRequest, *, explanation: Explanation | None = None, problem: str = ""
) -> HttpResponse:
    words: list[tuple[str, Any, int]] = []
    if explanation is not None:
        greatest = max((abs(word.weight) for word in explanation.words), default=0.0) or 1.0
        at = 0
        for word in explanation.words:
            words.append((explanation.text[at : word.start], None, 0))
            level = round(3 * abs(word.weight) / greatest) if abs(word.weight) >= 0.01 else 0
            words.append((explanation.text[word.start : word.end], word, level))
            at = word.end
        words.append((explanation.text[at:], None, 0))
    return render(
        request,
        "finance_sentiment/_why.html",
        {"explanation": explanation, "words": words, "problem": problem},
    )


def _decide(request: HttpRequest) -> None:
    form = DecisionForm(request.POST)
    mention = None
    if form.is_valid():
        mention = Mention.objects.filter(pk=form.cleaned_data["mention"]).first()
    if mention is None:
        messages.error(request, _("This has been decided meanwhile."))
        return
    entity = form.cleaned_data["entity"]
    count = mention_decide(
        mention=mention,
        actor=_actor(request),
        entity=entity,
        everywhere=form.cleaned_data["everywhere"],
    )
    if entity is not None and form.cleaned_data["learn"]:
        name_learn(mention=mention, entity=entity)
    messages.success(request, _("%(count)d mentions are decided.") % {"count": count})


def _parts(text: str, mentions: list[Mention]) -> list[tuple[str, Mention | None]]:
    """The text in pieces, those that are mentions with them."""
    parts: list[tuple[str, Mention | None]] = []
    at = 0
    for mention in mentions:
        if mention.start < at:
            continue
        parts.append((text[at : mention.start], None))
        parts.append((text[mention.start : mention.end], mention))
        at = mention.end
    parts.append((text[at:], None))
    return parts


def _around(mention: Mention) -> tuple[str, str, str]:
    """The words of a mention with what stands before and after them."""
    text = written_text(mention.document.title, mention.document.body)
    start, end = mention.start, mention.end
    return text[max(0, start - 80) : start], text[start:end], text[end : end + 80]


def _language() -> str:
    return get_language() or "en"


def _actor(request: HttpRequest) -> Any:
    return request.actor  # type: ignore[attr-defined]


def _may_write(request: HttpRequest) -> bool:
    return WRITE in request.granted  # type: ignore[attr-defined]


def _reread(request: HttpRequest) -> None:
    relink_start(actor=_actor(request), title=_("Read documents anew by the names"))
    messages.success(request, _("Stored. Documents are being read anew by the names."))
