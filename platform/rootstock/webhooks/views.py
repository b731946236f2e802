"""Settings, Webhooks: who is told, and did it arrive?"""

from __future__ import annotations

import json
import uuid

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.common.problems import Problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest
from rootstock.webhooks import services
from rootstock.webhooks.forms import EndpointForm
from rootstock.webhooks.models import Delivery, Endpoint
from rootstock.webhooks.selectors import (
    attempts,
    deliveries,
    delivery_get,
    endpoint_get,
    endpoints,
)

PAGE = 25


@requires(Permission.WEBHOOKS_READ)
@require_GET
def endpoint_list(request: PageRequest) -> HttpResponse:
    """Who is told, and does it arrive?"""
    return render(
        request,
        "webhooks/list.html",
        {"endpoints": endpoints(), "may_change": _may_change(request)},
    )


@requires(Permission.WEBHOOKS_WRITE)
@never_cache
@require_http_methods(["GET", "POST"])
def endpoint_new(request: PageRequest) -> HttpResponse:
    """Add an endpoint; the answer shows its secret, once."""
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            endpoint = services.endpoint_create(actor=request.actor, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return render(request, "webhooks/secret.html", {"endpoint": endpoint, "new": True})
    status = 422 if request.method == "POST" else 200
    return render(request, "webhooks/new.html", {"form": form}, status=status)


@requires(Permission.WEBHOOKS_READ)
@require_http_methods(["GET", "POST"])
def endpoint_detail(request: PageRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """One endpoint: is it well, what was sent to it, change it."""
    endpoint = endpoint_get(endpoint_id)
    form = EndpointForm(
        request.POST or None,
        initial={name: getattr(endpoint, name) for name in EndpointForm.base_fields},
    )
    status = 200
    if request.method == "POST":
        if not _may_change(request):
            raise PermissionDenied
        status = 422
        if form.is_valid() and _saved(request, endpoint, form):
            return redirect("webhooks:endpoint", endpoint.pk)
    state = request.GET.get("state", "")
    rows = deliveries(endpoint, state=state if state in Delivery.State.values else None)
    context = {
        "endpoint": endpoint,
        "form": form,
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "state": state,
        "states": Delivery.State.choices,
        "may_change": _may_change(request),
    }
    return render(request, "webhooks/endpoint.html", context, status=status)


def _saved(request: PageRequest, endpoint: Endpoint, form: EndpointForm) -> bool:
    try:
        services.endpoint_update(endpoint=endpoint, actor=request.actor, **form.cleaned_data)
    except ValidationError as error:
        form.add_error(None, error)
        return False
    messages.success(request, _("Saved."))
    return True


@requires(Permission.WEBHOOKS_WRITE)
@require_POST
def endpoint_switch(request: PageRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Switch it on or off."""
    endpoint = endpoint_get(endpoint_id)
    services.endpoint_update(
        endpoint=endpoint, actor=request.actor, enabled=endpoint.disabled_at is not None
    )
    return redirect("webhooks:endpoint", endpoint.pk)


@requires(Permission.WEBHOOKS_WRITE)
@require_POST
def endpoint_ping(request: PageRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Send a test message and show how it goes."""
    endpoint = endpoint_get(endpoint_id)
    try:
        delivery = services.endpoint_ping(endpoint=endpoint)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("webhooks:endpoint", endpoint.pk)
    return redirect("webhooks:delivery", delivery.pk)


@requires(Permission.WEBHOOKS_WRITE)
@never_cache
@require_POST
def endpoint_rotate(request: PageRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """A new secret, shown once."""
    endpoint = services.endpoint_rotate_secret(
        endpoint=endpoint_get(endpoint_id), actor=request.actor
    )
    return render(request, "webhooks/secret.html", {"endpoint": endpoint, "new": False})


@requires(Permission.WEBHOOKS_WRITE)
@require_POST
def endpoint_remove(request: PageRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Remove it with its log, when its address was typed to confirm."""
    endpoint = endpoint_get(endpoint_id)
    if request.POST.get("confirm") != endpoint.url:
        messages.error(request, _("The address was not typed as it is: nothing was removed."))
        return redirect("webhooks:endpoint", endpoint.pk)
    services.endpoint_delete(endpoint=endpoint, actor=request.actor)
    messages.success(request, _("Removed."))
    return redirect("webhooks:list")


@requires(Permission.WEBHOOKS_READ)
@require_GET
def delivery_detail(request: PageRequest, delivery_id: uuid.UUID) -> HttpResponse:
    """One message: what was sent, and what came back at each try."""
    delivery = delivery_get(delivery_id)
    context = {
        "delivery": delivery,
        "attempts": attempts(delivery),
        "body": json.dumps(json.loads(delivery.body), ensure_ascii=False, indent=2),
        "may_change": _may_change(request),
    }
    return render(request, "webhooks/delivery.html", context)


@requires(Permission.WEBHOOKS_WRITE)
@require_POST
def delivery_replay(request: PageRequest, delivery_id: uuid.UUID) -> HttpResponse:
    """Send it again."""
    delivery = delivery_get(delivery_id)
    try:
        services.delivery_replay(delivery=delivery)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, _("It is being sent again."))
    return redirect("webhooks:delivery", delivery.pk)


def _may_change(request: PageRequest) -> bool:
    return Permission.WEBHOOKS_WRITE in request.granted
