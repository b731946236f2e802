"""REST: model versions, deployments and the prediction log."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.modelhub import selectors, services
from rootstock.modelhub.api import serializers
from rootstock.modelhub.api.datasets import ModelsView, found
from rootstock.modelhub.models import Deployment, ModelVersion
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


class VersionList(ModelsView):
    """The model versions."""

    @extend_schema(
        operation_id="versions_list",
        parameters=[serializers.VersionQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.VersionOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the versions, the newest first."""
        query = valid(serializers.VersionQuery(data=request.query_params.dict()))
        rows = selectors.version_list().filter(**query)
        return paginate(self, request, rows, serializers.VersionOutput)


class VersionView(ModelsView):
    """One version."""

    def version(self, version_id: uuid.UUID) -> ModelVersion:
        """The version, or 404."""
        version: ModelVersion = found(selectors.version_list().filter(pk=version_id).first())
        return version

    @extend_schema(operation_id="versions_read", responses=serializers.VersionDetailOutput)
    def get(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """Read a version with its evaluation reports."""
        version = self.version(version_id)
        return respond(version, serializers.VersionDetailOutput(version).data)


class VersionCard(VersionView):
    """The card of a version."""

    @extend_schema(operation_id="versions_card", responses=serializers.VersionCardOutput)
    def get(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """Read the model card, Markdown."""
        version = self.version(version_id)
        return respond(version, serializers.VersionCardOutput(version).data)


class DeploymentList(ModelsView):
    """The deployments."""

    @extend_schema(
        operation_id="deployments_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.DeploymentOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the deployments by name."""
        rows = selectors.deployment_list()
        return paginate(self, request, rows, serializers.DeploymentOutput, ordering="name")


class DeploymentView(ModelsView):
    """One deployment, by its name."""

    def deployment(self, name: str) -> Deployment:
        """The deployment, or 404."""
        deployment: Deployment = found(selectors.deployment_get(name))
        return deployment

    @extend_schema(operation_id="deployments_read", responses=serializers.DeploymentOutput)
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """Read a deployment and its current version."""
        deployment = self.deployment(name)
        return respond(deployment, serializers.DeploymentOutput(deployment).data)


class DeploymentPromote(DeploymentView):
    """A new version for a deployment."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="deployments_promote",
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        request=serializers.PromotionInput,
        responses={200: serializers.DeploymentOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Let a version answer for this deployment, which is made if it is new; 409 names the checks that failed."""
        data = valid(serializers.PromotionInput(data=request.data))
        current = selectors.deployment_get(name)
        if current is not None:
            check_if_match(request, current)
        version = found(selectors.version_list().filter(pk=data.pop("version")).first())
        services.version_promote(version=version, deployment=name, actor=request.actor, **data)
        deployment = self.deployment(name)
        return respond(deployment, serializers.DeploymentOutput(deployment).data)


class DeploymentRollback(DeploymentView):
    """The way back."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="deployments_roll_back",
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        request=serializers.RollbackInput,
        responses={200: serializers.DeploymentOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Go back to the version before the current one; 409 when there is none."""
        data = valid(serializers.RollbackInput(data=request.data))
        deployment = self.deployment(name)
        check_if_match(request, deployment)
        services.version_rollback(deployment=deployment, actor=request.actor, **data)
        deployment = self.deployment(name)
        return respond(deployment, serializers.DeploymentOutput(deployment).data)


class DeploymentHistory(DeploymentView):
    """What happened to a deployment."""

    @extend_schema(
        operation_id="deployments_history",
        parameters=PAGE_PARAMETERS,
        responses=page_of(serializers.DeploymentChangeOutput),
    )
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """List promotions and roll-backs, the newest first."""
        rows = selectors.deployment_history(self.deployment(name))
        return paginate(
            self,
            request,
            rows,
            serializers.DeploymentChangeOutput,
            ordering=("-created_at", "-id"),
        )


class PredictionList(ModelsView):
    """The prediction log."""

    @extend_schema(
        operation_id="predictions_list",
        parameters=[serializers.PredictionQuery, *PAGE_PARAMETERS],
        responses=page_of(serializers.PredictionOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List what the deployed versions have said, the newest first."""
        query = valid(serializers.PredictionQuery(data=request.query_params.dict()))
        rows = selectors.prediction_list(**query)
        return paginate(self, request, rows, serializers.PredictionOutput)
