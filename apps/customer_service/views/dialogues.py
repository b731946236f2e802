"""Import of past dialogues: how do I bring what was said before?"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods

from apps.customer_service.models import Conversation
from apps.customer_service.services.learning.dialogue_files import forms_shown
from apps.customer_service.services.learning.dialogue_jobs import IMPORT_JOB, import_start
from apps.customer_service.views.learning_tabs import section_tabs
from rootstock.common.problems import Problem
from rootstock.jobs.selectors import job_get, job_list
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

SHOWN = 10


class DialoguesForm(forms.Form):
    """A file of dialogues."""

    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV with a header line, or JSON lines; gzipped if you like. At most 512 MB."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.jsonl,.ndjson,.gz"}),
    )
    encoding = forms.ChoiceField(
        label=_("Encoding"),
        required=False,
        choices=[
            ("", "UTF-8"),
            ("gb18030", "GBK / GB18030"),
            ("utf-16", "UTF-16"),
            ("cp1252", "Windows-1252"),
        ],
    )


@requires(Permission.SERVICE_WRITE)
@require_http_methods(["GET", "POST"])
def dialogues_import(request: PageRequest) -> HttpResponse:
    """The form, and the files of before."""
    form = DialoguesForm(request.POST or None, request.FILES or None)
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            upload = form.cleaned_data["file"]
            try:
                job = import_start(
                    file=upload,
                    name=upload.name,
                    actor=request.actor,
                    encoding=form.cleaned_data["encoding"],
                )
            except Problem as problem:
                form.add_error("file", str(problem.detail))
            else:
                messages.success(request, gettext("The file is being read."))
                return redirect("service:dialogues-imported", job.pk)
    context: dict[str, Any] = {
        "form": form,
        "tabs": section_tabs(),
        "jobs": job_list(kind=IMPORT_JOB)[:SHOWN],
        "count": Conversation.objects.filter(origin=Conversation.Origin.IMPORT).count(),
        "forms": forms_shown(),
        "curl": _curl(request),
    }
    return render(request, "customer_service/learning/import.html", context, status=status)


@requires(Permission.SERVICE_WRITE)
@require_GET
def dialogues_imported(request: PageRequest, job_id: uuid.UUID) -> HttpResponse:
    """How far an import is, and what became of it; a part of the page asks again while it runs."""
    context = {"job": job_get(job_id), "tabs": section_tabs()}
    name = "_import_state.html" if "HX-Request" in request.headers else "import_report.html"
    return render(request, f"customer_service/learning/{name}", context)


def _curl(request: PageRequest) -> str:
    address = request.build_absolute_uri("/api/v1/service/dialogues")
    body = '{"dialogues": [{"id": "T-1", "turns": [{"who": "customer", "text": "…"}, {"who": "agent", "text": "…"}]}]}'
    return f"curl {address} -H 'Authorization: Bearer KEY' -H 'Content-Type: application/json' -d '{body}'"
