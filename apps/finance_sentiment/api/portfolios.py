"""REST: portfolios, watch-lists and who is in them."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.finance_sentiment.models import Entity, Holding, Portfolio
from apps.finance_sentiment.selectors.portfolios import portfolios
from apps.finance_sentiment.services.portfolios import (
    MOST_HOLDINGS,
    HoldingInput,
    holding_remove,
    holdings_put,
    portfolio_delete,
    portfolio_save,
)
from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest
from rootstock.tenancy.streaming import csv_response


class PortfolioInput(serializers.Serializer[Any]):
    """A portfolio or a watch-list."""

    name = serializers.CharField(max_length=80)
    kind = serializers.ChoiceField(
        Portfolio.Kind.choices, required=False, help_text="A watch-list has no weights."
    )
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)


class PortfolioOutput(serializers.ModelSerializer[Portfolio]):
    """A portfolio or a watch-list. As a subject of signals its kind is `portfolio` and its key is the id."""

    members = serializers.IntegerField()
    counted_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When its past was counted with its present members; null: a job is at it.",
    )

    class Meta:
        model = Portfolio
        fields = ("id", "name", "kind", "description", "members", "counted_at", "created_at")


class HoldingGivenInput(serializers.Serializer[Any]):
    """An entity and its weight, in any unit."""

    entity = serializers.UUIDField()
    weight = serializers.FloatField(
        default=1.0, help_text="Above 0; a watch-list takes no notice of it."
    )


class HoldingListInput(serializers.Serializer[Any]):
    """Several of them."""

    holdings = serializers.ListField(child=HoldingGivenInput(), max_length=MOST_HOLDINGS)


class HeldEntityOutput(serializers.ModelSerializer[Entity]):
    """Who is held."""

    class Meta:
        model = Entity
        fields = ("id", "key", "name", "name_zh")


class HoldingOutput(serializers.ModelSerializer[Holding]):
    """An entity in a portfolio."""

    entity = HeldEntityOutput()

    class Meta:
        model = Holding
        fields = ("id", "entity", "weight")


class HoldingsPutOutput(serializers.Serializer[Any]):
    """How many were taken in."""

    stored = serializers.IntegerField()


class _View(ApiView):
    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE


class PortfoliosView(_View):
    """Portfolios and watch-lists."""

    @extend_schema(
        operation_id="finance_portfolios_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(PortfolioOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """All of them, the newest first."""
        return paginate(self, request, portfolios(), PortfolioOutput)

    @extend_schema(
        operation_id="finance_portfolios_create",
        request=PortfolioInput,
        responses={201: PortfolioOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Make one; nobody is in it yet."""
        values = valid(PortfolioInput(data=request.data))
        row = portfolio_save(portfolio=None, actor=request.actor, values=values)
        return _answer(row.pk, status=201)


