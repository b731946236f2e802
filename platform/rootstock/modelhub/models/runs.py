"""Training runs and their curves."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models.common import AuthoredModel
from rootstock.modelhub.models.datasets import Snapshot
from rootstock.tenancy.models import TenantModel


class TrainingRun(AuthoredModel):
    """One training of a model on a snapshot: its settings, its course and what came of it."""

    class State(models.TextChoices):
        """Mirrors the state of the run's job; kept here so that the run outlives the job's row."""

        QUEUED = "queued", _("Queued")
        RUNNING = "running", _("Running")
        SUCCEEDED = "succeeded", _("Succeeded")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})

    name = models.CharField(max_length=120)
    number = models.PositiveIntegerField()
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="runs")
    # Keys are options of ml_core.training.TrainConfig.
    config = models.JSONField(default=dict)
    parent = models.ForeignKey(
        "ModelVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="child_runs"
    )
    job = models.ForeignKey(
        "jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    phase = models.CharField(max_length=40, blank=True)
    fraction = models.FloatField(default=0.0)
    eta_seconds = models.FloatField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    error_code = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    log = models.TextField(blank=True)
    peak_memory_mb = models.PositiveIntegerField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="run_number_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.number}"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.current_state in self.ENDED

    @property
    def current_state(self) -> str:
        """Its state; that of its job when the job ended without a worker that could have told the run."""
        if self.state not in self.ENDED and self.job is not None and self.job.finished:
            return self.job.state
        return self.state

    @property
    def current_state_label(self) -> str:
        """The state in words."""
        return str(self.State(self.current_state).label)

    @property
    def current_error(self) -> str:
        """Why it failed, in words."""
        return self.error or (self.job.error if self.job is not None else "")


class TrainingPoint(TenantModel):
    """One point of a run's curve: the training loss at a step, or the metrics of an evaluation."""

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    run = models.ForeignKey(TrainingRun, on_delete=models.CASCADE, related_name="points")
    step = models.PositiveIntegerField()
    epoch = models.FloatField(default=0.0)
    loss = models.FloatField(null=True, blank=True)
    metrics = models.JSONField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["organisation", "run", "id"], name="point_of_run")]

    def __str__(self) -> str:
        return f"step {self.step}"
