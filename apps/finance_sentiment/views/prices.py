"""The page of an entity's prices: what is kept, and a file of more."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from apps.finance_sentiment.models import Entity, Instrument, Price
from apps.finance_sentiment.selectors.prices import (
    instrument_chosen,
    instruments_priced,
    prices_of,
)
from apps.finance_sentiment.services.prices import PriceFileReport, prices_import
from rootstock.common.line_files import FileRefused
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission


class PriceFileForm(forms.Form):
    """A file of prices."""

    instrument = forms.ModelChoiceField(
        Instrument.objects.none(),
        label=_("Listing"),
        empty_label=None,
        help_text=_("Of rows that name no symbol."),
    )
    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV with a header line, or JSON lines; gzipped if you like. UTF-8."),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.jsonl,.ndjson,.gz"}),
    )

    def __init__(self, entity: Entity, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["instrument"].queryset = entity.instruments.order_by(  # type: ignore[attr-defined]
            "exchange", "symbol"
        )


@requires(Permission.FINANCE_READ)
@require_http_methods(["GET", "POST"])
def entity_prices(request: HttpRequest, entity_id: uuid.UUID) -> HttpResponse:
    """What did it close at?"""
    entity = get_object_or_404(Entity, pk=entity_id)
    may_write = Permission.FINANCE_WRITE in request.granted  # type: ignore[attr-defined]
    listing = instrument_chosen(entity, request.GET.get("listing", ""))
    form = PriceFileForm(entity, initial={"instrument": listing})
    report: PriceFileReport | None = None
    if request.method == "POST" and may_write:
        form = PriceFileForm(entity, request.POST, request.FILES)
        if form.is_valid():
            listing = form.cleaned_data["instrument"]
            report = _import(request, form)
    rows = prices_of(listing) if listing else Price.objects.none()
    context: dict[str, Any] = {
        "entity": entity,
        "listing": listing,
        "listings": instruments_priced(entity),
        "page": Paginator(rows, 50).get_page(request.GET.get("page")),
        "form": form,
        "report": report,
        "may_write": may_write,
    }
    status = 422 if form.errors else 200
    if request.method == "POST" and not may_write:
        status = 403
    return render(request, "finance_sentiment/entity_prices.html", context, status=status)


def _import(request: HttpRequest, form: PriceFileForm) -> PriceFileReport | None:
    upload = form.cleaned_data["file"]
    try:
        return prices_import(
            file=upload,
            name=upload.name,
            actor=request.actor,  # type: ignore[attr-defined]
            instrument=form.cleaned_data["instrument"],
        )
    except FileRefused as error:
        form.add_error("file", str(error))
        return None
