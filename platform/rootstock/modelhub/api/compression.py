"""REST: compress a version, and see it among its family."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from rootstock.common.api import valid
from rootstock.jobs.api.views import JobOutput
from rootstock.modelhub.api.datasets import found
from rootstock.modelhub.api.versions import VersionView
from rootstock.modelhub.compressing import compression_start
from rootstock.modelhub.family import family
from rootstock.modelhub.selectors import dataset_list
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


class CompressionInput(serializers.Serializer[Any]):
    """How a version is made smaller."""

    steps = serializers.ListField(
        child=serializers.CharField(max_length=40),
        required=False,
        default=list,
        max_length=20,
        help_text="In their order: layers:3, heads:0.5, neurons:0.5 (what is kept), vocabulary:8000, distil:5 "
        "(epochs), fp16, int8.",
    )
    search = serializers.BooleanField(
        default=False, help_text="Try a grid of steps instead and keep the fastest within max_loss."
    )
    max_loss = serializers.FloatField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=1,
        help_text="By how much the main figure may fall on the validation part, 0.01 is a point; more fails the job.",
    )
    unlabelled = serializers.UUIDField(
        required=False,
        allow_null=True,
        default=None,
        help_text="A data set whose texts without an answer are learned from as well.",
    )


class FamilyMemberOutput(serializers.Serializer[Any]):
    """A version, how good it is and what it costs to serve."""

    version = serializers.UUIDField(source="version.pk")
    label = serializers.CharField(source="version.label")  # type: ignore[assignment]
    parent = serializers.UUIDField(source="version.parent_id", allow_null=True)  # type: ignore[assignment]
    steps = serializers.ListField(
        child=serializers.CharField(), help_text="How it was made from its parent; none: trained."
    )
    score = serializers.FloatField(
        allow_null=True, help_text="Its main figure, on the test part where there is one."
    )
    ece = serializers.FloatField(allow_null=True, help_text="Calibration error.")
    worst_slice = serializers.FloatField(allow_null=True)
    megabytes = serializers.FloatField(
        help_text="Of the files that serving needs: with int8 not the float weights."
    )
    milliseconds = serializers.FloatField(
        allow_null=True, help_text="Of one row, on the processor of the machine that compressed."
    )
    per_second = serializers.FloatField(allow_null=True, help_text="Rows, many at a time.")
    best_by_size = serializers.BooleanField(
        help_text="No other is at least as good and at least as small."
    )
    best_by_time = serializers.BooleanField(
        help_text="No other is at least as good and at least as fast."
    )
    serving = serializers.ListField(
        child=serializers.CharField(), help_text="Deployments that it answers for now."
    )


class VersionCompress(VersionView):
    """A smaller version of a version."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="versions_compress",
        parameters=[IDEMPOTENCY_KEY],
        request=CompressionInput,
        responses={202: JobOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """Start the job that makes a smaller version, registers it as a child and has the gate look at it; 409 while
        one is under way."""
        data = valid(CompressionInput(data=request.data))
        unlabelled = data.pop("unlabelled")
        dataset = found(dataset_list().filter(pk=unlabelled).first()) if unlabelled else None
        job = compression_start(
            version=self.version(version_id),
            actor=request.actor,
            steps=tuple(data.pop("steps")),
            unlabelled=dataset,
            **data,
        )
        return Response(JobOutput(job).data, status=202)


class VersionFamily(VersionView):
    """The versions of one line."""

    @extend_schema(operation_id="versions_family", responses=FamilyMemberOutput(many=True))
    def get(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """List a version, its ancestors and all that was made from them, with quality and cost; the largest first."""
        members = family(self.version(version_id))
        return Response(FamilyMemberOutput(members, many=True).data)
