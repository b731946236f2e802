"""Pages of portfolios and watch-lists: how are those doing that we hold or watch?"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.finance_sentiment.models import Holding, Portfolio, Subject, SubjectKind
from apps.finance_sentiment.selectors.entities import entities_find
from apps.finance_sentiment.selectors.figures import Figures
from apps.finance_sentiment.selectors.portfolios import (
    entities_outside,
    portfolio_figures,
    portfolio_members,
    portfolios,
    quiet,
    weighted_share,
)
from apps.finance_sentiment.selectors.trends import chart_width, trend_series
from apps.finance_sentiment.services.holding_files import HoldingsReport, holdings_import
from apps.finance_sentiment.services.portfolios import (
    HoldingInput,
    holding_remove,
    holdings_put,
    portfolio_delete,
    portfolio_save,
)
from rootstock.common.line_files import FileRefused
from rootstock.common.problems import Problem
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest
from rootstock.web.timerange import TimeRange, time_range

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE
_FOUND = 20


class PortfolioForm(forms.Form):
    """A portfolio or a watch-list."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=Portfolio.Kind.choices,
        widget=forms.RadioSelect,
        initial=Portfolio.Kind.PORTFOLIO,
        help_text=gettext_lazy("A watch-list has no weights; what becomes one loses them."),
    )
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class HoldingForm(forms.Form):
    """An entity to put in."""

    entity = forms.UUIDField()
    weight = forms.FloatField(required=False)


class HoldingsFileForm(forms.Form):
    """Many entities from a file."""

    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy(
            "CSV with the columns key, symbol with exchange, or name; and weight. Rows of one entity add up."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.jsonl,.ndjson,.gz"}),
    )
    is_replaced = forms.BooleanField(
        label=gettext_lazy("The file has all of it: take out whoever is not in the file"),
        required=False,
    )


@requires(READ)
@require_GET
def portfolio_list(request: PageRequest) -> HttpResponse:
    """What is said of each of our portfolios, against the usual?"""
    span = time_range(request, default="24h")
    figures = portfolio_figures(start=span.start, end=span.end)
    context = {
        "rows": [(row, figures.get(str(row.pk), quiet())) for row in portfolios()],
        "range": span,
        "may_write": _may_write(request),
    }
    return render(request, "finance_sentiment/portfolios/list.html", context)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def portfolio_new(request: PageRequest) -> HttpResponse:
    """Follow some entities together."""
    form = PortfolioForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = portfolio_save(portfolio=None, actor=request.actor, values=form.cleaned_data)
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("finance:portfolio", row.pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "finance_sentiment/portfolios/new.html", {"form": form}, status=status)


@requires(READ)
@require_http_methods(["GET", "POST"])
def portfolio_detail(request: PageRequest, portfolio_id: uuid.UUID) -> HttpResponse:
    """How is this portfolio doing in public, and who in it?"""
    if request.method == "GET":
        return _page(request, get_object_or_404(Portfolio, pk=portfolio_id))
    if not _may_write(request):
        raise PermissionDenied
    row = get_object_or_404(Portfolio.objects.select_for_update(), pk=portfolio_id)
    act = {"change": _change, "add": _add, "weights": _weigh, "file": _add_file}.get(
        request.POST.get("action", "change"), _change
    )
    failed = act(request, row)
    if failed is None:
        return redirect("finance:portfolio", row.pk)
    return _page(request, get_object_or_404(Portfolio, pk=portfolio_id), failed)


@requires(READ)
@require_GET
def portfolio_find(request: PageRequest, portfolio_id: uuid.UUID) -> HttpResponse:
    """Who may be put in, as a part of the page."""
    row = get_object_or_404(Portfolio, pk=portfolio_id)
    return render(request, "finance_sentiment/portfolios/_found.html", _found(request, row))


