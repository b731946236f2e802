"""What the API takes and gives of channels, chains, routes, silences and notifications."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.finance_sentiment.models import (
    AlertChannel,
    AlertRoute,
    EscalationChain,
    EscalationStep,
    Medium,
    NoticeSettings,
    Notification,
    NotificationAttempt,
    Silence,
    SubjectKind,
)
from rootstock.tenancy.models import Role

CHANNEL_MEDIA = [medium for medium in Medium.values if medium != Medium.IN_APP]
QUIET = ["quiet_from", "quiet_until", "quiet_days", "time_zone", "urgent_score", "digest_minutes"]


class QuietInput(serializers.Serializer[Any]):
    """When messages wait."""

    quiet_from = serializers.TimeField(
        required=False, allow_null=True, help_text="By the clock in `time_zone`."
    )
    quiet_until = serializers.TimeField(
        required=False, allow_null=True, help_text="Earlier than the beginning: of the next day."
    )
    quiet_days = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6),
        required=False,
        max_length=7,
        help_text="Weekdays on which quiet hours begin, 0 is Monday; every day when empty.",
    )
    time_zone = serializers.CharField(
        required=False, allow_blank=True, max_length=64, help_text="Empty: the organisation's."
    )
    urgent_score = serializers.FloatField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=1e6,
        help_text="Alerts with this score do not wait.",
    )
    digest_minutes = serializers.IntegerField(
        required=False,
        min_value=0,
        max_value=1440,
        help_text="Gather messages and send them this often since midnight; 0: each at once.",
    )


class AlertChannelInput(QuietInput):
    """A new channel."""

    name = serializers.CharField(max_length=80)
    medium = serializers.ChoiceField(CHANNEL_MEDIA)
    address = serializers.CharField(
        max_length=500,
        help_text="An e-mail address, a URL, or the address that a chat service gave its robot.",
    )
    secret = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        default="",
        help_text="With which Feishu or DingTalk has messages signed. Webhooks get one of ours.",
    )
    personal = serializers.BooleanField(default=False, help_text="For what is meant for you.")
    enabled = serializers.BooleanField(default=True)
    tells_end = serializers.BooleanField(default=True, help_text="Say also when an alert is over.")


class AlertChannelChange(QuietInput):
    """What can be changed of a channel; left out, it stays."""

    name = serializers.CharField(max_length=80, required=False)
    address = serializers.CharField(max_length=500, required=False)
    secret = serializers.CharField(max_length=200, required=False)
    enabled = serializers.BooleanField(required=False)
    tells_end = serializers.BooleanField(required=False)


class AlertChannelOutput(serializers.ModelSerializer[AlertChannel]):
    """A channel. Its address and secret are never shown."""

    personal = serializers.SerializerMethodField()
    has_secret = serializers.SerializerMethodField()

    class Meta:
        model = AlertChannel
        fields = [
            "id", "name", "medium", "hint", "has_secret", "personal", "enabled", "tells_end", *QUIET,
            "last_success_at", "problem", "created_at", "created_by",
        ]  # fmt: skip

    def get_personal(self, row: AlertChannel) -> bool:
        """Whether it is somebody's own."""
        return row.owner_id is not None

    def get_has_secret(self, row: AlertChannel) -> bool:
        """Whether messages are signed."""
        return bool(row.secret)


class AlertChannelCreatedOutput(AlertChannelOutput):
    """The same with the secret of a webhook: it is shown this once."""

    secret = serializers.SerializerMethodField()

    class Meta(AlertChannelOutput.Meta):
        fields = [*AlertChannelOutput.Meta.fields, "secret"]

    def get_secret(self, row: AlertChannel) -> str:
        """Empty for all but webhooks."""
        return row.secret if row.medium == Medium.WEBHOOK else ""


class StepInput(serializers.Serializer[Any]):
    """A step. Each kind has one value of its own."""

    kind = serializers.ChoiceField(EscalationStep.Kind.values)
    wait_seconds = serializers.IntegerField(
        required=False, default=0, min_value=0, max_value=604_800
    )
    user = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="The id of a person."
    )
    role = serializers.ChoiceField(["", *Role.values], required=False, allow_blank=True, default="")
    channel = serializers.UUIDField(required=False, allow_null=True, default=None)
    score = serializers.FloatField(required=False, allow_null=True, default=None)
    times = serializers.IntegerField(required=False, default=0, min_value=0, max_value=20)


class StepOutput(serializers.ModelSerializer[EscalationStep]):
    """A step."""

    user = serializers.UUIDField(source="user_id", allow_null=True)
    channel = serializers.UUIDField(source="channel_id", allow_null=True)

    class Meta:
        model = EscalationStep
        fields = ["kind", "wait_seconds", "user", "role", "channel", "score", "times"]


