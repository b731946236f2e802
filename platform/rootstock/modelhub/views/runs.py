"""Models, Runs: is training going well, and which was better?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from ml_core.registry import Artifact, ArtifactError
from rootstock.common.problems import Problem
from rootstock.modelhub import comparing, differing, selectors, services
from rootstock.modelhub.models import (
    Dataset,
    ModelVersion,
    Snapshot,
    Split,
    TrainingFile,
    TrainingRun,
)
from rootstock.modelhub.option_words import option_value
from rootstock.modelhub.reporting import has_tensorboard, tensorboard_zip
from rootstock.modelhub.run_inputs import part_sizes
from rootstock.modelhub.runs import PHASES
from rootstock.modelhub.selecting import selection_start
from rootstock.modelhub.services.comparisons import TASKS as PAIRED_TASKS
from rootstock.modelhub.services.comparisons import comparison_start
from rootstock.modelhub.storage import absolute_path
from rootstock.modelhub.training_settings import Reference, references
from rootstock.realtime.selectors import stream_head
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 50
# Of the rows on which two versions differ.
ROWS = 25


def _run_or_404(run_id: uuid.UUID) -> TrainingRun:
    run = selectors.run_list().filter(pk=run_id).first()
    if run is None:
        raise Http404(_("There is no such run."))
    return run


@requires(Permission.MODELS_READ)
@require_GET
def runs(request: PageRequest) -> HttpResponse:
    """What trains, what has been trained, and with what result?"""
    state = request.GET.get("state")
    state = state if state in TrainingRun.State.values else None
    page = Paginator(selectors.run_list(state=state), PAGE).get_page(request.GET.get("page"))
    figures = selectors.best_figures(list(page))
    context = {
        "page": page,
        "rows": [(run, figures.get(run.pk), _duration(run)) for run in page],
        "states": TrainingRun.State.choices,
        "state": state,
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/runs.html", context)


@requires(Permission.MODELS_READ)
@require_GET
def run(request: PageRequest, run_id: uuid.UUID) -> HttpResponse:
    """Is this training going well, how long does it take, and what came of it?"""
    current = _run_or_404(run_id)
    data = {
        "lastEventId": stream_head("models"),
        "run": {
            "id": str(current.pk),
            "state": current.current_state,
            "phase": current.phase,
            "fraction": current.fraction,
            "eta_seconds": current.eta_seconds,
            "attempts": current.attempts,
            "headline": current.headline,
            "search": current.is_search,
            "trials": len(current.trials),
            "job": str(current.job_id) if current.job_id else None,
        },
        "curve": selectors.run_curve(current),
        "phases": {key: _(words) for key, (words, _start) in PHASES.items()},
    }
    context = {
        "run": current,
        "data": data,
        "phase": data["phases"].get(current.phase, ""),  # type: ignore[attr-defined]
        "duration": _duration(current),
        "options": _settings(current),
        "parts": [(part.label, part_sizes(current.snapshot)[part]) for part in Split],
        "group": _others(current),
        "trials": _trials(current),
        "space": [(name, _tried(name, values)) for name, values in current.space.items()],
        "forgetting": _forgetting(current),
        "tensorboard": has_tensorboard(current),
        "may_resume": current.current_state
        in (TrainingRun.State.FAILED, TrainingRun.State.CANCELLED),
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/run.html", context)


@requires(Permission.MODELS_WRITE)
@require_POST
def run_cancel(request: PageRequest, run_id: uuid.UUID) -> HttpResponse:
    """Stop a run."""
    current = _run_or_404(run_id)
    try:
        with transaction.atomic():
            services.training_cancel(run=current, actor=request.actor)
    except Problem as problem:
        messages.warning(request, str(problem.detail))
    else:
        messages.info(request, _("The run is being stopped."))
    return redirect("modelhub:run", run_id)


@requires(Permission.MODELS_WRITE)
@require_POST
def run_resume(request: PageRequest, run_id: uuid.UUID) -> HttpResponse:
    """Go on with a run that failed or was stopped."""
    current = _run_or_404(run_id)
    try:
        with transaction.atomic():
            services.training_resume(run=current, actor=request.actor)
    except Problem as problem:
        messages.warning(request, str(problem.detail))
    return redirect("modelhub:run", run_id)


@requires(Permission.MODELS_READ)
@require_GET
def run_tensorboard(request: PageRequest, run_id: uuid.UUID) -> FileResponse:
    """The TensorBoard files of a run."""
    return tensorboard_zip(_run_or_404(run_id))


@requires(Permission.MODELS_READ)
@require_GET
def compare(request: PageRequest) -> HttpResponse:
    """Which of these is better, and what was done differently?"""
    items = comparing.items_of(request.GET.getlist("item"))
    if len(items) < 2:
        messages.info(request, _("Choose two to six runs to compare."))
        return redirect("modelhub:runs")
    found = comparing.side_by_side(items)
    context = {
        "items": items,
        "found": found,
        "differing": _differing(request, items),
        "pairs": [pair for pair in comparing.open_pairs(items) if pair[0].task in PAIRED_TASKS],
        "data": {"curves": found["curves"]},
        "address": request.get_full_path(),
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/compare.html", context)


def _differing(request: PageRequest, items: list[comparing.Item]) -> dict[str, Any] | None:
    """The rows that two of the versions answer differently: those of the pair that the address names, or the first."""
    pairs = differing.sheet_pairs([item.version for item in items if item.version is not None])
    if not pairs:
        return None
    keys = [f"{first.version_id}:{second.version_id}" for first, second in pairs]
    wanted = request.GET.get("pair", "")
    place = keys.index(wanted) if wanted in keys else 0
    given = request.GET.get("only", "")
    only: differing.Only = next(
        (each for each in differing.ONLY if each == given), differing.ONLY[0]
    )
    context: dict[str, Any] = {
        "first": pairs[place][0],
        "second": pairs[place][1],
        "only": only,
        "pair": keys[place],
        "pairs": [
            (key, f"{second.version.label} − {first.version.label}")
            for key, (first, second) in zip(keys, pairs, strict=True)
        ],
    }
    try:
        rows = differing.Differing(*pairs[place], only=only)
    except differing.NotComparable as problem:
        return context | {"problem": str(problem)}
    page = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    return context | {"page": page, "all": rows.rows}


@requires(Permission.MODELS_WRITE)
@require_POST
def compare_start(request: PageRequest) -> HttpResponse:
    """Let two versions answer the same rows, in the background."""
    versions = [_version_or_404(request.POST.get(name, "")) for name in ("first", "second")]
    try:
        with transaction.atomic():
            comparison_start(first=versions[0], second=versions[1], actor=request.actor)
    except Problem as problem:
        messages.warning(request, str(problem.detail))
    else:
        messages.info(request, _("The comparison is being made; it will be shown here."))
    back = urlencode({"item": request.POST.getlist("item")}, doseq=True)
    return redirect(f"{reverse('modelhub:compare')}?{back}")


@requires(Permission.MODELS_WRITE)
@require_POST
def version_select(request: PageRequest, version_id: uuid.UUID) -> HttpResponse:
    """Find the texts that would teach this version most, in the background."""
    version = _version_or_404(str(version_id))
    dataset = _dataset_or_404(request.POST.get("dataset", ""))
    try:
        with transaction.atomic():
            selection_start(version=version, dataset=dataset, actor=request.actor)
    except Problem as problem:
        messages.warning(request, str(problem.detail))
    else:
        messages.info(
            request,
            _(
                "The texts are being put in order. Queues that ask the most uncertain first follow it."
            ),
        )
    return redirect("modelhub:version", version_id)


def _version_or_404(text: str) -> ModelVersion:
    try:
        version = selectors.version_list().filter(pk=uuid.UUID(text)).first()
    except ValueError:
        version = None
    if version is None:
        raise Http404(_("There is no such version."))
    return version


def _dataset_or_404(text: str) -> Dataset:
    try:
        dataset = selectors.dataset_list().filter(pk=uuid.UUID(text)).first()
    except ValueError:
        dataset = None
    if dataset is None:
        raise Http404(_("There is no such data set."))
    return dataset


def _settings(run: TrainingRun) -> list[tuple[str, str]]:
    """The options as people read them: rows by their names."""
    named = references(run.config)
    rows = []
    for name, value in sorted(run.config.items()):
        if name in named:
            rows.append((name, ", ".join(_name(each) for each in named[name])))
        else:
            rows.append((name, option_value(name, value)))
    return rows


def _name(named: Reference) -> str:
    if named.kind == "file":
        row: Any = TrainingFile.objects.filter(pk=named.pk).first()
    elif named.kind == "dataset":
        row = Dataset.objects.filter(pk=named.pk).first()
    else:
        row = Snapshot.objects.select_related("dataset").filter(pk=named.pk).first()
    return str(row) if row is not None else _("(deleted)")


def _tried(name: str, values: Any) -> str:
    if isinstance(values, dict):
        words = f"{values['low']:g} – {values['high']:g}"
        return f"{words} (log)" if values.get("log") else words
    return option_value(name, values)


def _others(run: TrainingRun) -> list[TrainingRun]:
    """The runs that train the same encoder."""
    if run.together is None:
        return []
    group = selectors.run_list(together=run.together).order_by("number")
    return [each for each in group if each.pk != run.pk]


def _trials(run: TrainingRun) -> list[dict[str, Any]]:
    """The models that a search has trained, the best first."""
    names = list(run.space)
    rows = [
        {
            "number": trial["number"] + 1,
            "score": trial["score"],
            "state": trial["state"],
            "values": [option_value(name, trial["options"].get(name)) for name in names],
        }
        for trial in run.trials
    ]
    return sorted(rows, key=lambda row: (row["score"] is None, -(row["score"] or 0.0)))


def _forgetting(run: TrainingRun) -> dict[str, Any]:
    """What a run that went on from a version has forgotten, by file; its artefact says so."""
    version = getattr(run, "version", None)
    if version is None or not run.goes_on:
        return {}
    try:
        artifact = Artifact.open(absolute_path(version.artifact_path), verify=False)
    except ArtifactError:
        return {}  # it lies on another machine
    found: dict[str, Any] = artifact.manifest.options.get("forgetting", {})
    return found


def _duration(run: TrainingRun) -> Any:
    """How long it ran, or has run."""
    if run.started_at is None:
        return None
    return ((run.finished_at or timezone.now()) - run.started_at).total_seconds()
