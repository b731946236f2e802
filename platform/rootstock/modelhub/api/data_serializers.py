"""What the API of data sets and annotation takes and gives."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from rootstock.modelhub.api.serializers import ExampleOutput, ImportReportOutput
from rootstock.modelhub.models import AnnotationQueue, DatasetImport, DatasetItem, Decision
from rootstock.modelhub.services.annotation import MAX_CHOICES, MAX_OVERLAP
from rootstock.modelhub.services.imports import import_report

MAX_SCORES = 10_000


class ImportInput(serializers.Serializer[Any]):
    """A file to import in the background, and the columns of its rows."""

    file = serializers.FileField()
    kind = serializers.ChoiceField(DatasetImport.Kind.values, default=DatasetImport.Kind.ROWS)
    columns = serializers.JSONField(
        required=False,
        help_text='The file\'s column for a key of the row: {"text": "headline", "label": ""}.',
    )

    def validate_columns(self, value: Any) -> dict[str, str]:
        """Names by names."""
        good = isinstance(value, dict) and all(
            isinstance(name, str)
            and isinstance(column, str)
            and len(column) <= 200
            and "\0" not in column
            for name, column in value.items()
        )
        if not good:
            raise serializers.ValidationError("an object of column names by key is needed")
        columns: dict[str, str] = value
        return columns


class ImportOutput(serializers.ModelSerializer[DatasetImport]):
    """An imported file; `job` is its progress, `report` what became of its rows so far."""

    dataset = serializers.UUIDField(source="dataset_id")
    job = serializers.UUIDField(source="job_id", allow_null=True)
    report = serializers.SerializerMethodField()
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = DatasetImport
        fields = [
            "id", "dataset", "kind", "file_name", "job", "error", "report", "actor", "created_at", "updated_at",
            "finished_at",
        ]  # fmt: skip

    @extend_schema_field(ImportReportOutput)
    def get_report(self, row: DatasetImport) -> Any:
        """Counts, and the first bad rows."""
        return ImportReportOutput(import_report(row)).data


class ExportQuery(serializers.Serializer[Any]):
    """In which format."""

    format = serializers.ChoiceField(["jsonl", "csv", "parquet", "conll", "zip"], default="jsonl")


class ItemOutput(serializers.ModelSerializer[DatasetItem]):
    """The text of an item."""

    item = serializers.CharField(source="key")

    class Meta:
        model = DatasetItem
        fields = ["id", "item", "text", "created_at", "updated_at"]


class SourceOutput(serializers.Serializer[Any]):
    """Rows that an application offers, and how far they were taken."""

    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField()
    pulled_at = serializers.DateTimeField(allow_null=True)
    added = serializers.IntegerField()


class PullOutput(serializers.Serializer[Any]):
    """What a pull brought."""

    added = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    refused = serializers.IntegerField()


class UncertaintiesInput(serializers.Serializer[Any]):
    """How unsure a model is, by example; higher is asked first."""

    scores = serializers.DictField(child=serializers.FloatField(), allow_empty=False)

    def validate_scores(self, value: dict[str, float]) -> dict[str, float]:
        """Ids of examples, not too many."""
        if len(value) > MAX_SCORES:
            raise serializers.ValidationError(f"at most {MAX_SCORES} in a call")
        for key in value:
            serializers.UUIDField().run_validation(key)
        return value


class UncertaintiesOutput(serializers.Serializer[Any]):
    """How many examples got a score."""

    changed = serializers.IntegerField()


class QueueInput(serializers.Serializer[Any]):
    """A new annotation queue."""

    dataset = serializers.UUIDField()
    name = serializers.CharField(max_length=120)
    instructions = serializers.CharField(max_length=10_000, allow_blank=True, default="")
    overlap = serializers.IntegerField(
        min_value=1, max_value=MAX_OVERLAP, default=1, help_text="How many people see each example."
    )
    order = serializers.ChoiceField(
        AnnotationQueue.Order.values, default=AnnotationQueue.Order.OLDEST
    )
    choices = serializers.ListField(
        child=serializers.CharField(max_length=120),
        max_length=MAX_CHOICES,
        default=list,
        help_text="What can be chosen; empty: anything.",
    )
    deployment = serializers.CharField(
        max_length=120, allow_blank=True, default="", help_text="Who is asked for suggestions."
    )
    include_labelled = serializers.BooleanField(default=False)


class QueueQuery(serializers.Serializer[Any]):
    """Which queues."""

    dataset = serializers.UUIDField(required=False)


class QueueChange(serializers.Serializer[Any]):
    """Close a queue, or open it again."""

    closed = serializers.BooleanField()


class ProgressOutput(serializers.Serializer[Any]):
    """How far a queue is; `mine` is what the asking person has said."""

    total = serializers.IntegerField()
    done = serializers.IntegerField()
    disagreed = serializers.IntegerField()
    left = serializers.IntegerField()
    mine = serializers.IntegerField()


class QueueOutput(serializers.ModelSerializer[AnnotationQueue]):
    """An annotation queue."""

    dataset = serializers.UUIDField(source="dataset_id")
    choices = serializers.ListField(child=serializers.CharField())
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = AnnotationQueue
        fields = [
            "id", "dataset", "name", "instructions", "overlap", "order", "choices", "deployment", "include_labelled",
            "actor", "created_at", "updated_at", "closed_at",
        ]  # fmt: skip


class NextOutput(serializers.Serializer[Any]):
    """The next example (null: there is none for this person) and how far the queue is."""

    example = ExampleOutput(allow_null=True)
    progress = ProgressOutput()


class SuggestionOutput(serializers.Serializer[Any]):
    """What the queue's model would answer."""

    answer = serializers.DictField()
    probability = serializers.FloatField()
    version = serializers.CharField()


