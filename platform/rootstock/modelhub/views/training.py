"""Models, Train: the form that starts a run."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from ml_core.models import default_base
from ml_core.training import training_options
from rootstock.common.problems import Problem
from rootstock.modelhub import selectors, services
from rootstock.modelhub.forms import show_problem
from rootstock.modelhub.models import Dataset, ModelVersion, Snapshot, TrainingRun
from rootstock.modelhub.train_forms import RecipeForm, TrainForm, recipe_initial
from rootstock.modelhub.training_settings import BASES, FILES
from rootstock.modelhub.views.datasets import dataset_or_404
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

_MOST_VERSIONS = 100
_MOST_SNAPSHOTS = 50


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def dataset_train(request: PageRequest, dataset_id: uuid.UUID) -> HttpResponse:
    """Freeze the data set, or take a frozen copy, and start a run or a search on it."""
    current = dataset_or_404(dataset_id)
    if "recipe" in request.POST:
        return _from_recipe(request, current)
    if request.method != "POST":
        return _page(request, current, _form(current, initial=_initial(request, current)))
    form = _form(current, request.POST, request.FILES)
    if form.is_valid():
        try:
            with transaction.atomic():
                run = _start(request, current, form)
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("modelhub:run", run.pk)
    return _page(request, current, form, status=422)


def _start(request: PageRequest, dataset: Dataset, form: TrainForm) -> TrainingRun:
    data = form.cleaned_data
    config = form.config()
    for option, upload in form.uploads().items():
        file = services.training_file_create(
            option=option, name=upload.name or "", chunks=upload.chunks(), actor=request.actor
        )
        config[option] = f"file:{file.pk}"
    snapshot: Snapshot
    if data["snapshot"]:
        snapshot = selectors.snapshot_list(dataset).get(pk=data["snapshot"])
    else:
        fractions = {
            name: data[name]
            for name in ("validation_fraction", "test_fraction")
            if data[name] is not None
        }
        snapshot = services.snapshot_create(dataset=dataset, actor=request.actor, **fractions)
    kind, _colon, version_id = data["start"].partition(":")
    parent = selectors.version_list().get(pk=version_id) if version_id else None
    return services.training_start(
        snapshot=snapshot,
        name=data["name"],
        config=config,
        parent=parent,
        goes_on=kind == "whole",
        space=data["search"],
        trials=data["trials"] or 20,
        actor=request.actor,
    )


def _from_recipe(request: PageRequest, dataset: Dataset) -> HttpResponse:
    """The form, filled from a pasted YAML."""
    recipe = RecipeForm(request.POST)
    if not recipe.is_valid():
        form = _form(dataset, initial=_initial(request, dataset))
        return _page(request, dataset, form, recipe=recipe, status=422)
    values = recipe.cleaned_data["recipe"]
    initial, left_out = recipe_initial(values, dataset.task)
    wrong_task = values.get("task", dataset.task) != dataset.task
    form = _form(dataset, initial=_initial(request, dataset) | initial)
    left_out = [name for name in left_out if name != "task"]
    return _page(request, dataset, form, left_out=left_out, wrong_task=wrong_task)


def _form(dataset: Dataset, *args: Any, **kwargs: Any) -> TrainForm:
    previous = next(option for option in training_options() if option.name == "previous")
    return TrainForm(
        dataset,
        *args,
        snapshots=list(selectors.snapshot_list(dataset)[:_MOST_SNAPSHOTS]),
        versions=_startable(dataset),
        can_go_on=previous.tasks is None or dataset.task in previous.tasks,
        **kwargs,
    )


def _startable(dataset: Dataset) -> list[ModelVersion]:
    """Versions of the same task, and pretrained encoders of any text task."""
    tasks = {dataset.task, "masked-language-model", "text-embedding"}
    return list(selectors.version_list().filter(task__in=tasks)[:_MOST_VERSIONS])


def _initial(request: PageRequest, dataset: Dataset) -> dict[str, Any]:
    """What the page that led here knows: ?name=, ?snapshot=, ?start=whole:ID, ?run= whose settings are taken over."""
    initial: dict[str, Any] = {
        name: request.GET[name] for name in ("name", "snapshot", "start") if name in request.GET
    }
    try:
        run_id = uuid.UUID(request.GET.get("run", ""))
    except ValueError:
        return initial
    run = selectors.run_list().filter(pk=run_id).first()
    if run is None:
        return initial
    settings, _left = recipe_initial(run.config, dataset.task)
    named = {name: value for name, value in run.config.items() if name in FILES}
    start = f"{'whole' if run.goes_on else 'encoder'}:{run.parent_id}" if run.parent_id else ""
    return {"name": run.name, "start": start, **settings, **named, **initial}


def _page(
    request: PageRequest, dataset: Dataset, form: TrainForm, *, status: int = 200, **context: Any
) -> HttpResponse:
    shown = {
        "form": form,
        "dataset": dataset,
        "names": selectors.model_names(),
        "recipe": RecipeForm(),
        "bases": BASES,
        "cannot_read": dataset.language != "en" and default_base(("zh",)) == "packaged",
        "wrong_task_words": _("The recipe is for another task; only what fits was taken over."),
        **context,
    }
    return render(request, "modelhub/train.html", shown, status=status)
