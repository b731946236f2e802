"""What the REST views take and give."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from rootstock.gateway.models import Connection
from rootstock.gateway.services import TIMEOUTS
from rootstock.modelhub.models import Task

MAX_INPUTS = 256
MAX_CHARACTERS = 100_000


class ConnectionOutput(serializers.ModelSerializer[Connection]):
    """A connection. Its key is never shown."""

    state = serializers.ChoiceField(["new", "ready", "failed"])
    has_key = serializers.BooleanField()

    class Meta:
        model = Connection
        fields = [
            "id", "name", "base_url", "has_key", "timeout_seconds", "state", "problem", "offered", "checked_at",
            "created_at", "created_by",
        ]  # fmt: skip


class ConnectionChange(serializers.Serializer[Any]):
    """What can be changed of a connection."""

    base_url = serializers.CharField(max_length=500, required=False)
    timeout_seconds = serializers.IntegerField(
        min_value=TIMEOUTS[0], max_value=TIMEOUTS[1], required=False
    )


class ConnectionInput(serializers.Serializer[Any]):
    """A new connection."""

    name = serializers.CharField(max_length=40)
    base_url = serializers.CharField(max_length=500)
    api_key = serializers.CharField(max_length=500, required=False, allow_blank=True)
    timeout_seconds = serializers.IntegerField(
        min_value=TIMEOUTS[0], max_value=TIMEOUTS[1], default=60
    )


class KeyInput(serializers.Serializer[Any]):
    """Another key; empty: none."""

    api_key = serializers.CharField(max_length=500, allow_blank=True)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS},
            {"type": "object", "additionalProperties": True},
        ]
    }
)
class _Input(serializers.Field[Any, Any, Any, Any]):
    """A text or an object."""

    def to_internal_value(self, data: Any) -> str | dict[str, Any]:
        """It as it is; what it must hold is the task's to say."""
        if isinstance(data, str) and len(data) <= MAX_CHARACTERS:
            return data
        if isinstance(data, dict):
            return data
        raise serializers.ValidationError(
            f"A text of at most {MAX_CHARACTERS} characters, or an object."
        )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Classification, tags, embeddings: texts",
            {"model": "finance.sentiment", "inputs": ["Profit rises by a third", "利润下降"]},
            request_only=True,
        ),
        OpenApiExample(
            "Reranking: pairs",
            {
                "model": "help.reranker",
                "inputs": [{"query": "opening hours", "document": "We open at nine."}],
            },
            request_only=True,
        ),
    ]
)
class PredictionsInput(serializers.Serializer[Any]):
    """Inputs for one deployment."""

    model = serializers.CharField(max_length=120, help_text="The name of a deployment.")
    inputs = serializers.ListField(child=_Input(), min_length=1, max_length=MAX_INPUTS)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Classification",
            {
                "model": "finance.sentiment",
                "version": "finance.sentiment v3",
                "task": "text-classification",
                "outputs": [
                    {
                        "id": "0190f1c2-7a34-7cc0-9a7b-1f2e3d4c5b6a",
                        "label": "positive",
                        "probabilities": {"negative": 0.02, "neutral": 0.07, "positive": 0.91},
                        "in_scope": None,
                        "score": None,
                    },
                    {"unscored": "the model does not read zh"},
                ],
            },
            response_only=True,
        ),
        OpenApiExample(
            "Tags",
            {
                "model": "news.entities",
                "version": "news.entities v1",
                "task": "token-classification",
                "outputs": [
                    {
                        "entities": [
                            {
                                "start": 0,
                                "end": 9,
                                "label": "ORG",
                                "text": "Acme Bank",
                                "score": 0.98,
                            }
                        ]
                    }
                ],
            },
            response_only=True,
        ),
    ]
)
class PredictionsOutput(serializers.Serializer[Any]):
    """What the deployed version said, in the order of the inputs."""

    model = serializers.CharField()
    version = serializers.CharField()
    task = serializers.ChoiceField(Task.choices)
    outputs = serializers.ListField(child=serializers.DictField())