class SuggestionAnswer(serializers.Serializer[Any]):
    """The suggestion of the queue's model; null when it has none or cannot be asked now."""

    suggestion = SuggestionOutput(allow_null=True)


class AnnotationInput(serializers.Serializer[Any]):
    """What a person says about an example, or that they skip it."""

    example = serializers.UUIDField()
    answer = serializers.DictField(
        required=False,
        help_text='The answer\'s key of the task: {"label": …}, {"labels": […]}, {"tags": […]}, {"score": …}.',
    )
    skip = serializers.BooleanField(default=False)
    seconds = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=86_400)
    suggestion = SuggestionOutput(required=False, allow_null=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Either an answer or a skip."""
        if not attrs["skip"] and not attrs.get("answer"):
            raise serializers.ValidationError({"answer": "an answer or skip is needed"})
        return attrs


class UndoOutput(NextOutput):
    """The example that is asked about again (null: nothing was said yet)."""


class AnnotationOutput(serializers.Serializer[Any]):
    """What one person said."""

    person = serializers.CharField(source="actor_label")
    answer = serializers.DictField(source="content")
    seconds = serializers.FloatField(allow_null=True)


class DisagreementOutput(serializers.Serializer[Any]):
    """An example that people disagree on, and what they said."""

    example = ExampleOutput()
    annotations = AnnotationOutput(many=True)


class DecisionInput(serializers.Serializer[Any]):
    """Settle a disagreement."""

    example = serializers.UUIDField()
    answer = serializers.DictField()


class DecisionOutput(serializers.ModelSerializer[Decision]):
    """What an example ended up as."""

    example = serializers.UUIDField(source="example_id")
    answer = serializers.DictField(source="content")
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = Decision
        fields = ["id", "example", "answer", "agreed", "actor", "created_at", "updated_at"]


class PersonOutput(serializers.Serializer[Any]):
    """One person's share."""

    person = serializers.CharField()
    annotations = serializers.IntegerField()
    median_seconds = serializers.FloatField(allow_null=True)


class AgreementOutput(serializers.Serializer[Any]):
    """How far people agree: raw share of agreeing pairs, Cohen's and Fleiss' kappa, Krippendorff's alpha."""

    people = serializers.IntegerField()
    examples = serializers.IntegerField()
    raw = serializers.FloatField(allow_null=True)
    cohen = serializers.FloatField(allow_null=True)
    fleiss = serializers.FloatField(allow_null=True)
    alpha = serializers.FloatField(allow_null=True)
    by_person = PersonOutput(many=True)
