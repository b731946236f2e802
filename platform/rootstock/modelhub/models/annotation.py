"""Annotation: who is asked about which examples, what they said, and what was decided."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from rootstock.modelhub.models.common import AuthoredModel
from rootstock.modelhub.models.datasets import Dataset, DatasetExample


class AnnotationQueue(AuthoredModel):
    """Examples of a data set that people are asked about, one at a time."""

    class Order(models.TextChoices):
        """Which example comes first."""

        OLDEST = "oldest", _("Oldest first")
        UNCERTAINTY = "uncertainty", _("Most uncertain first")
        RANDOM = "random", _("Random")

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="queues")
    name = models.CharField(max_length=120)
    instructions = models.TextField(blank=True, max_length=10_000)
    # How many people see each example.
    overlap = models.PositiveSmallIntegerField(default=1)
    order = models.CharField(max_length=12, choices=Order.choices, default=Order.OLDEST)
    # What can be chosen; empty: the labels that the data set has.
    choices = models.JSONField(default=list)
    # The name of the deployment that is asked for suggestions; empty: nobody.
    deployment = models.CharField(max_length=120, blank=True)
    # Whether examples that have an answer are asked about as well.
    include_labelled = models.BooleanField(default=False)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "dataset", "name"], name="queue_name_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Annotation(AuthoredModel):
    """What one person said about one example of a queue; they can take it back."""

    queue = models.ForeignKey(AnnotationQueue, on_delete=models.CASCADE, related_name="annotations")
    example = models.ForeignKey(
        DatasetExample, on_delete=models.CASCADE, related_name="annotations"
    )
    # The answer's keys of the content, such as {"label": "complaint"}; {} when skipped.
    content = models.JSONField(default=dict)
    skipped = models.BooleanField(default=False)
    seconds = models.FloatField(null=True, blank=True)
    # What the model had suggested: {"content", "probability", "version"}.
    suggestion = models.JSONField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "queue", "example", "actor_kind", "actor_id"],
                name="annotation_once",
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "queue", "-created_at"], name="annotation_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label}: {self.content}"


class Decision(AuthoredModel):
    """What an example of a queue ends up as: agreed by all who saw it, or decided by one person."""

    queue = models.ForeignKey(AnnotationQueue, on_delete=models.CASCADE, related_name="decisions")
    example = models.ForeignKey(DatasetExample, on_delete=models.CASCADE, related_name="decisions")
    content = models.JSONField(default=dict)
    agreed = models.BooleanField(default=True)
    # What the example was before, for taking it back.
    before = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "queue", "example"], name="decision_once"
            ),
        ]

    def __str__(self) -> str:
        return str(self.content)
