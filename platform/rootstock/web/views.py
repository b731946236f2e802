"""The Overview, what the bell shows, and the pages for errors."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template import loader
from django.views.decorators.http import require_GET

from rootstock.tenancy.pages import requires
from rootstock.web import overview as registry


@requires()
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Is everything all right, and what needs me?"""
    attention = registry.attention(request)
    steps = registry.steps(request)
    return render(
        request,
        "web/overview.html",
        {
            "attention": attention,
            "gravest": attention[0].tone if attention else "ok",
            "panels": registry.panels(request),
            "steps": steps,
            "steps_done": sum(step.done for step in steps),
        },
    )


@requires()
@require_GET
def attention(request: HttpRequest) -> HttpResponse:
    """The list under the bell, fetched when it is opened and when something happened."""
    return render(request, "web/_attention.html", {"attention": registry.attention(request)})


def _error(request: HttpRequest, status: int) -> HttpResponse:
    return render(request, f"{status}.html", status=status)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: the browser sent something that cannot be understood."""
    return _error(request, 400)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: the role does not include this."""
    return _error(request, 403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: no such page, or it belongs to another organisation."""
    return _error(request, 404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500: rendered without the request, whose database transaction may be what failed."""
    return HttpResponse(loader.get_template("500.html").render(), status=500)
