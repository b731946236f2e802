"""REST: forecasts with their backtest."""

from __future__ import annotations

from dataclasses import asdict

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import rule_serializers as serializers
from apps.finance_sentiment.inference.forecasts import SeriesTooShort
from apps.finance_sentiment.models import Subject
from apps.finance_sentiment.selectors.forecasts import (
    UnfitPrices,
    price_direction,
    subject_forecast,
)
from rootstock.common.api import ApiView, valid
from rootstock.common.problems import Problem, invalid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class ForecastView(ApiView):
    """What will be published next."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_forecast",
        parameters=[serializers.ForecastFilter],
        responses={200: serializers.ForecastOutput},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """A season ahead of a subject's stories or its share of negative ones, and what such forecasts were worth."""
        wanted = valid(serializers.ForecastFilter(data=request.query_params))
        try:
            made = subject_forecast(
                subject=Subject(wanted["kind"], wanted["key"]),
                measure=wanted["measure"],
                width=wanted["width"],
                model=wanted["model"],
                now=timezone.now(),
            )
        except SeriesTooShort as error:
            raise Problem(
                409, "too-short", _("There is too little history: %(why)s.") % {"why": error}
            ) from error
        return Response(made.as_json())


class DirectionView(ApiView):
    """Whether a price would have been foretold."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_forecast_direction",
        request=serializers.DirectionInput,
        responses={200: serializers.DirectionOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Backtest the direction of a price on its own past and what was published. Nothing is kept."""
        wanted = valid(serializers.DirectionInput(data=request.data))
        prices = {row["day"]: row["close"] for row in wanted["prices"]}
        if len(prices) < len(wanted["prices"]):
            raise invalid("/prices", _("A day has two prices."))
        try:
            found = price_direction(
                subject=Subject(wanted["kind"], wanted["key"]), prices=list(prices.items())
            )
        except UnfitPrices as error:
            raise invalid("/prices", str(error)) from error
        return Response(asdict(found))
