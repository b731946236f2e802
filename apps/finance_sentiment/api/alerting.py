"""REST: channels, chains, routes, silences, notifications, and how one wants to be told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.finance_sentiment.api import alerting_serializers as serializers
from apps.finance_sentiment.models import (
    AlertChannel,
    AlertRoute,
    EscalationChain,
    NoticeSettings,
    Notification,
    Silence,
)
from apps.finance_sentiment.selectors.alerting import (
    chains_with_steps,
    channels_visible,
    notices_of,
)
from apps.finance_sentiment.services.alerting.chains import StepInput, chain_delete, chain_save
from apps.finance_sentiment.services.alerting.channels import (
    channel_create,
    channel_delete,
    channel_test,
    channel_update,
)
from apps.finance_sentiment.services.alerting.muting import policy_get
from apps.finance_sentiment.services.alerting.notifying import notification_retry
from apps.finance_sentiment.services.alerting.people import notices_set
from apps.finance_sentiment.services.alerting.routes import (
    policy_update,
    route_delete,
    route_save,
)
from apps.finance_sentiment.services.alerts import alerts_silence, alerts_unsilence
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
from rootstock.common.problems import Problem
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class _SetUpView(ApiView):
    """Reading and writing are two permissions."""

    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE


def _person(request: OrganisationRequest) -> uuid.UUID | None:
    """The person who asks; None for a program."""
    return request.membership.user_id if request.membership else None


def _person_of(request: OrganisationRequest) -> uuid.UUID:
    """The person who asks.

    Raises:
        Problem: 409 for a program.
    """
    person = _person(request)
    if person is None:
        raise Problem(409, "not-a-person", _("An API key is no person: sign in to do this."))
    return person


class ChannelsView(_SetUpView):
    """The places where notifications go."""

    @extend_schema(
        operation_id="finance_channels_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.AlertChannelOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """The shared channels and your own, the newest first."""
        return paginate(
            self, request, channels_visible(_person(request)), serializers.AlertChannelOutput
        )

    @extend_schema(
        operation_id="finance_channels_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.AlertChannelInput,
        responses={201: serializers.AlertChannelCreatedOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Add a channel. The secret of a webhook is in this answer and in no other."""
        values = valid(serializers.AlertChannelInput(data=request.data))
        owner = _person_of(request) if values.pop("personal") else None
        fields = {name: values.pop(name) for name in ("name", "medium", "address", "secret")}
        channel = channel_create(actor=request.actor, owner_id=owner, values=values, **fields)
        return respond(channel, serializers.AlertChannelCreatedOutput(channel).data, status=201)


