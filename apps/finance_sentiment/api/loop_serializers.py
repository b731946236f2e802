"""What the API takes and gives about the queue and the loop."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.finance_sentiment.models import (
    LabelReason,
    LoopCycle,
    LoopHead,
    LoopSettings,
    Question,
)
from apps.finance_sentiment.selectors.loop import heads_of, version_figure


class LabelQueueProgressOutput(serializers.Serializer[Any]):
    """How far the queue is for you."""

    waiting = serializers.IntegerField()
    today = serializers.IntegerField(help_text="Documents that you labelled today.")
    reasons = serializers.DictField(child=serializers.IntegerField())


class LabelQueueOutput(serializers.Serializer[Any]):
    """The next document for you; null when nothing waits."""

    document = serializers.UUIDField(allow_null=True)
    title = serializers.CharField(allow_blank=True)
    body = serializers.CharField(allow_blank=True)
    source = serializers.CharField(allow_blank=True)  # type: ignore[assignment]
    url = serializers.CharField(allow_blank=True)
    language = serializers.CharField(allow_blank=True)
    published_at = serializers.DateTimeField(allow_null=True)
    reasons = serializers.ListField(child=serializers.ChoiceField(LabelReason.choices))
    blind = serializers.BooleanField(
        help_text="Drawn at random: what the models said is not to be shown before the answer."
    )
    progress = LabelQueueProgressOutput()


class CandidateDrawInput(serializers.Serializer[Any]):
    """How many documents to look for."""

    count = serializers.IntegerField(default=60, min_value=1, max_value=1000)


class CandidateDrawOutput(serializers.Serializer[Any]):
    """How many were found, by reason."""

    drawn = serializers.DictField(child=serializers.IntegerField())


class VersionMeasuredOutput(serializers.Serializer[Any]):
    """How often a version is right, by documents drawn at random."""

    question = serializers.ChoiceField(Question.choices)
    version = serializers.CharField()
    labels = serializers.IntegerField()
    accuracy = serializers.FloatField()
    low = serializers.FloatField(help_text="The 95 % interval.")
    high = serializers.FloatField()


class VersionMeasuredListOutput(serializers.Serializer[Any]):
    """All versions that were measured."""

    results = VersionMeasuredOutput(many=True)


class LoopSettingsOutput(serializers.ModelSerializer[LoopSettings]):
    """When the loop turns by itself."""

    class Meta:
        model = LoopSettings
        fields = (
            "enabled",
            "every_days",
            "least_labels",
            "daily_candidates",
            "adapts",
            "adapt_documents",
            "base",
            "epochs",
            "deploys",
            "next_cycle_at",
            "next_draw_at",
        )


class LoopSettingsInput(serializers.Serializer[Any]):
    """Settings to change; what is not named stays."""

    enabled = serializers.BooleanField(required=False)
    every_days = serializers.IntegerField(required=False, min_value=1, max_value=365)
    least_labels = serializers.IntegerField(required=False, min_value=1, max_value=1_000_000)
    daily_candidates = serializers.IntegerField(required=False, min_value=0, max_value=1000)
    adapts = serializers.BooleanField(required=False)
    adapt_documents = serializers.IntegerField(required=False, min_value=100, max_value=100_000)
    base = serializers.CharField(required=False, allow_blank=True, max_length=200)
    epochs = serializers.FloatField(required=False, min_value=0.1, max_value=50)
    deploys = serializers.BooleanField(required=False)


class LoopCycleInput(serializers.Serializer[Any]):
    """What this cycle does otherwise than the settings say."""

    adapts = serializers.BooleanField(required=False, allow_null=True, default=None)
    base = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=200, default=None
    )
    epochs = serializers.FloatField(
        required=False, allow_null=True, min_value=0.1, max_value=50, default=None
    )
    deploys = serializers.BooleanField(required=False, allow_null=True, default=None)


class LoopHeadOutput(serializers.ModelSerializer[LoopHead]):
    """One model of a cycle."""

    snapshot = serializers.UUIDField(source="snapshot_id", allow_null=True)
    run = serializers.UUIDField(source="run_id", allow_null=True)
    version = serializers.UUIDField(source="version_id", allow_null=True)
    version_label = serializers.SerializerMethodField()
    report = serializers.UUIDField(source="report_id", allow_null=True)
    figure = serializers.SerializerMethodField(help_text="Macro F1 on the test part.")
    gate_passed = serializers.SerializerMethodField()

    class Meta:
        model = LoopHead
        fields = (
            "question",
            "model",
            "snapshot",
            "run",
            "version",
            "version_label",
            "figure",
            "report",
            "gate_passed",
            "outcome",
            "note",
        )

    def get_version_label(self, head: LoopHead) -> str:
        """The version's name."""
        return head.version.label if head.version else ""

    def get_figure(self, head: LoopHead) -> float | None:
        """The version's headline."""
        return version_figure(head.version)

    def get_gate_passed(self, head: LoopHead) -> bool | None:
        """What the gate said."""
        return head.report.passed if head.report else None


class LoopCycleOutput(serializers.ModelSerializer[LoopCycle]):
    """One turn of the loop."""

    encoder = serializers.UUIDField(source="encoder_id", allow_null=True)
    heads = serializers.SerializerMethodField()
    by = serializers.CharField(source="actor_label")

    class Meta:
        model = LoopCycle
        fields = (
            "id",
            "number",
            "state",
            "options",
            "label_count",
            "new_labels",
            "document_count",
            "encoder",
            "heads",
            "error",
            "by",
            "created_at",
            "finished_at",
        )

    @extend_schema_field(LoopHeadOutput(many=True))
    def get_heads(self, cycle: LoopCycle) -> Any:
        """Its models."""
        return list(LoopHeadOutput(heads_of(cycle), many=True).data)


class LoopLessonOutput(serializers.Serializer[Any]):
    """One question that people answer and a model learns."""

    question = serializers.ChoiceField(Question.choices)
    model = serializers.CharField()
    labels = serializers.IntegerField()
    new_labels = serializers.IntegerField(help_text="Since the last cycle.")
    dataset = serializers.UUIDField(source="dataset.pk", allow_null=True, default=None)
    rows = serializers.IntegerField(help_text="Rows of the data set that have an answer.")
    newest = serializers.CharField(source="version.label", default="")
    deployed = serializers.CharField(source="deployment.version.label", default="")
    figure = serializers.FloatField(allow_null=True)
    deployed_figure = serializers.FloatField(allow_null=True)


class LoopOutput(serializers.Serializer[Any]):
    """The loop as a whole; `step` is what comes next."""

    step = serializers.ChoiceField(["label", "start", "wait", "decide"])
    labels = serializers.IntegerField()
    new_labels = serializers.IntegerField()
    documents = serializers.IntegerField(help_text="Scored documents; 100,000 means that or more.")
    lessons = LoopLessonOutput(many=True)
    cycle = LoopCycleOutput(allow_null=True)
    settings = LoopSettingsOutput()
