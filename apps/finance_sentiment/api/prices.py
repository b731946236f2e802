"""/api/v1/finance/instruments/…/prices"""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.models import Instrument, Price
from apps.finance_sentiment.selectors.prices import prices_of
from apps.finance_sentiment.services.prices import (
    MOST_CLOSE,
    MOST_VOLUME,
    IncomingPrice,
    latest_day,
    prices_upsert,
)
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, valid
from rootstock.outbox.idempotency import idempotent
from rootstock.tenancy.permissions import Permission

MOST = 5000


class ClosingPriceFilter(serializers.Serializer[Any]):
    """Which days."""

    since = serializers.DateField(required=False)
    until = serializers.DateField(required=False, help_text="Included.")


class ClosingPriceOutput(serializers.ModelSerializer[Price]):
    """What the instrument closed at on a day."""

    class Meta:
        model = Price
        fields = ("day", "close", "volume")


class ClosingPriceInput(serializers.Serializer[Any]):
    """A price to store."""

    day = serializers.DateField()
    close = serializers.DecimalField(
        max_digits=18,
        decimal_places=6,
        help_text="Above 0, in the instrument's currency.",
    )
    volume = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=MOST_VOLUME
    )

    def validate_day(self, value: date) -> date:
        """It has come."""
        if value > latest_day():
            raise serializers.ValidationError(
                _("%(day)s has not come yet.") % {"day": value.isoformat()}
            )
        return value

    def validate_close(self, value: Any) -> Any:
        """Above nothing."""
        if not 0 < value < MOST_CLOSE:
            raise serializers.ValidationError(_("A price is above 0 and below 1,000,000,000,000."))
        return value


class ClosingPriceBatchInput(serializers.Serializer[Any]):
    """Prices of one instrument."""

    prices = ClosingPriceInput(many=True, allow_empty=False, max_length=MOST)  # type: ignore[call-arg]  # of the list


class ClosingPriceReportOutput(serializers.Serializer[Any]):
    """What became of them."""

    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    same = serializers.IntegerField()


class PricesView(ApiView):
    """Closing prices of an instrument."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_prices_list",
        parameters=[ClosingPriceFilter, *PAGE_PARAMETERS],
        responses=page_of(ClosingPriceOutput),
    )
    def get(self, request: Request, instrument_id: uuid.UUID) -> Response:
        """The prices of an instrument, the latest day first."""
        instrument = get_object_or_404(Instrument, pk=instrument_id)
        wanted = valid(ClosingPriceFilter(data=request.query_params))
        return paginate(
            self, request, prices_of(instrument, **wanted), ClosingPriceOutput, ordering="-day"
        )

    @extend_schema(
        operation_id="finance_prices_take",
        request=ClosingPriceBatchInput,
        responses={200: ClosingPriceReportOutput},
    )
    @idempotent
    def post(self, request: Request, instrument_id: uuid.UUID) -> Response:
        """Store up to 5,000 prices, all or none.

        What is there for a day is replaced; of several of a day the last counts.
        """
        instrument = get_object_or_404(Instrument, pk=instrument_id)
        given = valid(ClosingPriceBatchInput(data=request.data))["prices"]
        report = prices_upsert(
            instrument=instrument,
            prices=[IncomingPrice(**price) for price in given],
            actor=request.actor,  # type: ignore[attr-defined]
        )
        return Response(report.as_json())
