"""Compress: how small and fast can this version be, and what does that cost?"""

from __future__ import annotations

import uuid

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from rootstock.common.problems import Problem
from rootstock.jobs.selectors import job_summary
from rootstock.modelhub.compress_forms import CompressForm
from rootstock.modelhub.compressing import TASKS, compression_job, compression_start
from rootstock.modelhub.family import family, size_chart, time_chart
from rootstock.modelhub.forms import show_problem
from rootstock.modelhub.views.versions import version_or_404
from rootstock.realtime.selectors import stream_head
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest


@requires(Permission.MODELS_READ)
@require_http_methods(["GET", "POST"])
def version_compress(request: PageRequest, version_id: uuid.UUID) -> HttpResponse:
    """Start a compression of a version, follow it, and see what came of earlier ones."""
    current = version_or_404(version_id)
    may_write = Permission.MODELS_WRITE in request.granted
    if request.method == "POST" and not may_write:
        return HttpResponse(status=403)
    form = CompressForm(request.POST or None, version=current)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                compression_start(version=current, actor=request.actor, **form.options())
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("modelhub:version-compress", current.pk)
    members = family(current)
    job = compression_job(current)
    context = {
        "version": current,
        "form": form,
        "members": members,
        "charts": [
            chart
            for chart in (
                (_("Quality against size"), _("Size that serving needs, MB"), size_chart(members)),
                (_("Quality against time"), _("Time of one row, ms"), time_chart(members)),
            )
            if chart[2] is not None
        ],
        "job": job,
        "can": current.task in TASKS and current.snapshot is not None,
        "may_write": may_write,
        "data": {
            "lastEventId": stream_head("jobs"),
            "job": job_summary(job) if job else None,
            "mayCancel": Permission.JOBS_WRITE in request.granted,
            "ended": _("The compression has ended."),
        },
    }
    status = 422 if form.errors else 200
    return render(request, "modelhub/compress.html", context, status=status)
