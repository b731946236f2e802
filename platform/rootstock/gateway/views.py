"""Models, Connections: which servers elsewhere do we use, and do they answer?"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from rootstock.gateway import services
from rootstock.gateway.checking import check_late
from rootstock.gateway.forms import ConnectionChangeForm, ConnectionForm, KeyForm
from rootstock.gateway.models import Connection
from rootstock.gateway.selectors import connection_get, connections
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest


@requires(Permission.MODELS_READ)
@require_GET
def connection_list(request: PageRequest) -> HttpResponse:
    """Which servers are connected, and do they answer?"""
    context = {
        "connections": connections(),
        "may_change": _may_change(request),
        "api_url": request.build_absolute_uri("/api/openai/v1"),
    }
    return render(request, "gateway/connections.html", context)


@requires(Permission.MODELS_WRITE)
@require_http_methods(["GET", "POST"])
def connection_new(request: PageRequest) -> HttpResponse:
    """Add a connection; it is tested at once."""
    form = ConnectionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            connection = services.connection_create(actor=request.actor, **form.cleaned_data)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return check_late(connection, lambda tested: _told(request, tested))
    status = 422 if request.method == "POST" else 200
    return render(request, "gateway/new.html", {"form": form}, status=status)


@requires(Permission.MODELS_READ)
@require_http_methods(["GET", "POST"])
def connection_detail(request: PageRequest, connection_id: uuid.UUID) -> HttpResponse:
    """One connection: does it answer, what does it offer, change it."""
    connection = connection_get(connection_id)
    initial = {name: getattr(connection, name) for name in ConnectionChangeForm.base_fields}
    form = ConnectionChangeForm(request.POST or None, initial=initial)
    status = 200
    if request.method == "POST":
        if not _may_change(request):
            raise PermissionDenied
        if _saved(form, services.connection_update, connection=connection, actor=request.actor):
            messages.success(request, _("Saved."))
            return redirect("gateway:connection", connection.pk)
        status = 422
    context = {
        "connection": connection,
        "form": form,
        "key_form": KeyForm(),
        "may_change": _may_change(request),
    }
    return render(request, "gateway/connection.html", context, status=status)


@requires(Permission.MODELS_WRITE)
@require_POST
def connection_test(request: PageRequest, connection_id: uuid.UUID) -> HttpResponse:
    """Ask the server for its models."""
    return check_late(connection_get(connection_id), lambda tested: _told(request, tested))


@requires(Permission.MODELS_WRITE)
@require_POST
def connection_key(request: PageRequest, connection_id: uuid.UUID) -> HttpResponse:
    """Another key; it is tested at once."""
    connection = connection_get(connection_id)
    form = KeyForm(request.POST)
    rotate = services.connection_rotate_key
    if not _saved(form, rotate, connection=connection, actor=request.actor):
        messages.error(request, " ".join(str(text) for text in form.errors.get("api_key", [])))
        return redirect("gateway:connection", connection.pk)
    return check_late(connection, lambda tested: _told(request, tested))


@requires(Permission.MODELS_WRITE)
@require_POST
def connection_remove(request: PageRequest, connection_id: uuid.UUID) -> HttpResponse:
    """Forget it, when its name was typed to confirm."""
    connection = connection_get(connection_id)
    if request.POST.get("confirm") != connection.name:
        messages.error(request, _("The name was not typed as it is: nothing was removed."))
        return redirect("gateway:connection", connection.pk)
    services.connection_delete(connection=connection, actor=request.actor)
    messages.success(request, _("Removed."))
    return redirect("gateway:connections")


def _saved(form: Form, service: Any, **given: Any) -> bool:
    if not form.is_valid():
        return False
    try:
        service(**given, **form.cleaned_data)
    except ValidationError as error:
        form.add_error(None, error)
        return False
    return True


def _told(request: PageRequest, connection: Connection) -> HttpResponse:
    """Back to the connection's page, with what the test found."""
    if connection.problem:
        messages.error(
            request, _("It does not work yet: %(problem)s") % {"problem": connection.problem}
        )
    else:
        messages.success(
            request,
            _("It works. Models on offer: %(count)s.") % {"count": len(connection.offered)},
        )
    return redirect("gateway:connection", connection.pk)


def _may_change(request: PageRequest) -> bool:
    return Permission.MODELS_WRITE in request.granted
