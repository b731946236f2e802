"""What the desk's REST takes and gives."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.customer_service.models import (
    AgentProfile,
    CannedReply,
    Conversation,
    ConversationLabel,
    Emotion,
    Macro,
    SavedView,
    SlaPolicy,
)
from apps.customer_service.selectors.inbox import FOLDERS, SORTS
from apps.customer_service.selectors.insights import FIGURES
from apps.customer_service.services.messages import AGENT_LIMIT

LARGEST_PAGE = 200


class InboxFilter(serializers.Serializer[Any]):
    """Which conversations, in which order."""

    status = serializers.ChoiceField(list(FOLDERS), required=False, default="open")
    assignee = serializers.CharField(
        required=False,
        max_length=36,
        allow_blank=True,
        help_text='"me", "none" or the id of a membership.',
    )
    channel = serializers.UUIDField(required=False)
    language = serializers.CharField(required=False, max_length=10, allow_blank=True)
    emotion = serializers.ChoiceField(Emotion.values, required=False)
    label = serializers.CharField(required=False, max_length=60, allow_blank=True)  # type: ignore[assignment]  # a field, not a caption
    priority = serializers.IntegerField(
        required=False, min_value=0, max_value=3, help_text="At least so urgent."
    )
    q = serializers.CharField(
        required=False,
        max_length=200,
        allow_blank=True,
        help_text="Words of the messages, or the customer's name.",
    )
    sort = serializers.ChoiceField(list(SORTS), required=False, default="waiting")
    ids = serializers.CharField(
        required=False,
        max_length=4000,
        help_text="Only of these conversations, by comma: which of them still fit?",
    )
    limit = serializers.IntegerField(required=False, min_value=1, max_value=200, default=50)
    offset = serializers.IntegerField(required=False, min_value=0, max_value=10_000, default=0)


class PartyOutput(serializers.Serializer[Any]):
    """Somebody or something with a name."""

    id = serializers.UUIDField()
    name = serializers.CharField(allow_blank=True)


class CustomerShortOutput(PartyOutput):
    """The customer."""

    verified = serializers.BooleanField(help_text="The company's server vouches for them.")


class LineOutput(serializers.Serializer[Any]):
    """The last message."""

    author = serializers.CharField()
    body = serializers.CharField(allow_blank=True)
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField()


class InboxRowOutput(serializers.Serializer[Any]):
    """A line of the inbox."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(Conversation.Status.values)
    origin = serializers.CharField()
    visitor = CustomerShortOutput()
    channel = PartyOutput(allow_null=True)
    assignee = PartyOutput(allow_null=True)
    language = serializers.CharField(allow_blank=True)
    labels = serializers.ListField(child=serializers.CharField())
    priority = serializers.IntegerField()
    intent = serializers.CharField(allow_blank=True)
    emotion = serializers.CharField(allow_blank=True)
    anger = serializers.FloatField()
    last_sequence = serializers.IntegerField()
    people_read = serializers.IntegerField()
    visitor_read = serializers.IntegerField()
    last_message = LineOutput(allow_null=True)
    last_message_at = serializers.DateTimeField(allow_null=True)
    waiting_since = serializers.DateTimeField(allow_null=True)
    hand_off_reason = serializers.CharField(allow_blank=True)
    sla_due_at = serializers.DateTimeField(allow_null=True)
    sla_missed_at = serializers.DateTimeField(allow_null=True)
    csat = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class InboxCountsOutput(serializers.Serializer[Any]):
    """How many conversations there are of each kind."""

    mine = serializers.IntegerField()
    waiting = serializers.IntegerField()
    open = serializers.IntegerField()
    assistant = serializers.IntegerField()
    overdue = serializers.IntegerField()


class InboxOutput(serializers.Serializer[Any]):
    """A part of the list."""

    results = InboxRowOutput(many=True)
    total = serializers.IntegerField()
    counts = InboxCountsOutput()


class ProposedReplyOutput(serializers.Serializer[Any]):
    """A reply that the assistant proposes."""

    id = serializers.UUIDField()
    question = serializers.UUIDField(help_text="The customer's message that it answers.")
    body = serializers.CharField()
    citations = serializers.ListField(child=serializers.DictField())
    outcome = serializers.CharField()
    created_at = serializers.DateTimeField()


