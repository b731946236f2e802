"""Prepared answers: what is said word for word, and to which questions?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import Answer
from apps.customer_service.selectors.knowledge import answer_get, answers_find
from apps.customer_service.services.answers import answer_remove, answer_save
from apps.customer_service.services.answers_import import (
    COLUMNS,
    IMPORT_JOB,
    MAX_BYTES,
    MOST_ROWS,
    answers_export,
    answers_import_start,
)
from apps.customer_service.services.releases import draft_state, live_state, release_changes
from apps.customer_service.views.knowledge_forms import AnswerForm
from apps.customer_service.views.knowledge_pages import READ, WRITE, csv_file, page_of, show
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.jobs.selectors import job_list
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.requests import PageRequest


@requires(READ)
@require_GET
def answer_list(request: PageRequest) -> HttpResponse:
    """All answers, those that visitors do not have yet marked."""
    q, state = request.GET.get("q", "").strip(), request.GET.get("state", "")
    added, changed, removed = release_changes(live_state(), draft_state())["answers"]
    found = answers_find(q=q, state=state)
    if state == "changed":
        found = found.filter(pk__in=[*added, *changed])
    context = {
        "page": page_of(request, found),
        "new": set(added),
        "changed": set(changed),
        "removed": removed,
        "q": q,
        "state": state,
        "states": [
            ("changed", _("Not published yet")),
            ("live", _("Visitors have it")),
            ("removed", _("Removed")),
        ],
    }
    return show(request, "answers", context)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def answer_new(request: PageRequest) -> HttpResponse:
    """Write one."""
    return _edited(request, AnswerForm(request.POST or None), None)


@requires(READ)
@require_http_methods(["GET", "POST"])
def answer_detail(request: PageRequest, answer_id: uuid.UUID) -> HttpResponse:
    """Read it, and change it."""
    answer = answer_get(answer_id)
    return _edited(request, AnswerForm(request.POST or None, initial=AnswerForm.of(answer)), answer)


def _edited(request: PageRequest, form: AnswerForm, answer: Answer | None) -> HttpResponse:
    status = 200
    if request.method == "POST":
        if WRITE not in request.granted:
            return show(request, "answer", {"form": form, "answer": answer}, status=403)
        status = 422
        if form.is_valid():
            try:
                with transaction.atomic():
                    saved = answer_save(values=form.values(), actor=request.actor, answer=answer)
            except Problem as problem:
                show_problem(form, problem)
            else:
                messages.success(request, _("Saved. Visitors get it with the next release."))
                return redirect("service:knowledge-answer", saved.pk)
    return show(request, "answer", {"form": form, "answer": answer}, status=status)


@requires(WRITE)
@require_POST
def answer_act(request: PageRequest, answer_id: uuid.UUID, act: str) -> HttpResponse:
    """Remove it from the draft, or bring it back."""
    if act not in {"remove", "restore"}:
        raise Http404("no such act")
    answer = answer_get(answer_id)
    answer_remove(answer=answer, actor=request.actor, removed=act == "remove")
    if act == "remove":
        messages.success(request, _("It is removed with the next release. It can be brought back."))
    return redirect("service:knowledge-answer", answer.pk)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def answer_import(request: PageRequest) -> HttpResponse:
    """Many of them from a table."""
    if request.method == "POST":
        file = request.FILES.get("file")
        if file is None:
            messages.error(request, _("Choose a file."))
            return redirect("service:knowledge-answers-import")
        try:
            answers_import_start(name=file.name or "", data=file.read(), actor=request.actor)
        except Problem as problem:
            messages.error(request, str(problem.detail))
        return redirect("service:knowledge-answers-import")
    return show(request, "answers_import", _import())


@requires(WRITE)
@require_GET
def answer_import_progress(request: PageRequest) -> HttpResponse:
    """How far the import is, and what became of it."""
    return show(request, "_answers_import", _import())


def _import() -> dict[str, Any]:
    job: Job | None = job_list(kind=IMPORT_JOB).first()
    return {
        "job": job,
        "columns": COLUMNS,
        "most_rows": MOST_ROWS,
        "most_megabytes": MAX_BYTES // 2**20,
    }


@requires(READ)
@require_GET
def answer_export(request: PageRequest) -> HttpResponse:
    """All of them as a table that the import takes."""
    return csv_file(answers_export(), "answers.csv")
