"""What was said, in order, and what was done about it."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models.channels import Channel, Visitor
from rootstock.tenancy.models import Membership, TenantModel


class Emotion(models.TextChoices):
    """How a customer feels, worst first."""

    ANGER = "anger", _("Angry")
    SADNESS = "sadness", _("Sad")
    NEUTRAL = "neutral", _("Neutral")
    JOY = "joy", _("Happy")


class Conversation(TenantModel):
    """One visitor's talk with the assistant and with people."""

    class Status(models.TextChoices):
        """Who has it."""

        ASSISTANT = "assistant", _("With the assistant")
        WAITING = "waiting", _("Waiting for somebody")
        ASSIGNED = "assigned", _("With somebody")
        RESOLVED = "resolved", _("Resolved")

    class Origin(models.TextChoices):
        """How it came here."""

        WIDGET = "widget", _("Widget")
        API = "api", _("REST")
        IMPORT = "import", _("Imported")
        SIMULATOR = "simulator", _("Simulator")

    channel = models.ForeignKey(
        Channel, on_delete=models.SET_NULL, null=True, related_name="conversations"
    )
    visitor = models.ForeignKey(Visitor, on_delete=models.CASCADE, related_name="conversations")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ASSISTANT)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.WIDGET)
    # Of an import: the company's own number of it.
    external_id = models.CharField(max_length=200, blank=True)
    assignee = models.ForeignKey(
        Membership, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    language = models.CharField(max_length=10, blank=True)
    # Title of the page it began on, and where that is.
    page_title = models.CharField(max_length=300, blank=True)
    page_url = models.CharField(max_length=2000, blank=True)
    labels = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    # 0 none, 3 urgent
    priority = models.PositiveSmallIntegerField(default=0)
    # Number of the last message, and of the last that each side has read.
    last_sequence = models.PositiveIntegerField(default=0)
    visitor_read = models.PositiveIntegerField(default=0)
    people_read = models.PositiveIntegerField(default=0)
    # Up to which visitor message nothing is owed: answered by the assistant or a person, or stopped.
    answered_sequence = models.PositiveIntegerField(default=0)
    last_message_at = models.DateTimeField(null=True)
    # Since when a visitor's message has had no answer of a person; null while none is owed.
    waiting_since = models.DateTimeField(null=True)
    emotion = models.CharField(max_length=8, choices=Emotion.choices, blank=True)
    # Exponentially weighted share of anger over the visitor's messages, 0 to 1.
    anger = models.FloatField(default=0.0)
    intent = models.CharField(max_length=120, blank=True)
    # Answers in a row that did not help.
    unhelped = models.PositiveSmallIntegerField(default=0)
    hand_off_reason = models.CharField(max_length=40, blank=True)
    hand_off_at = models.DateTimeField(null=True)
    summary = models.TextField(blank=True)
    first_reply_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    # Nobody but the assistant answered: known when it is resolved.
    contained = models.BooleanField(null=True)
    csat = models.PositiveSmallIntegerField(null=True)
    csat_comment = models.TextField(blank=True)
    sla_due_at = models.DateTimeField(null=True)
    sla_missed_at = models.DateTimeField(null=True)
    # Which step of the escalation has been taken.
    sla_step = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "external_id"],
                condition=~models.Q(external_id=""),
                name="service_conversation_external",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation", "status", "-last_message_at"], name="service_inbox"
            ),
            models.Index(
                fields=["organisation", "assignee", "status"], name="service_conv_assignee"
            ),
            models.Index(fields=["visitor", "-last_message_at"], name="service_conv_visitor"),
            models.Index(
                fields=["organisation", "sla_due_at"],
                condition=models.Q(sla_due_at__isnull=False),
                name="service_conv_sla",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.visitor_id} {self.status}"


