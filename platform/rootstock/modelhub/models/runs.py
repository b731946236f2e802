"""Training runs, their curves, the files they may use and how their results compare."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models.common import AuthoredModel, Split
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
    # It begins as its parent is, labels and last layer included; otherwise only the parent's encoder is its base.
    goes_on = models.BooleanField(default=False)
    # Runs of equal value train one encoder and share it; each has a head, a data set and a version of its own.
    together = models.UUIDField(null=True, blank=True)
    # Of a search: what is tried for each option, how many trials, and what came of them.
    space = models.JSONField(default=dict)
    trial_count = models.PositiveSmallIntegerField(default=0)
    trials = models.JSONField(default=list)
    # The figure by which epochs and trials are chosen, known from the first evaluation on.
    headline = models.CharField(max_length=60, blank=True)
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
        indexes = [
            models.Index(
                fields=["organisation", "together"],
                name="runs_together",
                condition=models.Q(together__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} · {self.number}"

    @property
    def is_search(self) -> bool:
        """Whether it trains many models to find the best options."""
        return bool(self.space)

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


class TrainingFile(AuthoredModel):
    """An uploaded file that runs may name as one of their options: rules, names, synonyms, texts."""

    # The option of ml_core.training.TrainConfig that it is for.
    option = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    # Relative to ROOTSTOCK_ARTIFACTS.
    path = models.CharField(max_length=200)
    size_bytes = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.name


class Comparison(AuthoredModel):
    """Two versions on the same examples: how much better the second is, and whether chance may explain it."""

    first = models.ForeignKey("ModelVersion", on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey("ModelVersion", on_delete=models.PROTECT, related_name="+")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="comparisons")
    split = models.CharField(max_length=10, choices=Split.choices)
    count = models.PositiveIntegerField()
    # {"accuracy": {"first", "second", "difference", "low", "high", "p_value"}, …}
    differences = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "first", "second", "snapshot", "split"],
                name="comparison_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.second.label} − {self.first.label}"
