"""Models, Runs: is training going well?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from rootstock.common.problems import Problem
from rootstock.modelhub import selectors, services
from rootstock.modelhub.models import Split, TrainingRun
from rootstock.modelhub.runs import PHASES
from rootstock.realtime.selectors import stream_head
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 50


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
        "options": [
            (name, ", ".join(value) if isinstance(value, list) else value)
            for name, value in sorted(current.config.items())
        ],
        "parts": [
            (part.label, sum(current.snapshot.label_counts[part].values())) for part in Split
        ],
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


def _duration(run: TrainingRun) -> Any:
    """How long it ran, or has run."""
    if run.started_at is None:
        return None
    return ((run.finished_at or timezone.now()) - run.started_at).total_seconds()
