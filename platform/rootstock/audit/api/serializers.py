"""What the API takes and gives about the audit log."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from rootstock.audit.models import AuditEntry


class AuditEntryOutput(serializers.ModelSerializer[AuditEntry]):
    """One thing that somebody did."""

    class Meta:
        model = AuditEntry
        fields = [
            "id", "created_at", "actor_kind", "actor_id", "actor_label", "action", "target", "target_id", "changes",
            "request_id", "ip",
        ]  # fmt: skip


class AuditFilter(serializers.Serializer[Any]):
    """Which entries."""

    actor = serializers.CharField(required=False, max_length=64, help_text="The id of an actor.")
    action = serializers.CharField(
        required=False,
        max_length=80,
        help_text="An action, or its start: `accounts` finds `accounts.api_key.create`.",
    )
    since = serializers.DateTimeField(required=False, help_text="Inclusive.")
    until = serializers.DateTimeField(required=False, help_text="Exclusive.")
