"""Evaluation: would a release find what the present one finds?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import EvaluationQuestion
from apps.customer_service.selectors import evaluation as selectors
from apps.customer_service.services.evaluation import evaluation_job, evaluation_start
from apps.customer_service.services.evaluation_questions import (
    COLUMNS,
    Imported,
    question_save,
    questions_export,
    questions_import,
)
from apps.customer_service.services.releases import draft_state, evaluation_of
from apps.customer_service.views.knowledge_forms import QuestionForm
from apps.customer_service.views.knowledge_pages import (
    READ,
    TEMPLATES,
    WRITE,
    csv_file,
    page_of,
    show,
)
from rootstock.common.problems import Problem
from rootstock.jobs.services import job_cancel
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.requests import PageRequest

RUNS = 10


@requires(READ)
@require_GET
def evaluation(request: PageRequest) -> HttpResponse:
    """The last verdict, the runs before, and the questions."""
    return _page(request)


def _page(request: PageRequest, imported: Imported | None = None) -> HttpResponse:
    q = request.GET.get("q", "").strip()
    runs = list(selectors.runs_all()[:RUNS])
    done = next((run for run in runs if run.state == "done"), None)
    context = {
        "page": page_of(request, selectors.questions_find(q=q)),
        "q": q,
        "runs": runs,
        "run": done,
        "figures": selectors.run_figures(done) if done else [],
        "current": evaluation_of(draft_state()),
        "job": evaluation_job(),
        "columns": COLUMNS,
        "imported": imported,
    }
    return show(request, "evaluation", context)


@requires(WRITE)
@require_POST
def evaluation_run(request: PageRequest) -> HttpResponse:
    """Ask all questions of the draft."""
    try:
        with transaction.atomic():
            evaluation_start(actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("service:knowledge-evaluation")


@requires(WRITE)
@require_POST
def evaluation_cancel(request: PageRequest) -> HttpResponse:
    """Stop asking."""
    job = evaluation_job()
    if job is not None:
        job_cancel(job.pk)
    return redirect("service:knowledge-evaluation")


@requires(READ)
@require_GET
def evaluation_progress(request: PageRequest) -> HttpResponse:
    """How far it is; once it has ended the page loads itself anew."""
    job = evaluation_job()
    if job is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"job": job, "may_change": WRITE in request.granted}
    return render(request, f"{TEMPLATES}/_evaluating.html", context)


@requires(READ)
@require_GET
def run_detail(request: PageRequest, run_id: uuid.UUID) -> HttpResponse:
    """Its figures, what got better and worse, and every question."""
    run = selectors.run_get(run_id)
    wrong = request.GET.get("show", "wrong") == "wrong"
    rows = [row for row in run.rows if not (wrong and row["right"] and row["rank"] in (None, 1))]
    context = {
        "run": run,
        "figures": selectors.run_figures(run),
        "differences": selectors.run_differences(run),
        "page": page_of(request, rows),
        "wrong": wrong,
    }
    return show(request, "evaluation_run", context)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def question_new(request: PageRequest) -> HttpResponse:
    """Add one."""
    return _edited(request, QuestionForm(request.POST or None), None)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def question_detail(request: PageRequest, question_id: uuid.UUID) -> HttpResponse:
    """Change it."""
    question = selectors.question_get(question_id)
    form = QuestionForm(request.POST or None, initial=QuestionForm.of(question))
    return _edited(request, form, question)


def _edited(
    request: PageRequest, form: QuestionForm, question: EvaluationQuestion | None
) -> HttpResponse:
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                with transaction.atomic():
                    question_save(values=form.cleaned_data, question=question)
            except Problem as problem:
                show_problem(form, problem)
            else:
                messages.success(request, _("Saved."))
                return redirect("service:knowledge-evaluation")
    return show(request, "question", {"form": form, "question": question}, status=status)


@requires(WRITE)
@require_POST
def question_remove(request: PageRequest, question_id: uuid.UUID) -> HttpResponse:
    """Take it away."""
    selectors.question_get(question_id).delete()
    messages.success(request, _("The question is removed."))
    return redirect("service:knowledge-evaluation")


@requires(WRITE)
@require_POST
def question_import(request: PageRequest) -> HttpResponse:
    """Many of them from a file; the lines that are left out are named."""
    file = request.FILES.get("file")
    if file is None:
        messages.error(request, _("Choose a file."))
        return redirect("service:knowledge-evaluation")
    try:
        with transaction.atomic():
            imported: Any = questions_import(file.read(), name=file.name or "")
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("service:knowledge-evaluation")
    return _page(request, imported)


@requires(READ)
@require_GET
def question_export(request: PageRequest) -> HttpResponse:
    """All of them as a table that the import takes."""
    return csv_file(questions_export(as_csv=True), "evaluation-questions.csv")