class ReplyInput(serializers.Serializer[Any]):
    """What an agent writes."""

    body = serializers.CharField(
        max_length=AGENT_LIMIT, allow_blank=True, trim_whitespace=False, required=False, default=""
    )
    note = serializers.BooleanField(required=False, default=False, help_text="Seen by agents only.")
    client_id = serializers.CharField(
        required=False,
        max_length=64,
        default="",
        allow_blank=True,
        help_text="Your own id of it: sent again, it is stored once.",
    )
    attachments = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=10, default=list
    )
    suggestion = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="The proposal that it began as."
    )


class FileInput(serializers.Serializer[Any]):
    """A file."""

    file = serializers.FileField()


class FileOutput(serializers.Serializer[Any]):
    """A file that waits for its message; `url` opens for an hour."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    type = serializers.CharField()
    size = serializers.IntegerField()
    url = serializers.CharField()


class AssignInput(serializers.Serializer[Any]):
    """Who is to have it."""

    member = serializers.CharField(
        max_length=36, help_text='The id of a membership, "me", or "none": back into the queue.'
    )
    note = serializers.CharField(
        max_length=AGENT_LIMIT,
        required=False,
        default="",
        allow_blank=True,
        help_text="A word for them; agents only.",
    )


class StatusInput(serializers.Serializer[Any]):
    """What becomes of it."""

    status = serializers.ChoiceField(
        ["resolved", "assistant", "open"], help_text='"open" reopens a resolved conversation.'
    )


class LabelsInput(serializers.Serializer[Any]):
    """Exactly these labels."""

    labels = serializers.ListField(child=serializers.CharField(max_length=60), max_length=20)


class PriorityInput(serializers.Serializer[Any]):
    """How urgent."""

    priority = serializers.IntegerField(min_value=0, max_value=3)


class ReadInput(serializers.Serializer[Any]):
    """Up to which message."""

    sequence = serializers.IntegerField(min_value=0, max_value=2_000_000_000)


class PresenceInput(serializers.Serializer[Any]):
    """Whether new conversations may come; left out, only that somebody still sits there."""

    presence = serializers.ChoiceField(AgentProfile.Presence.values, required=False)


class AgentInput(serializers.Serializer[Any]):
    """How many conversations at a time, and what they are good at."""

    capacity = serializers.IntegerField(min_value=0, max_value=100)
    skills = serializers.ListField(
        child=serializers.CharField(max_length=130),
        max_length=100,
        help_text='Languages ("zh") and intents ("intent:refund").',
    )


class AgentOutput(serializers.Serializer[Any]):
    """Somebody who answers."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    presence = serializers.ChoiceField(AgentProfile.Presence.values)
    seen_at = serializers.DateTimeField(allow_null=True)
    capacity = serializers.IntegerField()
    skills = serializers.ListField(child=serializers.CharField())
    load = serializers.IntegerField(help_text="Conversations they have now.")


class AgentListOutput(serializers.Serializer[Any]):
    """Everybody who answers."""

    results = AgentOutput(many=True)


class LabelInput(serializers.Serializer[Any]):
    """A label."""

    name = serializers.CharField(max_length=60)
    colour = serializers.RegexField(r"\A#[0-9a-fA-F]{6}\Z", required=False, default="#6b7280")


class LabelOutput(serializers.ModelSerializer[ConversationLabel]):
    """A label."""

    class Meta:
        model = ConversationLabel
        fields = ["id", "name", "colour"]


class CannedInput(serializers.Serializer[Any]):
    """A text under a short name."""

    short = serializers.CharField(max_length=40)
    bodies = serializers.DictField(
        child=serializers.CharField(max_length=4000, allow_blank=True),
        help_text='By language: {"en": …, "zh": …}. {customer} and {agent} stand for names.',
    )


class CannedOutput(serializers.ModelSerializer[CannedReply]):
    """A canned reply."""

    class Meta:
        model = CannedReply
        fields = ["id", "short", "bodies"]


class MacroInput(serializers.Serializer[Any]):
    """Several steps under a name."""

    name = serializers.CharField(max_length=80)
    steps = serializers.ListField(child=serializers.DictField(), max_length=10)


class MacroOutput(serializers.ModelSerializer[Macro]):
    """A macro."""

    class Meta:
        model = Macro
        fields = ["id", "name", "steps"]


class ViewInput(serializers.Serializer[Any]):
    """Filters under a name."""

    name = serializers.CharField(max_length=80)
    filters = serializers.DictField()
    shared = serializers.BooleanField(required=False, default=False, help_text="For everybody.")


