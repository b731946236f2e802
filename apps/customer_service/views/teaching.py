"""Learning: what do our models learn from, and what is the next step?"""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from apps.customer_service.selectors.answering import assistant_get
from apps.customer_service.selectors.teaching import MOST_COUNTED, lesson_get
from apps.customer_service.services.learning.recipes import RECIPES
from apps.customer_service.services.learning.teaching import (
    lesson_check,
    lesson_collect,
    lesson_deploy,
    lesson_label,
    lesson_train,
    recipe_get,
)
from apps.customer_service.views.learning_tabs import section_tabs
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.realtime.selectors import heads
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

MODELS = "models"


@requires(Permission.SERVICE_WRITE)
@require_GET
def learning(request: PageRequest) -> HttpResponse:
    """Every model with where its rows come from, how far it is, and one button for the next step."""
    # Read before the rows: what is committed in between makes the page look once more.
    last_event_id = heads([MODELS])[MODELS]
    context = _models(request) | {
        "tabs": section_tabs(),
        "data": {"stream": MODELS, "lastEventId": last_event_id, "part": "lessons"},
    }
    return render(request, "customer_service/learning/learning.html", context)


@requires(Permission.SERVICE_WRITE)
@require_GET
def learning_models(request: PageRequest) -> HttpResponse:
    """The models, read anew when something changes."""
    return render(request, "customer_service/learning/_lessons.html", _models(request))


@requires(Permission.SERVICE_WRITE)
@require_POST
def learning_step(request: PageRequest) -> HttpResponse:
    """Take a step of a model's learning, and go where it goes on."""
    if Permission.MODELS_WRITE not in request.granted:
        raise PermissionDenied
    model, step = request.POST.get("model", ""), request.POST.get("step", "")
    try:
        told, address = _take(model, step, request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("service:learning")
    if told:
        messages.success(request, told)
    return redirect(address)


def _take(model: str, step: str, actor: Actor) -> tuple[str, str]:
    """What is said of the step, and the page that shows it.

    Raises:
        Problem: it cannot be taken now.
    """
    recipe, here = recipe_get(model), reverse("service:learning")
    if step == "collect":
        added = lesson_collect(recipe=recipe, actor=actor).added
        told = ngettext("%(n)d row is new.", "%(n)d rows are new.", added) % {"n": added}
    elif step == "label":
        queue = lesson_label(recipe=recipe, actor=actor)
        return "", reverse("modelhub:annotate", args=[queue.pk])
    elif step == "train":
        lesson_train(recipe=recipe, actor=actor)
        told = _("It is being trained; this page follows it.")
    elif step == "check":
        lesson_check(recipe=recipe, actor=actor)
        told = _("The checks are being made; this page shows what they say.")
    elif step == "deploy":
        deployed = lesson_deploy(recipe=recipe, actor=actor)
        told = _("The assistant asks %(version)s from now on.") % {
            "version": deployed.version.label
        }
    else:
        raise Http404("no such step")
    return told, here


def _models(request: PageRequest) -> dict[str, object]:
    return {
        "lessons": [(lesson_get(recipe), _(recipe.title)) for recipe in RECIPES.values()],
        "most": MOST_COUNTED,
        "may_change": Permission.MODELS_WRITE in request.granted,
        "assistant": assistant_get(),
    }
