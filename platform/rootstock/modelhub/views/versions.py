"""Models, Versions and Deployments: may it go live, and what serves now?"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.jobs.selectors import job_summary
from rootstock.modelhub import gate, selectors, services
from rootstock.modelhub.card import card_html
from rootstock.modelhub.differing import sheet_pairs
from rootstock.modelhub.errors import PromotionRefused
from rootstock.modelhub.forms import DeployForm, RollbackForm, show_problem
from rootstock.modelhub.gate_forms import ShadowForm
from rootstock.modelhub.lineage import lineage
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.modelhub.report import report_view
from rootstock.modelhub.services.history import previous_version
from rootstock.realtime.selectors import stream_head
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 50


def version_or_404(version_id: uuid.UUID) -> ModelVersion:
    version = selectors.version_list().filter(pk=version_id).first()
    if version is None:
        raise Http404(_("There is no such version."))
    return version


def deployment_or_404(name: str) -> Deployment:
    deployment = selectors.deployment_get(name)
    if deployment is None:
        raise Http404(_("Nothing is deployed under this name."))
    return deployment


@requires(Permission.MODELS_READ)
@require_GET
def versions(request: PageRequest) -> HttpResponse:
    """Which models are there, and how good are they?"""
    names = selectors.model_names()
    name = request.GET.get("name")
    name = name if name in names else None
    rows = selectors.version_list()
    if name is not None:
        rows = rows.filter(name=name)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    serving = selectors.serving_names()
    context = {
        "page": page,
        "rows": [(version, report_view(version), serving.get(version.pk, [])) for version in page],
        "names": names,
        "name": name,
    }
    return render(request, "modelhub/versions.html", context)


def version_address(version: ModelVersion, deployment: str) -> str:
    """The page of a version, as it stands to a deployment."""
    path = reverse("modelhub:version", args=[version.pk])
    return path if deployment == version.name else f"{path}?{urlencode({'deployment': deployment})}"


@requires(Permission.MODELS_READ)
@require_GET
def version(request: PageRequest, version_id: uuid.UUID) -> HttpResponse:
    """May this version go live?"""
    current = version_or_404(version_id)
    name = request.GET.get("deployment", "").replace("\0", "") or current.name
    return _version_page(request, current, DeployForm(initial={"deployment": name}), name=name)


@requires(Permission.MODELS_WRITE)
@require_http_methods(["POST"])
def version_deploy(request: PageRequest, version_id: uuid.UUID) -> HttpResponse:
    """Let it serve, if the gate allows it; otherwise say why not."""
    current = version_or_404(version_id)
    form = DeployForm(request.POST)
    verdicts: list[dict[str, Any]] | None = None
    name = current.name
    if form.is_valid():
        name = form.cleaned_data["deployment"]
        try:
            # A transaction of its own: what the checks found stays, also when the promotion is refused.
            with transaction.atomic():
                services.gate_ensure(version=current, deployment=name, actor=request.actor)
            with transaction.atomic():
                slot = services.version_promote(
                    version=current, actor=request.actor, **form.cleaned_data
                )
        except PromotionRefused as refused:
            verdicts = [dict(verdict) for verdict in refused.verdicts]
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(
                request,
                _("%(deployment)s now serves %(version)s.")
                % {"deployment": slot.name, "version": current.label},
            )
            return redirect("modelhub:deployment", slot.name)
    return _version_page(request, current, form, name=name, refused=verdicts, status=422)


def _answered_alike(
    current: ModelVersion, name: str, deployments: Sequence[Deployment]
) -> ModelVersion | None:
    """The deployed version, when its answers to the same rows are kept as well."""
    slot = next((each for each in deployments if each.name == name), None)
    if slot is None or slot.version_id == current.pk:
        return None
    return slot.version if sheet_pairs([slot.version, current]) else None


def _version_page(
    request: PageRequest,
    current: ModelVersion,
    form: DeployForm,
    *,
    name: str,
    refused: Sequence[dict[str, Any]] | None = None,
    status: int = 200,
) -> HttpResponse:
    serving = selectors.serving_names().get(current.pk, [])
    newest = selectors.gate_report_list(current, name).first()
    holds = selectors.gate_report_current(current, name)
    verdicts = refused or (newest.verdicts if newest else [])
    failed = [verdict for verdict in verdicts if not verdict["passed"]]
    job = selectors.gate_job(current, name)
    policy = services.gate_policy(name)
    deployments = list(selectors.deployment_list())
    context = {
        "version": current,
        "report": report_view(current),
        "card": card_html(current.card),
        "serving": serving,
        "deployments": deployments,
        "lineage": lineage(current),
        "evaluations": selectors.evaluation_list(current)[:20],
        "form": form,
        "gate_name": name,
        "gate_against": _answered_alike(current, name, deployments),
        "gate_report": newest,
        "gate_holds": holds is not None or name in serving,
        "gate_job": job,
        "gate_asks": [
            (check.title, gate.asked(check, policy[check.key]["limits"]))
            for check in gate.CHECKS
            if policy[check.key]["enabled"]
        ],
        "verdicts": verdicts,
        "refused": refused is not None,
        "may_force": bool(failed) and all(verdict["can_be_forced"] for verdict in failed),
        "shadow_for": [
            each
            for each in deployments
            if each.task == current.task and current.pk not in (each.version_id, each.shadow_id)
        ],
        "may_write": Permission.MODELS_WRITE in request.granted,
        "data": {
            "lastEventId": stream_head("jobs"),
            "job": job_summary(job) if job else None,
            "mayCancel": Permission.JOBS_WRITE in request.granted,
        },
    }
    return render(request, "modelhub/version.html", context, status=status)


@requires(Permission.MODELS_READ)
@require_GET
def deployments(request: PageRequest) -> HttpResponse:
    """What serves now?"""
    rows = [
        (deployment, selectors.deployment_activity(deployment), report_view(deployment.version))
        for deployment in selectors.deployment_list()
    ]
    return render(request, "modelhub/deployments.html", {"rows": rows})


@requires(Permission.MODELS_READ)
@require_GET
def deployment(request: PageRequest, name: str) -> HttpResponse:
    """What answers under this name, since when, and what was before?"""
    return deployment_page(request, deployment_or_404(name), RollbackForm())


@requires(Permission.MODELS_WRITE)
@require_POST
def deployment_roll_back(request: PageRequest, name: str) -> HttpResponse:
    """Go back to the version before."""
    current = deployment_or_404(name)
    form = RollbackForm(request.POST)
    if form.is_valid():
        try:
            with transaction.atomic():
                slot = services.version_rollback(
                    deployment=current, actor=request.actor, reason=form.cleaned_data["reason"]
                )
        except Problem as problem:
            messages.error(request, str(problem.detail))
        else:
            messages.success(
                request,
                _("%(deployment)s serves %(version)s again.")
                % {"deployment": slot.name, "version": slot.version.label},
            )
        return redirect("modelhub:deployment", name)
    return deployment_page(request, current, form, status=422)


def shadow_choices(deployment: Deployment) -> list[ModelVersion]:
    """The versions that could be asked as well: of the same task, the newest first."""
    rows = selectors.version_list().filter(task=deployment.task).exclude(pk=deployment.version_id)
    return list(rows[:100])


def deployment_page(
    request: PageRequest,
    current: Deployment,
    form: RollbackForm,
    *,
    shadow_form: ShadowForm | None = None,
    status: int = 200,
) -> HttpResponse:
    """The page of a deployment."""
    if shadow_form is None:
        shadow_form = ShadowForm(
            versions=shadow_choices(current), initial={"version": request.GET.get("shadow", "")}
        )
    context = {
        "deployment": current,
        "end_form": RollbackForm(auto_id="shadow-end-%s"),
        "report": report_view(current.version),
        "activity": selectors.deployment_activity(current),
        "previous": previous_version(current),
        "page": Paginator(selectors.deployment_history(current), PAGE).get_page(
            request.GET.get("page")
        ),
        "form": form,
        "shadow_form": shadow_form,
        "comparison": selectors.shadow_comparison(current),
        "disagreements": selectors.shadow_disagreements(current)[:PAGE],
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/deployment.html", context, status=status)
