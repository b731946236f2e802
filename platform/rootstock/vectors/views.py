"""Search collections: what is in them, which model reads them, and what they find."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.jobs.services import job_cancel
from rootstock.modelhub.bases import INSTALLED
from rootstock.modelhub.forms import show_problem
from rootstock.modelhub.models import Deployment, Task
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest
from rootstock.vectors import selectors, services
from rootstock.vectors.forms import CollectionForm, EmbeddingModelForm, ModelForm, SearchForm
from rootstock.vectors.hybrid import HybridAnswer, search
from rootstock.vectors.inference import AUTO, DEPLOYMENT
from rootstock.vectors.models import Collection

HITS = 10


@requires(Permission.MODELS_READ)
@require_GET
def collections(request: PageRequest) -> HttpResponse:
    """What can be searched, and by which model?"""
    rows = selectors.overviews()
    context = {
        "rows": rows,
        "default": selectors.default_model(),
        "outdated": sum(row.outdated for row in rows),
        "may_write": _may_write(request),
    }
    return render(request, "vectors/collections.html", context)


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def collection_new(request: PageRequest) -> HttpResponse:
    """Make a collection."""
    form = CollectionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                made = services.collection_create(actor=request.actor, **form.values())
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("vectors:collection", made.pk)
    return _form_page(request, form, title=_("New search collection"), button=_("Make it"))


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def embedding_model(request: PageRequest) -> HttpResponse:
    """Set the organisation's embedding model."""
    form = EmbeddingModelForm(request.POST or None, initial={"model": selectors.default_model()})
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                services.embedding_model_set(model=form.cleaned_data["model"], actor=request.actor)
                jobs = (
                    services.collections_follow(actor=request.actor)
                    if form.cleaned_data["reembed"]
                    else []
                )
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(
                request,
                ngettext(
                    "Saved. %(n)s collection is being read anew.",
                    "Saved. %(n)s collections are being read anew.",
                    len(jobs),
                )
                % {"n": len(jobs)},
            )
            return redirect("vectors:collections")
    return _form_page(request, form, title=_("Embedding model"), button=_("Save"))


@requires(Permission.MODELS_READ)
@require_GET
def collection(request: PageRequest, collection_id: uuid.UUID) -> HttpResponse:
    """What is in it, and does it find what one looks for?"""
    found = selectors.collection_get(collection_id)
    form = SearchForm(request.GET if "q" in request.GET else None)
    answer, milliseconds = None, 0.0
    if form.is_bound and form.is_valid():
        started = time.monotonic()
        answer = _tried(request, found, form)
        milliseconds = 1000 * (time.monotonic() - started)
    return _collection_page(
        request,
        found,
        ModelForm(initial={"model": found.model}),
        search_form=form,
        answer=answer,
        milliseconds=milliseconds,
    )


@requires(Permission.MODELS_READ)
@require_GET
def collection_progress(request: PageRequest, collection_id: uuid.UUID) -> HttpResponse:
    """How far the job is; once it has ended the page loads itself anew."""
    job = selectors.running_job(selectors.collection_get(collection_id).pk)
    if job is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"job": job, "collection_id": collection_id, "may_write": _may_write(request)}
    return render(request, "vectors/_progress.html", context)


@requires(Permission.MODELS_WRITE)
@require_POST
def collection_model(request: PageRequest, collection_id: uuid.UUID) -> HttpResponse:
    """Have another model read it, or a former one again."""
    found = selectors.collection_get(collection_id)
    form = ModelForm(request.POST)
    if form.is_valid():
        try:
            with transaction.atomic():
                services.collection_change_model(
                    collection=found,
                    actor=request.actor,
                    model=form.cleaned_data["model"].strip(),
                )
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("vectors:collection", found.pk)
    return _collection_page(request, found, form, status=422)


@requires(Permission.MODELS_WRITE)
@require_POST
def collection_cancel(request: PageRequest, collection_id: uuid.UUID) -> HttpResponse:
    """Stop the change of its model."""
    job = selectors.running_job(selectors.collection_get(collection_id).pk)
    if job is not None:
        job_cancel(job.pk)
        messages.info(request, _("The change is being stopped. The present model stays."))
    return redirect("vectors:collection", collection_id)


@requires(Permission.MODELS_WRITE)
@require_POST
def collection_delete(request: PageRequest, collection_id: uuid.UUID) -> HttpResponse:
    """Remove it with its texts."""
    found = selectors.collection_get(collection_id)
    if request.POST.get("confirm", "").strip() != found.name:
        messages.error(request, _("The name was not the collection's. Nothing was removed."))
        return redirect("vectors:collection", found.pk)
    services.collection_delete(collection=found, actor=request.actor)
    messages.success(request, _("“%(name)s” is gone.") % {"name": found.name})
    return redirect("vectors:collections")


def _tried(request: PageRequest, found: Collection, form: SearchForm) -> HybridAnswer | None:
    try:
        return search(
            request.organisation.pk,
            found.pk,
            form.cleaned_data["q"],
            k=HITS,
            mode=form.cleaned_data["mode"] or "hybrid",
        )
    except Problem as problem:
        form.add_error("q", str(problem.detail))
        return None


def _collection_page(
    request: PageRequest,
    found: Collection,
    model_form: ModelForm,
    *,
    search_form: SearchForm | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    row = selectors.overview(found)
    context = {
        "collection": found,
        "collection_id": found.pk,
        "row": row,
        "job": row.job,
        "default": selectors.default_model(),
        "model_form": model_form,
        "search_form": search_form or SearchForm(),
        "models": _models(),
        "may_write": _may_write(request),
        **more,
    }
    return render(request, "vectors/collection.html", context, status=status)


def _form_page(request: PageRequest, form: Any, *, title: str, button: str) -> HttpResponse:
    context = {"form": form, "title": title, "button": button, "models": _models()}
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "vectors/form.html", context, status=status)


def _models() -> list[str]:
    """What can be chosen without knowing a name."""
    deployed = Deployment.objects.filter(task=Task.TEXT_EMBEDDING).order_by("name")
    return [AUTO, *INSTALLED, *(f"{DEPLOYMENT}{each.name}" for each in deployed)]


def _may_write(request: PageRequest) -> bool:
    return Permission.MODELS_WRITE in request.granted
