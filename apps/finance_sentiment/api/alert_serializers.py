"""What the API takes and gives of alerts."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.finance_sentiment.models import Alert, AlertEntry, SubjectKind
from apps.finance_sentiment.selectors.alerts import alert_payload


class AlertFilter(serializers.Serializer[Any]):
    """Which alerts."""

    state = serializers.ChoiceField([*Alert.State.values, "unresolved"], required=False)
    topic = serializers.CharField(required=False, max_length=60)
    kind = serializers.ChoiceField(SubjectKind.values, required=False)
    key = serializers.CharField(required=False, max_length=200, help_text="Of the subject.")
    rule = serializers.UUIDField(required=False)
    muted = serializers.BooleanField(required=False)
    assigned_to = serializers.UUIDField(required=False, help_text="The id of a person.")
    opened_after = serializers.DateTimeField(required=False)
    opened_before = serializers.DateTimeField(required=False)


class AlertStoryOutput(serializers.Serializer[Any]):
    """A story behind an alert, as it was then."""

    id = serializers.UUIDField()
    title = serializers.CharField()
    documents = serializers.IntegerField()
    sources = serializers.ListField(child=serializers.CharField())
    first_seen_at = serializers.DateTimeField()
    thread = serializers.UUIDField(
        allow_null=True, required=False, help_text="The event that it tells of."
    )


class SubjectOutput(serializers.Serializer[Any]):
    """What a signal is about."""

    kind = serializers.ChoiceField(SubjectKind.values)
    key = serializers.CharField(allow_blank=True)
    label = serializers.CharField()  # type: ignore[assignment]


class AlertRuleOutput(serializers.Serializer[Any]):
    """The rule that raised an alert; without an id when it is deleted."""

    id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(allow_blank=True)


class AlertOutput(serializers.Serializer[Any]):
    """What a rule saw on a subject."""

    id = serializers.UUIDField()
    rule = AlertRuleOutput()
    subject = SubjectOutput()
    topic = serializers.CharField(allow_blank=True, help_text="Empty for any other subject.")
    state = serializers.ChoiceField(Alert.State.values)
    opened_at = serializers.DateTimeField()
    last_seen_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)
    peak_negative = serializers.IntegerField()
    peak_score = serializers.FloatField(help_text="1 is the threshold.")
    observed = serializers.IntegerField(help_text="Negative stories in the latest window.")
    expected = serializers.FloatField(help_text="Negative stories that the baseline expects in it.")
    total = serializers.IntegerField()
    share = serializers.FloatField()
    baseline_share = serializers.FloatField()
    window_start = serializers.DateTimeField(allow_null=True)
    window_end = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_blank=True)
    comment = serializers.CharField(allow_blank=True)
    assigned_to = serializers.CharField(allow_blank=True)
    muted = serializers.ChoiceField(["", *Alert.Muted.values])
    resolved_by = serializers.CharField(allow_blank=True, help_text="Who ended it by hand.")
    stories = AlertStoryOutput(many=True)
    models = serializers.ListField(child=serializers.CharField())

    def to_representation(self, instance: Alert) -> dict[str, Any]:
        """The payload that events carry as well."""
        return alert_payload(instance)


class AlertPageOutput(serializers.Serializer[Any]):
    """A page of alerts."""

    results = AlertOutput(many=True)
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)


class AlertEntryOutput(serializers.ModelSerializer[AlertEntry]):
    """A line of the log."""

    class Meta:
        model = AlertEntry
        fields = ["kind", "at", "actor_kind", "actor_label", "comment", "details", "created_at"]


class AlertDetailOutput(AlertOutput):
    """The same with its evidence and log."""

    evidence = serializers.DictField()
    entries = AlertEntryOutput(many=True)

    def to_representation(self, instance: Alert) -> dict[str, Any]:
        """The payload, every story, the verdicts and the log."""
        return {
            **alert_payload(instance),
            "stories": instance.evidence.get("stories", []),
            "evidence": instance.evidence,
            "entries": AlertEntryOutput(instance.entries.order_by("id"), many=True).data,
        }


class AcknowledgeInput(serializers.Serializer[Any]):
    """An acknowledgement."""

    comment = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class AlertAssignInput(serializers.Serializer[Any]):
    """Who is to have it; nobody with null."""

    user = serializers.UUIDField(allow_null=True, help_text="The id of a person.")
    comment = serializers.CharField(max_length=2000, required=False, allow_blank=True, default="")


class CommentInput(serializers.Serializer[Any]):
    """A line of the log."""

    comment = serializers.CharField(max_length=2000)
