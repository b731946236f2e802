"""REST: flows, their versions, checking and simulating them."""

from __future__ import annotations

import uuid
from typing import Any
from zoneinfo import ZoneInfo

from django.http import JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.response import Response

from apps.customer_service.api import flow_serializers as serializers
from apps.customer_service.selectors.flows import flow_get, flow_runs, flows, version_get
from apps.customer_service.services.flows.definition import definition_parse
from apps.customer_service.services.flows.engine import Context, FlowTurn, Returned
from apps.customer_service.services.flows.library import (
    definition_check,
    definition_faults,
    flow_create,
    flow_delete,
    flow_from_template,
    flow_make_live,
    flow_update,
    template_get,
    version_save,
    versions_diff,
)
from apps.customer_service.services.flows.simulation import (
    Said,
    example_results,
    simulation_run,
    simulation_turn,
    state_read,
)
from apps.customer_service.services.flows.templates import TEMPLATES
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


class FlowBaseView(ApiView):
    """Seen by all, changed by whoever sets up the service."""

    permission = Permission.SERVICE_READ
    write_permission = Permission.SERVICE_WRITE


class FlowsView(FlowBaseView):
    """The flows."""

    @extend_schema(
        operation_id="service_flows_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.FlowOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the flows, the newest first."""
        return paginate(self, request, flows().order_by("-id"), serializers.FlowOutput)

    @extend_schema(
        operation_id="service_flows_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.FlowInput,
        responses={201: serializers.FlowOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Make a flow with its first version, from a definition or a template; it is not live yet."""
        data = valid(serializers.FlowInput(data=request.data))
        key = data.pop("template", None)
        if key is not None:
            flow = flow_from_template(template=template_get(key), actor=request.actor)
        else:
            flow = flow_create(actor=request.actor, **data)
        return respond(flow, serializers.FlowOutput(flow).data, status=201)


class FlowView(FlowBaseView):
    """One flow."""

    @extend_schema(operation_id="service_flows_read", responses=serializers.FlowOutput)
    def get(self, request: OrganisationRequest, flow_id: uuid.UUID) -> Response:
        """Read one flow."""
        flow = flow_get(flow_id)
        return respond(flow, serializers.FlowOutput(flow).data)

    @extend_schema(
        operation_id="service_flows_change",
        parameters=[IF_MATCH],
        request=serializers.FlowChange,
        responses=serializers.FlowOutput,
    )
    def patch(self, request: OrganisationRequest, flow_id: uuid.UUID) -> Response:
        """Change its name, what begins it, or whether it is on."""
        flow = flow_get(flow_id)
        check_if_match(request, flow)
        data = valid(serializers.FlowChange(data=request.data))
        flow = flow_update(flow=flow, actor=request.actor, values=data)
        return respond(flow, serializers.FlowOutput(flow).data)

    @extend_schema(
        operation_id="service_flows_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, flow_id: uuid.UUID) -> Response:
        """Remove it with its versions and runs."""
        flow = flow_get(flow_id)
        check_if_match(request, flow)
        flow_delete(flow=flow, actor=request.actor)
        return Response(status=204)


class FlowTemplatesView(FlowBaseView):
    """Flows to begin with."""

    @extend_schema(
        operation_id="service_flow_templates", responses=serializers.FlowTemplateListOutput
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List them."""
        rows = [
            {
                "key": key,
                "name": str(template.name),
                "description": str(template.description),
                "definition": template.definition,
            }
            for key, template in TEMPLATES.items()
        ]
        return Response({"results": rows})


class FlowCheckView(ApiView):
    """Is a definition whole?"""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_flows_check",
        request=serializers.FlowVersionInput,
        responses=serializers.FlowCheckOutput,
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Say everything that is wrong with a definition, and where; nothing is stored."""
        data = valid(serializers.FlowVersionInput(data=request.data))
        faults = definition_faults(data["definition"])
        return Response(serializers.FlowCheckOutput({"faults": faults}).data)


class FlowVersionsView(FlowBaseView):
    """The versions of a flow."""

    @extend_schema(
        operation_id="service_flow_versions_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.FlowVersionOutput),
    )
    def get(self, request: OrganisationRequest, flow_id: uuid.UUID) -> Response:
        """List them, the newest first."""
        rows = flow_get(flow_id).versions.all()
        return paginate(self, request, rows, serializers.FlowVersionOutput)

    @extend_schema(
        operation_id="service_flow_versions_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.FlowVersionInput,
        responses={201: serializers.FlowVersionOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, flow_id: uuid.UUID) -> Response:
        """Save a definition as a new version; refused with every fault and its place when it is not whole."""
        data = valid(serializers.FlowVersionInput(data=request.data))
        version = version_save(
            flow=flow_get(flow_id), definition=data["definition"], actor=request.actor
        )
        return respond(version, serializers.FlowVersionOutput(version).data, status=201)


class FlowVersionView(ApiView):
    """One version."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_flow_versions_read", responses=serializers.FlowVersionOutput
    )
    def get(self, request: OrganisationRequest, flow_id: uuid.UUID, number: int) -> Response:
        """Read one version."""
        version = version_get(flow_get(flow_id), number)
        return respond(version, serializers.FlowVersionOutput(version).data)


class FlowLiveView(ApiView):
    """What visitors get."""

    permission = Permission.SERVICE_WRITE

    @extend_schema(
        operation_id="service_flow_versions_live", request=None, responses=serializers.FlowOutput
    )
    def post(self, request: OrganisationRequest, flow_id: uuid.UUID, number: int) -> Response:
        """Make a version live, also an earlier one; 409 while an action that it calls has no address."""
        flow = flow_get(flow_id)
        flow = flow_make_live(flow=flow, version=version_get(flow, number), actor=request.actor)
        return respond(flow, serializers.FlowOutput(flow).data)


class FlowDiffView(ApiView):
    """What a version changed."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_flow_versions_diff",
        parameters=[
            OpenApiParameter(
                "against", int, description="Number of the version before; default: the last."
            )
        ],
        responses=serializers.FlowDiffOutput,
    )
    def get(self, request: OrganisationRequest, flow_id: uuid.UUID, number: int) -> Response:
        """Compare two versions line by line."""
        flow = flow_get(flow_id)
        raw = request.query_params.get("against", "")
        before = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 9 else number - 1
        lines = versions_diff(version_get(flow, before), version_get(flow, number))
        rows = [{"sign": sign, "line": line} for sign, line in lines]
        return Response({"before": before, "after": number, "lines": rows})


class FlowRunsView(ApiView):
    """Who went through a flow."""

    permission = Permission.SERVICE_READ

    @extend_schema(
        operation_id="service_flow_runs_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.FlowRunOutput),
    )
    def get(self, request: OrganisationRequest, flow_id: uuid.UUID) -> Response:
        """List the runs, the newest first."""
        return paginate(self, request, flow_runs(flow_get(flow_id)), serializers.FlowRunOutput)


class FlowSimulationView(ApiView):
    """Talking to a draft."""

    permission = Permission.SERVICE_WRITE

    @extend_schema(
        operation_id="service_flows_simulate",
        request=serializers.SimulationInput,
        responses=serializers.SimulationOutput,
    )
    def post(self, request: OrganisationRequest) -> HttpResponseBase:
        """One turn. With `real` the business actions are called, marked as tests; nothing else is stored."""
        data = valid(serializers.SimulationInput(data=request.data))
        raw = definition_check(data["definition"])
        definition = definition_parse(raw)
        state = None if data["state"] is None else state_read(data["state"], raw)
        given = data["returned"]
        returned = None if given is None else Returned(**given)
        today = timezone.now().astimezone(ZoneInfo(request.organisation.time_zone)).date()
        context = Context(data["language"], today, {"name": "", "email": "", "id": "", "verified": False})  # fmt: skip
        said = Said(data["text"], data["choice"], returned)
        turn = simulation_turn(definition, state, said, context)
        if turn.action is None or not data["real"]:
            return Response(_simulated([turn], []))
        organisation_id = request.organisation.pk

        def finish() -> HttpResponseBase:
            calls: list[dict[str, Any]] = []
            turns = simulation_run(organisation_id, definition, turn, context, told=calls.append)
            return JsonResponse(_simulated(turns, calls))

        return LateAnswer(finish)


def _simulated(turns: list[FlowTurn], calls: list[dict[str, Any]]) -> dict[str, Any]:
    last = turns[-1]
    wanted = last.action
    return {
        "body": "\n\n".join(turn.body for turn in turns if turn.body),
        "choices": list(last.choices),
        "state": last.state.as_json(),
        "steps": [step for turn in turns for step in turn.steps],
        "call": None
        if wanted is None
        else {
            "step": wanted.step,
            "action": wanted.action,
            "arguments": wanted.arguments,
            "example": example_results(wanted.action),
        },
        "calls": calls,
        "hand_off": last.hand_off,
        "left": last.left,
        "answer_first": last.answer_first,
    }
