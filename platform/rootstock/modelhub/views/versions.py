"""Models, Versions and Deployments: may it go live, and what serves now?"""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.modelhub import selectors, services
from rootstock.modelhub.card import card_html
from rootstock.modelhub.errors import PromotionRefused
from rootstock.modelhub.forms import DeployForm, RollbackForm, show_problem
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.modelhub.report import report_view
from rootstock.modelhub.services.versions import previous_version
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 50


def _version_or_404(version_id: uuid.UUID) -> ModelVersion:
    version = selectors.version_list().filter(pk=version_id).first()
    if version is None:
        raise Http404(_("There is no such version."))
    return version


def _deployment_or_404(name: str) -> Deployment:
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


@requires(Permission.MODELS_READ)
@require_GET
def version(request: PageRequest, version_id: uuid.UUID) -> HttpResponse:
    """May this version go live?"""
    current = _version_or_404(version_id)
    form = DeployForm(initial={"deployment": current.name})
    return _version_page(request, current, form)


@requires(Permission.MODELS_WRITE)
@require_http_methods(["POST"])
def version_deploy(request: PageRequest, version_id: uuid.UUID) -> HttpResponse:
    """Let it serve, if the checks allow it; otherwise say why not."""
    current = _version_or_404(version_id)
    form = DeployForm(request.POST)
    verdicts: list[dict[str, object]] = []
    if form.is_valid():
        try:
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
    return _version_page(request, current, form, verdicts=verdicts, status=422)


def _version_page(
    request: PageRequest,
    current: ModelVersion,
    form: DeployForm,
    *,
    verdicts: list[dict[str, object]] | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "version": current,
        "report": report_view(current),
        "card": card_html(current.card),
        "serving": selectors.serving_names().get(current.pk, []),
        "deployments": selectors.deployment_list(),
        "children": current.children.order_by("number"),
        "form": form,
        "verdicts": verdicts,
        "may_force": bool(verdicts)
        and all(v["passed"] or v["can_be_forced"] for v in verdicts or []),
        "may_write": Permission.MODELS_WRITE in request.granted,
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
    return _deployment_page(request, _deployment_or_404(name), RollbackForm())


@requires(Permission.MODELS_WRITE)
@require_POST
def deployment_roll_back(request: PageRequest, name: str) -> HttpResponse:
    """Go back to the version before."""
    current = _deployment_or_404(name)
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
    return _deployment_page(request, current, form, status=422)


def _deployment_page(
    request: PageRequest, current: Deployment, form: RollbackForm, *, status: int = 200
) -> HttpResponse:
    context = {
        "deployment": current,
        "report": report_view(current.version),
        "activity": selectors.deployment_activity(current),
        "previous": previous_version(current),
        "page": Paginator(selectors.deployment_history(current), PAGE).get_page(
            request.GET.get("page")
        ),
        "form": form,
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/deployment.html", context, status=status)
