"""What the API takes and gives about webhooks."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from rootstock.webhooks.models import Attempt, Delivery, Endpoint
from rootstock.webhooks.selectors import attempts


class EndpointOutput(serializers.ModelSerializer[Endpoint]):
    """An endpoint; its secret is shown only when it is made."""

    event_types = serializers.ListField(child=serializers.CharField())
    enabled = serializers.SerializerMethodField()

    class Meta:
        model = Endpoint
        fields = [
            "id", "url", "description", "event_types", "enabled", "disabled_at", "disabled_reason", "old_secret_until",
            "last_success_at", "created_by", "created_at", "updated_at",
        ]  # fmt: skip

    def get_enabled(self, row: Endpoint) -> bool:
        """Whether it is sent anything."""
        return row.disabled_at is None


class EndpointWithSecretOutput(EndpointOutput):
    """An endpoint at the only moment when its secret is shown."""

    secret = serializers.CharField(help_text="`whsec_…`: the key of the signatures. Keep it now.")

    class Meta(EndpointOutput.Meta):
        fields = [*EndpointOutput.Meta.fields, "secret"]


class EndpointInput(serializers.Serializer[Any]):
    """A new endpoint."""

    url = serializers.CharField(max_length=500)
    event_types = serializers.ListField(
        child=serializers.CharField(max_length=80), min_length=1, max_length=100
    )
    description = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True
    )


class EndpointChange(serializers.Serializer[Any]):
    """What can be changed of an endpoint."""

    url = serializers.CharField(max_length=500, required=False)
    event_types = serializers.ListField(
        child=serializers.CharField(max_length=80), min_length=1, max_length=100, required=False
    )
    description = serializers.CharField(max_length=200, required=False, allow_blank=True)
    enabled = serializers.BooleanField(required=False)


class EventTypeOutput(serializers.Serializer[Any]):
    """Something to subscribe to."""

    name = serializers.CharField()
    description = serializers.CharField()


class EventTypesOutput(serializers.Serializer[Any]):
    """All event types."""

    results = EventTypeOutput(many=True)


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    """One event for one endpoint."""

    class Meta:
        model = Delivery
        fields = [
            "id", "endpoint", "event_type", "state", "tries", "next_try_at", "delivered_at", "created_at",
        ]  # fmt: skip


class AttemptOutput(serializers.ModelSerializer[Attempt]):
    """One try."""

    class Meta:
        model = Attempt
        fields = ["id", "created_at", "status", "error", "answer", "milliseconds"]


class DeliveryDetailOutput(DeliveryOutput):
    """A delivery with what was sent and every try."""

    attempts = serializers.SerializerMethodField()

    class Meta(DeliveryOutput.Meta):
        fields = [*DeliveryOutput.Meta.fields, "body", "attempts"]

    @extend_schema_field(AttemptOutput(many=True))
    def get_attempts(self, row: Delivery) -> list[dict[str, Any]]:
        """The tries in order."""
        return list(AttemptOutput(attempts(row), many=True).data)
