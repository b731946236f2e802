"""Models, Data sets: what there is to learn from."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.modelhub import data_selectors, selectors, services
from rootstock.modelhub.data_forms import DatasetForm, ImportForm, NewDatasetForm
from rootstock.modelhub.forms import show_problem
from rootstock.modelhub.models import Dataset, DatasetExample, DatasetImport, Task
from rootstock.modelhub.services.annotation import UNASKABLE
from rootstock.modelhub.services.examples import answer_of, answer_text
from rootstock.modelhub.services.exports import export_formats
from rootstock.modelhub.services.imports import (
    column_names,
    import_report,
    import_run,
    import_stage,
    import_start,
)
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 50
EXAMPLES_PAGE = 25
# Smaller files are read while the page waits, larger ones in the background.
INLINE_BYTES = 4 * 2**20
MAX_BYTES = 2 * 2**30
IMPORTS_SHOWN = 10
_FIELDS = ("name", "description", "language")
# Tasks whose answer is written into one field.
_EDITABLE = frozenset(
    {
        Task.TEXT_CLASSIFICATION,
        Task.MULTI_LABEL_CLASSIFICATION,
        Task.IMAGE_CLASSIFICATION,
        Task.RERANKING,
        Task.TEXT_EMBEDDING,
        Task.TEXT_GENERATION,
    }
)


def dataset_or_404(dataset_id: uuid.UUID) -> Dataset:
    """The data set, or the page that says that there is none."""
    dataset = selectors.dataset_list().filter(pk=dataset_id).first()
    if dataset is None:
        raise Http404(_("There is no such data set."))
    return dataset


@requires(Permission.MODELS_READ)
@require_GET
def datasets(request: PageRequest) -> HttpResponse:
    """What can models be trained on?"""
    page = Paginator(selectors.dataset_list(), PAGE).get_page(request.GET.get("page"))
    counts = selectors.example_counts(list(page))
    rows = [(dataset, counts.get(dataset.pk, {})) for dataset in page]
    return render(request, "modelhub/datasets.html", {"page": page, "rows": rows})


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def dataset_new(request: PageRequest) -> HttpResponse:
    """Make a data set."""
    form = NewDatasetForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                dataset = services.dataset_create(actor=request.actor, **form.cleaned_data)
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("modelhub:import", dataset.pk)
    return _form_page(request, "modelhub/dataset_form.html", form)


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def dataset_edit(request: PageRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Change its name, description or language."""
    dataset = dataset_or_404(dataset_id)
    initial = {name: getattr(dataset, name) for name in _FIELDS}
    form = DatasetForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                services.dataset_update(dataset=dataset, actor=request.actor, **form.cleaned_data)
        except Problem as problem:
            dataset = dataset_or_404(dataset_id)
            show_problem(form, problem)
        else:
            messages.success(request, _("Saved."))
            return redirect("modelhub:dataset", dataset.pk)
    return _form_page(request, "modelhub/dataset_form.html", form, dataset=dataset)


