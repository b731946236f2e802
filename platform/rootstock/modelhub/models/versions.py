"""Trained models, and where they answer."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models.common import AuthoredModel, Task
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
