"""Labels and learning: which documents are worth a look, and what was learned from what people said."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from apps.finance_sentiment.models import LabelReason, LoopCycle
from apps.finance_sentiment.selectors.candidates import measured, queue_payload, queue_progress
from apps.finance_sentiment.selectors.labels import (
    LabelQuery,
    label_agreement,
    labels_find,
)
from apps.finance_sentiment.selectors.loop import (
    cycle_jobs,
    cycles_find,
    heads_of,
    loop_get,
    settings_get,
)
from apps.finance_sentiment.services.loop.candidates import candidates_draw
from apps.finance_sentiment.services.loop.cycles import (
    cycle_cancel,
    cycle_close,
    cycle_deploy,
    cycle_start,
)
from apps.finance_sentiment.services.loop.settings import loop_settings_update
from apps.finance_sentiment.topics import topic_label
from apps.finance_sentiment.views.loop_forms import LoopSettingsForm
from rootstock.common.problems import Problem
from rootstock.realtime.selectors import heads as stream_heads
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE
STREAM = "finance.loop"
_SHOWN_CYCLES = 10
_SHOWN_LABELS = 20
_DRAWN = 60


@requires(READ)
@require_GET
def label_queue(request: PageRequest) -> HttpResponse:
    """Which document is the next worth a look?"""
    context = {
        "data": {
            "next": queue_payload(request.actor),
            "reasons": {value: str(label) for value, label in LabelReason.choices},
        },
        "may_write": WRITE in request.granted,
    }
    return render(request, "finance_sentiment/loop/queue.html", context)


@requires(READ)
@require_GET
def loop(request: PageRequest) -> HttpResponse:
    """What do the models learn from people, and what comes next?"""
    # Read before the rows: what is committed in between makes the page look once more.
    last_event_id = stream_heads([STREAM])[STREAM]
    context = _loop(request) | {
        "form": LoopSettingsForm.of(settings_get()),
        "data": {"stream": STREAM, "lastEventId": last_event_id, "part": "loop"},
    }
    return render(request, "finance_sentiment/loop/loop.html", context)


@requires(READ)
@require_GET
def loop_part(request: PageRequest) -> HttpResponse:
    """The state of the loop, read anew when something changes."""
    return render(request, "finance_sentiment/loop/_loop.html", _loop(request))


@requires(WRITE)
@require_POST
def loop_draw(request: PageRequest) -> HttpResponse:
    """Look for documents worth a look."""
    count = sum(candidates_draw(count=_DRAWN).values())
    told = ngettext("%(n)d document was found.", "%(n)d documents were found.", count)
    messages.success(request, told % {"n": count})
    return redirect("finance:labels" if request.POST.get("next") == "labels" else "finance:loop")


@requires(READ)
@require_POST
def loop_act(request: PageRequest) -> HttpResponse:
    """Start, deploy, leave or stop a cycle."""
    if Permission.MODELS_WRITE not in request.granted:
        raise PermissionDenied
    act, actor = request.POST.get("act", ""), request.actor
    try:
        if act == "start":
            cycle_start(actor=actor)
            messages.success(request, _("A cycle has begun; this page follows it."))
            return redirect("finance:loop")
        cycle = get_object_or_404(LoopCycle, number=_number(request.POST.get("cycle", "")))
        if act == "deploy":
            cycle_deploy(cycle=cycle, actor=actor)
            messages.success(request, _("What the gate passed answers from now on."))
        elif act == "close":
            cycle_close(cycle=cycle, actor=actor)
        elif act == "cancel":
            cycle_cancel(cycle=cycle, actor=actor)
        else:
            raise Http404("no such act")
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("finance:loop")


@requires(READ)
@require_POST
def loop_settings(request: PageRequest) -> HttpResponse:
    """Change when the loop turns by itself."""
    if Permission.MODELS_WRITE not in request.granted:
        raise PermissionDenied
    form = LoopSettingsForm(request.POST)
    if form.is_valid():
        try:
            loop_settings_update(values=form.cleaned_data, actor=request.actor)
        except Problem as problem:
            form.add_error("base", str(problem.detail))
        else:
            messages.success(request, _("Stored."))
            return redirect("finance:loop")
    data = {"stream": STREAM, "lastEventId": None, "part": "loop"}
    context = _loop(request) | {"form": form, "data": data}
    return render(request, "finance_sentiment/loop/loop.html", context, status=422)


def _loop(request: PageRequest) -> dict[str, Any]:
    cycles = list(cycles_find()[:_SHOWN_CYCLES])
    return {
        "state": loop_get(),
        "jobs": cycle_jobs(cycles[0]) if cycles else [],
        "cycles": [(cycle, heads_of(cycle)) for cycle in cycles],
        "measured": measured(),
        "agreement": [row for row in label_agreement() if row.labels],
        "corrections": [
            (label, _words(label.said), _words(label.values))
            for label in labels_find(LabelQuery(agrees=False))[:_SHOWN_LABELS]
        ],
        "queue": queue_progress(request.actor),
        "may_write": WRITE in request.granted,
        "may_learn": Permission.MODELS_WRITE in request.granted,
    }


def _words(values: list[str]) -> str:
    return ", ".join(topic_label(value) for value in values) or "—"


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
