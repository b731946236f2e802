"""REST: alerts, and what people do about them."""

from __future__ import annotations

import uuid
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import alert_serializers as serializers
from apps.finance_sentiment.models import Alert
from apps.finance_sentiment.selectors.alerts import AlertQuery, alerts_find
from apps.finance_sentiment.services.alerts import (
    NotOpen,
    alert_acknowledge,
    alert_assign,
    alert_comment,
    alert_end,
)
from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    paginate,
    respond,
    valid,
)
from rootstock.common.problems import Problem
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class AlertsView(ApiView):
    """Alerts."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_alerts_list",
        parameters=[serializers.AlertFilter, *PAGE_PARAMETERS],
        responses={200: serializers.AlertPageOutput},
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Find alerts, the newest first."""
        wanted = valid(serializers.AlertFilter(data=request.query_params))
        topic = wanted.pop("topic", None)
        if topic is not None:
            wanted |= {"kind": "topic", "key": topic}
        return paginate(
            self,
            request,
            alerts_find(AlertQuery(**wanted)),
            serializers.AlertOutput,
            ordering=("-opened_at", "-id"),
        )


class AlertView(ApiView):
    """One alert."""

    permission = Permission.FINANCE_READ

    @extend_schema(
        operation_id="finance_alerts_get", responses={200: serializers.AlertDetailOutput}
    )
    def get(self, request: OrganisationRequest, alert_id: uuid.UUID) -> Response:
        """Read an alert with its evidence and log."""
        alert = get_object_or_404(Alert, pk=alert_id)
        return respond(alert, serializers.AlertDetailOutput(alert).data)


class _ActionView(ApiView):
    """Something that is done to an alert."""

    permission = Permission.FINANCE_WRITE

    def act(
        self, request: OrganisationRequest, alert_id: uuid.UUID, action: Any, **given: Any
    ) -> Response:
        """Do it, unless the alert is over.

        Raises:
            Problem: 409 when it is, 412 when it has changed since it was read.
        """
        alert = get_object_or_404(Alert.objects.select_for_update(), pk=alert_id)
        check_if_match(request, alert)
        try:
            action(alert=alert, actor=request.actor, **given)
        except NotOpen as error:
            raise Problem(409, "alert-resolved", _("The alert is over.")) from error
        return respond(alert, serializers.AlertDetailOutput(alert).data)


class AcknowledgeView(_ActionView):
    """Taking an alert."""

    @extend_schema(
        operation_id="finance_alerts_acknowledge",
        parameters=[IF_MATCH],
        request=serializers.AcknowledgeInput,
        responses={200: serializers.AlertDetailOutput},
    )
    def post(self, request: OrganisationRequest, alert_id: uuid.UUID) -> Response:
        """Say that somebody has it, with a comment if you like. Nobody further is told."""
        values = valid(serializers.AcknowledgeInput(data=request.data))
        return self.act(request, alert_id, alert_acknowledge, **values)


class AssignView(_ActionView):
    """Giving an alert to somebody."""

    @extend_schema(
        operation_id="finance_alerts_assign",
        parameters=[IF_MATCH],
        request=serializers.AlertAssignInput,
        responses={200: serializers.AlertDetailOutput},
    )
    def post(self, request: OrganisationRequest, alert_id: uuid.UUID) -> Response:
        """Give it to a member, who is told of it."""
        values = valid(serializers.AlertAssignInput(data=request.data))
        return self.act(
            request, alert_id, alert_assign, user_id=values["user"], comment=values["comment"]
        )


class CommentView(_ActionView):
    """Saying something about an alert."""

    @extend_schema(
        operation_id="finance_alerts_comment",
        request=serializers.CommentInput,
        responses={200: serializers.AlertDetailOutput},
    )
    def post(self, request: OrganisationRequest, alert_id: uuid.UUID) -> Response:
        """Write a line into its log; also when it is over."""
        values = valid(serializers.CommentInput(data=request.data))
        return self.act(request, alert_id, alert_comment, **values)


class ResolveView(_ActionView):
    """Ending an alert."""

    @extend_schema(
        operation_id="finance_alerts_resolve",
        parameters=[IF_MATCH],
        request=serializers.AcknowledgeInput,
        responses={200: serializers.AlertDetailOutput},
    )
    def post(self, request: OrganisationRequest, alert_id: uuid.UUID) -> Response:
        """End it by hand. The surge that raised it does not raise it again; the next one does."""
        values = valid(serializers.AcknowledgeInput(data=request.data))
        return self.act(request, alert_id, alert_end, **values)
