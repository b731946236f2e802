"""What versions said."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models

from rootstock.tenancy.models import Organisation, TenantModel
from rootstock.tenancy.scope import current_organisation_id


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
    # A shadow's answer: nobody but people who compare has seen it.
    shadow = models.BooleanField(default=False)
    # What was asked and what was answered in its place: {"text", "version", "label", "probability"}; of a shadow only.
    compared = models.JSONField(null=True, blank=True)

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

    @property
    def confidence(self) -> float | None:
        """The probability of the label."""
        return max(self.probabilities, default=None)

    def __str__(self) -> str:
        return f"{self.subject_type} {self.subject_id}: {self.label}"
