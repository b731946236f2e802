"""Models, the gate and shadows: what a version must pass, and a second one that is asked as well."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.modelhub import selectors, services
from rootstock.modelhub.forms import RollbackForm, show_problem
from rootstock.modelhub.gate_forms import GateForm, PolicyForm, ShadowForm
from rootstock.modelhub.views.versions import (
    deployment_or_404,
    deployment_page,
    shadow_choices,
    version_address,
    version_or_404,
)
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest


@requires(Permission.MODELS_WRITE)
@require_POST
def version_gate(request: PageRequest, version_id: uuid.UUID) -> HttpResponse:
    """Make the checks, in the background."""
    current = version_or_404(version_id)
    form = GateForm(request.POST)
    name = current.name
    if form.is_valid():
        name = form.cleaned_data["deployment"]
        try:
            with transaction.atomic():
                services.gate_start(version=current, deployment=name, actor=request.actor)
        except Problem as problem:
            messages.error(request, str(problem.detail))
    return redirect(version_address(current, name))


@requires(Permission.MODELS_READ)
@require_http_methods(["GET", "POST"])
def gate_policy(request: PageRequest, name: str) -> HttpResponse:
    """What does this deployment ask of a version?"""
    try:
        services.check_model_name(name, place="deployment")
    except Problem as problem:
        raise Http404(_("Nothing can be deployed under this name.")) from problem
    may_write = Permission.MODELS_WRITE in request.granted
    if request.method == "POST" and not may_write:
        return HttpResponse(status=403)
    form = PolicyForm(request.POST or None, policy=services.gate_policy(name))
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                services.gate_policy_update(
                    deployment=name, checks=form.policy(), actor=request.actor
                )
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(request, _("The next checks of this deployment ask for this."))
            return redirect("modelhub:gate-policy", name)
    context = {
        "name": name,
        "deployment": selectors.deployment_get(name),
        "stored": selectors.gate_policy_get(name),
        "form": form,
        "may_write": may_write,
    }
    status = 422 if form.errors else 200
    return render(request, "modelhub/gate_policy.html", context, status=status)


@requires(Permission.MODELS_WRITE)
@require_POST
def shadow_start(request: PageRequest, name: str) -> HttpResponse:
    """Ask another version as well."""
    current = deployment_or_404(name)
    form = ShadowForm(request.POST, versions=shadow_choices(current))
    if form.is_valid():
        version = version_or_404(uuid.UUID(form.cleaned_data["version"]))
        try:
            with transaction.atomic():
                services.shadow_start(
                    deployment=current,
                    version=version,
                    rate=form.cleaned_data["rate"],
                    reason=form.cleaned_data["reason"],
                    actor=request.actor,
                )
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(
                request,
                _("%(version)s is asked as well from now on; applications do not see its answers.")
                % {"version": version.label},
            )
            return redirect("modelhub:deployment", name)
    return deployment_page(request, current, RollbackForm(), shadow_form=form, status=422)


@requires(Permission.MODELS_WRITE)
@require_POST
def shadow_end(request: PageRequest, name: str) -> HttpResponse:
    """Ask the shadow no longer."""
    current = deployment_or_404(name)
    form = RollbackForm(request.POST)
    if not form.is_valid():
        return deployment_page(request, current, form, status=422)
    try:
        with transaction.atomic():
            services.shadow_end(
                deployment=current, actor=request.actor, reason=form.cleaned_data["reason"]
            )
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, _("The shadow is asked no longer."))
    return redirect("modelhub:deployment", name)
