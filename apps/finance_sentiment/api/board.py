"""/api/v1/finance/board"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.finance_sentiment.api.alert_serializers import AlertOutput
from apps.finance_sentiment.models import SubjectKind
from apps.finance_sentiment.selectors.alerts import alerts_open
from apps.finance_sentiment.selectors.board import MAX_RANGE, board_figures
from rootstock.common.api import ApiView, valid
from rootstock.common.problems import invalid
from rootstock.tenancy.permissions import Permission

_ALERTS = 50


class BoardFilter(serializers.Serializer[Any]):
    """Which stretch of time."""

    since = serializers.DateTimeField(required=False, help_text="Default: an hour before `until`.")
    until = serializers.DateTimeField(required=False, help_text="Excluded. Default: now.")


class BoardUsualOutput(serializers.Serializer[Any]):
    """What the range is compared with."""

    stretches = serializers.IntegerField(
        help_text="So many stretches as long as the range, of which the mean is usual; 0: there is no history."
    )
    seconds = serializers.IntegerField(
        help_text="How long before the range the last of them began; a week, if history allows."
    )


class MoverOutput(serializers.Serializer[Any]):
    """A subject and how far it is from its usual."""

    kind = serializers.ChoiceField(
        [SubjectKind.TOPIC, SubjectKind.ENTITY, SubjectKind.PORTFOLIO],
    )
    key = serializers.CharField(help_text="A topic's label, an entity's or a portfolio's id.")
    label = serializers.CharField()  # type: ignore[assignment]
    stories = serializers.IntegerField()
    negative = serializers.IntegerField()
    share = serializers.FloatField(help_text="The part of the stories that is negative.")
    usual_stories = serializers.FloatField(allow_null=True)
    usual_negative = serializers.FloatField(allow_null=True)
    usual_share = serializers.FloatField(allow_null=True)
    movement = serializers.FloatField(help_text="In standard deviations.")
    moved = serializers.ChoiceField(
        ["volume", "share"],
        help_text="Whether the number of stories or their negative share is that far from the usual.",
    )


class HeatRowOutput(serializers.Serializer[Any]):
    """A topic's stories in each column."""

    topic = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    stories = serializers.ListField(child=serializers.IntegerField())
    negative = serializers.ListField(child=serializers.IntegerField())


class HeatMapOutput(serializers.Serializer[Any]):
    """Topics by time, the busiest first."""

    width = serializers.IntegerField(help_text="Seconds of a column.")
    starts = serializers.ListField(child=serializers.DateTimeField())
    rows = HeatRowOutput(many=True)


class BoardOutput(serializers.Serializer[Any]):
    """The board without its headlines, which `documents` lists."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    usual = BoardUsualOutput()
    movers = MoverOutput(many=True)
    heat = HeatMapOutput()
    alerts = AlertOutput(many=True)


class BoardView(ApiView):
    """What moves."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_board", parameters=[BoardFilter], responses={200: BoardOutput}
    )
    def get(self, request: Request) -> Response:
        """Movers against their usual, topics by time, and the open alerts, in a stretch of at most 31 days.

        The counts may be 5 seconds old, those of more than a day a minute.
        """
        wanted = valid(BoardFilter(data=request.query_params))
        until = wanted.get("until") or timezone.now()
        try:
            since = wanted.get("since") or until - timedelta(hours=1)
            if since >= until:
                raise invalid("/until", _("The range ends before it begins."))
            if until - since > MAX_RANGE:
                raise invalid("/since", _("The range is longer than 31 days."))
            # Weeks before it are read, and times in a zone of their own: they must be dates as well.
            _edges = (since - timedelta(days=60), until + timedelta(days=60))
        except OverflowError as error:
            raise invalid("/since", str(error)) from error
        alerts = alerts_open()[:_ALERTS]
        return Response(
            {
                "since": since.isoformat(),
                "until": until.isoformat(),
                **board_figures(start=since, end=until),
                "alerts": AlertOutput(alerts, many=True).data,
            }
        )
