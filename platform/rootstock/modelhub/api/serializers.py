"""What the models API takes and gives."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from rootstock.modelhub import gate, selectors
from rootstock.modelhub.models import (
    Dataset,
    DatasetExample,
    Deployment,
    DeploymentChange,
    Language,
    ModelVersion,
    Prediction,
    Snapshot,
    Task,
)
from rootstock.modelhub.services.examples import MAX_LABEL_CHARACTERS, MAX_TEXT_CHARACTERS

MAX_EXAMPLES = 1000

# {"negative": 12, …}
Counts = {"type": "object", "additionalProperties": {"type": "integer"}}


class DatasetOutput(serializers.ModelSerializer[Dataset]):
    """A data set."""

    class Meta:
        model = Dataset
        fields = ["id", "name", "task", "description", "language", "created_at", "updated_at"]


class DatasetDetailOutput(DatasetOutput):
    """A data set and how its labels are distributed."""

    examples = serializers.SerializerMethodField()
    labels = serializers.SerializerMethodField()
    _counted: tuple[Any, dict[str, int]] | None = None

    class Meta(DatasetOutput.Meta):
        fields = [*DatasetOutput.Meta.fields, "examples", "labels"]

    @extend_schema_field(serializers.IntegerField())
    def get_examples(self, row: Dataset) -> int:
        """How many examples there are."""
        return sum(self._distribution(row).values())

    @extend_schema_field(Counts)
    def get_labels(self, row: Dataset) -> dict[str, int]:
        """Examples by label; "" counts those without one."""
        return self._distribution(row)

    def _distribution(self, row: Dataset) -> dict[str, int]:
        # Both fields ask; one query answers.
        if self._counted is None or self._counted[0] != row.pk:
            self._counted = (row.pk, selectors.label_distribution(row))
        return self._counted[1]


class DatasetInput(serializers.Serializer[Any]):
    """A new data set."""

    name = serializers.CharField(max_length=120)
    task = serializers.ChoiceField(Task.values, default=Task.TEXT_CLASSIFICATION)
    description = serializers.CharField(max_length=2000, allow_blank=True, default="")
    language = serializers.ChoiceField(Language.values, default=Language.ENGLISH)


class DatasetChange(serializers.Serializer[Any]):
    """What can be changed of a data set."""

    name = serializers.CharField(max_length=120, required=False)
    description = serializers.CharField(max_length=2000, allow_blank=True, required=False)
    language = serializers.ChoiceField(Language.values, required=False)


class LabelChangeOutput(serializers.Serializer[Any]):
    """One edit of an answer; `before` and `after` hold its key of the row, nothing for none."""

    from_label = serializers.CharField()
    to_label = serializers.CharField()
    before = serializers.DictField()
    after = serializers.DictField()
    reason = serializers.CharField()
    actor = serializers.CharField(source="actor_label")
    created_at = serializers.DateTimeField()


class ExampleOutput(serializers.ModelSerializer[DatasetExample]):
    """A row; one that is not labelled waits for a person. `text` is what is shown of it."""

    content = serializers.DictField(help_text="The row as its task describes it.")
    metadata = serializers.DictField(help_text="The other columns of where it came from.")

    class Meta:
        model = DatasetExample
        fields = [
            "id", "text", "label", "labelled", "content", "metadata", "uncertainty", "source", "created_at",
            "updated_at",
        ]  # fmt: skip


class ExampleDetailOutput(ExampleOutput):
    """An example with the history of its label."""

    history = LabelChangeOutput(many=True)

    class Meta(ExampleOutput.Meta):
        fields = [*ExampleOutput.Meta.fields, "history"]


class ExampleInput(serializers.Serializer[Any]):
    """A row to add: its `content`, or for tasks with a text `text` and `label`."""

    text = serializers.CharField(
        max_length=MAX_TEXT_CHARACTERS, trim_whitespace=False, allow_blank=True, default=""
    )
    content = serializers.DictField(
        required=False, help_text="The row as its task describes it, with or without its answer."
    )
    metadata = serializers.DictField(
        required=False, help_text="Plain values by column: what is sliced and grouped by."
    )
    label = serializers.CharField(max_length=MAX_LABEL_CHARACTERS, allow_blank=True, default="")  # type: ignore[assignment]
    source = serializers.CharField(max_length=120, allow_blank=True, default="")  # type: ignore[assignment]


class ExamplesInput(serializers.Serializer[Any]):
    """Texts to add, at most 1,000 a call."""

    examples = serializers.ListField(
        child=ExampleInput(), min_length=1, max_length=MAX_EXAMPLES, allow_empty=False
    )


class LabelConflictOutput(serializers.Serializer[Any]):
    """A text that is there already with another label, which was kept."""

    text = serializers.CharField()
    kept = serializers.CharField()
    given = serializers.CharField()


class AddResultOutput(serializers.Serializer[Any]):
    """What became of added texts. `conflicts` names at most 100."""

    added = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    conflicts = LabelConflictOutput(many=True)


class RelabelInput(serializers.Serializer[Any]):
    """The new label, or the new `answer` as the task has it; empty takes it away."""

    label = serializers.CharField(  # type: ignore[assignment]
        max_length=MAX_TEXT_CHARACTERS, allow_blank=True, required=False
    )
    answer = serializers.DictField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """One of the two."""
        if ("label" in attrs) == ("answer" in attrs):
            raise serializers.ValidationError({"label": "a label or an answer is needed"})
        return attrs


class ExampleQuery(serializers.Serializer[Any]):
    """Which examples."""

    search = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text="Part of the text."
    )
    label = serializers.CharField(  # type: ignore[assignment]
        required=False,
        allow_blank=True,
        max_length=MAX_LABEL_CHARACTERS,
        help_text="Exactly this label; empty: examples without one.",
    )


class UploadInput(serializers.Serializer[Any]):
    """A file of examples: .csv, .jsonl or .parquet."""

    file = serializers.FileField()
    text_column = serializers.CharField(max_length=120, default="text")
    label_column = serializers.CharField(
        max_length=120,
        allow_blank=True,
        default="label",
        help_text="Empty: the file has no labels.",
    )


class ImportProblemOutput(serializers.Serializer[Any]):
    """A row that was left out."""

    line = serializers.IntegerField()
    column = serializers.CharField()
    detail = serializers.CharField()


class ImportReportOutput(AddResultOutput):
    """What became of a file; bad rows are left out and named (the first 200 of them)."""

    rows = serializers.IntegerField()
    unlabelled = serializers.IntegerField()
    problem_count = serializers.IntegerField()
    problems = ImportProblemOutput(many=True)


class SnapshotOutput(serializers.ModelSerializer[Snapshot]):
    """A frozen, split copy of a data set."""

    dataset = serializers.UUIDField(source="dataset_id")
    label_counts = serializers.SerializerMethodField()
    split_counts = serializers.SerializerMethodField()
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = Snapshot
        fields = [
            "id", "dataset", "number", "content_hash", "label_counts", "split_counts", "example_count",
            "duplicate_groups", "groups_kept_together", "near_duplicates", "group_by",
            "validation_fraction", "test_fraction", "seed", "actor", "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field({"type": "object", "additionalProperties": Counts})
    def get_label_counts(self, row: Snapshot) -> dict[str, dict[str, int]]:
        """Examples by part ("train", "validation", "test") and label."""
        counts: dict[str, dict[str, int]] = row.label_counts
        return counts

    @extend_schema_field(Counts)
    def get_split_counts(self, row: Snapshot) -> dict[str, int]:
        """Examples by part."""
        counts: dict[str, int] = row.split_counts
        return counts


class SnapshotInput(serializers.Serializer[Any]):
    """How to split."""

    dataset = serializers.UUIDField()
    validation_fraction = serializers.FloatField(min_value=0.01, max_value=0.5, default=0.1)
    test_fraction = serializers.FloatField(min_value=0.0, max_value=0.5, default=0.1)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=13)
    near_duplicates = serializers.FloatField(
        min_value=0.5,
        max_value=1.0,
        default=0.8,
        help_text="Texts at least this similar stay in one part; 1: only equal ones.",
    )
    group_by = serializers.CharField(
        max_length=120,
        allow_blank=True,
        default="",
        help_text="A metadata column whose values stay in one part, such as the user.",
    )


class SnapshotQuery(serializers.Serializer[Any]):
    """Which snapshots."""

    dataset = serializers.UUIDField(required=False)


class VersionOutput(serializers.ModelSerializer[ModelVersion]):
    """A trained model that can be deployed."""

    label = serializers.CharField()  # type: ignore[assignment]
    labels = serializers.ListField(child=serializers.CharField())
    languages = serializers.ListField(child=serializers.CharField())
    metrics = serializers.SerializerMethodField()
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    snapshot = serializers.UUIDField(source="snapshot_id", allow_null=True)
    run = serializers.UUIDField(source="run_id", allow_null=True)
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = ModelVersion
        fields = [
            "id", "name", "number", "label", "task", "labels", "languages", "base", "digest", "size_bytes", "metrics",
            "parent", "snapshot", "run", "actor", "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "object"}})
    def get_metrics(self, row: ModelVersion) -> dict[str, Any]:
        """Figures by part ("validation", "test"), without the table of errors."""
        return {
            part: {key: value for key, value in report.items() if not isinstance(value, list)}
            for part, report in row.metrics.items()
        }


class VersionDetailOutput(VersionOutput):
    """A version with its whole reports and the libraries that made it."""

    class Meta(VersionOutput.Meta):
        fields = [*VersionOutput.Meta.fields, "code"]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "object"}})
    def get_metrics(self, row: ModelVersion) -> dict[str, Any]:
        """The evaluation reports by part ("validation", "test")."""
        metrics: dict[str, Any] = row.metrics
        return metrics


class VersionCardOutput(serializers.Serializer[Any]):
    """The model card."""

    markdown = serializers.CharField(source="card")


class VersionQuery(serializers.Serializer[Any]):
    """Which versions."""

    name = serializers.CharField(required=False, max_length=120)


class DeploymentOutput(serializers.ModelSerializer[Deployment]):
    """A named slot and the version that answers for it."""

    version = VersionOutput()
    shadow = serializers.UUIDField(
        source="shadow_id",
        allow_null=True,
        help_text="The version that is asked as well, and answers nobody.",
    )
    canary = serializers.UUIDField(
        source="canary_id",
        allow_null=True,
        help_text="The version that answers a share of the texts.",
    )

    class Meta:
        model = Deployment
        fields = [
            "id", "name", "task", "version", "shadow", "shadow_rate", "shadow_since", "canary", "canary_share",
            "canary_since", "created_at", "updated_at",
        ]  # fmt: skip


class PromotionInput(serializers.Serializer[Any]):
    """What to promote."""

    version = serializers.UUIDField()
    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")
    force = serializers.BooleanField(
        default=False, help_text="Overrule the checks that can be overruled; needs a reason."
    )


class RollbackInput(serializers.Serializer[Any]):
    """Why to go back."""

    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")


class VerdictOutput(serializers.Serializer[Any]):
    """What a check asked and found."""

    check = serializers.CharField()
    verdict = serializers.ChoiceField([str(outcome) for outcome in gate.Outcome])
    passed = serializers.BooleanField(help_text="Passed or not applicable.")
    asked = serializers.CharField()
    detail = serializers.CharField(help_text="What was found, in words.")
    can_be_forced = serializers.BooleanField()
    limits = serializers.DictField(child=serializers.FloatField())
    evidence = serializers.DictField(help_text="The figures behind it.")

    def to_representation(self, instance: dict[str, Any]) -> dict[str, Any]:
        """The stored verdict, its words in the language of the request."""
        return {
            "check": instance["check"],
            "verdict": instance.get("verdict") or ("passed" if instance["passed"] else "failed"),
            "passed": instance["passed"],
            "asked": gate.asked_again(instance),
            "detail": gate.detail_again(instance),
            "can_be_forced": instance["can_be_forced"],
            "limits": instance.get("limits", {}),
            "evidence": instance["evidence"],
        }


class DeploymentChangeOutput(serializers.ModelSerializer[DeploymentChange]):
    """One entry of a deployment's history."""

    from_version = serializers.UUIDField(source="from_version_id", allow_null=True)
    to_version = serializers.UUIDField(source="to_version_id")
    from_label = serializers.CharField(source="from_version.label", default=None, allow_null=True)
    to_label = serializers.CharField(source="to_version.label")
    checks = VerdictOutput(many=True)
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = DeploymentChange
        fields = [
            "id", "kind", "from_version", "to_version", "from_label", "to_label", "reason", "forced", "checks", "actor",
            "created_at",
        ]  # fmt: skip


class PredictionOutput(serializers.ModelSerializer[Prediction]):
    """What a version said about one thing; `probabilities` are in the order of the version's labels."""

    deployment = serializers.UUIDField(source="deployment_id")
    version = serializers.UUIDField(source="version_id")
    probabilities = serializers.ListField(child=serializers.FloatField())

    class Meta:
        model = Prediction
        fields = [
            "id", "deployment", "version", "subject_type", "subject_id", "label", "probabilities", "latency_ms",
            "shadow", "created_at",
        ]  # fmt: skip


class PredictionQuery(serializers.Serializer[Any]):
    """Which predictions."""

    deployment = serializers.CharField(required=False, max_length=120, help_text="Its name.")
    version = serializers.UUIDField(required=False)
    subject_type = serializers.CharField(required=False, max_length=40)
    subject_id = serializers.UUIDField(required=False)
    label = serializers.CharField(required=False, max_length=MAX_LABEL_CHARACTERS)  # type: ignore[assignment]
    shadow = serializers.BooleanField(
        required=False, help_text="What shadows said, in place of what was answered."
    )
