"""What the API of training takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from ml_core.training import Option
from rootstock.modelhub import selectors
from rootstock.modelhub.models import Comparison, Split, Task, TrainingFile, TrainingRun
from rootstock.modelhub.option_words import group_title, option_help, option_label
from rootstock.modelhub.selecting import STRATEGIES
from rootstock.modelhub.services.together import MOST_HEADS
from rootstock.modelhub.services.training_files import SUFFIXES
from rootstock.modelhub.training_settings import (
    FILES,
    FIRST,
    MAX_TRIALS,
    option_default,
    settable_options,
)

_LARGEST = 2**53


def _field(option: Option) -> serializers.Field[Any, Any, Any, Any]:  # noqa: PLR0911 - one a kind
    """The field of an option; bounds that are themselves excluded are left to ml_core."""
    shared: dict[str, Any] = {"required": False, "help_text": option.help}
    if option.name in FILES:
        names: Any = serializers.RegexField(
            rf"^({'|'.join(FILES[option.name])}):[0-9a-f-]{{36}}$", **shared
        )
        if option.kind != "names":
            return names  # type: ignore[no-any-return]
        return serializers.ListField(child=names, max_length=50, **shared)
    if option.kind in {"int", "float"}:
        low = option.at_least if option.at_least is not None else option.above
        high = option.at_most if option.at_most is not None else option.below
        if option.kind == "int":
            return serializers.IntegerField(
                min_value=None if low is None else int(low),
                max_value=_LARGEST if high is None else int(high),
                **shared,
            )
        return serializers.FloatField(min_value=low, max_value=high, **shared)
    if option.kind == "bool":
        return serializers.BooleanField(**shared)
    if option.kind == "names":
        child: Any = (
            serializers.ChoiceField(option.choices)
            if option.choices
            else serializers.CharField(max_length=200)
        )
        return serializers.ListField(child=child, max_length=100, **shared)
    if option.choices:
        return serializers.ChoiceField(option.choices, **shared)
    return serializers.CharField(max_length=200, **shared)


class TrainingConfig(serializers.Serializer[Any]):
    """Options of the training; what is left out has a tested default. `GET /training-options/` lists them by task."""

    def get_fields(self) -> dict[str, Any]:
        """A field for each option that can be set."""
        return {option.name: _field(option) for option in settable_options()}

    def to_internal_value(self, data: Any) -> Any:
        """Unknown names are kept: the service refuses them with the nearest known one."""
        values = super().to_internal_value(data)
        unknown = {key: value for key, value in data.items() if key not in self.fields}
        return {**values, **unknown}


class OptionQuery(serializers.Serializer[Any]):
    """Which options."""

    task = serializers.ChoiceField(Task.values, required=False)


class OptionOutput(serializers.Serializer[Any]):
    """An option of training: what a form needs to ask for it."""

    name = serializers.CharField()
    label = serializers.SerializerMethodField(method_name="called")  # type: ignore[assignment]
    group = serializers.SerializerMethodField(method_name="group_called")
    kind = serializers.ChoiceField(["int", "float", "str", "bool", "Path", "names"])
    default = serializers.SerializerMethodField(method_name="value_unset")
    help = serializers.SerializerMethodField(method_name="explained")
    at_least = serializers.FloatField(allow_null=True)
    above = serializers.FloatField(allow_null=True)
    at_most = serializers.FloatField(allow_null=True)
    below = serializers.FloatField(allow_null=True)
    choices = serializers.ListField(child=serializers.CharField(), allow_null=True)
    tasks = serializers.ListField(child=serializers.CharField(), allow_null=True)
    takes = serializers.SerializerMethodField()
    first = serializers.SerializerMethodField()

    def called(self, option: Option) -> str:
        """What people call it, in the language of the request, as the group and the help are."""
        return option_label(option.name)

    def group_called(self, option: Option) -> str:
        """The title of its group."""
        return group_title(option.group)

    def explained(self, option: Option) -> str:
        """What it does."""
        return option_help(option)

    @extend_schema_field({})
    def value_unset(self, option: Option) -> Any:
        """What holds when nothing is said; null: unset."""
        return option_default(option)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_takes(self, option: Option) -> list[str]:
        """What a file option may name: "file", "dataset" or "snapshot", written as file:ID."""
        return list(FILES.get(option.name, ()))

    @extend_schema_field(serializers.BooleanField())
    def get_first(self, option: Option) -> bool:
        """Whether it is one of the few that matter in most runs."""
        return option.name in FIRST


class RunInput(serializers.Serializer[Any]):
    """A new training run."""

    snapshot = serializers.UUIDField()
    name = serializers.CharField(
        max_length=120,
        help_text='The series of versions that the result joins, such as "finance.sentiment".',
    )
    parent = serializers.UUIDField(  # type: ignore[assignment]
        required=False,
        allow_null=True,
        default=None,
        help_text="Start from this version's encoder instead of `base`.",
    )
    goes_on = serializers.BooleanField(
        default=False,
        help_text="Start from the parent as it is, with its labels and last layer, and measure what is forgotten.",
    )
    config = TrainingConfig(required=False)
    space = serializers.DictField(
        required=False,
        allow_null=True,
        default=None,
        help_text='Search for options: {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": true}, "epochs": [2, 4]}.',
    )
    trials = serializers.IntegerField(
        required=False,
        min_value=2,
        max_value=MAX_TRIALS,
        default=20,
        help_text="Of a search: how many models are trained.",
    )

    def validate_space(self, value: Any) -> Any:
        """An object of options."""
        if value is not None and not isinstance(value, Mapping):
            raise serializers.ValidationError("an object of options is needed")
        return value


class HeadInput(serializers.Serializer[Any]):
    """One of several models that train one encoder."""

    snapshot = serializers.UUIDField()
    name = serializers.CharField(
        max_length=120, help_text="The series of versions that the result joins."
    )
    config = TrainingConfig(
        required=False,
        help_text="Options of this head alone, such as head_start or class_weighting.",
    )


class TogetherInput(serializers.Serializer[Any]):
    """Several models that are to train one encoder."""

    heads = serializers.ListField(child=HeadInput(), min_length=2, max_length=MOST_HEADS)
    config = TrainingConfig(
        required=False,
        help_text="Options of all; one that only some tasks have is for the heads that have it.",
    )
    parent = serializers.UUIDField(  # type: ignore[assignment]
        required=False,
        allow_null=True,
        default=None,
        help_text="Start from this version's encoder instead of `base`.",
    )


class TrialOutput(serializers.Serializer[Any]):
    """One model that a search trained: its options and its main figure on the validation part."""

    number = serializers.IntegerField()
    options = serializers.DictField()
    score = serializers.FloatField(allow_null=True)
    state = serializers.CharField()


class RunQuery(serializers.Serializer[Any]):
    """Which runs."""

    name = serializers.CharField(required=False, max_length=120)
    state = serializers.ChoiceField(TrainingRun.State.values, required=False)
    together = serializers.UUIDField(
        required=False, help_text="Those that train one encoder, by the value that they share."
    )


class RunOutput(serializers.ModelSerializer[TrainingRun]):
    """A training run."""

    snapshot = serializers.UUIDField(source="snapshot_id")
    dataset = serializers.UUIDField(source="snapshot.dataset_id")
    parent = serializers.UUIDField(source="parent_id", allow_null=True)  # type: ignore[assignment]
    job = serializers.UUIDField(source="job_id", allow_null=True)
    state = serializers.ChoiceField(TrainingRun.State.values, source="current_state")
    error = serializers.CharField(source="current_error")
    version = serializers.SerializerMethodField()
    actor = serializers.CharField(source="actor_label")
    config = TrainingConfig()
    space = serializers.DictField(help_text="Of a search: what is tried for each option.")
    trials = TrialOutput(many=True)

    class Meta:
        model = TrainingRun
        fields = [
            "id", "name", "number", "snapshot", "dataset", "parent", "config", "job", "state", "phase", "fraction",
            "eta_seconds", "attempts", "headline", "error_code", "error", "peak_memory_mb", "version", "actor",
            "created_at", "updated_at", "started_at", "finished_at", "goes_on", "together", "space", "trial_count",
            "trials",
        ]  # fmt: skip

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_version(self, row: TrainingRun) -> Any:
        """The version that came of it."""
        version = getattr(row, "version", None)
        return None if version is None else str(version.pk)


class TogetherOutput(serializers.Serializer[Any]):
    """The runs that train one encoder, one a head, in the order that was asked for."""

    together = serializers.UUIDField()
    runs = RunOutput(many=True)


class CurvePointOutput(serializers.Serializer[Any]):
    """A point of the curve: the training loss at a step, or the metrics of an evaluation."""

    step = serializers.IntegerField()
    epoch = serializers.FloatField()
    loss = serializers.FloatField(allow_null=True)
    metrics = serializers.DictField(child=serializers.FloatField(), allow_null=True)


class RunDetailOutput(RunOutput):
    """A training run with its curve and the end of its log."""

    curve = serializers.SerializerMethodField()

    class Meta(RunOutput.Meta):
        fields = [*RunOutput.Meta.fields, "curve", "log"]

    @extend_schema_field(CurvePointOutput(many=True))
    def get_curve(self, row: TrainingRun) -> list[dict[str, Any]]:
        """All points in order."""
        return selectors.run_curve(row)


class TrainingFileInput(serializers.Serializer[Any]):
    """A file for an option of training."""

    file = serializers.FileField()
    option = serializers.ChoiceField(sorted(SUFFIXES))


class TrainingFileQuery(serializers.Serializer[Any]):
    """Which files."""

    option = serializers.ChoiceField(sorted(SUFFIXES), required=False)


class TrainingFileOutput(serializers.ModelSerializer[TrainingFile]):
    """An uploaded file; a run names it as `file:ID` in the option it is for."""

    reference = serializers.SerializerMethodField()
    actor = serializers.CharField(source="actor_label")

    class Meta:
        model = TrainingFile
        fields = [
            "id", "option", "name", "reference", "size_bytes", "sha256", "actor", "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.CharField())
    def get_reference(self, row: TrainingFile) -> str:
        """What a run's config says."""
        return f"file:{row.pk}"