@requires(WRITE)
@require_POST
def portfolio_remove(request: PageRequest, portfolio_id: uuid.UUID) -> HttpResponse:
    """Forget a portfolio, when its name was typed to confirm."""
    row = get_object_or_404(Portfolio.objects.select_for_update(), pk=portfolio_id)
    if request.POST.get("confirm") != row.name:
        messages.error(request, _("The name was not typed as it is: nothing was removed."))
        return redirect("finance:portfolio", portfolio_id)
    try:
        portfolio_delete(portfolio=row, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("finance:portfolio", portfolio_id)
    messages.success(request, _("Removed. The entities stay."))
    return redirect("finance:portfolios")


@requires(WRITE)
@require_POST
def holding_take_out(
    request: PageRequest, portfolio_id: uuid.UUID, holding_id: uuid.UUID
) -> HttpResponse:
    """Take an entity out."""
    get_object_or_404(Portfolio.objects.select_for_update(), pk=portfolio_id)
    row = Holding.objects.select_related("portfolio", "entity")
    holding = get_object_or_404(row, pk=holding_id, portfolio_id=portfolio_id)
    name = holding.entity.name
    holding_remove(holding=holding, actor=request.actor)
    messages.success(request, _("%(name)s is out.") % {"name": name})
    return redirect("finance:portfolio", portfolio_id)


def _page(
    request: PageRequest, row: Portfolio, failed: forms.Form | HoldingsReport | None = None
) -> HttpResponse:
    span = time_range(request, default="7d")
    members = portfolio_members(portfolio=row, start=span.start, end=span.end)
    initial = {name: getattr(row, name) for name in ("name", "kind", "description")}
    shown: dict[str, Any] = {
        "form": PortfolioForm(initial=initial),
        "file_form": HoldingsFileForm(),
        "report": None,
    }
    for name, kind in (
        ("form", PortfolioForm),
        ("file_form", HoldingsFileForm),
        ("report", HoldingsReport),
    ):
        if isinstance(failed, kind):
            shown[name] = failed
    figures = portfolio_figures(start=span.start, end=span.end).get(str(row.pk), quiet())
    share = weighted_share(members)
    context = {
        **shown,
        **_found(request, row),
        "row": row,
        "range": span,
        "members": members,
        "figures": figures,
        "changes": _changes(figures),
        "share": round(100 * figures.share, 1) if figures.stories else None,
        "weighted": None if share is None else round(100 * share, 1),
        "has_weights": row.kind == Portfolio.Kind.PORTFOLIO,
        "may_write": _may_write(request),
        "data": {"points": _points(row, span), "label": str(span.label)},
    }
    status = 200 if failed is None or isinstance(failed, HoldingsReport) else 422
    return render(request, "finance_sentiment/portfolios/detail.html", context, status=status)


def _points(row: Portfolio, span: TimeRange) -> list[dict[str, Any]]:
    width = chart_width(start=span.start, end=span.end)
    subject = Subject(SubjectKind.PORTFOLIO, str(row.pk))
    points = trend_series(subject=subject, start=span.start, end=span.end, width=width)
    return [
        {
            "start": point.start.isoformat(),
            "stories": point.stories,
            "negative": point.stories_negative,
        }
        for point in points
    ]


def _changes(figures: Figures) -> dict[str, float | None]:
    """How far the numbers are from the usual, as parts of it."""

    def change(now: float, usual: float | None) -> float | None:
        return (now - usual) / usual if usual else None

    return {
        "stories": change(figures.stories, figures.usual_stories),
        "negative": change(figures.negative, figures.usual_negative),
        "share": change(figures.share, figures.usual_share),
    }


def _found(request: PageRequest, row: Portfolio) -> dict[str, Any]:
    q = request.GET.get("q", "").replace("\x00", "").strip()[:200]
    outside = entities_outside(portfolio=row, found=entities_find(q=q)).order_by("name")
    return {
        "q": q,
        "found": list(outside[:_FOUND]) if q else [],
        "row": row,
        "has_weights": row.kind == Portfolio.Kind.PORTFOLIO,
    }


def _change(request: PageRequest, row: Portfolio) -> forms.Form | None:
    form = PortfolioForm(request.POST)
    if not form.is_valid():
        return form
    try:
        portfolio_save(portfolio=row, actor=request.actor, values=form.cleaned_data)
    except Problem as problem:
        show_problem(form, problem)
        return form
    messages.success(request, _("Saved."))
    return None


def _add(request: PageRequest, row: Portfolio) -> forms.Form | None:
    form = HoldingForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        weight = 1.0 if given["weight"] is None else given["weight"]
        return _put(request, row, [HoldingInput(given["entity"], weight)], form)
    messages.error(request, _("A weight is a number above 0."))
    return form


def _weigh(request: PageRequest, row: Portfolio) -> forms.Form | None:
    """The weights of all rows of the table; those that are left out stay."""
    holdings = []
    for entity, stored in row.holdings.values_list("entity_id", "weight"):
        text = request.POST.get(f"weight-{entity}", "")
        try:
            weight = float(text) if text else stored
        except ValueError:
            weight = 0.0
        if weight != stored:
            holdings.append(HoldingInput(entity, weight))
    return _put(request, row, holdings, HoldingForm())


def _put(
    request: PageRequest, row: Portfolio, holdings: list[HoldingInput], form: forms.Form
) -> forms.Form | None:
    try:
        holdings_put(portfolio=row, holdings=holdings, actor=request.actor)
    except Problem as problem:
        messages.error(request, " ".join(error["detail"] for error in problem.errors))
        return form
    messages.success(request, _("Saved."))
    return None


def _add_file(request: PageRequest, row: Portfolio) -> forms.Form | HoldingsReport | None:
    form = HoldingsFileForm(request.POST, request.FILES)
    if not form.is_valid():
        return form
    file, is_replaced = form.cleaned_data["file"], form.cleaned_data["is_replaced"]
    try:
        return holdings_import(
            portfolio=row,
            file=file,
            name=file.name,
            actor=request.actor,
            is_replaced=is_replaced,
        )
    except FileRefused as error:
        form.add_error("file", str(error))
    except Problem as problem:
        form.add_error("file", " ".join(error["detail"] for error in problem.errors))
    return form


def _may_write(request: PageRequest) -> bool:
    return WRITE in request.granted
