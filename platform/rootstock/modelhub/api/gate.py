"""REST: lineage, evaluations, the gate and shadows."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
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
from rootstock.jobs.api.views import JobOutput
from rootstock.modelhub import gate, selectors, services
from rootstock.modelhub.api.datasets import ModelsView, found
from rootstock.modelhub.api.serializers import DeploymentOutput, PredictionOutput, VerdictOutput
from rootstock.modelhub.api.versions import DeploymentView, VersionView
from rootstock.modelhub.lineage import lineage
from rootstock.modelhub.models import Evaluation, GateReport, ModelVersion, Prediction, Split
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest


class LineageVersionOutput(serializers.ModelSerializer[ModelVersion]):
    """A version in a line of versions."""

    label = serializers.CharField()  # type: ignore[assignment]
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    snapshot = serializers.UUIDField(source="snapshot_id", allow_null=True)
    snapshot_hash = serializers.CharField(
        source="snapshot.content_hash", default=None, allow_null=True
    )
    dataset = serializers.CharField(
        source="snapshot.dataset.name", default=None, allow_null=True, help_text="Its name."
    )
    run = serializers.UUIDField(source="run_id", allow_null=True)
    code = serializers.DictField(
        child=serializers.CharField(), help_text="Versions of the libraries that made it."
    )

    class Meta:
        model = ModelVersion
        fields = [
            "id", "label", "parent", "snapshot", "snapshot_hash", "dataset", "run", "base", "code", "digest",
            "created_at",
        ]  # fmt: skip


class LineageOutput(serializers.Serializer[Any]):
    """Where a version comes from and what has come of it."""

    version = LineageVersionOutput()
    ancestors = LineageVersionOutput(many=True, help_text="Its parent first.")
    descendants = LineageVersionOutput(many=True, help_text="Parents before their children.")
    complete = serializers.BooleanField(help_text="False when there are more descendants.")
    serving = serializers.ListField(
        child=serializers.CharField(), help_text="Deployments that it answers for now."
    )
    deployed = serializers.ListField(
        child=serializers.CharField(),
        help_text="Deployments that it serves, shadows or has served.",
    )


class VersionLineage(VersionView):
    """How a version came to be."""

    @extend_schema(operation_id="versions_lineage", responses=LineageOutput)
    def get(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """Read the snapshot, run, code and parents of a version, its children and where it is deployed."""
        version = self.version(version_id)
        line = lineage(version)
        data = {
            "version": version,
            "ancestors": line.ancestors,
            "descendants": line.descendants,
            "complete": line.complete,
            "serving": selectors.serving_names().get(version.pk, []),
            "deployed": line.deployed,
        }
        return Response(LineageOutput(data).data)


class EvaluationOutput(serializers.ModelSerializer[Evaluation]):
    """The report of a version on one part of a snapshot, measured after its training."""

    version = serializers.UUIDField(source="version_id")
    snapshot = serializers.UUIDField(source="snapshot_id")
    report = serializers.DictField()

    class Meta:
        model = Evaluation
        fields = [
            "id",
            "version",
            "snapshot",
            "split",
            "report",
            "seconds",
            "created_at",
            "updated_at",
        ]


class EvaluationInput(serializers.Serializer[Any]):
    """What to measure on."""

    snapshot = serializers.UUIDField()
    split = serializers.ChoiceField(Split.values, default=Split.TEST)


class EvaluationList(VersionView):
    """What was measured of a version after its training."""

    http_method_names = ["get", "post"]

    @extend_schema(
        operation_id="evaluations_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(EvaluationOutput),
    )
    def get(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """List the evaluations of a version, the newest first; those of its training are in the version itself."""
        rows = selectors.evaluation_list(self.version(version_id))
        return paginate(self, request, rows, EvaluationOutput)

    @extend_schema(
        operation_id="evaluations_start",
        parameters=[IDEMPOTENCY_KEY],
        request=EvaluationInput,
        responses={202: JobOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """Measure the version on one part of a snapshot, in the background; answers with the job."""
        version = self.version(version_id)
        data = valid(EvaluationInput(data=request.data))
        snapshot = found(selectors.snapshot_list().filter(pk=data["snapshot"]).first())
        job = services.evaluation_start(
            version=version, snapshot=snapshot, split=data["split"], actor=request.actor
        )
        return Response(JobOutput(job).data, status=202)


class GateReportOutput(serializers.ModelSerializer[GateReport]):
    """What the gate found of a version on its way to a deployment."""

    version = serializers.UUIDField(source="version_id")
    current = serializers.UUIDField(
        source="current_id", allow_null=True, help_text="What was deployed then."
    )
    verdicts = VerdictOutput(many=True)
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = GateReport
        fields = [
            "id", "version", "deployment", "current", "passed", "can_be_forced", "verdicts", "actor", "created_at",
        ]  # fmt: skip


class GateInput(serializers.Serializer[Any]):
    """For which deployment."""

    deployment = serializers.CharField(
        required=False,
        max_length=120,
        help_text="Its name; by default that of the version's series.",
    )


class GateReportList(VersionView):
    """The gate of a version."""

    http_method_names = ["get", "post"]

    @extend_schema(
        operation_id="gate_reports_list",
        parameters=[GateInput, *PAGE_PARAMETERS],
        responses=page_of(GateReportOutput),
    )
    def get(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """List what the gate found of a version, the newest first."""
        query = valid(GateInput(data=request.query_params.dict()))
        rows = selectors.gate_report_list(self.version(version_id), query.get("deployment"))
        return paginate(self, request, rows, GateReportOutput)

    @extend_schema(
        operation_id="gate_start",
        parameters=[IDEMPOTENCY_KEY],
        request=GateInput,
        responses={202: JobOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, version_id: uuid.UUID) -> Response:
        """Make all checks in the background, measuring what is missing; 409 while one does so already."""
        version = self.version(version_id)
        data = valid(GateInput(data=request.data))
        job = services.gate_start(
            version=version, deployment=data.get("deployment", version.name), actor=request.actor
        )
        return Response(JobOutput(job).data, status=202)


class LimitOutput(serializers.Serializer[Any]):
    """A number of a check that may be set."""

    key = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField()
    default = serializers.FloatField()
    minimum = serializers.FloatField()
    maximum = serializers.FloatField()


class CheckOutput(serializers.Serializer[Any]):
    """A check of the gate."""

    key = serializers.CharField()
    title = serializers.CharField()
    asks = serializers.CharField(help_text="With the default limits.")
    required = serializers.BooleanField(help_text="It protects serving and is always made.")  # type: ignore[assignment]
    can_be_forced = serializers.BooleanField()
    limits = LimitOutput(many=True)


class ChecksOutput(serializers.Serializer[Any]):
    """The checks, in the order in which they are made."""

    checks = CheckOutput(many=True)


class CheckList(ModelsView):
    """What the gate can ask."""

    @extend_schema(operation_id="gate_checks", responses=ChecksOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """List the checks that are installed, with their limits."""
        checks = [
            {
                "key": check.key,
                "title": gate.words(check.title),
                "asks": gate.asked(check, {limit.key: limit.default for limit in check.limits}),
                "required": check.required,
                "can_be_forced": check.can_be_forced,
                "limits": [
                    {
                        "key": limit.key,
                        "title": gate.words(limit.title),
                        "unit": gate.words(limit.unit),
                        "default": limit.default,
                        "minimum": limit.minimum,
                        "maximum": limit.maximum,
                    }
                    for limit in check.limits
                ],
            }
            for check in gate.CHECKS
        ]
        return Response(ChecksOutput({"checks": checks}).data)


class CheckPolicy(serializers.Serializer[Any]):
    """Whether a check is made, and within which limits."""

    enabled = serializers.BooleanField(default=True)
    limits = serializers.DictField(child=serializers.FloatField(), default=dict)


class GatePolicyInput(serializers.Serializer[Any]):
    """The policy of a deployment; checks and limits that are left out have their defaults."""

    checks = serializers.DictField(child=CheckPolicy())


class GatePolicyOutput(serializers.Serializer[Any]):
    """The policy in force, with every check and limit."""

    deployment = serializers.CharField()
    checks = serializers.DictField(child=CheckPolicy())
    updated_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was set; null for the defaults."
    )


class GatePolicyView(ModelsView):
    """What a deployment asks of a version; it can be set before anything is deployed."""

    http_method_names = ["get", "put"]

    @extend_schema(operation_id="gate_policy_read", responses=GatePolicyOutput)
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """Read the policy in force."""
        return self.answer(services.check_model_name(name, place="deployment"))

    @extend_schema(
        operation_id="gate_policy_write",
        parameters=[IF_MATCH],
        request=GatePolicyInput,
        responses=GatePolicyOutput,
    )
    def put(self, request: OrganisationRequest, name: str) -> Response:
        """Set the policy. Reports of the gate that were made by another one hold no longer."""
        data = valid(GatePolicyInput(data=request.data))
        services.check_model_name(name, place="deployment")
        row = selectors.gate_policy_get(name)
        if row is not None:
            check_if_match(request, row)
        services.gate_policy_update(deployment=name, checks=data["checks"], actor=request.actor)
        return self.answer(name)

    def answer(self, name: str) -> Response:
        """The policy in force, with the `ETag` of the row where there is one."""
        row = selectors.gate_policy_get(name)
        data = GatePolicyOutput(
            {
                "deployment": name,
                "checks": services.gate_policy(name),
                "updated_at": row.updated_at if row else None,
            }
        ).data
        return Response(data) if row is None else respond(row, data)


class ShadowInput(serializers.Serializer[Any]):
    """Which version to ask as well."""

    version = serializers.UUIDField()
    rate = serializers.FloatField(
        min_value=0.0001,
        max_value=1,
        default=1.0,
        help_text="Share of the texts it is asked about.",
    )
    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")


class ShadowEndInput(serializers.Serializer[Any]):
    """Why it ends."""

    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")


class ComparedOutput(serializers.Serializer[Any]):
    """What was answered where the shadow said something else."""

    text = serializers.CharField()
    version = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    probability = serializers.FloatField()


class ShadowPredictionOutput(PredictionOutput):
    """What a shadow said, beside what was answered."""

    compared = serializers.SerializerMethodField()

    class Meta(PredictionOutput.Meta):
        fields = [*PredictionOutput.Meta.fields, "compared"]

    @extend_schema_field(ComparedOutput(allow_null=True))
    def get_compared(self, row: Prediction) -> Any:
        """The answer that was given."""
        return row.compared


class ShadowPairOutput(serializers.Serializer[Any]):
    """Two labels that stood against each other."""

    answered = serializers.CharField()
    shadow = serializers.CharField()
    count = serializers.IntegerField()


class ShadowOutput(serializers.Serializer[Any]):
    """How the present shadow compares."""

    version = serializers.UUIDField(allow_null=True)
    rate = serializers.FloatField()
    since = serializers.DateTimeField(allow_null=True)
    asked = serializers.IntegerField()
    agreed = serializers.IntegerField()
    agreement = serializers.FloatField(allow_null=True)
    pairs = ShadowPairOutput(many=True, help_text="The most frequent disagreements.")
    disagreements = ShadowPredictionOutput(many=True, help_text="The newest 50.")


class DeploymentShadow(DeploymentView):
    """The shadow of a deployment."""

    http_method_names = ["get", "post"]

    @extend_schema(operation_id="deployments_shadow", responses=ShadowOutput)
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """Compare what the present shadow says with what is answered; without one `version` is null."""
        deployment = self.deployment(name)
        comparison = selectors.shadow_comparison(deployment)
        data = {
            "version": deployment.shadow_id,
            "rate": deployment.shadow_rate,
            "since": deployment.shadow_since,
            "asked": comparison.asked,
            "agreed": comparison.agreed,
            "agreement": comparison.agreement,
            "pairs": [
                {"answered": answered, "shadow": said, "count": count}
                for answered, said, count in comparison.pairs
            ],
            "disagreements": selectors.shadow_disagreements(deployment)[:50],
        }
        return Response(ShadowOutput(data).data)

    @extend_schema(
        operation_id="deployments_shadow_start",
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        request=ShadowInput,
        responses={200: DeploymentOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Let a version be asked as well; it answers nobody. A shadow that is there already ends."""
        data = valid(ShadowInput(data=request.data))
        deployment = self.deployment(name)
        check_if_match(request, deployment)
        version = found(selectors.version_list().filter(pk=data.pop("version")).first())
        services.shadow_start(deployment=deployment, version=version, actor=request.actor, **data)
        deployment = self.deployment(name)
        return respond(deployment, DeploymentOutput(deployment).data)


class DeploymentShadowEnd(DeploymentView):
    """The end of a shadow."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="deployments_shadow_end",
        parameters=[IDEMPOTENCY_KEY, IF_MATCH],
        request=ShadowEndInput,
        responses={200: DeploymentOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Ask the shadow no longer; 409 when there is none."""
        data = valid(ShadowEndInput(data=request.data))
        deployment = self.deployment(name)
        check_if_match(request, deployment)
        services.shadow_end(deployment=deployment, actor=request.actor, **data)
        deployment = self.deployment(name)
        return respond(deployment, DeploymentOutput(deployment).data)
