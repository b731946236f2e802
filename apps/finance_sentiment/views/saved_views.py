"""The menu of saved views, on the pages that have one."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qsl, urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.finance_sentiment.models import SavedView
from apps.finance_sentiment.selectors.saved_views import saved_views
from apps.finance_sentiment.services.saved_views import (
    FIELDS,
    saved_view_create,
    saved_view_delete,
    saved_view_is_own,
)
from rootstock.common.problems import Problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

_ADDRESSES = {SavedView.Page.SEARCH: "finance:search", SavedView.Page.BOARD: "finance:live"}


def saved_views_menu(request: PageRequest, page: SavedView.Page) -> dict[str, Any]:
    """What `_views.html` shows: the views of a page, and what of its address a new one would keep."""
    may_share = _may_share(request)
    return {
        "page": page.value,
        "query": urlencode(_known(page, request.GET.items())),
        "may_share": may_share,
        "rows": [
            (view, _address(view), saved_view_is_own(view, request.actor, may_share=may_share))
            for view in saved_views(request.actor, page=page)
        ],
    }


@requires(Permission.FINANCE_READ)
@require_POST
def saved_view_keep(request: PageRequest) -> HttpResponse:
    """Keep what the page shows under a name."""
    given = request.POST.get("page", "")
    page = SavedView.Page(given) if given in _ADDRESSES else SavedView.Page.SEARCH
    query = _known(page, parse_qsl(request.POST.get("query", ""), max_num_fields=50))
    try:
        view = saved_view_create(
            actor=request.actor,
            page=page,
            name=request.POST.get("name", ""),
            query=query,
            is_shared=request.POST.get("is_shared") == "1",
            may_share=_may_share(request),
        )
    except Problem as problem:
        told = [error["detail"] for error in problem.errors or []] or [str(problem.detail)]
        messages.error(request, " ".join(told))
        return redirect(f"{reverse(_ADDRESSES[page])}?{urlencode(query)}")
    messages.success(request, _("Kept as “%(name)s”.") % {"name": view.name})
    return redirect(_address(view))


@requires(Permission.FINANCE_READ)
@require_POST
def saved_view_remove(request: PageRequest, finance_view_id: uuid.UUID) -> HttpResponse:
    """Take a view away."""
    view = get_object_or_404(saved_views(request.actor), pk=finance_view_id)
    address = _address(view)
    try:
        saved_view_delete(view=view, actor=request.actor, may_share=_may_share(request))
    except Problem as problem:
        messages.error(request, str(problem.detail))
    else:
        messages.success(request, _("“%(name)s” is no longer kept.") % {"name": view.name})
    return redirect(address)


def _address(view: SavedView) -> str:
    return f"{reverse(_ADDRESSES[SavedView.Page(view.page)])}?{urlencode(view.query)}"


def _known(page: SavedView.Page, given: Any) -> dict[str, str]:
    return {name: value for name, value in given if name in FIELDS[page] and value}


def _may_share(request: PageRequest) -> bool:
    return Permission.FINANCE_WRITE in request.granted
