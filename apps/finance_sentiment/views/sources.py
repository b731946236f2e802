"""Pages of sources: is everything arriving, and what could not be taken in?"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.finance_sentiment.models import (
    Document,
    Fault,
    Note,
    RefusedItem,
    Source,
    SourceKind,
)
from apps.finance_sentiment.selectors.sources import (
    SourceLine,
    refused_find,
    source_groups,
    source_lines,
    sources_at_fault,
    sources_find,
)
from apps.finance_sentiment.services.sources.managing import (
    source_archive,
    source_create,
    source_poll_now,
    source_rotate_secret,
    source_update,
)
from apps.finance_sentiment.services.sources.opml import (
    OpmlRefused,
    OpmlReport,
    opml_import,
    opml_parse,
)
from apps.finance_sentiment.services.sources.refusing import (
    ARTICLE,
    StillRefused,
    refused_dismiss,
    refused_retry,
    refused_retry_all,
)
from apps.finance_sentiment.views.source_forms import KINDS, OpmlForm, RefusedForm, SourceForm
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE
PAGE = 100
LATEST = 20
_FAULTS = dict(Fault.choices)
_NOTES = dict(Note.choices)


@requires(READ)
@require_GET
def source_list(request: PageRequest) -> HttpResponse:
    """Is everything arriving?"""
    return _show(request, "sources", _list_context(request))


@requires(READ)
@require_GET
def source_rows(request: PageRequest) -> HttpResponse:
    """The table alone, which looks again by itself."""
    return _show(request, "_sources", _list_context(request))


def _list_context(request: PageRequest) -> dict[str, Any]:
    now = timezone.now()
    q, kind = request.GET.get("q", "").strip()[:200], request.GET.get("kind", "")
    group = request.GET.get("group", "")[:60]
    found = sources_find(kind=kind if kind in SourceKind.values else None, group=group or None, q=q)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    return {
        "page": page,
        "lines": [_worded(line) for line in source_lines(sources=list(page.object_list), now=now)],
        "at_fault": sources_at_fault(now=now),
        "refused": refused_find(state=RefusedItem.State.OPEN).count(),
        "total": sources_find().count(),
        "kinds": SourceKind.choices,
        "groups": source_groups(),
        "q": q,
        "kind": kind,
        "group": group,
        "filtered": bool(q or kind or group),
        "query": request.GET.urlencode(),
    }


def _worded(line: SourceLine) -> dict[str, Any]:
    """A line with its faults and notes in words."""
    polling = line.polling
    return {
        "source": line.source,
        "polling": polling,
        "flow": line.flow,
        "state": line.state,
        "refused": line.refused,
        "fault": _FAULTS.get(polling.fault, "") if polling else "",
        "notes": [_NOTES.get(note, note) for note in polling.notes] if polling else [],
    }


@requires(WRITE)
@never_cache
@require_http_methods(["GET", "POST"])
def source_new(request: PageRequest, kind: str = SourceKind.FEED) -> HttpResponse:
    """Add a source; the answer for a webhook shows its secret, once."""
    if kind not in KINDS:
        raise Http404("no such kind")
    form = SourceForm(request.POST or None, kind=kind)
    status = 200
    if request.method == "POST":
        status = 422
        source = _created(request, form) if form.is_valid() else None
        if source is not None and source.kind == SourceKind.HOOK:
            return _show(request, "source_secret", _secret_context(request, source))
        if source is not None:
            messages.success(request, _("It is being asked for the first time."))
            return redirect("finance:source", source.pk)
    tabs = [(each.label, reverse("finance:source-new", args=[each])) for each in KINDS]
    context = {"form": form, "kind": SourceKind(kind), "kind_tabs": tabs}
    return _show(request, "source_new", context, status=status)


def _created(request: PageRequest, form: SourceForm) -> Source | None:
    try:
        return source_create(
            actor=request.actor,
            name=form.cleaned_data["name"],
            kind=form.kind,
            values=form.values,
        )
    except ValidationError as error:
        form.add_faults(error.message_dict)
        return None


@requires(READ)
@require_http_methods(["GET", "POST"])
def source_detail(request: PageRequest, news_source_id: uuid.UUID) -> HttpResponse:
    """One source: is it well, what did it send, change it."""
    source = _source(news_source_id)
    form = SourceForm(request.POST or None, kind=source.kind, source=source)
    status = 200
    if request.method == "POST":
        _check_write(request)
        status = 422
        if form.is_valid() and _saved(request, source, form):
            return redirect("finance:source", source.pk)
    (line,) = source_lines(sources=[source], now=timezone.now())
    polls = [
        {**poll, "word": _FAULTS.get(poll["outcome"], "")}
        for poll in reversed(line.polling.recent if line.polling else [])
    ]
    context = {
        "line": _worded(line),
        "source": source,
        "polls": polls,
        "documents": Document.objects.filter(source_ref=source).order_by("-received_at", "-id")[
            :LATEST
        ],
        "form": form,
        "hook_url": _hook_url(request, source),
    }
    return _show(request, "source", context, status=status)


def _saved(request: PageRequest, source: Source, form: SourceForm) -> bool:
    try:
        source_update(source=source, actor=request.actor, values=form.values)
    except ValidationError as error:
        form.add_faults(error.message_dict)
        return False
    messages.success(request, _("Saved."))
    return True


@requires(WRITE)
@require_POST
def source_poll(request: PageRequest, news_source_id: uuid.UUID) -> HttpResponse:
    """Ask it now."""
    if source_poll_now(source=_source(news_source_id)):
        messages.success(request, _("It is asked as soon as a poller is free."))
    else:
        messages.info(request, _("It is switched off, or sends by itself."))
    return redirect("finance:source", news_source_id)


@requires(WRITE)
@require_POST
def source_switch(request: PageRequest, news_source_id: uuid.UUID) -> HttpResponse:
    """Switch it on or off."""
    source = _source(news_source_id)
    source_update(source=source, actor=request.actor, values={"enabled": not source.enabled})
    return redirect("finance:source", news_source_id)


@requires(WRITE)
@never_cache
@require_POST
def source_rotate(request: PageRequest, news_source_id: uuid.UUID) -> HttpResponse:
    """A new secret, shown once."""
    source = _source(news_source_id)
    if source.kind != SourceKind.HOOK:
        raise Http404("no webhook")
    source = source_rotate_secret(source=source, actor=request.actor)
    return _show(request, "source_secret", _secret_context(request, source))


@requires(WRITE)
@require_POST
def source_remove(request: PageRequest, news_source_id: uuid.UUID) -> HttpResponse:
    """Take it away, when its name was typed to confirm."""
    source = _source(news_source_id)
    if request.POST.get("confirm") != source.name:
        messages.error(request, _("The name was not typed as it is: nothing was removed."))
        return redirect("finance:source", news_source_id)
    source_archive(source=source, actor=request.actor)
    messages.success(request, _("Removed. Its documents stay."))
    return redirect("finance:sources")


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def source_opml(request: PageRequest) -> HttpResponse:
    """A list of feeds from another reader."""
    form = OpmlForm(request.POST or None, request.FILES or None)
    report: OpmlReport | None = None
    if request.method == "POST" and form.is_valid():
        try:
            outlines = opml_parse(form.cleaned_data["file"].read())
            report = opml_import(outlines=outlines, actor=request.actor)
        except OpmlRefused as error:
            form.add_error("file", str(error))
    status = 422 if form.errors else 200
    return _show(request, "source_opml", {"form": form, "report": report}, status=status)


@requires(READ)
@require_GET
def refused_list(request: PageRequest) -> HttpResponse:
    """What could not be taken in?"""
    state = request.GET.get("state", RefusedItem.State.OPEN)
    rows = refused_find(state=state if state in RefusedItem.State.values else None)
    context = {
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "state": state,
        "states": RefusedItem.State.choices,
    }
    return _show(request, "refused_items", context)


@requires(READ)
@require_http_methods(["GET", "POST"])
def refused_detail(request: PageRequest, refused_item_id: uuid.UUID) -> HttpResponse:
    """One dead letter: as it came, why it was refused, and a form to correct it."""
    item = get_object_or_404(RefusedItem.objects.select_related("source"), pk=refused_item_id)
    form = RefusedForm(request.POST) if request.method == "POST" else RefusedForm.of(item)
    status = 200
    if request.method == "POST":
        _check_write(request)
        status = 422
        if form.is_valid():
            try:
                refused_retry(item=item, changes=form.cleaned_data)
            except StillRefused as error:
                for each in error.errors:
                    form.add_error(each.field if each.field in form.fields else None, each.detail)
            else:
                messages.success(request, _("Taken in."))
                return redirect("finance:refused-items")
    context = {
        "item": item,
        "form": form,
        "is_article": any(reason.get("field") == ARTICLE for reason in item.reasons),
        "payload": json.dumps(item.payload, ensure_ascii=False, indent=2)[:20_000],
    }
    return _show(request, "refused_item", context, status=status)


@requires(WRITE)
@require_POST
def refused_again(request: PageRequest, refused_item_id: uuid.UUID) -> HttpResponse:
    """Read the article of an item again with the next poll."""
    item = get_object_or_404(RefusedItem, pk=refused_item_id)
    try:
        refused_retry(item=item)
        messages.success(request, _("It is tried again."))
    except StillRefused:
        messages.info(request, _("It is no document yet."))
    return redirect("finance:refused-items")


@requires(WRITE)
@require_POST
def refused_drop(request: PageRequest, refused_item_id: uuid.UUID) -> HttpResponse:
    """Nobody wants it."""
    refused_dismiss(item=get_object_or_404(RefusedItem, pk=refused_item_id))
    messages.success(request, _("Dismissed."))
    return redirect("finance:refused-items")


@requires(WRITE)
@require_POST
def refused_all_again(request: PageRequest) -> HttpResponse:
    """All of them once more."""
    taken, refused = refused_retry_all()
    messages.success(
        request,
        _("%(taken)d taken in or tried again, %(refused)d refused still.")
        % {"taken": taken, "refused": refused},
    )
    return redirect("finance:refused-items")


def _show(
    request: PageRequest, name: str, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    context["may_change"] = WRITE in request.granted
    return render(request, f"finance_sentiment/{name}.html", context, status=status)


def _source(source_id: uuid.UUID) -> Source:
    return get_object_or_404(
        Source.objects.select_related("polling"), pk=source_id, archived_at=None
    )


def _check_write(request: PageRequest) -> None:
    if WRITE not in request.granted:
        raise PermissionDenied


def _hook_url(request: PageRequest, source: Source) -> str:
    path = f"/api/v1/finance/hooks/{source.hook_key}"
    return request.build_absolute_uri(path) if source.hook_key else ""


def _secret_context(request: PageRequest, source: Source) -> dict[str, Any]:
    return {"source": source, "hook_url": _hook_url(request, source)}
