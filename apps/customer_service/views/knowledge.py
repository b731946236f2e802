"""Knowledge: what does the assistant know, and where from?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import Document, Source
from apps.customer_service.selectors import knowledge as selectors
from apps.customer_service.services import sources
from apps.customer_service.services.documents import document_file, document_retry, passage_hide
from apps.customer_service.services.passage_items import draft_documents, live_documents
from apps.customer_service.services.reading.document import MAX_BYTES, Unreadable
from apps.customer_service.services.reading.kinds import ENDINGS
from apps.customer_service.services.releases import (
    draft_state,
    has_changes,
    live_state,
    release_changes,
)
from apps.customer_service.views.knowledge_forms import (
    OptionsForm,
    SiteForm,
    SourceForm,
    TableForm,
    TextForm,
    UrlForm,
)
from apps.customer_service.views.knowledge_pages import (
    PAGE,
    READ,
    WRITE,
    csv_file,
    page_of,
    show,
    writers_only,
)
from rootstock.common.problems import Problem
from rootstock.jobs.services import job_cancel
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.requests import PageRequest

SAMPLE = (
    "question,answer,similar questions,category\n"
    "How long does delivery take?,Two to four working days.,When does it come? || How fast do you ship?,Delivery\n"
    "可以开发票吗？,可以，请在订单页面申请电子发票。,怎么开发票 || 发票在哪里开,发票\n"
)
_FORMS: dict[str, Any] = {
    "files": OptionsForm,
    "page": UrlForm,
    "site": SiteForm,
    "table": TableForm,
    "text": TextForm,
}


@requires(READ)
@require_GET
def source_list(request: PageRequest) -> HttpResponse:
    """All sources and how they stand."""
    return show(request, "sources", _sources(request))


@requires(READ)
@require_GET
def source_list_rows(request: PageRequest) -> HttpResponse:
    """The same without the page around it, while something is being read."""
    return show(request, "_sources", _sources(request))


def _sources(request: PageRequest) -> dict[str, Any]:
    q, kind = request.GET.get("q", "").strip(), request.GET.get("kind", "")
    removed = request.GET.get("state") == "removed"
    found = selectors.sources_find(q=q, kind=kind, removed=removed)
    page = page_of(request, found)
    rows = selectors.source_rows(page.object_list)
    jobs = selectors.source_jobs(page.object_list)
    busy = bool(jobs) or any(row.state == "reading" for row in rows)
    return {
        "page": page,
        "rows": [(row, jobs.get(row.source.pk)) for row in rows],
        "busy": busy,
        "counts": selectors.source_counts(),
        "waiting": selectors.vectors_waiting(),
        # Told once all is read: a page that looks every other second must not compare everything each time.
        "has_changes": not busy and has_changes(release_changes(live_state(), draft_state())),
        "kinds": Source.Kind.choices,
        "q": q,
        "kind": kind,
        "removed": removed,
        "filtered": bool(q or kind or removed),
        "query": request.GET.urlencode(),
    }


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def source_add(request: PageRequest, kind: str = "files") -> HttpResponse:
    """Files, a page, a site, a table, a text."""
    if kind not in _FORMS:
        raise Http404("no such kind")
    form = _FORMS[kind](request.POST or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                with transaction.atomic():
                    return _added(request, kind, form.cleaned_data)
            except Problem as problem:
                show_problem(form, problem)
    names = {
        "files": _("Files"),
        "page": _("Web page"),
        "site": _("Site"),
        "table": _("Questions and answers"),
        "text": _("Text"),
    }
    context = {
        "form": form,
        "kind": kind,
        "kind_tabs": [
            (names[each], reverse("service:knowledge-add", args=[each])) for each in names
        ],
        "endings": ",".join(ENDINGS),
        "most_megabytes": MAX_BYTES // 2**20,
        "upload": {"url": "/api/v1/service/knowledge/documents", "mostBytes": MAX_BYTES},
    }
    return show(request, "add", context, status=status)


def _added(request: PageRequest, kind: str, values: dict[str, Any]) -> HttpResponse:
    actor = request.actor
    if kind == "files":
        files = request.FILES.getlist("files")
        if not files:
            raise Problem(422, "invalid", _("Choose a file."))
        documents = [
            sources.file_add(
                name=file.name or "",
                data=file.read(),
                content_type=file.content_type or "",
                actor=actor,
                **values,
            )
            for file in files
        ]
        if len(documents) > 1:
            return redirect("service:knowledge")
        source_id = documents[0].source_id
    elif kind == "table":
        name = f"{values.pop('title').replace('/', '-')}.tsv"
        data = values.pop("table").encode("utf-8", "ignore")
        source_id = sources.file_add(name=name, data=data, actor=actor, **values).source_id
    elif kind == "text":
        source_id = sources.text_add(actor=actor, **values).source_id
    else:
        web = Source.Kind.URL if kind == "page" else Source.Kind.SITEMAP
        source_id = sources.web_add(kind=web, actor=actor, **values).pk
    return redirect("service:knowledge-source", source_id)


@requires(READ)
@require_GET
def table_sample(request: PageRequest) -> HttpResponse:
    """A table to fill in."""
    return csv_file(SAMPLE, "questions-and-answers.csv")


@requires(READ)
@require_http_methods(["GET", "POST"])
def source_detail(request: PageRequest, source_id: uuid.UUID) -> HttpResponse:
    """Its documents, how far they are, and what can be set."""
    source = selectors.source_get(source_id)
    form = SourceForm(source, request.POST or None)
    status = 200
    if request.method == "POST":
        writers_only(request)
        status = 422
        if form.is_valid():
            try:
                with transaction.atomic():
                    sources.source_update(
                        source=source, values=form.cleaned_data, actor=request.actor
                    )
            except Problem as problem:
                show_problem(form, problem)
            else:
                messages.success(request, _("Saved."))
                return redirect("service:knowledge-source", source.pk)
    context = {"form": form, "endings": ",".join(ENDINGS), **_documents(request, source)}
    if source.kind == Source.Kind.TEXT:
        context["text"] = _text_of(source)
    return show(request, "source", context, status=status)


@requires(READ)
@require_GET
def source_documents(request: PageRequest, source_id: uuid.UUID) -> HttpResponse:
    """Its documents without the page around them, while they are being read."""
    return show(request, "_documents", _documents(request, selectors.source_get(source_id)))


def _documents(request: PageRequest, source: Source) -> dict[str, Any]:
    state = request.GET.get("state", "")
    page = page_of(request, selectors.documents_newest(source, state=state))
    row = selectors.source_row(source)
    job = selectors.source_job(source)
    live = live_documents()
    return {
        "source": source,
        "row": row,
        "job": job,
        "busy": job is not None or row.state == "reading",
        "page": page,
        "documents": [(document, str(document.pk) in live) for document in page],
        "states": Document.State.choices,
        "state": state,
        "query": request.GET.urlencode(),
    }


def _text_of(source: Source) -> str:
    newest = source.documents.order_by("-version").first()
    if newest is None:
        return ""
    try:
        return document_file(newest).read_text("utf-8", "replace")
    except Unreadable:
        return ""


@requires(WRITE)
@require_POST
def source_version(request: PageRequest, source_id: uuid.UUID) -> HttpResponse:
    """A new version of a file or a text."""
    source = selectors.source_get(source_id)
    file = request.FILES.get("file")
    text = request.POST.get("text")
    try:
        if file is not None:
            with transaction.atomic():
                sources.version_add(
                    source=source,
                    data=file.read(),
                    content_type=file.content_type or "",
                    actor=request.actor,
                )
        elif text and text.strip():
            with transaction.atomic():
                sources.version_add(
                    source=source, data=text.encode("utf-8", "ignore"), actor=request.actor
                )
        else:
            messages.error(request, _("There is nothing in it."))
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("service:knowledge-source", source.pk)


@requires(WRITE)
@require_POST
def source_act(request: PageRequest, source_id: uuid.UUID, act: str) -> HttpResponse:
    """Visit it, stop that, try again what failed, remove it or bring it back."""
    if act not in _ACTS:
        raise Http404("no such act")
    source = selectors.source_get(source_id)
    try:
        with transaction.atomic():
            _ACTS[act](request, source)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("service:knowledge-source", source.pk)


def _sync(request: PageRequest, source: Source) -> None:
    sources.sync_request(source, request.actor)


def _cancel(request: PageRequest, source: Source) -> None:
    for job in sources.unfinished_jobs(source):
        job_cancel(job.pk)
    messages.info(request, _("It stops at the next safe point. What has been read stays."))


def _retry(request: PageRequest, source: Source) -> None:
    for document in selectors.documents_newest(source, state=Document.State.FAILED):
        document_retry(document=document)
    sources.sync_request(source, request.actor)


def _restore(request: PageRequest, source: Source) -> None:
    sources.source_restore(source=source, actor=request.actor)
    messages.success(request, _("“%(title)s” is back.") % {"title": source.title})


def _remove(request: PageRequest, source: Source) -> None:
    if request.POST.get("confirm", "").strip() != source.title:
        messages.error(request, _("The name does not match; nothing was removed."))
        return
    sources.source_remove(source=source, actor=request.actor)
    messages.success(
        request, _("“%(title)s” is removed. It can be brought back.") % {"title": source.title}
    )


_ACTS = {
    "sync": _sync,
    "cancel": _cancel,
    "retry": _retry,
    "restore": _restore,
    "remove": _remove,
}


@requires(READ)
@require_GET
def document_detail(request: PageRequest, document_id: uuid.UUID) -> HttpResponse:
    """The passages that were made of it, and its versions."""
    document = selectors.document_get(document_id)
    live = live_documents()
    draft = {each.pk for each in draft_documents(document.source)}
    context = {
        "document": document,
        "source": document.source,
        "page": page_of(request, document.passages.order_by("position")),
        "in_draft": document.pk in draft,
        "in_live": str(document.pk) in live,
        "versions": [
            (version, str(version.pk) in live, version.pk in draft)
            for version in selectors.document_versions(document)
        ],
    }
    return show(request, "document", context)


@requires(WRITE)
@require_POST
def document_again(request: PageRequest, document_id: uuid.UUID) -> HttpResponse:
    """Have one that failed read once more."""
    document = selectors.document_get(document_id)
    try:
        document_retry(document=document)
        sources.sync_request(document.source, request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("service:knowledge-source", document.source_id)


@requires(READ)
@require_GET
def passage_detail(request: PageRequest, passage_id: uuid.UUID) -> HttpResponse:
    """Where it stands in its document."""
    return _to_passage(passage_id)


@requires(WRITE)
@require_POST
def passage_visibility(request: PageRequest, passage_id: uuid.UUID) -> HttpResponse:
    """Take a passage out, or bring it back."""
    passage = selectors.passage_get(passage_id)
    passage_hide(passage=passage, hidden="hide" in request.POST, actor=request.actor)
    return _to_passage(passage_id)


def _to_passage(passage_id: uuid.UUID) -> HttpResponse:
    passage = selectors.passage_get(passage_id)
    number = passage.position // PAGE + 1
    address = reverse("service:knowledge-document", args=[passage.document_id])
    return redirect(f"{address}?page={number}#passage-{passage.pk}")
