"""What a model is made of and where it serves: data sets, snapshots, runs, versions, deployments, predictions."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id


class Task(models.TextChoices):
    """What a model learns; the words are those of `ml_core.training`."""

    TEXT_CLASSIFICATION = "text-classification", _("Text classification")


class Language(models.TextChoices):
    """The language of a data set's texts."""

    ENGLISH = "en", _("English")
    CHINESE = "zh", _("Chinese")
    MIXED = "mixed", _("English and Chinese")


class Split(models.TextChoices):
    """The parts of a snapshot."""

    TRAIN = "train", _("Training")
    VALIDATION = "validation", _("Validation")
    TEST = "test", _("Test")


class AuthoredModel(TenantModel):
    """A row that says who made it."""

    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)

    class Meta:
        abstract = True


class Dataset(TenantModel):
    """Texts with labels that belong to one question, and go on being edited."""

    name = models.CharField(max_length=120)
    task = models.CharField(max_length=40, choices=Task.choices, default=Task.TEXT_CLASSIFICATION)
    description = models.TextField(blank=True, max_length=2000)
    language = models.CharField(max_length=10, choices=Language.choices, default=Language.ENGLISH)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="dataset_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class DatasetExample(TenantModel):
    """One text of a data set and its label; an empty label waits for a person."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="examples")
    text = models.TextField()
    label = models.CharField(max_length=120, blank=True)
    source = models.CharField(max_length=120, blank=True)
    # SHA-256 of the text as it is: adding the same text twice is harmless.
    digest = models.BinaryField(max_length=32)
    # Hash of the text without case, punctuation and spacing: such texts stay in one part of a split.
    duplicate_key = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "dataset", "digest"], name="example_text_once"
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "dataset", "label", "id"], name="example_label"),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class LabelChange(AuthoredModel):
    """One edit of an example's label. Never changed; gone only together with its example."""

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    # The constraint is made in the migration with ON DELETE CASCADE: the application's role may not delete history.
    example = models.ForeignKey(
        DatasetExample,
        on_delete=models.DO_NOTHING,
        related_name="label_changes",
        db_constraint=False,
    )
    from_label = models.CharField(max_length=120, blank=True)
    to_label = models.CharField(max_length=120, blank=True)

    def __str__(self) -> str:
        return f"{self.from_label} → {self.to_label}"


class Snapshot(AuthoredModel):
    """A frozen copy of a data set's labelled examples, split so that no text is in two parts."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="snapshots")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)
    # Directory with train.jsonl, validation.jsonl and test.jsonl, relative to ROOTSTOCK_ARTIFACTS.
    path = models.CharField(max_length=200)
    # {"train": {"negative": 12, …}, "validation": {…}, "test": {…}}
    label_counts = models.JSONField()
    example_count = models.PositiveIntegerField()
    duplicate_groups = models.PositiveIntegerField()
    validation_fraction = models.FloatField()
    test_fraction = models.FloatField()
    seed = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "dataset", "content_hash"], name="snapshot_content_once"
            ),
            models.UniqueConstraint(
                fields=["organisation", "dataset", "number"], name="snapshot_number_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.name} #{self.number}"

    @property
    def labels(self) -> list[str]:
        """The labels that occur in the training part, sorted."""
        return sorted(self.label_counts.get(Split.TRAIN, {}))


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


class ModelVersion(AuthoredModel):
    """A trained model that can be deployed: the row that names an artefact on disk. Never changed."""

    name = models.CharField(max_length=120)
    number = models.PositiveIntegerField()
    task = models.CharField(max_length=40, choices=Task.choices)
    labels = ArrayField(models.CharField(max_length=120))
    languages = ArrayField(models.CharField(max_length=10))
    base = models.CharField(max_length=200)
    # Directory relative to ROOTSTOCK_ARTIFACTS.
    artifact_path = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    # {"validation": {…}, "test": {…}}: reports of ml_core.evaluation.
    metrics = models.JSONField(default=dict)
    card = models.TextField(blank=True)
    # Versions of the libraries and of this program that made it.
    code = models.JSONField(default=dict)
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="children"
    )
    snapshot = models.ForeignKey(
        Snapshot, null=True, blank=True, on_delete=models.PROTECT, related_name="versions"
    )
    run = models.OneToOneField(
        TrainingRun, null=True, blank=True, on_delete=models.PROTECT, related_name="version"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "name", "number"], name="version_number_once"
            ),
        ]

    def __str__(self) -> str:
        return self.label

    @property
    def label(self) -> str:
        """How people name it: "finance.sentiment v3"."""
        return f"{self.name} v{self.number}"


class Deployment(TenantModel):
    """A named slot that an application asks for predictions; it points at the version that answers."""

    name = models.CharField(max_length=120)
    task = models.CharField(max_length=40, choices=Task.choices)
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    version_id: uuid.UUID

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "name"], name="deployment_name_once"),
        ]

    def __str__(self) -> str:
        return self.name


class DeploymentChange(AuthoredModel):
    """One entry of a deployment's history. Never changed, never deleted."""

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    class Kind(models.TextChoices):
        """What happened."""

        PROMOTED = "promoted", _("Promoted")
        ROLLED_BACK = "rolled-back", _("Rolled back")

    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    from_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    to_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    forced = models.BooleanField(default=False)
    # Verdicts of the checks at that moment: [{"check", "passed", "detail", "evidence"}, …]
    checks = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.kind} {self.to_version_id}"


class Prediction(TenantModel):
    """What a version said about one thing. Partitioned by month; kept as long as the retention says.

    The version and deployment are plain ids: the log grows by many rows a second and is dropped month by month.
    """

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    organisation = models.ForeignKey(
        Organisation,
        on_delete=models.CASCADE,
        default=current_organisation_id,
        editable=False,
        related_name="+",
        db_index=False,  # every index below begins with it
    )
    deployment_id = models.UUIDField()
    version_id = models.UUIDField()
    subject_type = models.CharField(max_length=40)
    subject_id = models.UUIDField()
    label = models.CharField(max_length=120)
    # In the order of the version's labels.
    probabilities = ArrayField(models.FloatField())
    latency_ms = models.FloatField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "-id"], name="prediction_newest"),
            models.Index(
                fields=["organisation", "subject_type", "subject_id"], name="prediction_subject"
            ),
            models.Index(
                fields=["organisation", "deployment_id", "-id"], name="prediction_deployment"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject_type} {self.subject_id}: {self.label}"
