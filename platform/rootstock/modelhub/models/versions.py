"""Trained models, what was measured of them, what they must pass, and where they answer."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models.common import AuthoredModel, Split, Task
from rootstock.modelhub.models.datasets import Snapshot
from rootstock.modelhub.models.runs import TrainingRun
from rootstock.tenancy.models import TenantModel


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
    # A version that is asked as well, in the background, and whose answers only people see.
    shadow = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="shadowing"
    )
    shadow_id: uuid.UUID | None
    # Share of the answered texts that the shadow is asked about, above 0 and at most 1.
    shadow_rate = models.FloatField(default=1.0)
    shadow_since = models.DateTimeField(null=True, blank=True)
    # A version that answers a share of the texts, always the same ones, in place of `version`.
    canary = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="canary_of"
    )
    canary_id: uuid.UUID | None
    # Above 0 and below 1.
    canary_share = models.FloatField(default=0.1)
    canary_since = models.DateTimeField(null=True, blank=True)

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
        SHADOW_STARTED = "shadow-started", _("Shadow started")
        SHADOW_ENDED = "shadow-ended", _("Shadow ended")
        CANARY_STARTED = "canary-started", _("Canary started")
        CANARY_ENDED = "canary-ended", _("Canary ended")
        CANARY_ROLLED_BACK = "canary-rolled-back", _("Canary rolled back")

    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    from_version = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    # Of a shadow or canary: the version that began or ceased to be it.
    to_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    reason = models.TextField(blank=True)
    forced = models.BooleanField(default=False)
    # Verdicts of the checks at that moment, see `rootstock.modelhub.gate.Verdict.to_dict`.
    checks = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"{self.kind} {self.to_version_id}"


class Evaluation(TenantModel):
    """The report of a version on one part of a snapshot, measured after its training."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="evaluations")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="evaluations")
    split = models.CharField(max_length=10, choices=Split.choices)
    # A report of ml_core.evaluation.
    report = models.JSONField()
    seconds = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "version", "snapshot", "split"], name="evaluation_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.snapshot_id} {self.split}"


class AnswerSheet(TenantModel):
    """What a version answered for each row of one part of a snapshot; the answers are in a file.

    It belongs to the newest report of the version on that part. Reports that were made before answers were kept, and
    of tasks without an answer a row, have none.
    """

    version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="answer_sheets"
    )
    version_id: uuid.UUID
    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="answer_sheets")
    snapshot_id: uuid.UUID
    split = models.CharField(max_length=10, choices=Split.choices)
    # A file of ml_core.evaluation.Answers, relative to ROOTSTOCK_ARTIFACTS and named by its hash.
    path = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "version", "snapshot", "split"], name="answer_sheet_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.snapshot_id} {self.split}"


class GatePolicy(TenantModel):
    """What a deployment asks of a version: which checks are made and within which limits."""

    # A name, not a row: it can be set before anything is deployed.
    deployment = models.CharField(max_length=120)
    # {"quality": {"enabled": true, "limits": {"allowed_loss_points": 1.0}}, …}; what is left out has its default.
    checks = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "deployment"], name="gate_policy_once"),
        ]

    def __str__(self) -> str:
        return self.deployment


class GateReport(AuthoredModel):
    """What the checks found of a version on its way to a deployment. Never changed."""

    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="gate_reports")
    deployment = models.CharField(max_length=120)
    # What was deployed then, and what it was compared with.
    current = models.ForeignKey(
        ModelVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    current_id: uuid.UUID | None
    # The whole policy of that moment, see `rootstock.modelhub.gate.effective_policy`.
    policy = models.JSONField(default=dict)
    verdicts = models.JSONField(default=list)
    passed = models.BooleanField()
    # Every verdict that did not pass may be overruled with a reason.
    can_be_forced = models.BooleanField()

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "version", "deployment", "-id"], name="gate_report_newest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.deployment}"