@requires(Permission.MODELS_WRITE)
@require_POST
def dataset_delete(request: PageRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Delete a data set; the dialog has asked for its name."""
    dataset = dataset_or_404(dataset_id)
    try:
        with transaction.atomic():
            services.dataset_delete(dataset=dataset, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("modelhub:dataset", dataset_id)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": dataset.name})
    return redirect("modelhub:datasets")


@requires(Permission.MODELS_READ)
@require_GET
def dataset(request: PageRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """What is in it, are its labels in balance, and is it ready to train on?"""
    current = dataset_or_404(dataset_id)
    distribution = selectors.label_distribution(current)
    search = request.GET.get("q", "").replace("\0", "")[:200]
    wanted = request.GET.get("label")
    if wanted is not None and wanted not in distribution:
        wanted = None
    examples = selectors.example_list(current, search=search, label=wanted)
    total = sum(distribution.values())
    by_answer = data_selectors.answer_distribution(current)
    shown = by_answer or (distribution if any(distribution) else {})
    page = Paginator(examples, EXAMPLES_PAGE).get_page(request.GET.get("page"))
    for row in page:
        shown_example(row, current)
    context = {
        "dataset": current,
        "total": total,
        "labelled": current.examples.filter(labelled=True).count(),
        "labels": [label for label in shown if label],
        "distribution": [
            {"label": label, "count": count, "share": count / total}
            for label, count in shown.items()
        ],
        "filterable": not by_answer,
        "page": page,
        "formats": export_formats(current.task),
        "items": current.items.count() if current.task == Task.NEXT_ITEM else 0,
        "askable": current.task not in UNASKABLE,
        "sources": data_selectors.source_list(current, request.granted),
        "imports": DatasetImport.objects.filter(dataset=current).order_by("-id")[:IMPORTS_SHOWN],
        "search": search,
        "wanted": wanted,
        "filtered": bool(search) or wanted is not None,
        "snapshots": selectors.snapshot_list(current)[:20],
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/dataset.html", context)


@requires(Permission.MODELS_WRITE)
@require_POST
def example_label(
    request: PageRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
) -> HttpResponse:
    """Give an example another label, in its row of the table."""
    current = dataset_or_404(dataset_id)
    example = current.examples.filter(pk=example_id).first()
    if example is None:
        raise Http404(_("There is no such example."))
    context: dict[str, Any] = {
        "dataset": current,
        "example": example,
        "askable": True,
        "may_write": True,
    }
    try:
        with transaction.atomic():
            label = request.POST.get("label", "")
            before = example.label
            example = services.example_relabel(example=example, label=label, actor=request.actor)
    except Problem as problem:
        context["error"] = str(problem.detail)
    else:
        context |= {"example": example, "changed_from": before if before != example.label else None}
    shown_example(example, current)
    return render(request, "modelhub/_example.html", context)


@requires(Permission.MODELS_READ)
@require_GET
def example(request: PageRequest, dataset_id: uuid.UUID, example_id: uuid.UUID) -> HttpResponse:
    """What does it say, and who gave it which label?"""
    current = dataset_or_404(dataset_id)
    found = DatasetExample.objects.filter(pk=example_id, dataset=current).first()
    if found is None:
        raise Http404(_("There is no such example."))
    shown_example(found, current)
    task = current.task
    history = [
        {
            "change": change,
            "before": answer_text(task, change.before, found.content) or change.from_label,
            "after": answer_text(task, change.after, found.content) or change.to_label,
        }
        for change in found.label_changes.order_by("-created_at", "-id")
    ]
    kinds = list(data_selectors.answer_distribution(current)) if "tokens" in found.content else []
    context = {
        "dataset": current,
        "example": found,
        "parts": _parts(found),
        "spans": _spans(found),
        "answer_name": _("Label") if task != Task.TEXT_GENERATION else _("Response"),
        "long_answer": task == Task.TEXT_GENERATION,
        "tagger": {
            "tokens": found.content.get("tokens", []),
            "tags": found.content.get("tags", []),
            "kinds": kinds,
        },
        "history": history,
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/example.html", context)


@requires(Permission.MODELS_WRITE)
@require_POST
def example_delete(
    request: PageRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
) -> HttpResponse:
    """Take an example out."""
    current = dataset_or_404(dataset_id)
    found = DatasetExample.objects.filter(pk=example_id, dataset=current).first()
    if found is not None:
        services.example_delete(example=found, actor=request.actor)
        messages.success(request, _("The example is removed."))
    return redirect("modelhub:dataset", dataset_id)


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def dataset_import(request: PageRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Import a file; the answer names every row that was left out."""
    current = dataset_or_404(dataset_id)
    form = ImportForm(current, request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                started = _import(request, current, form.cleaned_data)
        except Problem as problem:
            show_problem(form, problem)
        else:
            if started.finished_at is None:
                return redirect("modelhub:import-report", started.pk)
            report = import_report(started)
            added = ngettext(
                "%(count)s example added.", "%(count)s examples added.", report.added
            ) % {"count": f"{report.added:,}"}
            if not report.problem_count and not report.conflicts:
                messages.success(request, added)
                return redirect("modelhub:dataset", current.pk)
            context = {"dataset": current, "form": form, "report": report, "started": started}
            return render(request, "modelhub/import.html", context)
    return _form_page(request, "modelhub/import.html", form, dataset=current)


def _import(request: PageRequest, dataset: Dataset, options: dict[str, Any]) -> DatasetImport:
    """Import an uploaded file: a small one now, a large one by a worker."""
    upload = options["file"]
    if (upload.size or 0) > MAX_BYTES:
        raise Problem(413, "too-large", _("A file of at most 2 GB can be uploaded."))
    background = (upload.size or 0) > INLINE_BYTES
    text, label = options.get("text_column", "text"), options.get("label_column", "label")
    if options.get("unlabelled"):
        label = ""
    started = import_start(
        dataset=dataset,
        actor=request.actor,
        file_name=upload.name or "",
        kind=options.get("kind") or DatasetImport.Kind.ROWS,
        columns=column_names(dataset.task, text, label),
        staged=import_stage(upload.chunks(), upload.name or ""),
        in_background=background,
    )
    if not background:
        import_run(started, actor=request.actor)
    return started


def shown_example(example: DatasetExample, dataset: Dataset) -> None:
    """What the pages say of its answer, and whether one field is enough to change it."""
    answer = answer_of(dataset.task, example.content)
    words = answer_text(dataset.task, answer, example.content)
    if answer.get("labels") == []:
        words = "|"  # none of them; an empty field would take the answer away
    editable = dataset.task in _EDITABLE and "messages" not in example.content
    example.shown = words  # type: ignore[attr-defined]
    example.editable = editable  # type: ignore[attr-defined]


def _parts(example: DatasetExample) -> list[tuple[str, str]]:
    """The content key by key, without the answer."""
    if "messages" in example.content:
        return [(turn["role"], turn["content"]) for turn in example.content["messages"]]
    answer = answer_of(example.dataset.task, example.content)
    return [
        (name, " → ".join(value) if isinstance(value, list) else str(value))
        for name, value in example.content.items()
        if name not in answer and name != "spans"
    ]


def _spans(example: DatasetExample) -> list[tuple[str, str]]:
    """Of a text with spans each span's words and its label, "" where it has none."""
    text, spans = example.content.get("text", ""), example.content.get("spans", [])
    labels = example.content.get("labels") or [""] * len(spans)
    return [(text[start:end], label) for (start, end), label in zip(spans, labels, strict=True)]


def _form_page(request: PageRequest, template: str, form: Any, **context: Any) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    return render(request, template, {"form": form, **context}, status=status)
