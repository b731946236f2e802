"""Unanswered: what should we teach the assistant next?"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import UnansweredCluster
from apps.customer_service.selectors.unanswered import (
    cluster_counts,
    cluster_get,
    cluster_list,
    cluster_near,
    cluster_questions,
    reply_proposed,
    samples,
)
from apps.customer_service.services.learning.queue import (
    cluster_answer,
    cluster_ignore,
    cluster_split,
    clusters_merge,
)
from apps.customer_service.services.learning.unanswered import STREAM
from rootstock.common.ids import uuids_of
from rootstock.common.problems import Problem
from rootstock.realtime.selectors import heads
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 25
QUESTIONS = 100
State = UnansweredCluster.State


class AnswerForm(forms.Form):
    """The answer to the questions of a cluster."""

    title = forms.CharField(
        label=_("Title"),
        max_length=300,
        help_text=_(
            "What it is about, in the words of a customer. The questions below are added to it."
        ),
    )
    body = forms.CharField(
        label=_("Text of the answer"), max_length=20_000, widget=forms.Textarea(attrs={"rows": 8})
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=[("en", _("English")), ("zh", _("Chinese"))]
    )


@requires(Permission.SERVICE_READ)
@require_GET
def unanswered_list(request: PageRequest) -> HttpResponse:
    """The clusters, those that most customers asked first."""
    # Read before the rows: what is committed in between makes the page look once more.
    last_event_id = heads([STREAM])[STREAM]
    context = _rows(request) | {
        "data": {"stream": STREAM, "lastEventId": last_event_id, "part": "clusters"}
    }
    return render(request, "customer_service/learning/unanswered.html", context)


@requires(Permission.SERVICE_READ)
@require_GET
def unanswered_rows(request: PageRequest) -> HttpResponse:
    """The list, read anew when something changes."""
    return render(request, "customer_service/learning/_clusters.html", _rows(request))


@requires(Permission.SERVICE_READ)
@require_http_methods(["GET", "POST"])
def unanswered_cluster(request: PageRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """What was asked, by whom, and the box to write the answer."""
    cluster = cluster_get(cluster_id)
    proposal = reply_proposed(cluster)
    form = AnswerForm(request.POST or None, initial=_initial(cluster, proposal))
    status = 200
    if request.method == "POST":
        if Permission.SERVICE_WRITE not in request.granted:
            raise PermissionDenied
        status = 422
        if form.is_valid():
            try:
                answer = cluster_answer(cluster=cluster, actor=request.actor, **form.cleaned_data)
            except Problem as problem:
                form.add_error(None, str(problem.detail))
            else:
                text = gettext(
                    "“%(title)s” is in the draft. Visitors get it with the next release."
                )
                messages.success(request, text % {"title": answer.title})
                return redirect("service:unanswered-cluster", cluster.pk)
    questions = cluster_questions(cluster)
    context = {
        "cluster": cluster,
        "form": form,
        "proposal": proposal,
        "questions": questions[:QUESTIONS],
        "count": questions.count(),
        "near": cluster_near(cluster) if cluster.state == State.OPEN else [],
        "may_write": Permission.SERVICE_WRITE in request.granted,
    }
    return render(request, "customer_service/learning/cluster.html", context, status=status)


@requires(Permission.SERVICE_WRITE)
@require_POST
def unanswered_ignore(request: PageRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """Not ours to answer, or ours again."""
    cluster = cluster_get(cluster_id)
    ignored = request.POST.get("ignored", "1") == "1"
    cluster_ignore(cluster=cluster, actor=request.actor, ignored=ignored)
    if not ignored:
        return redirect("service:unanswered-cluster", cluster.pk)
    text = gettext("“%(title)s” is not asked for any more. It is kept under Not ours.")
    messages.success(request, text % {"title": cluster.title})
    return redirect("service:unanswered")


@requires(Permission.SERVICE_WRITE)
@require_POST
def unanswered_merge(request: PageRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """Put others into this one."""
    cluster = cluster_get(cluster_id)
    try:
        clusters_merge(cluster=cluster, others=_ids(request, "other"), actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, gettext("They are one now."))
    return redirect("service:unanswered-cluster", cluster.pk)


@requires(Permission.SERVICE_WRITE)
@require_POST
def unanswered_split(request: PageRequest, cluster_id: uuid.UUID) -> HttpResponse:
    """Put the chosen questions into a cluster of their own."""
    cluster = cluster_get(cluster_id)
    try:
        new = cluster_split(
            cluster=cluster, questions=_ids(request, "question"), actor=request.actor
        )
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("service:unanswered-cluster", cluster.pk)
    messages.success(request, gettext("The chosen questions stand by themselves now."))
    return redirect("service:unanswered-cluster", new.pk)


def _rows(request: PageRequest) -> dict[str, Any]:
    state = request.GET.get("state", State.OPEN)
    state = state if state in State.values else State.OPEN
    search = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    counts = cluster_counts()
    page = Paginator(cluster_list(state=state, search=search), PAGE).get_page(
        request.GET.get("page")
    )
    shown = samples(page.object_list)
    return {
        "page": page,
        "rows": [(cluster, shown[cluster.pk]) for cluster in page.object_list],
        "state": state,
        "search": search,
        "counts": counts,
        "query": request.GET.urlencode(),
        "states": [
            # “Open” alone is an order.
            (value, gettext("To be answered") if value == State.OPEN else label, counts[value])
            for value, label in State.choices
        ],
    }


def _initial(cluster: UnansweredCluster, proposal: dict[str, Any] | None) -> dict[str, str]:
    language = cluster.language or "en"
    answer = cluster.answer
    if answer is not None:
        return {
            "title": answer.title,
            "body": answer.bodies.get(language, ""),
            "language": language,
        }
    if proposal is not None:
        return {
            "title": cluster.title,
            "body": proposal["body"],
            "language": proposal["language"],
        }
    return {"title": cluster.title, "language": language}


def _ids(request: PageRequest, name: str) -> list[uuid.UUID]:
    return uuids_of(request.POST.getlist(name)[:1000])