class Message(TenantModel):
    """One line of a conversation. Its text never changes once it is `done`."""

    class Author(models.TextChoices):
        """Who said it."""

        VISITOR = "visitor", _("Visitor")
        ASSISTANT = "assistant", _("Assistant")
        AGENT = "agent", _("Agent")
        SYSTEM = "system", _("System")
        # Of an agent to other agents: never shown to a visitor.
        NOTE = "note", _("Note")

    class State(models.TextChoices):
        """How far it is."""

        STREAMING = "streaming", _("Being written")
        DONE = "done", _("Done")
        STOPPED = "stopped", _("Stopped")
        FAILED = "failed", _("Failed")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages"
    )
    # From 1, without a gap, in the order in which they were taken.
    sequence = models.PositiveIntegerField()
    author = models.CharField(max_length=10, choices=Author.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DONE)
    body = models.TextField(blank=True)
    # Of a reply: how many workers have begun to write it; the pieces of an earlier one no longer count.
    attempt = models.PositiveSmallIntegerField(default=0)
    # The sender's own id: sent again, it is stored once.
    client_id = models.CharField(max_length=64, blank=True)
    # The visitor's message that this answers.
    in_reply_to = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="replies"
    )
    member = models.ForeignKey(
        Membership, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    language = models.CharField(max_length=10, blank=True)
    # [{"number": 1, "passage": id, "document": id, "title", "url", "page", "heading", "quote"}]
    citations = models.JSONField(default=list, blank=True)
    # Buttons under it: [{"label", "value"}]; {"kind": "hand-off|confirm|csat"} and the like beside them.
    choices = models.JSONField(default=list, blank=True)
    # Of a visitor's message: language, intent, emotion. Of a reply: every step with its result and seconds.
    trace = models.JSONField(default=dict, blank=True)
    # "template", "composed", "generated", "flow", "none"
    kind = models.CharField(max_length=12, blank=True)
    # 1 helped, -1 did not
    thumb = models.SmallIntegerField(null=True)
    thumb_comment = models.TextField(blank=True)
    # A suggestion that an agent sent as it was, or changed.
    suggestion = models.ForeignKey(
        "Suggestion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation", "sequence"], name="service_message_order"
            ),
            models.UniqueConstraint(
                fields=["conversation", "client_id"],
                condition=~models.Q(client_id=""),
                name="service_message_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "-created_at"], name="service_message_time"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.author}"


class Attachment(TenantModel):
    """A file that came with a message: its type checked, images written anew, kept under a name of our own."""

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="attachments"
    )
    # Null while it is uploaded and not yet sent.
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, null=True, blank=True, related_name="attachments"
    )
    name = models.CharField(max_length=200)
    content_type = models.CharField(max_length=100)
    size = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    # Below the media directory.
    path = models.CharField(max_length=300)

    class Meta:
        indexes = [models.Index(fields=["conversation"], name="service_attachment_conv")]

    def __str__(self) -> str:
        return self.name


class ConversationEntry(TenantModel):
    """One line of a conversation's log: written once, never changed."""

    class Kind(models.TextChoices):
        """What happened."""

        OPENED = "opened", _("Opened")
        HANDED_OFF = "handed-off", _("Handed over to people")
        ASSIGNED = "assigned", _("Assigned")
        TRANSFERRED = "transferred", _("Transferred")
        RETURNED = "returned", _("Given back to the assistant")
        RESOLVED = "resolved", _("Resolved")
        REOPENED = "reopened", _("Reopened")
        LABELLED = "labelled", _("Labels changed")
        PRIORITY = "priority", _("Priority changed")
        SLA_MISSED = "sla-missed", _("Not answered in time")
        ESCALATED = "escalated", _("Escalated")
        RATED = "rated", _("Rated")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.DO_NOTHING, related_name="entries", db_constraint=False
    )
    kind = models.CharField(max_length=12, choices=Kind.choices)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["organisation", "conversation", "id"], name="service_log")]
        verbose_name_plural = "conversation entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.conversation_id}"


class MessageWords(TenantModel):
    """The words of a message, segmented, for the inbox's search."""

    message = models.OneToOneField(
        Message, on_delete=models.CASCADE, primary_key=False, related_name="words"
    )
    terms = ArrayField(models.CharField(max_length=100))

    class Meta:
        indexes = [GinIndex(fields=["terms"], name="service_message_terms")]

    def __str__(self) -> str:
        return str(self.message_id)
