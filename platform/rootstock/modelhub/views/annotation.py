"""Models, Annotate: what is the next example worth labelling, and do people agree?"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.modelhub import selectors
from rootstock.modelhub.api.annotation import queue_list
from rootstock.modelhub.api.data_serializers import NextOutput
from rootstock.modelhub.data_forms import QueueForm
from rootstock.modelhub.data_selectors import answer_distribution
from rootstock.modelhub.forms import show_problem
from rootstock.modelhub.models import AnnotationQueue, Task
from rootstock.modelhub.services import annotation as services
from rootstock.modelhub.services.examples import answer_text
from rootstock.modelhub.views.data import example_or_404
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

LISTED = 100
MOST_CHOICES = 60


def _queue_or_404(queue_id: uuid.UUID) -> AnnotationQueue:
    queue: AnnotationQueue | None = queue_list().filter(pk=queue_id).first()
    if queue is None:
        raise Http404(_("There is no such queue."))
    return queue


def choices_of(queue: AnnotationQueue) -> list[str]:
    """What can be chosen: the queue's choices, else the labels of the data set; 0 and 1 for pairs."""
    if queue.choices:
        return list(queue.choices)
    if queue.dataset.task == Task.RERANKING:
        return ["1", "0"]
    found = answer_distribution(queue.dataset)
    if queue.dataset.task in (Task.TEXT_CLASSIFICATION, Task.IMAGE_CLASSIFICATION):
        found = selectors.label_distribution(queue.dataset)
    return sorted(label for label in found if label)[:MOST_CHOICES]


@requires(Permission.MODELS_READ)
@require_GET
def queues(request: PageRequest) -> HttpResponse:
    """What waits to be labelled?"""
    rows = [(queue, services.progress(queue, request.actor)) for queue in queue_list()[:LISTED]]
    return render(request, "modelhub/annotate_queues.html", {"rows": rows})


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def queue_new(request: PageRequest) -> HttpResponse:
    """Ask people about a data set."""
    datasets = [
        dataset for dataset in selectors.dataset_list() if dataset.task not in services.UNASKABLE
    ]
    initial = {"dataset": request.GET.get("dataset", ""), "name": _("Labels")}
    form = QueueForm(datasets, request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        wanted = values.pop("dataset")
        dataset = next(row for row in datasets if str(row.pk) == wanted)
        try:
            with transaction.atomic():
                queue = services.queue_create(dataset=dataset, actor=request.actor, **values)
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("modelhub:annotate", queue.pk)
    context = {
        "form": form,
        "datasets": datasets,
        "deployments": [row.name for row in selectors.deployment_list()],
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "modelhub/annotate_new.html", context, status=status)


@requires(Permission.MODELS_WRITE)
@require_GET
def annotate(request: PageRequest, queue_id: uuid.UUID) -> HttpResponse:
    """One example at a time."""
    queue = _queue_or_404(queue_id)
    example = services.example_next(queue=queue, actor=request.actor)
    progress = services.progress(queue, request.actor)
    data = {
        "queue": str(queue.pk),
        "dataset": str(queue.dataset_id),
        "task": queue.dataset.task,
        "choices": choices_of(queue),
        "fixed": bool(queue.choices) or queue.dataset.task == Task.RERANKING,
        "suggests": bool(queue.deployment),
        "next": NextOutput({"example": example, "progress": progress}).data,
    }
    context = {"queue": queue, "dataset": queue.dataset, "progress": progress, "data": data}
    return render(request, "modelhub/annotate.html", context)


@requires(Permission.MODELS_READ)
@require_GET
def queue_agreement(request: PageRequest, queue_id: uuid.UUID) -> HttpResponse:
    """Do people agree, and on what do they not?"""
    queue = _queue_or_404(queue_id)
    task = queue.dataset.task
    rows: list[dict[str, Any]] = []
    for example, opinions in services.disagreements(queue):
        said: dict[str, dict[str, Any]] = {}
        for annotation in opinions:
            key = json.dumps(annotation.content, sort_keys=True)
            words = answer_text(task, annotation.content, example.content)
            said.setdefault(key, {"answer": key, "words": words, "people": []})
            said[key]["people"].append(annotation.actor_label)
        rows.append({"example": example, "said": list(said.values())})
    context = {
        "queue": queue,
        "dataset": queue.dataset,
        "progress": services.progress(queue, request.actor),
        "agreement": asdict(services.agreement(queue)),
        "rows": rows,
        "may_write": Permission.MODELS_WRITE in request.granted,
    }
    return render(request, "modelhub/annotate_agreement.html", context)


@requires(Permission.MODELS_WRITE)
@require_POST
def queue_decide(request: PageRequest, queue_id: uuid.UUID, example_id: uuid.UUID) -> HttpResponse:
    """Settle a disagreement with one of the answers that were given."""
    queue = _queue_or_404(queue_id)
    example = example_or_404(queue.dataset, example_id)
    given = request.POST.get("answer", "")
    said = [
        annotation.content
        for annotation in example.annotations.filter(queue=queue, skipped=False)
        if json.dumps(annotation.content, sort_keys=True) == given
    ]
    try:
        if not said:
            raise Problem(422, "invalid", _("Nobody has said that."))
        with transaction.atomic():
            services.decide(queue=queue, example=example, actor=request.actor, answer=said[0])
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, _("Decided."))
    return redirect("modelhub:queue-agreement", queue.pk)


@requires(Permission.MODELS_WRITE)
@require_POST
def queue_close(request: PageRequest, queue_id: uuid.UUID) -> HttpResponse:
    """Close a queue, or open it again."""
    queue = _queue_or_404(queue_id)
    services.queue_close(queue=queue, actor=request.actor, closed=queue.closed_at is None)
    return redirect("modelhub:queue-agreement", queue.pk)
