"""REST: live figures of deployments, drift, alarms and late labels."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
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
from rootstock.modelhub import monitoring_selectors, services
from rootstock.modelhub.api.datasets import ModelsView, found
from rootstock.modelhub.api.versions import DeploymentView
from rootstock.modelhub.models import Alarm, DriftBaseline, DriftWindow, Role
from rootstock.modelhub.monitoring.rules import RULES, rule_get
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.requests import OrganisationRequest

MAX_RANGE = timedelta(days=366)
MAX_LABELS = 1000


class TrafficPointOutput(serializers.Serializer[Any]):
    """A stretch of time of one version."""

    at = serializers.DateTimeField(help_text="When it began.")
    answered = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Texts that got no answer.")
    confidence = serializers.FloatField(allow_null=True, help_text="Mean probability.")
    latency_p50 = serializers.FloatField(allow_null=True, help_text="Milliseconds.")
    latency_p95 = serializers.FloatField(allow_null=True, help_text="Milliseconds.")
    length_p50 = serializers.FloatField(allow_null=True, help_text="Characters.")
    compared = serializers.IntegerField(help_text="Of a shadow: answers compared.")
    agreement = serializers.FloatField(
        allow_null=True, help_text="Of a shadow: share of the same answers."
    )
    labels = serializers.DictField(child=serializers.IntegerField())
    languages = serializers.DictField(child=serializers.IntegerField())
    confidences = serializers.ListField(
        child=serializers.IntegerField(), help_text="Answers by confidence, in twentieths."
    )


class TrafficLineOutput(serializers.Serializer[Any]):
    """What a version did in one role."""

    version = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    role = serializers.ChoiceField(Role.choices)
    points = TrafficPointOutput(many=True)


class LabelledPointOutput(serializers.Serializer[Any]):
    """Answers of one day whose right label is known."""

    at = serializers.DateTimeField()
    known = serializers.IntegerField()
    right = serializers.IntegerField()


class LabelledLineOutput(serializers.Serializer[Any]):
    """Late labels of a version."""

    version = serializers.UUIDField()
    label = serializers.CharField()  # type: ignore[assignment]
    points = LabelledPointOutput(many=True)


class SignalOutput(serializers.Serializer[Any]):
    """One signal of a window."""

    signal = serializers.ChoiceField(["text", "length", "language", "label", "confidence"])
    p_value = serializers.FloatField()
    effect = serializers.FloatField()
    drifted = serializers.BooleanField()
    moved = serializers.ListField(
        child=serializers.ListField(),
        help_text="Categories that changed most: name, share before, share now.",
    )


class DriftPointOutput(serializers.Serializer[Any]):
    """A judged window in a chart."""

    at = serializers.DateTimeField()
    drifted = serializers.BooleanField()
    rows = serializers.IntegerField()
    version = serializers.UUIDField()
    signals = SignalOutput(many=True)


class MonitoringOutput(serializers.Serializer[Any]):
    """The live figures of a deployment."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    width_seconds = serializers.IntegerField(help_text="Length of a stretch.")
    lines = TrafficLineOutput(many=True)
    labelled = LabelledLineOutput(many=True)
    drift = DriftPointOutput(many=True)


class RangeQuery(serializers.Serializer[Any]):
    """A range of time; by default the last day."""

    start = serializers.DateTimeField(required=False)
    end = serializers.DateTimeField(required=False)

    def validate(self, attrs: dict[str, datetime]) -> dict[str, datetime]:
        """With both ends."""
        end = attrs.get("end", timezone.now())
        start = attrs.get("start", end - timedelta(days=1))
        if not start < end or end - start > MAX_RANGE:
            raise serializers.ValidationError(
                {"start": _("It lies before the end, and at most 366 days before it.")}
            )
        return {"start": start, "end": end}


class DeploymentMonitoring(DeploymentView):
    """How a deployment does."""

    @extend_schema(
        operation_id="deployments_monitoring", parameters=[RangeQuery], responses=MonitoringOutput
    )
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """Read answers, failures, confidence, time, labels and languages over time, late labels and drift."""
        query = valid(RangeQuery(data=request.query_params.dict()))
        deployment = self.deployment(name)
        data = monitoring_selectors.series(deployment, query["start"], query["end"])
        return Response(MonitoringOutput(data).data)


