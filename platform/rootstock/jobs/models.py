"""Long work, one row each: what it is, how far it is, who does it."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.models import TenantModel

TERMINAL = ("succeeded", "failed", "cancelled")


class Job(TenantModel):
    """One piece of long work.

    While it runs, `lease_token` is the worker's that runs it and `leased_until` says how long that worker may
    be silent. Nothing a worker writes counts once another has taken the lease.
    """

    class State(models.TextChoices):
        """Where it is in its life."""

        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    kind = models.CharField(max_length=80)
    title = models.CharField(max_length=200)
    params = models.JSONField(default=dict)
    queue = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    fraction = models.FloatField(default=0.0)
    phase = models.CharField(max_length=80, blank=True)
    message = models.CharField(max_length=500, blank=True)
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(blank=True)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    attempt = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    attempt_started_at = models.DateTimeField(null=True, blank=True)
    attempt_fraction = models.FloatField(default=0.0)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "state", "-id"], name="job_by_state"),
            models.Index(
                fields=["leased_until"],
                condition=models.Q(state="running"),
                name="job_lease",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(fraction__gte=0, fraction__lte=1), name="job_fraction"
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def finished(self) -> bool:
        """Whether it will never change again."""
        return self.state in TERMINAL

    @property
    def queue_seconds(self) -> float:
        """How long it waited (or has waited) for a worker."""
        return (
            (self.started_at or self.finished_at or timezone.now()) - self.created_at
        ).total_seconds()

    @property
    def run_seconds(self) -> float:
        """How long it ran, or has run, since its first start; 0 before."""
        if self.started_at is None:
            return 0.0
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def eta(self) -> timedelta | None:
        """Time left, from the speed of the present attempt; None while that cannot be told."""
        done = self.fraction - self.attempt_fraction
        if self.state != self.State.RUNNING or self.attempt_started_at is None or done <= 0.005:
            return None
        # `updated_at` is when the fraction was written: between two reports the estimate stands still.
        took = self.updated_at - self.attempt_started_at
        return took * ((1.0 - self.fraction) / done)


class JobLine(TenantModel):
    """One line of a job's log."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="lines")
    text = models.CharField(max_length=2000)

    class Meta:
        indexes = [models.Index(fields=["job", "id"], name="job_lines")]

    def __str__(self) -> str:
        return self.text
