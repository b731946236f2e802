"""/api/v1/service/insights and customers: is it helping, and what is kept of somebody."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.response import Response

from apps.customer_service.api import desk_serializers as serializers
from apps.customer_service.models import Conversation, Visitor
from apps.customer_service.selectors.conversations import inbox_row
from apps.customer_service.selectors.insights import (
    InsightQuery,
    insight_agents,
    insight_clusters,
    insight_conversations,
    insight_csv,
    insight_figures,
    insight_intents,
    insight_trend,
    load_now,
)
from apps.customer_service.services.privacy import customer_erase, customer_export
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, valid
from rootstock.common.problems import invalid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class InsightsView(ApiView):
    """Is it helping?"""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_insights",
        parameters=[serializers.InsightFilter],
        responses={200: serializers.InsightOutput},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Figures of the conversations that began in a range of time, and what goes on now."""
        values = valid(serializers.InsightFilter(data=request.query_params))
        query = _query(values)
        return Response(
            {
                "since": query.start.isoformat(),
                "until": query.end.isoformat(),
                "figures": insight_figures(query),
                "trend": insight_trend(query),
                "intents": insight_intents(query),
                "agents": insight_agents(query),
                "unanswered": insight_clusters(query),
                "now": load_now(query.channel),
            }
        )


class InsightConversationsView(ApiView):
    """The conversations behind a figure."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_insights_conversations",
        parameters=[serializers.FigureFilter, *PAGE_PARAMETERS],
        responses={200: page_of(serializers.InboxRowOutput)},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the conversations that a figure counts, the newest first."""
        values = valid(serializers.FigureFilter(data=request.query_params))
        rows = insight_conversations(_query(values), values.get("figure", ""), values["value"])
        rows = rows.select_related("visitor", "channel", "assignee__user")
        return paginate(self, request, rows, _Rows, ordering=("-created_at", "-id"))


class InsightCsvView(ApiView):
    """The same for a spreadsheet."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_insights_csv",
        parameters=[serializers.InsightFilter],
        responses={(200, "text/csv"): OpenApiResponse(response=str)},
    )
    def get(self, request: OrganisationRequest) -> HttpResponse:
        """The conversations of a range as CSV: a line each, nothing of what was said; times in UTC."""
        values = valid(serializers.InsightFilter(data=request.query_params))
        return HttpResponse(
            insight_csv(_query(values)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="conversations.csv"'},
        )


class CustomerExportView(ApiView):
    """What is kept of somebody."""

    permission = Permission.SERVICE_REPLY

    @extend_schema(operation_id="service_customers_export", responses={200: dict})
    def get(self, request: OrganisationRequest, visitor_id: uuid.UUID) -> Response:
        """Everything kept of a customer, as JSON."""
        visitor = get_object_or_404(Visitor, pk=visitor_id)
        return Response(
            customer_export(visitor),
            headers={"Content-Disposition": f'attachment; filename="customer-{visitor.pk}.json"'},
        )


class CustomerView(ApiView):
    """Erasing somebody."""

    permission = Permission.SERVICE_WRITE

    @extend_schema(
        operation_id="service_customers_erase",
        request=serializers.EraseInput,
        responses={200: serializers.EraseOutput},
    )
    def post(self, request: OrganisationRequest, visitor_id: uuid.UUID) -> Response:
        """Erase a customer with all conversations, messages and files, for good. Confirm with their id."""
        values = valid(serializers.EraseInput(data=request.data))
        visitor = get_object_or_404(Visitor, pk=visitor_id)
        if values["confirm"] != str(visitor.pk):
            raise invalid("/confirm", _("This is not the customer's id."))
        gone = customer_erase(visitor=visitor, actor=request.actor)
        return Response(gone)


class _Rows(serializers.InboxRowOutput):
    """Rows made by the selector."""

    def to_representation(self, instance: Conversation) -> dict[str, Any]:
        """As the inbox shows it."""
        return inbox_row(instance)


def _query(values: dict[str, Any]) -> InsightQuery:
    """The range that was asked for.

    Raises:
        Problem: 422 where it ends before it begins.
    """
    until = values.get("until") or timezone.now()
    try:
        since = values.get("since") or until - timedelta(days=1)
    except OverflowError as error:
        raise invalid("/until", str(error)) from error
    if since >= until:
        raise invalid("/until", _("The range ends before it begins."))
    if until - since > timedelta(days=3 * 366):
        raise invalid("/since", _("A range has at most three years."))
    return InsightQuery(since, until, values.get("channel"))
