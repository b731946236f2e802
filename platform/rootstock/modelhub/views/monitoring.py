"""Monitoring: are the deployed models all right, and if not, what moved?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.modelhub import monitoring_selectors, selectors, services
from rootstock.modelhub.forms import RollbackForm, show_problem
from rootstock.modelhub.models import Alarm, Deployment
from rootstock.modelhub.monitoring.rules import RULES, rule_get
from rootstock.modelhub.monitoring_forms import CanaryForm, MonitorForm
from rootstock.modelhub.views.versions import deployment_or_404, version_or_404
from rootstock.realtime.selectors import stream_head
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest
from rootstock.web.timerange import time_range

ALARMS_SHOWN = 50
WINDOWS_SHOWN = 20


@requires(Permission.MODELS_READ)
@require_GET
def monitoring(request: PageRequest) -> HttpResponse:
    """Is everything that serves all right?"""
    span = time_range(request)
    context = {
        "range": span,
        "rows": monitoring_selectors.health_list(selectors.deployment_list(), span.start),
        "alarms": _in_words(list(monitoring_selectors.alarm_list()[:ALARMS_SHOWN])),
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/monitoring.html", context)


@requires(Permission.MODELS_READ)
@require_GET
def monitor(request: PageRequest, name: str) -> HttpResponse:
    """How does this deployment do, and what moved?"""
    return _page(request, deployment_or_404(name))


@requires(Permission.MODELS_READ)
@require_http_methods(["GET", "POST"])
def monitor_rules(request: PageRequest, name: str) -> HttpResponse:
    """What is this deployment watched for?"""
    try:
        services.check_model_name(name, place="deployment")
    except Problem as problem:
        raise Http404(_("Nothing can be deployed under this name.")) from problem
    may_write = Permission.MODELS_WRITE in request.granted
    if request.method == "POST" and not may_write:
        return HttpResponse(status=403)
    stored = monitoring_selectors.monitor_policy_get(name)
    form = MonitorForm(
        request.POST or None,
        policy=monitoring_selectors.monitor_policy(name),
        drift_source=stored.drift_source if stored else "live",
    )
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                services.monitor_policy_update(
                    deployment=name,
                    rules=form.policy(),
                    drift_source=form.cleaned_data["drift_source"],
                    actor=request.actor,
                )
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(request, _("From the next look on, within a minute, this is asked."))
            return redirect("modelhub:monitor-rules", name)
    context = {
        "name": name,
        "deployment": selectors.deployment_get(name),
        "stored": stored,
        "form": form,
        "may_write": may_write,
    }
    return render(
        request, "modelhub/monitor_rules.html", context, status=422 if form.errors else 200
    )


@requires(Permission.MODELS_WRITE)
@require_POST
def alarm_acknowledge(request: PageRequest, alarm_id: uuid.UUID) -> HttpResponse:
    """Somebody has seen it."""
    alarm = monitoring_selectors.alarm_list().filter(pk=alarm_id).first()
    if alarm is None:
        raise Http404(_("There is no such alarm."))
    try:
        with transaction.atomic():
            services.alarm_acknowledge(alarm=alarm, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect(reverse("modelhub:monitor", args=[alarm.deployment.name]) + "#alarms")


@requires(Permission.MODELS_WRITE)
@require_POST
def canary_start(request: PageRequest, name: str) -> HttpResponse:
    """Let another version answer a share of the texts."""
    current = deployment_or_404(name)
    form = CanaryForm(request.POST, versions=_candidates(current))
    if form.is_valid():
        version = version_or_404(uuid.UUID(form.cleaned_data["version"]))
        try:
            with transaction.atomic():
                services.canary_start(
                    deployment=current,
                    version=version,
                    share=form.cleaned_data["share"] / 100,
                    reason=form.cleaned_data["reason"],
                    actor=request.actor,
                )
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(
                request,
                _("%(version)s answers its share from now on.") % {"version": version.label},
            )
            return redirect("modelhub:monitor", name)
    return _page(request, current, canary_form=form, status=422)


@requires(Permission.MODELS_WRITE)
@require_POST
def canary_promote(request: PageRequest, name: str) -> HttpResponse:
    """Let the canary answer everything."""
    return _canary_over(request, name, services.canary_promote, _("The canary answers everything."))


@requires(Permission.MODELS_WRITE)
@require_POST
def canary_end(request: PageRequest, name: str) -> HttpResponse:
    """The deployed version answers everything again."""
    return _canary_over(
        request, name, services.canary_end, _("The deployed version answers everything again.")
    )


def _canary_over(request: PageRequest, name: str, end: Any, done: str) -> HttpResponse:
    current = deployment_or_404(name)
    form = RollbackForm(request.POST)
    reason = form.cleaned_data["reason"] if form.is_valid() else ""
    try:
        with transaction.atomic():
            end(deployment=current, actor=request.actor, reason=reason)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, done)
    return redirect("modelhub:monitor", name)


def _candidates(deployment: Deployment) -> list[Any]:
    """Versions that could be the canary: of the same task and labels, the newest first."""
    rows = selectors.version_list().filter(task=deployment.task).exclude(pk=deployment.version_id)
    wanted = set(deployment.version.labels)
    return [version for version in rows[:200] if set(version.labels) == wanted]


def _in_words(alarms: list[Alarm]) -> list[dict[str, Any]]:
    rows = []
    for alarm in alarms:
        rule = rule_get(alarm.rule)
        if rule is not None:
            rows.append(
                {
                    "alarm": alarm,
                    "title": _(rule.title),
                    "detail": rule.in_words(alarm.latest if alarm.is_open else alarm.worst),
                }
            )
    return rows


def _canary_view(deployment: Deployment) -> dict[str, Any] | None:
    """The comparison with the canary, and what each guardrail says of it now."""
    facts = monitoring_selectors.canary_facts(deployment)
    if facts is None:
        return None
    policy = monitoring_selectors.monitor_policy(deployment.name)
    guards = []
    for rule in RULES:
        if not rule.of_canary:
            continue
        asked = policy[rule.key]
        finding = rule.judge(asked["limits"], facts) if asked["enabled"] else None
        guards.append(
            {
                "title": _(rule.title),
                "enabled": asked["enabled"],
                "broken": finding is not None and finding.broken,
                "amounts": rule.amounts(finding.to_dict()) if finding else None,
            }
        )
    return {
        "sides": [
            (deployment.canary, facts.now, facts.labelled),
            (deployment.version, facts.other, facts.other_labelled),
        ],
        "guards": guards,
    }


def _page(
    request: PageRequest,
    current: Deployment,
    *,
    canary_form: CanaryForm | None = None,
    status: int = 200,
) -> HttpResponse:
    span = time_range(request)
    series = monitoring_selectors.series(current, span.start, span.end)
    [health] = monitoring_selectors.health_list([current], span.start)
    context = {
        "deployment": current,
        "range": span,
        "health": health,
        "alarms": _in_words(
            list(monitoring_selectors.alarm_list(deployment=current.name)[:ALARMS_SHOWN])
        ),
        "drift": monitoring_selectors.drift_state(current),
        "windows": monitoring_selectors.drift_windows(current)[:WINDOWS_SHOWN],
        "canary": _canary_view(current),
        "canary_form": canary_form or CanaryForm(versions=_candidates(current)),
        "promote_form": RollbackForm(auto_id="canary-promote-%s"),
        "end_form": RollbackForm(auto_id="canary-end-%s"),
        "comparison": selectors.shadow_comparison(current),
        "may_write": Permission.MODELS_WRITE in request.granted,
        "data": {**series, "lastEventId": stream_head("models"), "deployment": current.name},
    }
    return render(request, "modelhub/monitor.html", context, status=status)