class PortfolioView(_View):
    """One portfolio or watch-list."""

    @extend_schema(operation_id="finance_portfolios_get", responses={200: PortfolioOutput})
    def get(self, request: OrganisationRequest, portfolio_id: uuid.UUID) -> Response:
        """Read it."""
        return _answer(portfolio_id)

    @extend_schema(
        operation_id="finance_portfolios_update",
        parameters=[IF_MATCH],
        request=PortfolioInput(partial=True),
        responses={200: PortfolioOutput},
    )
    def patch(self, request: OrganisationRequest, portfolio_id: uuid.UUID) -> Response:
        """Change what is given. What becomes a watch-list loses its weights."""
        values = valid(PortfolioInput(data=request.data, partial=True))
        row = _locked(portfolio_id)
        check_if_match(request, row)
        portfolio_save(portfolio=row, actor=request.actor, values=values)
        return _answer(portfolio_id)

    @extend_schema(operation_id="finance_portfolios_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, portfolio_id: uuid.UUID) -> Response:
        """Forget it with its counts; one that a rule watches is refused."""
        portfolio_delete(portfolio=_locked(portfolio_id), actor=request.actor)
        return Response(status=204)


class HoldingsView(_View):
    """Who is in a portfolio."""

    @extend_schema(
        operation_id="finance_holdings_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(HoldingOutput),
    )
    def get(self, request: OrganisationRequest, portfolio_id: uuid.UUID) -> Response:
        """Its entities with their weights, the last put in first."""
        row = get_object_or_404(Portfolio, pk=portfolio_id)
        return paginate(self, request, row.holdings.select_related("entity"), HoldingOutput)

    @extend_schema(
        operation_id="finance_holdings_add",
        request=HoldingListInput,
        responses={200: HoldingsPutOutput},
    )
    def post(self, request: OrganisationRequest, portfolio_id: uuid.UUID) -> Response:
        """Put entities in, all or none; one that is there takes the new weight. The past is counted by a job."""
        return _put(request, portfolio_id, is_replaced=False)

    @extend_schema(
        operation_id="finance_holdings_replace",
        request=HoldingListInput,
        responses={200: HoldingsPutOutput},
    )
    def put(self, request: OrganisationRequest, portfolio_id: uuid.UUID) -> Response:
        """Make these its only entities."""
        return _put(request, portfolio_id, is_replaced=True)


class HoldingView(_View):
    """One entity of a portfolio."""

    @extend_schema(operation_id="finance_holdings_delete", responses={204: None})
    def delete(
        self, request: OrganisationRequest, portfolio_id: uuid.UUID, holding_id: uuid.UUID
    ) -> Response:
        """Take it out."""
        _locked(portfolio_id)
        row = get_object_or_404(
            Holding.objects.select_related("portfolio"), pk=holding_id, portfolio_id=portfolio_id
        )
        holding_remove(holding=row, actor=request.actor)
        return Response(status=204)


class HoldingsCsvView(_View):
    """A portfolio as a file."""

    @extend_schema(
        operation_id="finance_holdings_csv",
        responses={(200, "text/csv"): OpenApiResponse(response=str)},
    )
    def get(self, request: OrganisationRequest, portfolio_id: uuid.UUID) -> StreamingHttpResponse:
        """Its entities with their weights, in the form that the page takes in again."""
        row = get_object_or_404(Portfolio, pk=portfolio_id)
        holdings = row.holdings.select_related("entity").prefetch_related("entity__instruments")
        return csv_response(
            filename=f"portfolio-{timezone.localdate():%Y-%m-%d}.csv",
            header=("key", "name", "name_zh", "listings", "weight"),
            rows=holdings,
            cells=_cells,
        )


def _cells(holding: Holding) -> list[object]:
    entity = holding.entity
    listings = "; ".join(sorted(str(each) for each in entity.instruments.all()))
    return [entity.key, entity.name, entity.name_zh, listings, holding.weight]


def _put(request: OrganisationRequest, portfolio_id: uuid.UUID, *, is_replaced: bool) -> Response:
    values = valid(HoldingListInput(data=request.data))
    stored = holdings_put(
        portfolio=_locked(portfolio_id),
        holdings=[HoldingInput(**one) for one in values["holdings"]],
        actor=request.actor,
        is_replaced=is_replaced,
    )
    return Response({"stored": stored})


def _locked(portfolio_id: uuid.UUID) -> Portfolio:
    return get_object_or_404(Portfolio.objects.select_for_update(), pk=portfolio_id)


def _answer(portfolio_id: uuid.UUID, *, status: int = 200) -> Response:
    row = get_object_or_404(portfolios(), pk=portfolio_id)
    return respond(row, PortfolioOutput(row).data, status=status)


urlpatterns = [
    path("portfolios", PortfoliosView.as_view()),
    path("portfolios/<uuid:portfolio_id>", PortfolioView.as_view()),
    path("portfolios/<uuid:portfolio_id>/holdings", HoldingsView.as_view()),
    path("portfolios/<uuid:portfolio_id>/holdings.csv", HoldingsCsvView.as_view()),
    path("portfolios/<uuid:portfolio_id>/holdings/<uuid:holding_id>", HoldingView.as_view()),
]
