"""How the desk is set up: agents, reply times, labels, canned replies, macros."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from apps.customer_service.models import CannedReply, ConversationLabel, Macro
from apps.customer_service.selectors.inbox import agent_rows
from apps.customer_service.services.assignment import (
    members_answering,
    profile_get,
    profile_update,
)
from apps.customer_service.services.lists import canned_save, label_save, list_row_delete
from apps.customer_service.services.macros import macro_save
from apps.customer_service.services.sla import policy_get, policy_update
from apps.customer_service.views.desk_forms import (
    AgentForm,
    CannedForm,
    LabelForm,
    MacroForm,
    SlaForm,
    macro_words,
)
from rootstock.common.ids import uuid_of
from rootstock.common.problems import Problem
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

WRITE = Permission.SERVICE_WRITE
TEMPLATES = "customer_service/desk"


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def agents(request: PageRequest) -> HttpResponse:
    """Who answers, how many conversations at a time, about what."""
    failed: AgentForm | None = None
    if request.method == "POST":
        member = get_object_or_404(members_answering(), pk=uuid_of(request.POST.get("member")))
        failed = AgentForm(request.POST)
        if failed.is_valid():
            profile = profile_get(member)
            profile_update(profile=profile, actor=request.actor, **failed.cleaned_data)
            messages.success(request, _("Saved."))
            return redirect("service:desk")
    return _page(request, "agents", rows=agent_rows(members_answering()), failed=failed)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def sla(request: PageRequest) -> HttpResponse:
    """How soon people answer, and what happens when they do not."""
    policy = policy_get()
    form = SlaForm(request.POST or None, policy=policy)
    if request.method == "POST" and form.is_valid():

        def save() -> None:
            policy_update(policy=policy, values=form.values(), actor=request.actor)

        if _saved(form, save):
            messages.success(request, _("Saved. Clocks that run keep the time they were given."))
            return redirect("service:desk-sla")
    return _page(request, "sla", form=form)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def labels(request: PageRequest) -> HttpResponse:
    """The words that conversations are sorted by."""
    form = LabelForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        wanted = uuid_of(request.POST.get("label"))
        label = get_object_or_404(ConversationLabel, pk=wanted) if wanted else None

        def save() -> None:
            colour = label.colour if label else "#6b7280"
            name = form.cleaned_data["name"]
            label_save(label=label, name=name, colour=colour, actor=request.actor)

        if _saved(form, save):
            return redirect("service:desk-labels")
    return _page(request, "labels", form=form, rows=ConversationLabel.objects.order_by("name"))


@requires(WRITE)
@require_http_methods(["GET"])
def canned_replies(request: PageRequest) -> HttpResponse:
    """Texts that agents insert by typing "/"."""
    return _page(request, "canned", rows=CannedReply.objects.order_by("short"))


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def canned_edit(request: PageRequest, row_id: uuid.UUID | None = None) -> HttpResponse:
    """Write one."""
    canned = get_object_or_404(CannedReply, pk=row_id) if row_id else None
    form = CannedForm(request.POST or None, initial=CannedForm.initial_of(canned))
    if request.method == "POST" and form.is_valid():

        def save() -> None:
            canned_save(canned=canned, actor=request.actor, **form.values())

        if _saved(form, save):
            return redirect("service:desk-canned")
    return _page(request, "canned_edit", form=form, row=canned)


@requires(WRITE)
@require_http_methods(["GET"])
def macros(request: PageRequest) -> HttpResponse:
    """Several steps at one key."""
    rows = [(macro, macro_words(macro)) for macro in Macro.objects.order_by("name")]
    return _page(request, "macros", rows=rows)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def macro_edit(request: PageRequest, row_id: uuid.UUID | None = None) -> HttpResponse:
    """Put one together."""
    macro = get_object_or_404(Macro, pk=row_id) if row_id else None
    form = MacroForm(request.POST or None, macro=macro)
    if request.method == "POST" and form.is_valid():

        def save() -> None:
            macro_save(macro=macro, actor=request.actor, **form.values())

        if _saved(form, save):
            return redirect("service:desk-macros")
    return _page(request, "macro_edit", form=form, row=macro)


_LISTS: dict[str, tuple[Any, str]] = {
    "labels": (ConversationLabel, "service.label.delete"),
    "canned": (CannedReply, "service.canned.delete"),
    "macros": (Macro, "service.macro.delete"),
}


@requires(WRITE)
@require_POST
def delete(request: PageRequest, kind: str, row_id: uuid.UUID) -> HttpResponse:
    """Take something off its list."""
    model, action = _LISTS[kind]
    row = get_object_or_404(model, pk=row_id)
    list_row_delete(row=row, actor=request.actor, action=action)
    messages.success(request, _("Deleted: %(name)s") % {"name": row})
    return redirect(f"service:desk-{kind}")


def _page(request: PageRequest, name: str, **context: Any) -> HttpResponse:
    tabs = [
        (_("Agents"), reverse("service:desk")),
        (_("Reply times"), reverse("service:desk-sla")),
        (_("Labels"), reverse("service:desk-labels")),
        (_("Canned replies"), reverse("service:desk-canned")),
        (_("Macros"), reverse("service:desk-macros")),
    ]
    invalid = any(isinstance(value, forms.Form) and value.errors for value in context.values())
    status = 422 if request.method == "POST" and invalid else 200
    return render(
        request, f"{TEMPLATES}/{name}.html", {"tab_items": tabs, **context}, status=status
    )


def _saved(form: forms.Form, save: Callable[[], None]) -> bool:
    """Whether the service took it; what it refused stands at the field."""
    try:
        with transaction.atomic():
            save()
    except Problem as problem:
        show_problem(form, problem)
        return False
    return True
