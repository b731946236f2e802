"""REST: business actions and the log of their calls."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import JsonResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from apps.customer_service.api import flow_serializers as serializers
from apps.customer_service.api.flows import FlowBaseView
from apps.customer_service.selectors.flows import action_get, actions, call_get, calls
from apps.customer_service.services.flows.actions import (
    action_create,
    action_delete,
    action_rotate_secret,
    action_update,
)
from apps.customer_service.services.flows.calls import action_test
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
from rootstock.gateway.late import LateAnswer
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class ActionsView(FlowBaseView):
    """The business actions."""

    @extend_schema(
        operation_id="service_actions_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.ActionOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the actions, the newest first."""
        return paginate(self, request, actions().order_by("-id"), serializers.ActionOutput)

    @extend_schema(
        operation_id="service_actions_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.ActionInput,
        responses={201: serializers.ActionWithSecretOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Add an action. The answer holds its secret."""
        data = valid(serializers.ActionInput(data=request.data))
        action = action_create(actor=request.actor, **data)
        return respond(action, serializers.ActionWithSecretOutput(action).data, status=201)


class ActionView(FlowBaseView):
    """One business action."""

    @extend_schema(operation_id="service_actions_read", responses=serializers.ActionOutput)
    def get(self, request: OrganisationRequest, action_id: uuid.UUID) -> Response:
        """Read one action."""
        action = action_get(action_id)
        return respond(action, serializers.ActionOutput(action).data)

    @extend_schema(
        operation_id="service_actions_change",
        parameters=[IF_MATCH],
        request=serializers.ActionChange,
        responses=serializers.ActionOutput,
    )
    def patch(self, request: OrganisationRequest, action_id: uuid.UUID) -> Response:
        """Change what is given."""
        action = action_get(action_id)
        check_if_match(request, action)
        data = valid(serializers.ActionChange(data=request.data))
        action = action_update(action=action, actor=request.actor, values=data)
        return respond(action, serializers.ActionOutput(action).data)

    @extend_schema(
        operation_id="service_actions_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, action_id: uuid.UUID) -> Response:
        """Remove it with its log; 409 while a live flow calls it."""
        action = action_get(action_id)
        check_if_match(request, action)
        action_delete(action=action, actor=request.actor)
        return Response(status=204)


class ActionSecretView(ApiView):
    """The key of the signatures."""

    permission = Permission.SERVICE_WRITE

    @extend_schema(
        operation_id="service_actions_rotate",
        request=None,
        responses=serializers.ActionWithSecretOutput,
    )
    def post(self, request: OrganisationRequest, action_id: uuid.UUID) -> Response:
        """A new secret, shown now; for 24 hours calls are signed with the former one as well."""
        action = action_rotate_secret(action=action_get(action_id), actor=request.actor)
        return respond(action, serializers.ActionWithSecretOutput(action).data)


class ActionTestView(ApiView):
    """Does it work?"""

    permission = Permission.SERVICE_WRITE

    @extend_schema(
        operation_id="service_actions_test",
        request=serializers.ActionTestInput,
        responses=serializers.CallOutput,
    )
    def post(self, request: OrganisationRequest, action_id: uuid.UUID) -> HttpResponseBase:
        """Call it really, with `test` in the body; what came back is in the log as well."""
        data: dict[str, Any] = valid(serializers.ActionTestInput(data=request.data))
        action, organisation_id = action_get(action_id), request.organisation.pk

        def finish() -> HttpResponseBase:
            call = action_test(organisation_id, action=action.name, **data)
            return JsonResponse(serializers.CallOutput(call).data)

        return LateAnswer(finish)


class CallsView(ApiView):
    """The log of calls."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_action_calls_list",
        parameters=[*PAGE_PARAMETERS, serializers.CallFilter],
        responses=page_of(serializers.CallOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List calls of business actions, the newest first."""
        wanted = valid(serializers.CallFilter(data=request.query_params))
        action = action_get(wanted["action"]) if "action" in wanted else None
        rows = calls(action=action, state=wanted.get("state", ""))
        return paginate(self, request, rows, serializers.CallOutput)


class CallView(ApiView):
    """One call."""

    permission = Permission.SERVICE_READ

    @extend_schema(operation_id="service_action_calls_read", responses=serializers.CallOutput)
    def get(self, request: OrganisationRequest, call_id: uuid.UUID) -> Response:
        """Read one call: what was sent, what came back."""
        call = call_get(call_id)
        return respond(call, serializers.CallOutput(call).data)