class DriftExampleOutput(serializers.Serializer[Any]):
    """A text that moved far."""

    text = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    confidence = serializers.FloatField()
    language = serializers.CharField()


class DriftWindowOutput(serializers.ModelSerializer[DriftWindow]):
    """The verdict on a window of texts."""

    version = serializers.UUIDField(source="version_id")
    signals = SignalOutput(many=True)
    examples = DriftExampleOutput(many=True)

    class Meta:
        model = DriftWindow
        fields = [
            "id", "version", "rows", "started_at", "ended_at", "drifted", "signals", "examples", "created_at",
        ]  # fmt: skip


class DriftWindowList(DeploymentView):
    """Windows of the drift test."""

    @extend_schema(
        operation_id="deployments_drift",
        parameters=PAGE_PARAMETERS,
        responses=page_of(DriftWindowOutput),
    )
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """List the windows of a deployment that were judged, the newest first."""
        rows = monitoring_selectors.drift_windows(self.deployment(name))
        return paginate(self, request, rows, DriftWindowOutput)


class LateLabelInput(serializers.Serializer[Any]):
    """What turned out to be right."""

    subject_type = serializers.CharField(max_length=40)
    subject_id = serializers.UUIDField()
    label = serializers.CharField(max_length=120)  # type: ignore[assignment]


class LateLabelsInput(serializers.Serializer[Any]):
    """Labels of things that the deployment was asked about."""

    labels = serializers.ListField(child=LateLabelInput(), allow_empty=False, max_length=MAX_LABELS)


class LateLabelsOutput(serializers.Serializer[Any]):
    """What became of them."""

    compared = serializers.IntegerField(help_text="Answers of versions that were compared.")


class LateLabels(DeploymentView):
    """Labels that arrive later."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="deployments_late_labels",
        parameters=[IDEMPOTENCY_KEY],
        request=LateLabelsInput,
        responses={200: LateLabelsOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, name: str) -> Response:
        """Tell what was right for subjects of the prediction log; a label given again replaces the one before."""
        data = valid(LateLabelsInput(data=request.data))
        compared = services.outcomes_add(
            deployment=self.deployment(name),
            labels=[
                services.LateLabel(
                    services.Subject(each["subject_type"], each["subject_id"]), each["label"]
                )
                for each in data["labels"]
            ],
        )
        return Response(LateLabelsOutput({"compared": compared}).data)


class AlarmOutput(serializers.ModelSerializer[Alarm]):
    """A rule that did not hold."""

    deployment = serializers.CharField(source="deployment.name")
    version = serializers.UUIDField(source="version_id")
    detail = serializers.SerializerMethodField(help_text="The newest figures in words.")
    opening = serializers.DictField()
    worst = serializers.DictField()
    latest = serializers.DictField()

    class Meta:
        model = Alarm
        fields = [
            "id", "deployment", "version", "rule", "detail", "opened_at", "closed_at", "opening", "worst", "latest",
            "acknowledged_at", "acknowledged_by",
        ]  # fmt: skip

    def get_detail(self, alarm: Alarm) -> str:
        """The newest figures in words."""
        rule = rule_get(alarm.rule)
        return rule.in_words(alarm.latest) if rule else ""


class AlarmQuery(serializers.Serializer[Any]):
    """Which alarms."""

    deployment = serializers.CharField(required=False, max_length=120)
    open = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Only open, or only closed ones."
    )


class AlarmList(ModelsView):
    """The alarms."""

    @extend_schema(
        operation_id="model_alarms_list",
        parameters=[AlarmQuery, *PAGE_PARAMETERS],
        responses=page_of(AlarmOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List alarms of deployments, the newest first."""
        query = valid(AlarmQuery(data=request.query_params.dict()))
        rows = monitoring_selectors.alarm_list(
            deployment=query.get("deployment"), is_open=query["open"]
        )
        return paginate(self, request, rows, AlarmOutput, ordering=("-opened_at", "-id"))


