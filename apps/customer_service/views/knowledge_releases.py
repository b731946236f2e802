"""Releases: what would change for visitors, may it, and what was it before?"""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.customer_service.models import EvaluationQuestion
from apps.customer_service.selectors.evaluation import run_figures
from apps.customer_service.selectors.knowledge import (
    changes_told,
    release_get,
    releases_all,
    vectors_waiting,
)
from apps.customer_service.services.evaluation import evaluation_job
from apps.customer_service.services.releases import (
    draft_state,
    evaluation_of,
    has_changes,
    live_state,
    release_changes,
    release_newest,
    release_publish,
    release_roll_back,
)
from apps.customer_service.views.knowledge_forms import PublishForm
from apps.customer_service.views.knowledge_pages import READ, WRITE, page_of, show
from rootstock.common.problems import Problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.requests import PageRequest


@requires(READ)
@require_GET
def release_list(request: PageRequest) -> HttpResponse:
    """What is new in the draft, whether it may be published, and the releases until now."""
    draft = draft_state()
    changes = release_changes(live_state(), draft)
    run = evaluation_of(draft)
    context = {
        "newest": release_newest(),
        "has_changes": has_changes(changes),
        "count": sum(len(ids) for kinds in changes.values() for ids in kinds),
        "changes": changes_told(changes),
        "questions": EvaluationQuestion.objects.count(),
        "run": run,
        "figures": run_figures(run) if run else [],
        "job": evaluation_job(),
        "waiting": vectors_waiting(),
        "form": PublishForm(),
        "page": page_of(request, releases_all(), 25),
    }
    return show(request, "releases", context)


@requires(READ)
@require_GET
def release_detail(request: PageRequest, number: int) -> HttpResponse:
    """What a release changed."""
    release = release_get(number)
    newest = release_newest()
    context = {
        "release": release,
        "changes": changes_told(release.changes),
        "in_force": newest is not None and newest.pk == release.pk,
        "answers": len(release.answers),
        "documents": len(release.documents),
    }
    return show(request, "release", context)


@requires(WRITE)
@require_POST
def release_new(request: PageRequest) -> HttpResponse:
    """Answer visitors from the draft."""
    form = PublishForm(request.POST)
    forced = "force" in request.POST
    comment = form.cleaned_data["comment"].strip() if form.is_valid() else ""
    if forced and not comment:
        messages.error(request, _("Say why it is published all the same."))
        return redirect("service:knowledge-releases")
    try:
        with transaction.atomic():
            release = release_publish(actor=request.actor, forced=forced, comment=comment)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(
            request,
            _("Release %(number)s: visitors are answered from it now.")
            % {"number": release.number},
        )
    return redirect("service:knowledge-releases")


@requires(WRITE)
@require_POST
def release_back(request: PageRequest, number: int) -> HttpResponse:
    """Answer visitors from what an earlier release had."""
    try:
        with transaction.atomic():
            release = release_roll_back(number=number, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(
            request,
            _("Visitors are answered from release %(number)s again. The draft is as it was.")
            % {"number": number},
        )
        return redirect("service:knowledge-release", release.number)
    return redirect("service:knowledge-releases")
