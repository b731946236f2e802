"""REST: training runs."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from rootstock.common.api import PAGE_PARAMETERS, page_of, paginate, respond, valid
from rootstock.modelhub import selectors, services
from rootstock.modelhub.api import serializers
from rootstock.modelhub.api.datasets import ModelsView, found
from rootstock.modelhub.models import TrainingRun
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


class RunList(ModelsView):
    """The training runs."""

    @extend_schema(
        operation_id="runs_list",
        parameters=[serializers.RunQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.RunOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the training runs, the newest first."""
        query = valid(serializers.RunQuery(data=request.query_params.dict()))
        return paginate(self, request, selectors.run_list(**query), serializers.RunOutput)

    @extend_schema(
        operation_id="runs_create",
        parameters=[IDEMPOTENCY_KEY],
        request=serializers.RunInput,
        responses={201: serializers.RunDetailOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Start a training run on a snapshot; it becomes the next version of `name`."""
        data = valid(serializers.RunInput(data=request.data))
        snapshot = found(selectors.snapshot_list().filter(pk=data["snapshot"]).first())
        parent = None
        if data["parent"] is not None:
            parent = found(selectors.version_list().filter(pk=data["parent"]).first())
        run = services.training_start(
            snapshot=snapshot,
            name=data["name"],
            config=data.get("config"),
            parent=parent,
            actor=request.actor,
        )
        return respond(run, serializers.RunDetailOutput(run).data, status=201)


class RunView(ModelsView):
    """One training run."""

    def run(self, run_id: uuid.UUID) -> TrainingRun:
        """The run, or 404."""
        run: TrainingRun = found(selectors.run_list().filter(pk=run_id).first())
        return run

    @extend_schema(operation_id="runs_read", responses=serializers.RunDetailOutput)
    def get(self, request: OrganisationRequest, run_id: uuid.UUID) -> Response:
        """Read a run with its curve and the end of its log."""
        run = self.run(run_id)
        return respond(run, serializers.RunDetailOutput(run).data)


class RunCancel(RunView):
    """The end of a run before its time."""

    http_method_names = ["post"]

    @extend_schema(operation_id="runs_cancel", request=None, responses={202: serializers.RunOutput})
    def post(self, request: OrganisationRequest, run_id: uuid.UUID) -> Response:
        """Ask a run to stop: a queued one ends at once, a running one within seconds; 409 when it has ended."""
        services.training_cancel(run=self.run(run_id), actor=request.actor)
        run = self.run(run_id)
        return respond(run, serializers.RunOutput(run).data, status=202)