class AlarmAcknowledge(ModelsView):
    """Somebody has seen it."""

    http_method_names = ["post"]

    @extend_schema(
        operation_id="model_alarms_acknowledge",
        parameters=[IDEMPOTENCY_KEY],
        request=None,
        responses={200: AlarmOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest, alarm_id: uuid.UUID) -> Response:
        """Say that an open alarm has been seen; 409 when it is over."""
        alarm = found(monitoring_selectors.alarm_list().filter(pk=alarm_id).first())
        alarm = services.alarm_acknowledge(alarm=alarm, actor=request.actor)
        return respond(alarm, AlarmOutput(alarm).data)


class RuleLimitOutput(serializers.Serializer[Any]):
    """A number of a rule that may be set."""

    key = serializers.CharField()
    title = serializers.CharField()
    unit = serializers.CharField()
    default = serializers.FloatField()
    minimum = serializers.FloatField()
    maximum = serializers.FloatField()


class AlarmRuleOutput(serializers.Serializer[Any]):
    """A rule that deployments are watched for."""

    key = serializers.CharField()
    title = serializers.CharField()
    asks = serializers.CharField()
    of_canary = serializers.BooleanField(help_text="A guardrail: breaking it ends the canary.")
    limits = RuleLimitOutput(many=True)


class RulesOutput(serializers.Serializer[Any]):
    """All rules."""

    rules = AlarmRuleOutput(many=True)


class RuleList(ModelsView):
    """What can be watched."""

    @extend_schema(operation_id="monitor_rules", responses=RulesOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """List the rules and guardrails with their limits."""
        rules = [
            {
                "key": rule.key,
                "title": _(rule.title),
                "asks": _(rule.asks),
                "of_canary": rule.of_canary,
                "limits": [
                    {
                        "key": limit.key,
                        "title": _(limit.title),
                        "unit": _(limit.unit) if limit.unit else "",
                        "default": limit.default,
                        "minimum": limit.minimum,
                        "maximum": limit.maximum,
                    }
                    for limit in rule.limits
                ],
            }
            for rule in RULES
        ]
        return Response(RulesOutput({"rules": rules}).data)


class RulePolicy(serializers.Serializer[Any]):
    """Whether a rule is on, and its limits."""

    enabled = serializers.BooleanField(default=True)
    limits = serializers.DictField(child=serializers.FloatField(), default=dict)


class MonitorPolicyInput(serializers.Serializer[Any]):
    """The rules of a deployment; those and limits that are left out have their defaults."""

    rules = serializers.DictField(child=RulePolicy())
    drift_source = serializers.ChoiceField(
        DriftBaseline.Source.choices,
        required=False,
        help_text="What texts are compared with: the first live ones, or the snapshot of the training.",
    )


class MonitorPolicyOutput(serializers.Serializer[Any]):
    """The rules in force."""

    deployment = serializers.CharField()
    rules = serializers.DictField(child=RulePolicy())
    drift_source = serializers.ChoiceField(DriftBaseline.Source.choices)
    updated_at = serializers.DateTimeField(
        allow_null=True, help_text="When they were set; null for the defaults."
    )


class MonitorPolicyView(ModelsView):
    """What a deployment is watched for; it can be set before anything is deployed."""

    http_method_names = ["get", "put"]

    @extend_schema(operation_id="monitor_policy_read", responses=MonitorPolicyOutput)
    def get(self, request: OrganisationRequest, name: str) -> Response:
        """Read the rules in force."""
        return self.answer(services.check_model_name(name, place="deployment"))

    @extend_schema(
        operation_id="monitor_policy_write",
        parameters=[IF_MATCH],
        request=MonitorPolicyInput,
        responses=MonitorPolicyOutput,
    )
    def put(self, request: OrganisationRequest, name: str) -> Response:
        """Set the rules. Alarms of a rule that is switched off close at the next look, within a minute."""
        data = valid(MonitorPolicyInput(data=request.data))
        services.check_model_name(name, place="deployment")
        row = monitoring_selectors.monitor_policy_get(name)
        if row is not None:
            check_if_match(request, row)
        services.monitor_policy_update(deployment=name, actor=request.actor, **data)
        return self.answer(name)

    def answer(self, name: str) -> Response:
        """The rules in force, with the `ETag` of the row where there is one."""
        row = monitoring_selectors.monitor_policy_get(name)
        data = MonitorPolicyOutput(
            {
                "deployment": name,
                "rules": monitoring_selectors.monitor_policy(name),
                "drift_source": row.drift_source if row else DriftBaseline.Source.LIVE,
                "updated_at": row.updated_at if row else None,
            }
        ).data
        return Response(data) if row is None else respond(row, data)
