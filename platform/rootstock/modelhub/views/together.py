"""Models, Train together: several data sets, one encoder."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from rootstock.common.problems import Problem
from rootstock.modelhub import selectors, services
from rootstock.modelhub.forms import show_problem
from rootstock.modelhub.models import TrainingRun
from rootstock.modelhub.services.together import TASKS
from rootstock.modelhub.together_forms import TogetherForm, names_before
from rootstock.modelhub.training_settings import BASES
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

_MOST_LISTED = 100


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def together(request: PageRequest) -> HttpResponse:
    """Choose what shall be learned on one encoder, freeze it and start."""
    datasets = list(selectors.dataset_list().filter(task__in=TASKS)[:_MOST_LISTED])
    if request.method != "POST":
        initial: dict[str, object] = {**names_before(datasets)}
        initial |= {f"use-{pk}": True for pk in request.GET.getlist("dataset")}
        return _page(request, TogetherForm(datasets, initial=initial))
    form = TogetherForm(datasets, request.POST)
    if form.is_valid():
        try:
            with transaction.atomic():
                runs = _start(request, form)
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("modelhub:run", runs[0].pk)
    return _page(request, form, status=422)


def _start(request: PageRequest, form: TogetherForm) -> list[TrainingRun]:
    return services.together_start(
        heads=[
            services.Head(services.snapshot_create(dataset=dataset, actor=request.actor), name)
            for dataset, name in form.heads
        ],
        config=form.config(),
        actor=request.actor,
    )


def _page(request: PageRequest, form: TogetherForm, *, status: int = 200) -> HttpResponse:
    context = {"form": form, "names": selectors.model_names(), "bases": BASES}
    return render(request, "modelhub/together.html", context, status=status)
