"""/api/v1/finance/trend, topics, rule and alerts"""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.api import serializers
from apps.finance_sentiment.models import Subject, SubjectKind, of_topic
from apps.finance_sentiment.selectors.trends import (
    TrendPoint,
    UnfitWidth,
    chart_width,
    topic_figures,
    trend_series,
)
from rootstock.common.api import ApiView
from rootstock.common.problems import invalid
from rootstock.tenancy.permissions import Permission


class TrendView(ApiView):
    """Sentiment and volume over time."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_trend",
        parameters=[serializers.SeriesFilter],
        responses={200: serializers.TrendOutput},
    )
    def get(self, request: Request) -> Response:
        """The series of a topic, of all topics, or of another subject, by time of publication."""
        wanted, points = _series(request)
        return Response({**wanted, "points": [point.as_json() for point in points]})


class TrendCsvView(ApiView):
    """The same for a spreadsheet."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_trend_csv",
        parameters=[serializers.SeriesFilter],
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


def _range(request: Request) -> tuple[dict[str, Any], datetime, datetime]:
    """The parameters and the range they ask for.

    Raises:
        Problem: 422 where a range ends before it begins.
    """
    wanted = serializers.SeriesFilter(data=request.query_params)
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


def _subject(values: dict[str, Any]) -> Subject:
    """Whose series is asked for.

    Raises:
        Problem: 422 where that is said twice or by halves.
    """
    kind, key = values.get("kind"), values.get("key", "")
    if kind is None and not key:
        return of_topic(values["topic"])
    if values["topic"]:
        raise invalid("/topic", _("Give a topic, or a kind and a key, not both."))
    if kind is None:
        raise invalid("/kind", _("Say of which kind the key is."))
    if (kind == SubjectKind.ALL) == bool(key):
        raise invalid("/key", _("Every kind but “all” needs a key."))
    return Subject(kind, key)


def _series(request: Request) -> tuple[dict[str, Any], list[TrendPoint]]:
    values, since, until = _range(request)
    subject = _subject(values)
    width = values.get("width") or chart_width(start=since, end=until)
    try:
        points = trend_series(subject=subject, start=since, end=until, width=width)
    except UnfitWidth as error:
        raise invalid("/width", str(error)) from error
    return {
        "topic": values["topic"],
        "kind": subject.kind,
        "key": subject.key,
        "since": since.isoformat(),
        "until": until.isoformat(),
        "width": width,
    }, points
