"""What the REST of flows and business actions takes and gives."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.customer_service.models import ActionCall, BusinessAction, Flow, FlowRun, FlowVersion
from apps.customer_service.services.flows.engine import CALL_OUTCOMES
from apps.customer_service.services.flows.fields import FIELD_TYPES
from apps.customer_service.services.flows.templates import TEMPLATES

LARGEST_DEFINITION = 300_000


class WordsField(serializers.ListField):
    """Intents or phrases."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=120), max_length=50, **options)


class DefinitionField(serializers.JSONField):
    """A definition as `docs/flows.md` tells; what is wrong with it is said with its place."""


class FlowOutput(serializers.ModelSerializer[Flow]):
    """A flow; its definition is in its versions."""

    intents = serializers.ListField(child=serializers.CharField())
    phrases = serializers.ListField(child=serializers.CharField())
    live = serializers.SerializerMethodField()
    newest = serializers.SerializerMethodField()

    class Meta:
        model = Flow
        fields = [
            "id", "name", "intents", "phrases", "threshold", "enabled", "live", "newest", "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.IntegerField(allow_null=True))
    def get_live(self, row: Flow) -> int | None:
        """The number of the version that visitors get."""
        return row.live.number if row.live else None

    def get_newest(self, row: Flow) -> int:
        """The number of the newest version."""
        return int(row.versions.latest("number").number)


class FlowInput(serializers.Serializer[Any]):
    """A new flow: a definition, or a template to begin with."""

    name = serializers.CharField(max_length=120, required=False)
    intents = WordsField(required=False, default=list)
    phrases = WordsField(required=False, default=list)
    threshold = serializers.FloatField(min_value=0, max_value=1, required=False, default=0.6)
    definition = DefinitionField(required=False)
    template = serializers.CharField(
        max_length=40,
        required=False,
        help_text=f"Instead of all the rest: {', '.join(TEMPLATES)}.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Either of the two."""
        if "template" not in attrs:
            for name in ("name", "definition"):
                if name not in attrs:
                    raise serializers.ValidationError({name: "This field is required."})
        return attrs


class FlowChange(serializers.Serializer[Any]):
    """What can be changed of a flow; its steps are a new version."""

    name = serializers.CharField(max_length=120, required=False)
    intents = WordsField(required=False)
    phrases = WordsField(required=False)
    threshold = serializers.FloatField(min_value=0, max_value=1, required=False)
    enabled = serializers.BooleanField(required=False)


class FlowTemplateOutput(serializers.Serializer[Any]):
    """A flow to begin with."""

    key = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    definition = DefinitionField()


class FlowTemplateListOutput(serializers.Serializer[Any]):
    """All of them."""

    results = FlowTemplateOutput(many=True)


class FlowVersionOutput(serializers.ModelSerializer[FlowVersion]):
    """A definition as it was saved."""

    class Meta:
        model = FlowVersion
        fields = ["id", "number", "definition", "actor_label", "created_at"]


class FlowVersionInput(serializers.Serializer[Any]):
    """A definition."""

    definition = DefinitionField()


class FaultOutput(serializers.Serializer[Any]):
    """What is wrong, and where in the definition (RFC 6901)."""

    pointer = serializers.CharField(allow_blank=True)
    detail = serializers.CharField()


class FlowCheckOutput(serializers.Serializer[Any]):
    """Nothing in it: the flow is whole."""

    faults = FaultOutput(many=True)


class DiffLineOutput(serializers.Serializer[Any]):
    """A line of the definition."""

    sign = serializers.CharField(
        help_text="“ ” the same, “-” gone, “+” new, “@” where.", trim_whitespace=False
    )
    line = serializers.CharField(allow_blank=True, trim_whitespace=False)


class FlowDiffOutput(serializers.Serializer[Any]):
    """What a version changed."""

    before = serializers.IntegerField()
    after = serializers.IntegerField()
    lines = DiffLineOutput(many=True)


class FlowRunOutput(serializers.ModelSerializer[FlowRun]):
    """A conversation that went through a flow."""

    version = serializers.IntegerField(source="version.number")

    class Meta:
        model = FlowRun
        fields = ["id", "conversation", "version", "state", "step", "created_at", "updated_at"]


# --- simulator ------------------------------------------------------------------------------------


class ReturnedInput(serializers.Serializer[Any]):
    """What a call brings that is not made."""

    outcome = serializers.ChoiceField(CALL_OUTCOMES)
    results = serializers.DictField(required=False, default=dict)
    problem = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class SimulationInput(serializers.Serializer[Any]):
    """A turn with a draft."""

    definition = DefinitionField()
    state = serializers.JSONField(
        required=False,
        allow_null=True,
        default=None,
        help_text="From the turn before; null: begin.",
    )
    text = serializers.CharField(max_length=4000, required=False, default="", allow_blank=True)
    choice = serializers.CharField(max_length=200, required=False, default="", allow_blank=True)
    language = serializers.ChoiceField(["en", "zh"], required=False, default="en")
    real = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Make the calls, as tests; else say what would be called.",
    )
    returned = ReturnedInput(required=False, allow_null=True, default=None)


class ButtonOutput(serializers.Serializer[Any]):
    """A button under what was said."""

    label = serializers.CharField()  # type: ignore[assignment]  # a field, not a caption
    value = serializers.CharField()


class WantedCallOutput(serializers.Serializer[Any]):
    """A call that waits to be decided on, with results that would fit."""

    step = serializers.CharField()
    action = serializers.CharField()
    arguments = serializers.DictField()
    example = serializers.DictField()


class MadeCallOutput(serializers.Serializer[Any]):
    """A call that was made."""

    id = serializers.UUIDField()
    action = serializers.CharField()
    state = serializers.ChoiceField(ActionCall.State.choices)
    milliseconds = serializers.IntegerField(allow_null=True)
    problem = serializers.CharField(allow_blank=True)
    results = serializers.DictField()


class SimulationOutput(serializers.Serializer[Any]):
    """What came of the turn."""

    body = serializers.CharField(allow_blank=True)
    choices = ButtonOutput(many=True)
    state = serializers.DictField()
    steps = serializers.ListField(child=serializers.CharField(), help_text="Steps passed.")
    call = WantedCallOutput(allow_null=True)
    calls = MadeCallOutput(many=True)
    hand_off = serializers.CharField(allow_blank=True)
    left = serializers.BooleanField()
    answer_first = serializers.BooleanField()


# --- actions --------------------------------------------------------------------------------------


class ActionFieldSerializer(serializers.Serializer[Any]):
    """A parameter or a result."""

    type = serializers.ChoiceField(FIELD_TYPES)
    description = serializers.CharField(
        max_length=300, required=False, default="", allow_blank=True
    )
    required = serializers.BooleanField(required=False, default=True)  # type: ignore[assignment]  # a field, not a setting


class ActionOutput(serializers.ModelSerializer[BusinessAction]):
    """A business action; its secret is told only when it is made or rotated."""

    parameters = serializers.DictField(child=ActionFieldSerializer())
    results = serializers.DictField(child=ActionFieldSerializer())

    class Meta:
        model = BusinessAction
        fields = [
            "id", "name", "description", "url", "timeout_seconds", "changes_something", "parameters", "results",
            "old_secret_until", "created_at", "updated_at",
        ]  # fmt: skip


class ActionWithSecretOutput(ActionOutput):
    """An action at a moment when its secret is shown."""

    secret = serializers.CharField(help_text="`whsec_…`: the key of the signatures. Keep it now.")

    class Meta(ActionOutput.Meta):
        fields = [*ActionOutput.Meta.fields, "secret"]


class ActionChange(serializers.Serializer[Any]):
    """What can be changed of an action; its name stays, because flows call it by that."""

    description = serializers.CharField(max_length=500, required=False, allow_blank=True)
    url = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    timeout_seconds = serializers.IntegerField(min_value=1, max_value=30, required=False)
    changes_something = serializers.BooleanField(required=False)
    parameters = serializers.DictField(child=ActionFieldSerializer(), required=False)
    results = serializers.DictField(child=ActionFieldSerializer(), required=False)


class ActionInput(ActionChange):
    """A new action."""

    name = serializers.CharField(max_length=40)


class ActionTestInput(serializers.Serializer[Any]):
    """Values to call with."""

    arguments = serializers.DictField(required=False, default=dict)
    language = serializers.ChoiceField(["en", "zh"], required=False, default="en")


class CallFilter(serializers.Serializer[Any]):
    """Which calls."""

    action = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(ActionCall.State.values, required=False)


class CallOutput(serializers.ModelSerializer[ActionCall]):
    """One call of a business action."""

    action = serializers.CharField(source="action.name")

    class Meta:
        model = ActionCall
        fields = [
            "id", "action", "run", "key", "state", "http_status", "milliseconds", "tries", "problem", "sent",
            "received", "created_at", "updated_at",
        ]  # fmt: skip
