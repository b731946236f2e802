"""The tools of the people who answer."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models.conversations import Conversation, Message
from rootstock.tenancy.models import Membership, TenantModel


class AgentProfile(TenantModel):
    """A member who answers conversations: when, how many at a time, about what."""

    class Presence(models.TextChoices):
        """Whether new conversations may come."""

        ONLINE = "online", _("Online")
        BUSY = "busy", _("Busy")
        OFFLINE = "offline", _("Offline")

    member = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="+")
    presence = models.CharField(max_length=8, choices=Presence.choices, default=Presence.OFFLINE)
    seen_at = models.DateTimeField(null=True)
    capacity = models.PositiveSmallIntegerField(default=5)
    # Languages ("zh") and intents ("intent:refund") that they are good at.
    skills = ArrayField(models.CharField(max_length=130), default=list, blank=True)
    # When a conversation was last assigned: whose turn it is.
    assigned_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.member_id)


class ConversationLabel(TenantModel):
    """A word that conversations can be sorted by."""

    name = models.CharField(max_length=60)
    colour = models.CharField(max_length=7, default="#6b7280")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="service_label_name"),
        ]

    def __str__(self) -> str:
        return self.name


class CannedReply(TenantModel):
    """A text that agents insert by typing "/" and its short name."""

    short = models.CharField(max_length=40)
    bodies = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "short"], name="service_canned_short"),
        ]

    def __str__(self) -> str:
        return self.short


class Macro(TenantModel):
    """Several steps at one key: [{"do": "reply|note|label|priority|assign|resolve|return", …}]."""

    name = models.CharField(max_length=80)
    steps = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="service_macro_name"),
        ]

    def __str__(self) -> str:
        return self.name


class SlaPolicy(TenantModel):
    """How soon people answer, and what happens when they do not. One row an organisation."""

    first_reply_seconds = models.PositiveIntegerField(default=300)
    next_reply_seconds = models.PositiveIntegerField(default=900)
    # Timers stand still outside of the channel's business hours.
    business_hours_only = models.BooleanField(default=True)
    # [{"after_seconds": 0, "do": "notify|reassign|priority", "role": "manager"}], from the missed time on
    escalation = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organisation"], name="service_sla_once")]

    def __str__(self) -> str:
        return f"{self.first_reply_seconds}/{self.next_reply_seconds} s"


class Suggestion(TenantModel):
    """A reply that the assistant proposed to an agent, and what became of it."""

    class Outcome(models.TextChoices):
        """What the agent did."""

        SHOWN = "shown", _("Shown")
        ACCEPTED = "accepted", _("Sent as it was")
        EDITED = "edited", _("Sent after changes")
        DISMISSED = "dismissed", _("Dismissed")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="suggestions"
    )
    # The visitor's message that it answers.
    question = models.ForeignKey(Message, on_delete=models.CASCADE, related_name="+")
    body = models.TextField()
    citations = models.JSONField(default=list, blank=True)
    trace = models.JSONField(default=dict, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.SHOWN)
    sent_body = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.outcome} {self.body[:40]}"


class SavedView(TenantModel):
    """Filters of the inbox under a name; of one member, or of all."""

    name = models.CharField(max_length=80)
    member = models.ForeignKey(
        Membership, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    filters = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name


class MinedPair(TenantModel):
    """A question of a customer and the best answer to it, found in dialogues, waiting for somebody's word."""

    class State(models.TextChoices):
        """What somebody made of it."""

        PROPOSED = "proposed", _("Proposed")
        ACCEPTED = "accepted", _("Taken over")
        REJECTED = "rejected", _("Rejected")

    question = models.TextField()
    reply = models.TextField()
    language = models.CharField(max_length=10, blank=True)
    # 0 to 1: resolved, well rated, edited by an agent, asked often.
    score = models.FloatField()
    # Which of these it was, in words for the page.
    reasons = models.JSONField(default=list)
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="mined_pairs"
    )
    # The intent given or proposed; questions of a kind share it.
    intent = models.CharField(max_length=120, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    # Of intent, question and reply, normalised: found twice, it is kept once.
    digest = models.CharField(max_length=64)
    # In how many dialogues it was found, and other ways in which it was asked there.
    support = models.PositiveIntegerField(default=1)
    variants = models.JSONField(default=list, blank=True)
    # Somebody changed it: what is found later does not.
    edited = models.BooleanField(default=False)
    # The prepared answer that it became part of.
    answer = models.ForeignKey(
        "Answer", on_delete=models.SET_NULL, null=True, blank=True, related_name="mined_pairs"
    )
    decided_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "digest"], name="service_pair_once"),
        ]
        indexes = [
            models.Index(fields=["organisation", "state", "-score"], name="service_pair_score"),
        ]

    def __str__(self) -> str:
        return self.question[:60]
