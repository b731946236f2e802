"""Guided self-service: what is asked, what is done at the company's own system, and who went through it."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models.conversations import Conversation
from rootstock.common.secrets import EncryptedTextField
from rootstock.tenancy.models import TenantModel


class BusinessAction(TenantModel):
    """A signed call to the company's own system: order status, a refund."""

    name = models.CharField(max_length=80)
    description = models.CharField(max_length=500, blank=True)
    url = models.CharField(max_length=2000)
    secret = EncryptedTextField(default="")
    # After a rotation calls are signed with the former one as well for a day.
    old_secret = EncryptedTextField(default="", blank=True)
    old_secret_until = models.DateTimeField(null=True, blank=True)
    timeout_seconds = models.PositiveSmallIntegerField(default=5)
    # Something changes by it: it is asked for confirmation and never called twice.
    changes_something = models.BooleanField(default=True)
    # {"order_number": {"type": "string", "description": …}}; what is sent, and what comes back.
    parameters = models.JSONField(default=dict, blank=True)
    results = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="service_action_name"),
        ]

    def __str__(self) -> str:
        return self.name


class Flow(TenantModel):
    """Steps that settle one kind of request."""

    name = models.CharField(max_length=120)
    # The intents that begin it, and words that do.
    intents = models.JSONField(default=list, blank=True)
    phrases = models.JSONField(default=list, blank=True)
    # An intent begins it from this calibrated probability on.
    threshold = models.FloatField(default=0.6)
    enabled = models.BooleanField(default=False)
    # The version that visitors get.
    live = models.ForeignKey(
        "FlowVersion", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="service_flow_name"),
        ]

    def __str__(self) -> str:
        return self.name


class FlowVersion(TenantModel):
    """A definition as it was saved; checked, never changed. Its form is told by `services.flows`."""

    flow = models.ForeignKey(Flow, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    definition = models.JSONField()
    actor_label = models.CharField(max_length=200)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["flow", "number"], name="service_flow_version"),
        ]

    def __str__(self) -> str:
        return f"{self.flow_id} v{self.number}"


class FlowRun(TenantModel):
    """A conversation inside a flow."""

    class State(models.TextChoices):
        """How it stands."""

        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        CANCELLED = "cancelled", _("Cancelled")
        LEFT = "left", _("Left for an answer")
        HANDED_OFF = "handed-off", _("Handed over to people")
        FAILED = "failed", _("Failed")

    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="flow_runs"
    )
    version = models.ForeignKey(FlowVersion, on_delete=models.CASCADE, related_name="runs")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    step = models.CharField(max_length=80, blank=True)
    slots = models.JSONField(default=dict)
    # How often the open question was not understood.
    misses = models.PositiveSmallIntegerField(default=0)
    # The rest of `services.flows.engine.FlowState`, and the call that is awaited.
    memory = models.JSONField(default=dict)
    # The visitor's message that was taken last, and what came of it: a worker that tries again says the same.
    taken = models.UUIDField(null=True)
    reply = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"],
                condition=models.Q(state="running"),
                name="service_flow_running_once",
            ),
        ]
        indexes = [models.Index(fields=["version", "state"], name="service_flow_runs")]

    def __str__(self) -> str:
        return f"{self.conversation_id} {self.state}"


class ActionCall(TenantModel):
    """One call of a business action: what was sent, what came back."""

    class State(models.TextChoices):
        """How it went."""

        CALLING = "calling", _("Being called")
        DONE = "done", _("Done")
        REFUSED = "refused", _("Refused")
        FAILED = "failed", _("Failed")
        # Sent, and nobody knows whether it arrived.
        UNKNOWN = "unknown", _("Unknown")

    action = models.ForeignKey(BusinessAction, on_delete=models.CASCADE, related_name="calls")
    run = models.ForeignKey(FlowRun, on_delete=models.SET_NULL, null=True, related_name="calls")
    # Sent as Idempotency-Key: the company's system does it once.
    key = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State.choices, default=State.CALLING)
    sent = models.JSONField(default=dict)
    received = models.JSONField(default=dict)
    http_status = models.PositiveSmallIntegerField(null=True)
    problem = models.CharField(max_length=500, blank=True)
    # Of all its tries together.
    milliseconds = models.PositiveIntegerField(null=True)
    tries = models.PositiveSmallIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "key"], name="service_call_once"),
        ]
        indexes = [models.Index(fields=["organisation", "-id"], name="service_calls_newest")]

    def __str__(self) -> str:
        return f"{self.action_id} {self.state}"