class CompareQuery(serializers.Serializer[Any]):
    """What is put side by side."""

    item = serializers.ListField(
        child=serializers.RegexField(r"^(run|version):[0-9a-fA-F-]{36}$"),
        min_length=2,
        max_length=6,
        help_text="run:ID or version:ID, two to six of them.",
    )


class CompareOutput(serializers.Serializer[Any]):
    """Runs and versions side by side; every list of values is in the order of `items`."""

    items = serializers.ListField(child=serializers.DictField())
    options = serializers.ListField(child=serializers.DictField())
    figures = serializers.ListField(child=serializers.DictField())
    labels = serializers.ListField(child=serializers.DictField())
    curves = serializers.ListField(child=serializers.DictField())
    same_part = serializers.BooleanField()
    differences = serializers.ListField(child=serializers.DictField())


class CompareRowsQuery(serializers.Serializer[Any]):
    """Whose answers are compared, on which rows, and which of these."""

    first = serializers.UUIDField(help_text="A version.")
    second = serializers.UUIDField(help_text="Another version.")
    snapshot = serializers.UUIDField(
        required=False,
        default=None,
        help_text="By default one that both have answered, the first one's own if it can be.",
    )
    split = serializers.ChoiceField(
        Split.values, required=False, default=None, help_text="By default the part that says most."
    )
    only = serializers.ChoiceField(
        ["first", "second"],
        required=False,
        default="",
        help_text="Rows that only this version answers rightly (better, where answers are scored by degrees).",
    )
    offset = serializers.IntegerField(min_value=0, required=False, default=0)
    limit = serializers.IntegerField(min_value=1, max_value=200, required=False, default=50)