class ChainInput(serializers.Serializer[Any]):
    """A chain with all its steps, in order."""

    name = serializers.CharField(max_length=80)
    description = serializers.CharField(
        max_length=300, required=False, allow_blank=True, default=""
    )
    steps = StepInput(many=True)


class ChainOutput(serializers.ModelSerializer[EscalationChain]):
    """A chain."""

    steps = serializers.SerializerMethodField()

    class Meta:
        model = EscalationChain
        fields = ["id", "name", "description", "steps", "created_at", "updated_at"]

    @extend_schema_field(StepOutput(many=True))
    def get_steps(self, row: EscalationChain) -> Any:
        """In order."""
        return StepOutput(sorted(row.steps.all(), key=lambda step: step.position), many=True).data


class MatcherField(serializers.Serializer[Any]):
    """Conditions that must all hold; empty, it means every alert."""

    rules = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=50)
    kinds = serializers.ListField(
        child=serializers.ChoiceField(SubjectKind.values), required=False, max_length=50
    )
    keys = serializers.ListField(
        child=serializers.CharField(max_length=200),
        required=False,
        max_length=50,
        help_text="Patterns of the subject's key; * stands for anything.",
    )
    least_score = serializers.FloatField(
        required=False, allow_null=True, min_value=0, max_value=1e6
    )


class RouteInput(serializers.Serializer[Any]):
    """A route."""

    name = serializers.CharField(max_length=80)
    chain = serializers.UUIDField(allow_null=True, help_text="Null: nobody is told.")
    matcher = MatcherField(required=False)
    group_by = serializers.ListField(
        child=serializers.ChoiceField(AlertRoute.GroupBy.values),
        required=False,
        max_length=4,
        default=list,
        help_text="What alerts of one group have in common; empty: all are one group.",
    )
    group_wait_seconds = serializers.IntegerField(default=30, min_value=0, max_value=86_400)
    position = serializers.IntegerField(
        default=0, min_value=0, max_value=30_000, help_text="Routes are tried in this order."
    )
    enabled = serializers.BooleanField(default=True)


class RouteOutput(serializers.ModelSerializer[AlertRoute]):
    """A route."""

    chain = serializers.UUIDField(source="chain_id", allow_null=True)
    matcher = serializers.DictField()

    class Meta:
        model = AlertRoute
        fields = [
            "id", "name", "chain", "matcher", "group_by", "group_wait_seconds", "position", "enabled",
            "created_at", "updated_at",
        ]  # fmt: skip


class SilenceInput(serializers.Serializer[Any]):
    """A silence."""

    matcher = MatcherField()
    starts_at = serializers.DateTimeField(required=False, help_text="Default: now.")
    ends_at = serializers.DateTimeField()
    reason = serializers.CharField(max_length=500)


class SilenceFilter(serializers.Serializer[Any]):
    """Which silences."""

    active = serializers.BooleanField(
        required=False, help_text="True: those that are not over. False: the others."
    )


class SilenceOutput(serializers.ModelSerializer[Silence]):
    """A silence."""

    matcher = serializers.DictField()

    class Meta:
        model = Silence
        fields = [
            "id", "matcher", "starts_at", "ends_at", "reason", "created_by", "created_at", "ended_by",
        ]  # fmt: skip


class NoticeInput(QuietInput):
    """How you want to be told; left out, it stays."""

    by_email = serializers.BooleanField(
        required=False, help_text="To the address of your account, without a channel of your own."
    )


class NoticeOutput(serializers.ModelSerializer[NoticeSettings]):
    """How you want to be told."""

    class Meta:
        model = NoticeSettings
        fields = ["by_email", *QUIET]


class PolicyField(serializers.Serializer[Any]):
    """What holds for all alerts."""

    wider_silences_narrower = serializers.BooleanField(
        help_text="An alert on everything silences those on topics and entities, one on a topic "
        "those on entities of the same stories."
    )


class NotificationFilter(serializers.Serializer[Any]):
    """Which notifications."""

    alert = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(Notification.State.values, required=False)


class NotificationAttemptOutput(serializers.ModelSerializer[NotificationAttempt]):
    """One try."""

    class Meta:
        model = NotificationAttempt
        fields = ["created_at", "status", "error", "milliseconds"]


class NotificationOutput(serializers.ModelSerializer[Notification]):
    """A message to one person or channel. Its id is also the `webhook-id`, without hyphens behind `msg_`."""

    channel = serializers.UUIDField(source="channel_id", allow_null=True)
    user = serializers.UUIDField(source="user_id", allow_null=True)
    attempts = NotificationAttemptOutput(many=True)

    class Meta:
        model = Notification
        fields = [
            "id", "reason", "medium", "channel", "user", "alerts", "state", "held", "due_at", "tries",
            "sent_at", "sent_with", "subject", "problem", "created_at", "attempts",
        ]  # fmt: skip
