"""Business actions: what may a flow do at the company's own system, and did it work?"""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import ActionCall, BusinessAction
from apps.customer_service.selectors import flows as selectors
from apps.customer_service.services.flows import actions as services
from apps.customer_service.services.flows.calls import action_test
from apps.customer_service.views.flow_forms import (
    ActionForm,
    FieldRows,
    NewActionForm,
    fields_of,
    rows_of,
)
from apps.customer_service.views.flows import may_change, section_tabs
from rootstock.common.problems import Problem
from rootstock.gateway.late import LateAnswer
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 25
RECENT = 10


@requires(Permission.SERVICE_READ)
@require_GET
def action_list(request: PageRequest) -> HttpResponse:
    """All actions, and who calls them."""
    rows = [
        {"action": action, "flows": selectors.flows_calling(action.name)}
        for action in selectors.actions()
    ]
    context = {"rows": rows, "tabs": section_tabs(), "may_change": may_change(request)}
    return render(request, "customer_service/flow_actions.html", context)


@requires(Permission.SERVICE_WRITE)
@never_cache
@require_http_methods(["GET", "POST"])
def action_new(request: PageRequest) -> HttpResponse:
    """Add one; the answer shows its secret, once."""
    form, sets = NewActionForm(request.POST or None), _sets(request)
    if request.method == "POST" and _valid(form, sets):
        values = _values(form, sets)
        try:
            action = services.action_create(actor=request.actor, **values)
        except Problem as problem:
            _refuse(form, problem)
        else:
            return _secret(request, action, new=True)
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "sets": sets}
    return render(request, "customer_service/flow_action_new.html", context, status=status)


@requires(Permission.SERVICE_READ)
@require_http_methods(["GET", "POST"])
def action_detail(request: PageRequest, action_id: uuid.UUID) -> HttpResponse:
    """One action: is it well, try it, change it."""
    action = selectors.action_get(action_id)
    form = ActionForm(request.POST or None, initial=ActionForm.of(action))
    sets = _sets(request, action)
    status = 200
    if request.method == "POST":
        if not may_change(request):
            raise PermissionDenied
        status = 422
        if _valid(form, sets):
            try:
                services.action_update(
                    action=action, actor=request.actor, values=_values(form, sets)
                )
            except Problem as problem:
                _refuse(form, problem)
            else:
                messages.success(request, _("Saved."))
                return redirect("service:action", action.pk)
    context = {
        "action": action,
        "form": form,
        "sets": sets,
        "flows": selectors.flows_calling(action.name),
        "calls": selectors.calls(action=action)[:RECENT],
        "may_change": may_change(request),
    }
    return render(request, "customer_service/flow_action.html", context, status=status)


@requires(Permission.SERVICE_WRITE)
@never_cache
@require_POST
def action_rotate(request: PageRequest, action_id: uuid.UUID) -> HttpResponse:
    """A new secret, shown once."""
    action = services.action_rotate_secret(
        action=selectors.action_get(action_id), actor=request.actor
    )
    return _secret(request, action, new=False)


@requires(Permission.SERVICE_WRITE)
@require_POST
def action_remove(request: PageRequest, action_id: uuid.UUID) -> HttpResponse:
    """Remove it with its log, when its name was typed to confirm."""
    action = selectors.action_get(action_id)
    if request.POST.get("confirm") != action.name:
        messages.error(request, _("The name does not match; nothing was removed."))
        return redirect("service:action", action.pk)
    try:
        services.action_delete(action=action, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("service:action", action.pk)
    messages.success(request, _("The action is removed."))
    return redirect("service:actions")


@requires(Permission.SERVICE_WRITE)
@require_POST
def action_try(request: PageRequest, action_id: uuid.UUID) -> HttpResponseBase:
    """Call it really, after this transaction, and show what came back."""
    action = selectors.action_get(action_id)
    name, organisation_id = action.name, request.organisation.pk
    arguments = {
        parameter: _typed(kind["type"], request.POST.get(f"argument-{parameter}", "").strip())
        for parameter, kind in action.parameters.items()
    }
    given = {parameter: value for parameter, value in arguments.items() if value != ""}

    def finish() -> HttpResponseBase:
        call = action_test(organisation_id, action=name, arguments=given)
        return redirect("service:action-call", call.pk)

    return LateAnswer(finish)


@requires(Permission.SERVICE_READ)
@require_GET
def call_list(request: PageRequest) -> HttpResponse:
    """What was asked of the company's system."""
    state = request.GET.get("state", "")
    rows = selectors.calls(state=state if state in ActionCall.State.values else "")
    context = {
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "state": state,
        "states": ActionCall.State.choices,
        "tabs": section_tabs(),
    }
    return render(request, "customer_service/flow_calls.html", context)


@requires(Permission.SERVICE_READ)
@require_GET
def call_detail(request: PageRequest, call_id: uuid.UUID) -> HttpResponse:
    """One call: what was sent, what came back."""
    call = selectors.call_get(call_id)
    context = {"call": call, "sent": _pretty(call.sent), "received": _pretty(call.received)}
    return render(request, "customer_service/flow_call.html", context)


def _typed(kind: str, text: str) -> Any:
    """A yes or no of the form as JSON has it."""
    return text == "true" if kind == "boolean" and text else text


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _sets(request: PageRequest, action: BusinessAction | None = None) -> dict[str, Any]:
    data = request.POST or None
    return {
        prefix: FieldRows(
            data, prefix=prefix, initial=rows_of(getattr(action, prefix)) if action else []
        )
        for prefix in ("parameters", "results")
    }


def _valid(form: ActionForm, sets: dict[str, Any]) -> bool:
    return all([form.is_valid(), *(rows.is_valid() for rows in sets.values())])


def _values(form: ActionForm, sets: dict[str, Any]) -> dict[str, Any]:
    return {**form.cleaned_data, **{name: fields_of(rows) for name, rows in sets.items()}}


def _refuse(form: ActionForm, problem: Problem) -> None:
    for error in problem.errors or [{"pointer": "/", "detail": str(problem.detail)}]:
        field = error["pointer"].split("/")[1]
        if field in form.fields:
            form.add_error(field, error["detail"])
        else:
            form.add_error(None, f"{error['pointer'].lstrip('/')}: {error['detail']}")


def _secret(request: PageRequest, action: BusinessAction, *, new: bool) -> HttpResponse:
    return render(request, "customer_service/flow_secret.html", {"action": action, "new": new})