class DifferingRowOutput(serializers.Serializer[Any]):
    """A row that two versions answer differently."""

    line = serializers.IntegerField(help_text="In the file of the snapshot's part, from 1.")
    text = serializers.CharField()
    truth = serializers.CharField()
    first = serializers.CharField()
    second = serializers.CharField()
    first_confidence = serializers.FloatField(allow_null=True)
    second_confidence = serializers.FloatField(allow_null=True)
    better = serializers.ChoiceField(["", "first", "second"])


class CompareRowsOutput(serializers.Serializer[Any]):
    """How many of the rows two versions answer differently, and these."""

    snapshot = serializers.UUIDField()
    split = serializers.ChoiceField(Split.values)
    rows = serializers.IntegerField(help_text="That both have answered.")
    count = serializers.IntegerField(help_text="That are listed, page by page.")
    results = DifferingRowOutput(many=True)


class ComparisonInput(serializers.Serializer[Any]):
    """Two versions of one task, and on which rows; by default those of the first one's snapshot that say most."""

    first = serializers.UUIDField()
    second = serializers.UUIDField()
    snapshot = serializers.UUIDField(required=False, allow_null=True, default=None)
    split = serializers.ChoiceField(Split.values, required=False, allow_null=True, default=None)


class ComparisonOutput(serializers.ModelSerializer[Comparison]):
    """How the second version differs from the first on the same rows, by paired bootstrap."""

    first = serializers.UUIDField(source="first_id")
    second = serializers.UUIDField(source="second_id")
    snapshot = serializers.UUIDField(source="snapshot_id")
    differences = serializers.DictField(
        help_text="By figure: first, second, difference, low and high (95 %), p_value."
    )

    class Meta:
        model = Comparison
        fields = [
            "id", "first", "second", "snapshot", "split", "count", "differences", "created_at", "updated_at",
        ]  # fmt: skip


class SelectInput(serializers.Serializer[Any]):
    """Which data set's unlabelled texts, and how many of them."""

    dataset = serializers.UUIDField()
    count = serializers.IntegerField(min_value=1, max_value=10_000, default=100)
    strategy = serializers.ChoiceField(STRATEGIES, default=STRATEGIES[0])
