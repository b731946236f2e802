"""REST: canaries, versions that answer a share of the texts."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from rootstock.common.api import IF_MATCH, check_if_match, respond, valid
from rootstock.modelhub import monitoring_selectors, selectors, services
from rootstock.modelhub.api.datasets import found
from rootstock.modelhub.api.serializers import DeploymentOutput
from rootstock.modelhub.api.versions import DeploymentView
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


class CanarySideOutput(serializers.Serializer[Any]):
    """One of the two that are compared."""

    answered = serializers.IntegerField()
    failed = serializers.IntegerField()
    confidence = serializers.FloatField(allow_null=True)
    latency_p50 = serializers.FloatField(allow_null=True, help_text="Milliseconds.")
    latency_p95 = serializers.FloatField(allow_null=True, help_text="Milliseconds.")
    labels = serializers.DictField(child=serializers.IntegerField())
    known = serializers.IntegerField(help_text="Answers whose right label has arrived.")
    right = serializers.IntegerField()


class CanaryOutput(serializers.Serializer[Any]):
    """The canary beside the deployed version, since it began."""

    version = serializers.UUIDField(allow_null=True)
    share = serializers.FloatField()
    since = serializers.DateTimeField(allow_null=True)
    canary = CanarySideOutput(allow_null=True)
    deployed = CanarySideOutput(allow_null=True)


class CanaryInput(serializers.Serializer[Any]):
    """Which version answers how much."""

    version = serializers.UUIDField()
    share = serializers.FloatField(default=0.1, help_text="Above 0 and below 1.")
    reason = serializers.CharField(required=False, allow_blank=True, max_length=2000)


class CanaryPromoteInput(serializers.Serializer[Any]):
    """Why, and whether against a check."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=2000)
    force = serializers.BooleanField(default=False)


class CanaryEndInput(serializers.Serializer[Any]):
    """Why."""

    reason = serializers.CharField(required=False, allow_blank=True, max_length=2000)


class DeploymentCanary(DeploymentView):
    """The canary of a deployment."""

    http_method_names = ["get", "post"]

    @extend_schema(operation_id="deployments_canary", responses=CanaryOutput)
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """Compare the canary with the deployed version; without one `version` is null."""
        deployment = self.deployment(name)
        facts = monitoring_selectors.canary_facts(deployment)
        sides: dict[str, Any] = {"canary": None, "deployed": None}
        if facts is not None:
            for side, tally, labelled in (
                ("canary", facts.now, facts.labelled),
                ("deployed", facts.other, facts.other_labelled),
            ):
                figures = monitoring_selectors.figures(tally)
                sides[side] = {**figures, "known": labelled.known, "right": labelled.right}
        data = {
            "version": deployment.canary_id,
            "share": deployment.canary_share,
            "since": deployment.canary_since,
            **sides,
        }
        return Response(CanaryOutput(data).data)

    @extend_schema(
        operation_id="deployments_canary_start",
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        request=CanaryInput,
        responses={200: DeploymentOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Let a version answer a share of the texts, always the same ones; 409 while there is another canary."""
        data = valid(CanaryInput(data=request.data))
        deployment = self.deployment(name)
        check_if_match(request, deployment)
        version = found(selectors.version_list().filter(pk=data.pop("version")).first())
        services.canary_start(deployment=deployment, version=version, actor=request.actor, **data)
        deployment = self.deployment(name)
        return respond(deployment, DeploymentOutput(deployment).data)


class DeploymentCanaryPromote(DeploymentView):
    """The canary answers everything."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="deployments_canary_promote",
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        request=CanaryPromoteInput,
        responses={200: DeploymentOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Let the canary answer everything, if the gate allows it; 409 when there is none."""
        data = valid(CanaryPromoteInput(data=request.data))
        deployment = self.deployment(name)
        check_if_match(request, deployment)
        services.canary_promote(deployment=deployment, actor=request.actor, **data)
        deployment = self.deployment(name)
        return respond(deployment, DeploymentOutput(deployment).data)


class DeploymentCanaryEnd(DeploymentView):
    """The end of a canary."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="deployments_canary_end",
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        request=CanaryEndInput,
        responses={200: DeploymentOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Let the deployed version answer everything again; 409 when there is no canary."""
        data = valid(CanaryEndInput(data=request.data))
        deployment = self.deployment(name)
        check_if_match(request, deployment)
        services.canary_end(deployment=deployment, actor=request.actor, **data)
        deployment = self.deployment(name)
        return respond(deployment, DeploymentOutput(deployment).data)
