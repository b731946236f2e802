"""Flows: what can customers settle by themselves, and how does it go?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import Flow
from apps.customer_service.selectors.flows import actions, flow_get, flow_runs, version_get
from apps.customer_service.selectors.flows import flows as all_flows
from apps.customer_service.services.flows import library
from apps.customer_service.services.flows.templates import TEMPLATES
from apps.customer_service.views.flow_forms import StartForm
from rootstock.common.problems import Problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 25
# A new flow without a template: one question, one answer.
BLANK: dict[str, Any] = {
    "version": 1,
    "languages": ["en", "zh"],
    "start": "hello",
    "steps": [
        {
            "id": "hello",
            "kind": "say",
            "text": {"en": "I can help you with that.", "zh": "好的，我来帮您办理。"},
            "next": "end",
        },
        {"id": "end", "kind": "done"},
    ],
}


@requires(Permission.SERVICE_READ)
@require_GET
def flow_list(request: PageRequest) -> HttpResponse:
    """All flows; without one, those to begin with."""
    context = {
        "flows": all_flows(),
        "templates": TEMPLATES,
        "tabs": section_tabs(),
        "may_change": may_change(request),
    }
    return render(request, "customer_service/flows.html", context)


@requires(Permission.SERVICE_WRITE)
@require_http_methods(["GET", "POST"])
def flow_new(request: PageRequest) -> HttpResponse:
    """From a template, or from nothing."""
    name = request.POST.get("name", "").strip()[:120]
    key = request.POST.get("template", "")
    if request.method == "POST":
        try:
            if key:
                flow = library.flow_from_template(
                    template=library.template_get(key), actor=request.actor
                )
            else:
                flow = library.flow_create(
                    name=name or _("New flow"), definition=BLANK, actor=request.actor
                )
        except Problem as problem:
            messages.error(request, str(problem.detail))
        else:
            return redirect("service:flow", flow.pk)
    return render(request, "customer_service/flow_new.html", {"templates": TEMPLATES, "name": name})


@requires(Permission.SERVICE_READ)
@require_GET
def flow_editor(request: PageRequest, flow_id: uuid.UUID) -> HttpResponse:
    """The steps: edited, checked, drawn, tried."""
    flow = flow_get(flow_id)
    wanted = request.GET.get("version", "")
    version = version_get(flow, int(wanted) if wanted.isdecimal() and len(wanted) < 9 else None)
    data = {
        "flow": str(flow.pk),
        "version": version.number,
        "live": flow.live.number if flow.live else None,
        "definition": version.definition,
        "mayChange": may_change(request),
        "actions": [
            {
                "name": action.name,
                "changes": action.changes_something,
                "parameters": action.parameters,
                "results": action.results,
                "address": bool(action.url),
                "url": reverse("service:action", args=[action.pk]),
            }
            for action in actions()
        ],
    }
    return _page(request, "flow.html", flow, {"data": data, "version": version})


@requires(Permission.SERVICE_READ)
@require_http_methods(["GET", "POST"])
def flow_start(request: PageRequest, flow_id: uuid.UUID) -> HttpResponse:
    """What begins it."""
    flow = flow_get(flow_id)
    form = StartForm(request.POST or None, initial=StartForm.of(flow))
    status = 200
    if request.method == "POST":
        _writers_only(request)
        status = 422
        if form.is_valid():
            try:
                library.flow_update(flow=flow, actor=request.actor, values=form.cleaned_data)
            except Problem as problem:
                form.add_error(None, str(problem.detail))
            else:
                messages.success(request, _("Saved."))
                return redirect("service:flow-start", flow.pk)
    return _page(request, "flow_start.html", flow, {"form": form}, status=status)


@requires(Permission.SERVICE_READ)
@require_GET
def flow_versions(request: PageRequest, flow_id: uuid.UUID) -> HttpResponse:
    """What was changed when, by whom; and back."""
    flow = flow_get(flow_id)
    page = Paginator(flow.versions.order_by("-number"), PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {"page": page}
    shown = request.GET.get("show", "")
    if shown.isdecimal() and len(shown) < 9:
        after = version_get(flow, int(shown))
        against = request.GET.get("against", "")
        number = int(against) if against.isdecimal() and len(against) < 9 else after.number - 1
        before = version_get(flow, number) if number > 0 else None
        context |= {
            "after": after,
            "before": before,
            "lines": library.versions_diff(before, after) if before else [],
        }
    return _page(request, "flow_versions.html", flow, context)


@requires(Permission.SERVICE_READ)
@require_GET
def flow_run_list(request: PageRequest, flow_id: uuid.UUID) -> HttpResponse:
    """Who went through it, and how it ended."""
    flow = flow_get(flow_id)
    page = Paginator(flow_runs(flow), PAGE).get_page(request.GET.get("page"))
    return _page(request, "flow_runs.html", flow, {"page": page})


@requires(Permission.SERVICE_WRITE)
@require_POST
def flow_live(request: PageRequest, flow_id: uuid.UUID, number: int) -> HttpResponse:
    """Give a version to visitors."""
    flow = flow_get(flow_id)
    try:
        library.flow_make_live(flow=flow, version=version_get(flow, number), actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(
            request, _("Version %(number)s is live. Talks that have begun go on as they began.")
            % {"number": number},
        )  # fmt: skip
    return redirect("service:flow-versions", flow.pk)


@requires(Permission.SERVICE_WRITE)
@require_POST
def flow_switch(request: PageRequest, flow_id: uuid.UUID) -> HttpResponse:
    """On or off."""
    flow = flow_get(flow_id)
    try:
        library.flow_update(flow=flow, actor=request.actor, values={"enabled": not flow.enabled})
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("service:flow-start", flow.pk)


@requires(Permission.SERVICE_WRITE)
@require_POST
def flow_remove(request: PageRequest, flow_id: uuid.UUID) -> HttpResponse:
    """Remove it when its name was typed to confirm."""
    flow = flow_get(flow_id)
    if request.POST.get("confirm") != flow.name:
        messages.error(request, _("The name does not match; nothing was removed."))
        return redirect("service:flow-start", flow.pk)
    library.flow_delete(flow=flow, actor=request.actor)
    messages.success(request, _("The flow is removed."))
    return redirect("service:flows")


def section_tabs() -> list[tuple[str, str]]:
    """The parts of this section."""
    return [
        (_("Flows"), reverse("service:flows")),
        (_("Business actions"), reverse("service:actions")),
        (_("Calls"), reverse("service:action-calls")),
    ]


def may_change(request: PageRequest) -> bool:
    """Whether the reader may change flows."""
    return Permission.SERVICE_WRITE in request.granted


def _writers_only(request: PageRequest) -> None:
    if not may_change(request):
        raise PermissionDenied


def _page(
    request: PageRequest, template: str, flow: Flow, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    tabs = [
        (_("Steps"), reverse("service:flow", args=[flow.pk])),
        (_("What begins it"), reverse("service:flow-start", args=[flow.pk])),
        (_("Versions"), reverse("service:flow-versions", args=[flow.pk])),
        (_("Who went through it"), reverse("service:flow-runs", args=[flow.pk])),
    ]
    whole = {"flow": flow, "tabs": tabs, "may_change": may_change(request), **context}
    return render(request, f"customer_service/{template}", whole, status=status)