class ViewOutput(serializers.ModelSerializer[SavedView]):
    """A saved view."""

    shared = serializers.SerializerMethodField()

    class Meta:
        model = SavedView
        fields = ["id", "name", "filters", "shared"]

    def get_shared(self, row: SavedView) -> bool:
        """Everybody's, not a member's own."""
        return row.member_id is None


class SlaInput(serializers.Serializer[Any]):
    """How soon people answer, and what happens when they do not."""

    first_reply_seconds = serializers.IntegerField(min_value=1, max_value=2_592_000)
    next_reply_seconds = serializers.IntegerField(min_value=1, max_value=2_592_000)
    business_hours_only = serializers.BooleanField()
    escalation = serializers.ListField(
        child=serializers.DictField(),
        max_length=10,
        help_text='[{"after_seconds": 0, "do": "notify|reassign|priority", "role": "manager"}]',
    )


class SlaOutput(serializers.ModelSerializer[SlaPolicy]):
    """The policy."""

    class Meta:
        model = SlaPolicy
        fields = [
            "first_reply_seconds", "next_reply_seconds", "business_hours_only", "escalation",
            "updated_at",
        ]  # fmt: skip


class EraseInput(serializers.Serializer[Any]):
    """A confirmation."""

    confirm = serializers.CharField(max_length=200, help_text="The customer's id.")


class EraseOutput(serializers.Serializer[Any]):
    """How many rows of what went."""

    conversations = serializers.IntegerField()
    messages = serializers.IntegerField()
    files = serializers.IntegerField()
    unanswered_questions = serializers.IntegerField()
    action_calls = serializers.IntegerField()
    examples = serializers.IntegerField(help_text="Rows of data sets, to train on.")


class InsightFilter(serializers.Serializer[Any]):
    """Conversations that began in a range of time."""

    since = serializers.DateTimeField(required=False, help_text="Default: a day before `until`.")
    until = serializers.DateTimeField(required=False, help_text="Default: now.")
    channel = serializers.UUIDField(required=False)


class FigureFilter(InsightFilter):
    """The conversations behind a figure."""

    figure = serializers.ChoiceField(FIGURES, required=False)
    value = serializers.CharField(
        required=False,
        max_length=120,
        default="",
        allow_blank=True,
        help_text="Of the figures intent, emotion and agent.",
    )


class InsightFiguresOutput(serializers.Serializer[Any]):
    """The numbers; null where there is nothing to count. Durations in seconds."""

    conversations = serializers.IntegerField()
    ended = serializers.IntegerField()
    contained = serializers.IntegerField()
    containment = serializers.FloatField(allow_null=True)
    handed_off = serializers.IntegerField()
    first_reply_median = serializers.FloatField(allow_null=True)
    first_reply_most = serializers.FloatField(allow_null=True, help_text="90th percentile.")
    resolution_median = serializers.FloatField(allow_null=True)
    resolution_most = serializers.FloatField(allow_null=True, help_text="90th percentile.")
    csat = serializers.FloatField(allow_null=True)
    rated = serializers.IntegerField()
    missed = serializers.IntegerField()
    unanswered = serializers.IntegerField()


class InsightNowOutput(serializers.Serializer[Any]):
    """What goes on at this moment."""

    waiting = serializers.IntegerField()
    assigned = serializers.IntegerField()
    assistant = serializers.IntegerField()
    overdue = serializers.IntegerField(help_text="Of those with people: not answered in time.")
    angry = serializers.IntegerField(help_text="Of those with people.")
    oldest = serializers.DateTimeField(
        allow_null=True, help_text="Since when the customer who has waited longest waits."
    )
    longest_wait = serializers.FloatField(allow_null=True, help_text="The same in seconds.")


class InsightClusterOutput(serializers.Serializer[Any]):
    """Questions that mean the same, had no answer, and nobody has dealt with."""

    cluster = serializers.UUIDField()
    title = serializers.CharField()
    questions = serializers.IntegerField()
    last_asked_at = serializers.DateTimeField()


class InsightOutput(serializers.Serializer[Any]):
    """Is it helping?"""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    figures = InsightFiguresOutput()
    trend = serializers.ListField(child=serializers.DictField())
    intents = serializers.ListField(child=serializers.DictField())
    agents = serializers.ListField(child=serializers.DictField())
    unanswered = InsightClusterOutput(many=True)
    now = InsightNowOutput()
