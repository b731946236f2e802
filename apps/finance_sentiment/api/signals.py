"""/api/v1/finance/trend, topics, rule and alerts"""

from __future__ import annotations

import csv
import io
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.api import serializers
from apps.finance_sentiment.models import Alert
from apps.finance_sentiment.selectors.trends import (
    TrendPoint,
    UnfitWidth,
    chart_width,
    topic_figures,
    trend_series,
)
from apps.finance_sentiment.services.alerts import NotOpen, alert_acknowledge
from apps.finance_sentiment.services.rules import RuleRefused, rule_get_or_create, rule_update
from rootstock.common.api import ApiView, check_if_match, etag_of, paginate
from rootstock.common.problems import Problem, invalid
from rootstock.tenancy.permissions import Permission


class TrendView(ApiView):
    """Sentiment and volume over time."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_trend",
        parameters=[serializers.TrendFilter],
        responses={200: serializers.TrendOutput},
    )
    def get(self, request: Request) -> Response:
        """The series of a topic, or of all topics, by time of publication."""
        wanted, points = _series(request)
        return Response({**wanted, "points": [point.as_json() for point in points]})


class TrendCsvView(ApiView):
    """The same for a spreadsheet."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_trend_csv",
        parameters=[serializers.TrendFilter],
        responses={(200, "text/csv"): OpenApiResponse(response=str)},
    )
    def get(self, request: Request) -> HttpResponse:
        """The series as CSV, times in UTC."""
        _wanted, points = _series(request)
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(TrendPoint.__dataclass_fields__))
        writer.writeheader()
        writer.writerows(point.as_json() for point in points)
        return HttpResponse(
            text.getvalue(),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="trend.csv"'},
        )


class TopicsView(ApiView):
    """The topics there are."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_topics",
        parameters=[serializers.TrendFilter],
        responses={200: serializers.TopicListOutput},
    )
    def get(self, request: Request) -> Response:
        """Each topic in a range of time, against the range of the same length before it."""
        _values, since, until = _range(request)
        figures = topic_figures(start=since, end=until)
        return Response(
            {
                "since": since.isoformat(),
                "until": until.isoformat(),
                "results": serializers.TopicFiguresOutput(figures, many=True).data,
            }
        )


class RuleView(ApiView):
    """The surge rule."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE

    @extend_schema(operation_id="finance_rule_get", responses={200: serializers.RuleOutput})
    def get(self, request: Request) -> Response:
        """Read the rule; its ETag guards a change."""
        rule = rule_get_or_create()
        return Response(serializers.RuleOutput(rule).data, headers={"ETag": etag_of(rule)})

    @extend_schema(
        operation_id="finance_rule_put",
        request=serializers.RuleInput,
        responses={200: serializers.RuleOutput},
    )
    def put(self, request: Request) -> Response:
        """Replace the rule. With `If-Match`, only if it is still as it was read."""
        values = serializers.RuleInput(data=request.data)
        values.is_valid(raise_exception=True)
        rule = rule_get_or_create()
        check_if_match(request, rule)
        try:
            rule = rule_update(
                rule=rule,
                actor=request.actor,  # type: ignore[attr-defined]
                values=values.validated_data,
            )
        except RuleRefused as error:
            raise Problem(422, "invalid", str(error)) from error
        return Response(serializers.RuleOutput(rule).data, headers={"ETag": etag_of(rule)})


class AlertsView(ApiView):
    """Alerts."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_alerts_list",
        parameters=[serializers.AlertFilter],
        responses={200: serializers.AlertPageOutput},
    )
    def get(self, request: Request) -> Response:
        """Find alerts, the newest first."""
        wanted = serializers.AlertFilter(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        alerts = Alert.objects.all()
        state = wanted.validated_data.get("state")
        if state == "unresolved":
            alerts = alerts.exclude(state=Alert.State.RESOLVED)
        elif state:
            alerts = alerts.filter(state=state)
        if "topic" in wanted.validated_data:
            alerts = alerts.filter(kind="topic", key=wanted.validated_data["topic"])
        return paginate(
            self, request, alerts, serializers.AlertOutput, ordering=("-opened_at", "-id")
        )


class AlertView(ApiView):
    """One alert."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_alerts_get", responses={200: serializers.AlertDetailOutput}
    )
    def get(self, request: Request, alert_id: uuid.UUID) -> Response:
        """Read an alert with its evidence and log."""
        alert = get_object_or_404(Alert, pk=alert_id)
        return Response(serializers.AlertDetailOutput(alert).data, headers={"ETag": etag_of(alert)})


class AcknowledgeView(ApiView):
    """Taking an alert."""

    permission = Permission.FINANCE_WRITE

    @extend_schema(
        operation_id="finance_alerts_acknowledge",
        request=serializers.AcknowledgeInput,
        responses={200: serializers.AlertDetailOutput},
    )
    def post(self, request: Request, alert_id: uuid.UUID) -> Response:
        """Say that somebody has it, with a comment if you like."""
        values = serializers.AcknowledgeInput(data=request.data)
        values.is_valid(raise_exception=True)
        alert = get_object_or_404(Alert.objects.select_for_update(), pk=alert_id)
        check_if_match(request, alert)
        try:
            alert_acknowledge(
                alert=alert,
                actor=request.actor,  # type: ignore[attr-defined]
                comment=values.validated_data["comment"],
            )
        except NotOpen as error:
            raise Problem(
                409, "alert-resolved", _("The alert is resolved; there is nothing to acknowledge.")
            ) from error
        return Response(serializers.AlertDetailOutput(alert).data)


def _range(request: Request) -> tuple[dict[str, Any], datetime, datetime]:
    """The parameters and the range they ask for.

    Raises:
        Problem: 422 where a range ends before it begins.
    """
    wanted = serializers.TrendFilter(data=request.query_params)
    wanted.is_valid(raise_exception=True)
    values = wanted.validated_data
    until = values.get("until") or timezone.now()
    try:
        since = values.get("since") or until - timedelta(days=1)
        if since >= until:
            raise invalid("/until", _("The range ends before it begins."))
        # It is compared with the range of the same length before it, which must be a date as well.
        _before = since - (until - since)
    except OverflowError as error:
        raise invalid("/since", str(error)) from error
    return values, since, until


def _series(request: Request) -> tuple[dict[str, Any], list[TrendPoint]]:
    values, since, until = _range(request)
    width = values.get("width") or chart_width(start=since, end=until)
    try:
        points = trend_series(topic=values["topic"], start=since, end=until, width=width)
    except UnfitWidth as error:
        raise invalid("/width", str(error)) from error
    return {
        "topic": values["topic"],
        "since": since.isoformat(),
        "until": until.isoformat(),
        "width": width,
    }, points
