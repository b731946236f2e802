"""What the pages of the knowledge share."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

READ, WRITE = Permission.SERVICE_READ, Permission.SERVICE_WRITE
TEMPLATES = "customer_service/knowledge"
PAGE = 50


def section_tabs() -> list[tuple[str, str]]:
    """The parts of the knowledge."""
    return [
        (_("Sources"), reverse("service:knowledge")),
        (_("Prepared answers"), reverse("service:knowledge-answers")),
        (_("Ask it"), reverse("service:knowledge-ask")),
        (_("Evaluation"), reverse("service:knowledge-evaluation")),
        (_("Releases"), reverse("service:knowledge-releases")),
    ]


def may_change(request: PageRequest) -> bool:
    """Whether the reader may change the knowledge."""
    return WRITE in request.granted


def writers_only(request: PageRequest) -> None:
    """Raise PermissionDenied for those who may only look."""
    if not may_change(request):
        raise PermissionDenied


def show(
    request: PageRequest, template: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """A page of the knowledge."""
    whole = {"tab_items": section_tabs(), "may_change": may_change(request), **context}
    return render(request, f"{TEMPLATES}/{template}.html", whole, status=status)


def page_of(request: PageRequest, rows: Any, size: int = PAGE) -> Page[Any]:
    """The page that the address asks for."""
    return Paginator(rows, size).get_page(request.GET.get("page"))


def csv_file(text: str, name: str) -> HttpResponse:
    """A table to keep; the mark at its front tells spreadsheets that it is UTF-8."""
    response = HttpResponse("\ufeff" + text, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
