"""Models, Data sets: what comes in, goes out, is frozen and taken back."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.modelhub import services
from rootstock.modelhub.api.data import export_file, refused_file
from rootstock.modelhub.data_forms import FreezeForm
from rootstock.modelhub.forms import show_problem
from rootstock.modelhub.models import Dataset, DatasetExample, DatasetImport
from rootstock.modelhub.services.exports import export_formats
from rootstock.modelhub.services.images import image_path
from rootstock.modelhub.services.imports import import_report
from rootstock.modelhub.services.snapshots import metadata_columns
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.sources import source_get
from rootstock.modelhub.views.datasets import dataset_or_404
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

_IMAGE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
}


def example_or_404(dataset: Dataset, example_id: uuid.UUID) -> DatasetExample:
    """The example, or the page that says that there is none."""
    example = (
        DatasetExample.objects.select_related("dataset")
        .filter(pk=example_id, dataset=dataset)
        .first()
    )
    if example is None:
        raise Http404(_("There is no such example."))
    return example


def _import_or_404(import_id: uuid.UUID) -> DatasetImport:
    started = DatasetImport.objects.select_related("dataset", "job").filter(pk=import_id).first()
    if started is None:
        raise Http404(_("There is no such import."))
    return started


@requires(Permission.MODELS_READ)
@require_GET
def import_page(request: PageRequest, import_id: uuid.UUID) -> HttpResponse:
    """How far is it, and which rows were left out?"""
    started = _import_or_404(import_id)
    context = {"started": started, "dataset": started.dataset, "report": import_report(started)}
    return render(request, "modelhub/import_report.html", context)


@requires(Permission.MODELS_READ)
@require_GET
def import_refused(request: PageRequest, import_id: uuid.UUID) -> HttpResponse:
    """All rows that were left out, as a file."""
    return refused_file(_import_or_404(import_id))


@requires(Permission.MODELS_READ)
@require_GET
def dataset_export(request: PageRequest, dataset_id: uuid.UUID) -> HttpResponse | FileResponse:
    """All rows as a file that can be imported again."""
    current = dataset_or_404(dataset_id)
    kind = request.GET.get("format", export_formats(current.task)[0])
    if kind != "items" and kind not in export_formats(current.task):
        raise Http404(_("There is no such format."))
    try:
        return export_file(current, kind)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("modelhub:dataset", current.pk)


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def dataset_freeze(request: PageRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Freeze and split without starting a run."""
    current = dataset_or_404(dataset_id)
    form = FreezeForm(metadata_columns(current), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                snapshot = services.snapshot_create(
                    dataset=current, actor=request.actor, **form.cleaned_data
                )
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(request, _("Snapshot #%(number)d.") % {"number": snapshot.number})
            return redirect("modelhub:dataset", current.pk)
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "dataset": current}
    return render(request, "modelhub/dataset_freeze.html", context, status=status)


@requires(Permission.MODELS_WRITE)
@require_POST
def dataset_pull(request: PageRequest, dataset_id: uuid.UUID, key: str) -> HttpResponse:
    """Add what is new in an application."""
    current = dataset_or_404(dataset_id)
    source = source_get(key)
    if source is None or source.permission not in request.granted:
        raise Http404(_("There is no such source."))
    try:
        with transaction.atomic():
            result = source_pull(dataset=current, source=source, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        added = ngettext("%(count)s example added.", "%(count)s examples added.", result.added) % {
            "count": f"{result.added:,}"
        }
        messages.success(request, added)
    return redirect("modelhub:dataset", current.pk)


@requires(Permission.MODELS_WRITE)
@require_POST
def example_answer(
    request: PageRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
) -> HttpResponse:
    """Give an example another answer on its own page: a label, or what the editor of its task has made."""
    example = example_or_404(dataset_or_404(dataset_id), example_id)
    try:
        with transaction.atomic():
            if "answer" in request.POST:
                services.example_answer(
                    example=example, answer=_object(request.POST["answer"]), actor=request.actor
                )
            elif "labels" in request.POST:
                answer = {"labels": request.POST.getlist("labels")}
                services.example_answer(example=example, answer=answer, actor=request.actor)
            else:
                label = request.POST.get("label", "")
                services.example_relabel(example=example, label=label, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, _("Saved."))
    return redirect("modelhub:example", dataset_id, example_id)


@requires(Permission.MODELS_WRITE)
@require_POST
def example_undo(
    request: PageRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
) -> HttpResponse:
    """Take the last change back."""
    example = example_or_404(dataset_or_404(dataset_id), example_id)
    try:
        with transaction.atomic():
            services.label_undo(example=example, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, _("The answer before is back."))
    return redirect("modelhub:example", dataset_id, example_id)


@requires(Permission.MODELS_READ)
@require_GET
def example_image(
    request: PageRequest, dataset_id: uuid.UUID, example_id: uuid.UUID
) -> FileResponse:
    """The image of an example."""
    example = example_or_404(dataset_or_404(dataset_id), example_id)
    path = image_path(str(example.content.get("image", "")))
    kind = _IMAGE_TYPES.get(path.suffix)
    if kind is None or not path.is_file():
        raise Http404(_("There is no such image."))
    response = FileResponse(path.open("rb"), content_type=kind)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Problem(422, "invalid", _("That is no answer."))
    return value
