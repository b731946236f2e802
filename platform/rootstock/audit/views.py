"""Settings, Audit: who did what."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from rootstock.audit.models import AuditEntry
from rootstock.audit.selectors import audit_actions, audit_actors, audit_entries
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.streaming import csv_response

PAGE = 50
COLUMNS = [
    "time", "actor", "actor_kind", "actor_id", "action", "target", "target_id", "changes", "ip", "request_id",
]  # fmt: skip


class AuditFilterForm(forms.Form):
    """Which entries; whatever is not valid is said and left out."""

    actor = forms.ChoiceField(label=_("Who"), required=False)
    action = forms.ChoiceField(label=_("What"), required=False)
    since = forms.DateTimeField(
        label=_("From"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    until = forms.DateTimeField(
        label=_("To"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["actor"].choices = [("", _("Anybody")), *audit_actors()]  # type: ignore[attr-defined]
        self.fields["action"].choices = [  # type: ignore[attr-defined]
            ("", _("Anything")),
            *((action, action) for action in audit_actions()),
        ]


def _wanted(form: AuditFilterForm) -> dict[str, str | datetime]:
    form.is_valid()
    return {name: value for name, value in form.cleaned_data.items() if value}


@requires(Permission.AUDIT_READ)
@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    """Who did what, and when?"""
    form = AuditFilterForm(request.GET or {})
    wanted = _wanted(form)
    entries = audit_entries(**wanted)  # type: ignore[arg-type]
    query = {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in wanted.items()
    }
    context = {
        "form": form,
        "page": Paginator(entries, PAGE).get_page(request.GET.get("page")),
        "filtered": bool(wanted),
        "export": urlencode(query),
    }
    return render(request, "audit/list.html", context)


@requires(Permission.AUDIT_READ)
@require_GET
def audit_export(request: HttpRequest) -> HttpResponseBase:
    """The same entries as CSV, however many there are."""
    form = AuditFilterForm(request.GET or {})
    return csv_response(
        filename=f"audit-{timezone.localtime():%Y-%m-%d}.csv",
        header=COLUMNS,
        rows=audit_entries(**_wanted(form)),  # type: ignore[arg-type]
        cells=_cells,
    )


def _cells(entry: AuditEntry) -> list[object]:
    return [
        entry.created_at.isoformat(),
        entry.actor_label,
        entry.actor_kind,
        entry.actor_id,
        entry.action,
        entry.target,
        entry.target_id,
        json.dumps(entry.changes, ensure_ascii=False) if entry.changes else "",
        entry.ip or "",
        entry.request_id,
    ]
