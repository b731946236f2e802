"""REST: predictions by deployment, and connections to other servers."""

from __future__ import annotations

import uuid

from django.http import HttpResponse, JsonResponse
from drf_spectacular.utils import extend_schema
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
from rootstock.gateway.api.serializers import (
    ConnectionChange,
    ConnectionInput,
    ConnectionOutput,
    KeyInput,
    PredictionsInput,
    PredictionsOutput,
)
from rootstock.gateway.checking import check_late
from rootstock.gateway.predictions import predictions_make
from rootstock.gateway.selectors import connection_get, connections
from rootstock.gateway.services import (
    connection_create,
    connection_delete,
    connection_rotate_key,
    connection_update,
)
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class Predictions(ApiView):
    """Asking what is deployed."""

    permission = Permission.MODELS_PREDICT
    http_method_names = ["post"]

    @extend_schema(
        operation_id="predictions_make",
        parameters=[IDEMPOTENCY_KEY],
        request=PredictionsInput,
        responses={200: PredictionsOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Ask the version that is deployed under a name. What an input is, and an output has, follows from its task;
        classifications are written to the prediction log under the `id` of each output."""
        data = valid(PredictionsInput(data=request.data))
        made = predictions_make(name=data["model"], inputs=data["inputs"])
        return Response(PredictionsOutput(made).data)


class _ConnectionsView(ApiView):
    """Reading and writing are two permissions."""

    permission = Permission.MODELS_READ
    write_permission = Permission.MODELS_WRITE


class ConnectionList(_ConnectionsView):
    """The connections."""

    @extend_schema(
        operation_id="connections_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(ConnectionOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the connections, the newest first."""
        return paginate(self, request, connections(), ConnectionOutput)

    @extend_schema(
        operation_id="connections_create",
        parameters=[IDEMPOTENCY_KEY],
        request=ConnectionInput,
        responses={201: ConnectionOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Connect a server that speaks OpenAI's protocol. Its models are then asked for as `name/model`."""
        data = valid(ConnectionInput(data=request.data))
        connection = connection_create(actor=request.actor, **data)
        return respond(connection, ConnectionOutput(connection).data, status=201)


class ConnectionView(_ConnectionsView):
    """One connection."""

    @extend_schema(operation_id="connections_read", responses=ConnectionOutput)
    def get(self, request: OrganisationRequest, connection_id: uuid.UUID) -> Response:
        """Read one connection."""
        connection = connection_get(connection_id)
        return respond(connection, ConnectionOutput(connection).data)

    @extend_schema(
        operation_id="connections_change",
        parameters=[IF_MATCH],
        request=ConnectionChange,
        responses=ConnectionOutput,
    )
    def patch(self, request: OrganisationRequest, connection_id: uuid.UUID) -> Response:
        """Change what is given. With another host the key is forgotten: it was not given for that one."""
        connection = connection_get(connection_id)
        check_if_match(request, connection)
        data = valid(ConnectionChange(data=request.data))
        connection = connection_update(connection=connection, actor=request.actor, **data)
        return respond(connection, ConnectionOutput(connection).data)

    @extend_schema(operation_id="connections_delete", parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: OrganisationRequest, connection_id: uuid.UUID) -> Response:
        """Forget the connection and its key."""
        connection = connection_get(connection_id)
        check_if_match(request, connection)
        connection_delete(connection=connection, actor=request.actor)
        return Response(status=204)


class ConnectionTest(ApiView):
    """Does it work?"""

    permission = Permission.MODELS_WRITE

    @extend_schema(operation_id="connections_test", request=None, responses=ConnectionOutput)
    def post(self, request: OrganisationRequest, connection_id: uuid.UUID) -> HttpResponse:
        """Ask the server for its models; `state` and `problem` say what came of it."""
        return check_late(
            connection_get(connection_id),
            lambda connection: JsonResponse(ConnectionOutput(connection).data),
        )


class ConnectionKey(ApiView):
    """Another key."""

    permission = Permission.MODELS_WRITE

    @extend_schema(
        operation_id="connections_rotate_key", request=KeyInput, responses=ConnectionOutput
    )
    def put(self, request: OrganisationRequest, connection_id: uuid.UUID) -> Response:
        """Show the server another key from now on."""
        data = valid(KeyInput(data=request.data))
        connection = connection_rotate_key(
            connection=connection_get(connection_id), actor=request.actor, **data
        )
        return respond(connection, ConnectionOutput(connection).data)
