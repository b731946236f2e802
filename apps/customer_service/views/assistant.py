"""The assistant: how does it answer, and could it answer better by our own questions?"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import Channel
from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.selectors.assistants import (
    channels_apart,
    tuning_changes,
    tuning_rows,
    tuning_sentence,
)
from apps.customer_service.selectors.channels import channels_all
from apps.customer_service.services.assistants import assistant_follow, assistant_update
from apps.customer_service.services.tuning import (
    LEAST_QUESTIONS,
    tunable_count,
    tuning_job,
    tuning_start,
    tuning_use,
)
from apps.customer_service.views.assistant_forms import AssistantForm
from rootstock.common.problems import Problem
from rootstock.jobs.services import job_cancel
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

READ, WRITE = Permission.SERVICE_READ, Permission.SERVICE_WRITE
TEMPLATES = "customer_service/assistant"


@requires(READ)
@require_http_methods(["GET", "POST"])
def settings(request: PageRequest) -> HttpResponse:
    """The settings of the organisation, or with ?channel= those of a channel."""
    channels = channels_all()
    wanted = request.GET.get("channel", "")
    channel = next((each for each in channels if str(each.pk) == wanted), None)
    assistant = assistant_get(channel.pk if channel else None)
    form = AssistantForm(request.POST or None, assistant=assistant, shared=channel is None)
    if request.method == "POST":
        if WRITE not in request.granted:
            raise PermissionDenied
        if form.is_valid() and _saved(form, channel, request):
            messages.success(request, _("Saved. The next answer is given by it."))
            return redirect(_address(channel))
    context = {
        "form": form,
        "channels": channels,
        "channel": channel,
        "own": channel is not None and assistant.channel_id == channel.pk,
        "apart": channels_apart() if channel is None else set(),
    }
    return _page(request, "settings", context, invalid=bool(form.errors))


@requires(WRITE)
@require_POST
def follow(request: PageRequest) -> HttpResponse:
    """Have a channel follow the organisation's settings again."""
    wanted = request.POST.get("channel", "")
    channel = next((each for each in channels_all() if str(each.pk) == wanted), None)
    if channel is not None:
        assistant_follow(channel=channel, actor=request.actor)
        messages.success(request, _("The channel follows the organisation's settings again."))
    return redirect(_address(channel))


@requires(READ)
@require_GET
def tuning(request: PageRequest) -> HttpResponse:
    """What the questions would choose, and what that changes."""
    job, ended = tuning_job(), tuning_job(ended=True)
    assistant = assistant_get()
    report: dict[str, Any] = (ended.result or {}) if ended is not None else {}
    context = {
        "job": job if job is not None and not job.finished else None,
        "failed": job if job is not None and job.state == job.State.FAILED else None,
        "ended": ended,
        "report": report,
        "rows": tuning_rows(report) if report else [],
        "sentence": tuning_sentence(report) if report else "",
        "better": bool(report) and tuning_changes(report),
        "used": ended is not None and assistant.retrieval_report.get("job") == str(ended.pk),
        "count": tunable_count(),
        "least": LEAST_QUESTIONS,
    }
    return _page(request, "tuning", context)


@requires(WRITE)
@require_POST
def tuning_run(request: PageRequest) -> HttpResponse:
    """Start one."""
    try:
        with transaction.atomic():
            tuning_start(actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("service:assistant-tuning")


@requires(WRITE)
@require_POST
def tuning_cancel(request: PageRequest) -> HttpResponse:
    """Stop it."""
    job = tuning_job()
    if job is not None and not job.finished:
        job_cancel(job.pk)
    return redirect("service:assistant-tuning")


@requires(WRITE)
@require_POST
def tuning_take(request: PageRequest) -> HttpResponse:
    """Answer by what it chose."""
    job = tuning_job(ended=True)
    if job is not None:
        tuning_use(job=job, actor=request.actor)
        messages.success(request, _("Visitors are answered by it from now on."))
    return redirect("service:assistant-tuning")


@requires(READ)
@require_GET
def tuning_progress(request: PageRequest) -> HttpResponse:
    """How far it is; once it has ended the page loads itself anew."""
    job = tuning_job()
    if job is None or job.finished:
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"job": job, "may_change": WRITE in request.granted}
    return render(request, f"{TEMPLATES}/_tuning.html", context)


def _saved(form: AssistantForm, channel: Channel | None, request: PageRequest) -> bool:
    """Whether the service took it; what it refused stands at the field."""
    try:
        with transaction.atomic():
            assistant_update(values=form.values(), actor=request.actor, channel=channel)
    except Problem as problem:
        show_problem(form, problem)
        return False
    return True


def _address(channel: Channel | None) -> str:
    return reverse("service:assistant") + (f"?channel={channel.pk}" if channel else "")


def _page(
    request: PageRequest, name: str, context: dict[str, Any], *, invalid: bool = False
) -> HttpResponse:
    tabs = [
        (_("Settings"), reverse("service:assistant")),
        (_("Tuning"), reverse("service:assistant-tuning")),
    ]
    whole = {"tab_items": tabs, "may_change": WRITE in request.granted, **context}
    return render(request, f"{TEMPLATES}/{name}.html", whole, status=422 if invalid else 200)