class ChannelView(_SetUpView):
    """One channel."""

    @extend_schema(
        operation_id="finance_channels_get", responses={200: serializers.AlertChannelOutput}
    )
    def get(self, request: OrganisationRequest, alert_channel_id: uuid.UUID) -> Response:
        """Read a channel."""
        channel = get_object_or_404(channels_visible(_person(request)), pk=alert_channel_id)
        return respond(channel, serializers.AlertChannelOutput(channel).data)

    @extend_schema(
        operation_id="finance_channels_update",
        parameters=[IF_MATCH],
        request=serializers.AlertChannelChange,
        responses={200: serializers.AlertChannelOutput},
    )
    def patch(self, request: OrganisationRequest, alert_channel_id: uuid.UUID) -> Response:
        """Change what is given. A new address forgets the secret of the old one, except a webhook's."""
        values = valid(serializers.AlertChannelChange(data=request.data))
        channel = self._locked(request, alert_channel_id)
        check_if_match(request, channel)
        channel_update(channel=channel, actor=request.actor, values=values)
        return respond(channel, serializers.AlertChannelOutput(channel).data)

    @extend_schema(operation_id="finance_channels_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, alert_channel_id: uuid.UUID) -> Response:
        """Forget a channel; refused while a chain tells it."""
        channel_delete(channel=self._locked(request, alert_channel_id), actor=request.actor)
        return Response(status=204)

    def _locked(self, request: OrganisationRequest, channel_id: uuid.UUID) -> AlertChannel:
        rows = channels_visible(_person(request)).select_for_update(of=("self",))
        return get_object_or_404(rows, pk=channel_id)


class ChannelTestView(_SetUpView):
    """Trying a channel out."""

    @extend_schema(
        operation_id="finance_channels_test",
        request=None,
        responses={202: serializers.NotificationOutput},
    )
    def post(self, request: OrganisationRequest, alert_channel_id: uuid.UUID) -> Response:
        """Send a message that says that it is a test. Read the notification to see what came of it."""
        channel = get_object_or_404(channels_visible(_person(request)), pk=alert_channel_id)
        row = channel_test(channel=channel, actor=request.actor)
        return Response(serializers.NotificationOutput(row).data, status=202)


class ChainsView(_SetUpView):
    """Who is told, and who next."""

    @extend_schema(
        operation_id="finance_chains_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.ChainOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Chains with their steps, the newest first."""
        return paginate(self, request, chains_with_steps(), serializers.ChainOutput)

    @extend_schema(
        operation_id="finance_chains_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ChainInput,
        responses={201: serializers.ChainOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Make a chain."""
        chain = _save_chain(request, None)
        return respond(chain, serializers.ChainOutput(chain).data, status=201)


class ChainView(_SetUpView):
    """One chain."""

    @extend_schema(operation_id="finance_chains_get", responses={200: serializers.ChainOutput})
    def get(self, request: OrganisationRequest, escalation_chain_id: uuid.UUID) -> Response:
        """Read a chain with its steps."""
        chain = get_object_or_404(EscalationChain, pk=escalation_chain_id)
        return respond(chain, serializers.ChainOutput(chain).data)

    @extend_schema(
        operation_id="finance_chains_replace",
        parameters=[IF_MATCH],
        request=serializers.ChainInput,
        responses={200: serializers.ChainOutput},
    )
    def put(self, request: OrganisationRequest, escalation_chain_id: uuid.UUID) -> Response:
        """Replace a chain and all its steps."""
        rows = EscalationChain.objects.select_for_update()
        chain = get_object_or_404(rows, pk=escalation_chain_id)
        check_if_match(request, chain)
        chain = _save_chain(request, chain)
        return respond(chain, serializers.ChainOutput(chain).data)

    @extend_schema(operation_id="finance_chains_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, escalation_chain_id: uuid.UUID) -> Response:
        """Forget a chain; refused while a route takes it."""
        chain = get_object_or_404(EscalationChain, pk=escalation_chain_id)
        chain_delete(chain=chain, actor=request.actor)
        return Response(status=204)


def _save_chain(request: OrganisationRequest, chain: EscalationChain | None) -> EscalationChain:
    values = valid(serializers.ChainInput(data=request.data))
    steps = [_step(step) for step in values.pop("steps")]
    with transaction.atomic():
        return chain_save(chain=chain, actor=request.actor, steps=steps, **values)


def _step(given: Mapping[str, Any]) -> StepInput:
    values = dict(given)
    return StepInput(user_id=values.pop("user"), channel_id=values.pop("channel"), **values)


class RoutesView(_SetUpView):
    """Which alerts take which chain."""

    @extend_schema(
        operation_id="finance_routes_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.RouteOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Routes, the newest first; `position` is the order in which they are tried."""
        return paginate(self, request, AlertRoute.objects.all(), serializers.RouteOutput)

    @extend_schema(
        operation_id="finance_routes_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.RouteInput,
        responses={201: serializers.RouteOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Make a route. Alerts that go on and have no group yet take it at once."""
        route = _save_route(request, None)
        return respond(route, serializers.RouteOutput(route).data, status=201)


class RouteView(_SetUpView):
    """One route."""

    @extend_schema(operation_id="finance_routes_get", responses={200: serializers.RouteOutput})
    def get(self, request: OrganisationRequest, alert_route_id: uuid.UUID) -> Response:
        """Read a route."""
        route = get_object_or_404(AlertRoute, pk=alert_route_id)
        return respond(route, serializers.RouteOutput(route).data)

    @extend_schema(
        operation_id="finance_routes_replace",
        parameters=[IF_MATCH],
        request=serializers.RouteInput,
        responses={200: serializers.RouteOutput},
    )
    def put(self, request: OrganisationRequest, alert_route_id: uuid.UUID) -> Response:
        """Replace a route; what is being escalated by it goes on."""
        route = get_object_or_404(AlertRoute.objects.select_for_update(), pk=alert_route_id)
        check_if_match(request, route)
        route = _save_route(request, route)
        return respond(route, serializers.RouteOutput(route).data)

    @extend_schema(operation_id="finance_routes_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, alert_route_id: uuid.UUID) -> Response:
        """Forget a route."""
        route = get_object_or_404(AlertRoute, pk=alert_route_id)
        route_delete(route=route, actor=request.actor)
        return Response(status=204)


def _save_route(request: OrganisationRequest, route: AlertRoute | None) -> AlertRoute:
    values = valid(serializers.RouteInput(data=request.data))
    return route_save(
        route=route,
        actor=request.actor,
        chain_id=values.pop("chain"),
        matcher=_matcher(values.pop("matcher", {})),
        **values,
    )


def _matcher(given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, "rules": [str(rule) for rule in given.get("rules", [])]}


class SilencesView(_SetUpView):
    """Alerts that nobody is told of for a while."""

    @extend_schema(
        operation_id="finance_silences_list",
        parameters=[serializers.SilenceFilter, *PAGE_PARAMETERS],
        responses=page_of(serializers.SilenceOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Silences, the newest first."""
        active = valid(serializers.SilenceFilter(data=request.query_params)).get("active")
        rows = Silence.objects.all()
        now = timezone.now()
        if active is not None:
            rows = rows.filter(ends_at__gt=now) if active else rows.filter(ends_at__lte=now)
        return paginate(self, request, rows, serializers.SilenceOutput)

    @extend_schema(
        operation_id="finance_silences_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.SilenceInput,
        responses={201: serializers.SilenceOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Silence alerts, with a reason and an end."""
        values = valid(serializers.SilenceInput(data=request.data))
        values["matcher"] = _matcher(values["matcher"])
        silence = alerts_silence(actor=request.actor, **values)
        return respond(silence, serializers.SilenceOutput(silence).data, status=201)


class SilenceEndView(_SetUpView):
    """Ending a silence."""

    @extend_schema(
        operation_id="finance_silences_end",
        request=None,
        responses={200: serializers.SilenceOutput},
    )
    def post(self, request: OrganisationRequest, silence_id: uuid.UUID) -> Response:
        """End it before its time."""
        silence = get_object_or_404(Silence.objects.select_for_update(), pk=silence_id)
        alerts_unsilence(silence=silence, actor=request.actor)
        return respond(silence, serializers.SilenceOutput(silence).data)


class NotificationsView(_SetUpView):
    """What was sent, and what is to be sent."""

    @extend_schema(
        operation_id="finance_notifications_list",
        parameters=[serializers.NotificationFilter, *PAGE_PARAMETERS],
        responses=page_of(serializers.NotificationOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Notifications with their tries, the newest first."""
        wanted = valid(serializers.NotificationFilter(data=request.query_params))
        rows = Notification.objects.prefetch_related("attempts")
        if "alert" in wanted:
            rows = rows.filter(alerts__contains=[wanted["alert"]])
        if "state" in wanted:
            rows = rows.filter(state=wanted["state"])
        return paginate(self, request, rows, serializers.NotificationOutput)


class NotificationRetryView(_SetUpView):
    """Sending again what failed."""

    @extend_schema(
        operation_id="finance_notifications_retry",
        request=None,
        responses={202: serializers.NotificationOutput},
    )
    def post(self, request: OrganisationRequest, notification_id: uuid.UUID) -> Response:
        """Try one again that failed, with the same id."""
        rows = Notification.objects.select_for_update()
        row = get_object_or_404(rows, pk=notification_id)
        notification_retry(notification=row)
        return Response(serializers.NotificationOutput(row).data, status=202)


class NoticesView(ApiView):
    """How you want to be told."""

    permission = Permission.FINANCE_READ

    @extend_schema(operation_id="finance_notices_get", responses={200: serializers.NoticeOutput})
    def get(self, request: OrganisationRequest) -> Response:
        """Quiet hours and digests of the person who asks."""
        person = _person_of(request)
        row = notices_of(person) or NoticeSettings(user_id=person)
        return Response(serializers.NoticeOutput(row).data)

    @extend_schema(
        operation_id="finance_notices_update",
        request=serializers.NoticeInput,
        responses={200: serializers.NoticeOutput},
    )
    def patch(self, request: OrganisationRequest) -> Response:
        """Change what is given."""
        person = _person_of(request)
        values = valid(serializers.NoticeInput(data=request.data))
        return Response(serializers.NoticeOutput(notices_set(user_id=person, values=values)).data)


class PolicyView(_SetUpView):
    """What holds for all alerts."""

    @extend_schema(
        operation_id="finance_alert_policy_get", responses={200: serializers.PolicyField}
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Read it."""
        return Response(serializers.PolicyField(policy_get()).data)

    @extend_schema(
        operation_id="finance_alert_policy_put",
        request=serializers.PolicyField,
        responses={200: serializers.PolicyField},
    )
    def put(self, request: OrganisationRequest) -> Response:
        """Change it."""
        values = valid(serializers.PolicyField(data=request.data))
        return Response(serializers.PolicyField(policy_update(actor=request.actor, **values)).data)
