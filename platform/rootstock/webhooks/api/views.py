"""REST: endpoints, the log of deliveries, replay."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

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
from rootstock.webhooks.api.serializers import (
    DeliveryDetailOutput,
    DeliveryOutput,
    EndpointChange,
    EndpointInput,
    EndpointOutput,
    EndpointWithSecretOutput,
    EventTypesOutput,
)
from rootstock.webhooks.events import event_types
from rootstock.webhooks.models import Delivery
from rootstock.webhooks.selectors import (
    deliveries,
    delivery_get,
    endpoint_get,
    endpoints,
)
from rootstock.webhooks.services import (
    delivery_replay,
    endpoint_create,
    endpoint_delete,
    endpoint_ping,
    endpoint_rotate_secret,
    endpoint_update,
)


class _WebhookView(ApiView):
    """Reading and writing are two permissions."""

    permission = Permission.WEBHOOKS_READ
    write_permission = Permission.WEBHOOKS_WRITE


class EventTypeList(_WebhookView):
    """What can be subscribed to."""

    @extend_schema(operation_id="webhook_event_types_list", responses=EventTypesOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """List the event types."""
        return Response(EventTypesOutput({"results": event_types()}).data)


class EndpointList(_WebhookView):
    """The endpoints."""

    @extend_schema(
        operation_id="webhook_endpoints_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(EndpointOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the endpoints, the newest first."""
        return paginate(self, request, endpoints(), EndpointOutput)

    @extend_schema(
        operation_id="webhook_endpoints_create",
        parameters=[IDEMPOTENCY_KEY],
        request=EndpointInput,
        responses={201: EndpointWithSecretOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Add an endpoint. The answer holds its secret."""
        data = valid(EndpointInput(data=request.data))
        endpoint = endpoint_create(actor=request.actor, **data)
        return respond(endpoint, EndpointWithSecretOutput(endpoint).data, status=201)


class EndpointView(_WebhookView):
    """One endpoint."""

    @extend_schema(operation_id="webhook_endpoints_read", responses=EndpointOutput)
    def get(self, request: OrganisationRequest, endpoint_id: uuid.UUID) -> Response:
        """Read one endpoint."""
        endpoint = endpoint_get(endpoint_id)
        return respond(endpoint, EndpointOutput(endpoint).data)

    @extend_schema(
        operation_id="webhook_endpoints_change",
        parameters=[IF_MATCH],
        request=EndpointChange,
        responses=EndpointOutput,
    )
    def patch(self, request: OrganisationRequest, endpoint_id: uuid.UUID) -> Response:
        """Change what is given; `enabled` switches it on and off."""
        endpoint = endpoint_get(endpoint_id)
        check_if_match(request, endpoint)
        data = valid(EndpointChange(data=request.data))
        endpoint = endpoint_update(endpoint=endpoint, actor=request.actor, **data)
        return respond(endpoint, EndpointOutput(endpoint).data)

    @extend_schema(
        operation_id="webhook_endpoints_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, endpoint_id: uuid.UUID) -> Response:
        """Remove an endpoint with the log of what was sent to it."""
        endpoint = endpoint_get(endpoint_id)
        check_if_match(request, endpoint)
        endpoint_delete(endpoint=endpoint, actor=request.actor)
        return Response(status=204)


class EndpointPing(ApiView):
    """A test message."""

    permission = Permission.WEBHOOKS_WRITE

    @extend_schema(
        operation_id="webhook_endpoints_ping", request=None, responses={202: DeliveryOutput}
    )
    def post(self, request: OrganisationRequest, endpoint_id: uuid.UUID) -> Response:
        """Send a test message; 409 while the endpoint is disabled."""
        delivery = endpoint_ping(endpoint=endpoint_get(endpoint_id))
        return Response(DeliveryOutput(delivery).data, status=202)


class EndpointSecret(ApiView):
    """A new secret."""

    permission = Permission.WEBHOOKS_WRITE

    @extend_schema(
        operation_id="webhook_endpoints_rotate_secret",
        request=None,
        responses=EndpointWithSecretOutput,
    )
    def post(self, request: OrganisationRequest, endpoint_id: uuid.UUID) -> Response:
        """Make a new secret. For 24 hours messages are signed with the old one as well."""
        endpoint = endpoint_rotate_secret(endpoint=endpoint_get(endpoint_id), actor=request.actor)
        return respond(endpoint, EndpointWithSecretOutput(endpoint).data)


class DeliveryList(_WebhookView):
    """The log."""

    @extend_schema(
        operation_id="webhook_deliveries_list",
        parameters=[
            OpenApiParameter("endpoint", {"type": "string", "format": "uuid"}),
            OpenApiParameter("state", str, enum=Delivery.State.values),
            *PAGE_PARAMETERS,
        ],
        responses=page_of(DeliveryOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List what was sent, the newest first. Kept for at least 35 days."""
        state = request.query_params.get("state")
        if state is not None and state not in Delivery.State.values:
            raise _invalid("state", f"state is one of {', '.join(Delivery.State.values)}.")
        asked = request.query_params.get("endpoint")
        try:
            endpoint = None if asked is None else endpoint_get(uuid.UUID(asked))
        except ValueError:
            raise _invalid("endpoint", "endpoint is the id of an endpoint.") from None
        return paginate(self, request, deliveries(endpoint, state=state), DeliveryOutput)


class DeliveryView(_WebhookView):
    """One delivery."""

    @extend_schema(operation_id="webhook_deliveries_read", responses=DeliveryDetailOutput)
    def get(self, request: OrganisationRequest, delivery_id: uuid.UUID) -> Response:
        """Read one delivery with what was sent and every try."""
        delivery = delivery_get(delivery_id)
        return Response(DeliveryDetailOutput(delivery).data)


class DeliveryReplay(ApiView):
    """Once more."""

    permission = Permission.WEBHOOKS_WRITE

    @extend_schema(
        operation_id="webhook_deliveries_replay", request=None, responses={202: DeliveryOutput}
    )
    def post(self, request: OrganisationRequest, delivery_id: uuid.UUID) -> Response:
        """Send a message again with the same id; 409 while it is pending or its endpoint disabled."""
        delivery = delivery_replay(delivery=delivery_get(delivery_id))
        return Response(DeliveryOutput(delivery).data, status=202)


def _invalid(name: str, detail: str) -> Problem:
    return Problem(422, "invalid", detail, errors=[{"pointer": f"/{name}", "detail": detail}])
