"""Data sets, their examples and the frozen copies that models are trained on."""

from __future__ import annotations

from django.db import models

from rootstock.modelhub.models.common import AuthoredModel, Language, Split, Task
from rootstock.tenancy.models import TenantModel


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
