"""Data sets, their examples and the frozen copies that models are trained on."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

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
    """One row of a data set; one without its answer (`labelled`) waits for a person."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="examples")
    # The row as `ml_core.data` describes it for the data set's task.
    content = models.JSONField(default=dict)
    # The other columns of where it came from, one plain value each: what is sliced and grouped by.
    metadata = models.JSONField(default=dict)
    # What a person is shown and searches in.
    text = models.TextField()
    # The single label of tasks that have one, else empty.
    label = models.CharField(max_length=120, blank=True)
    labelled = models.BooleanField(default=False)
    source = models.CharField(max_length=120, blank=True)
    # What predictions were logged about, where the row comes from an application: its label is compared with them.
    subject_type = models.CharField(max_length=40, blank=True)
    subject_id = models.UUIDField(null=True, blank=True)
    # How unsure a model is about it; set by active learning, higher is asked first.
    uncertainty = models.FloatField(null=True, blank=True)
    # SHA-256 of what makes it the same row (a text as it is): adding it twice is harmless.
    digest = models.BinaryField(max_length=32)
    # Hash of what is asked without case, punctuation and spacing: such rows stay in one part of a split.
    duplicate_key = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "dataset", "digest"], name="example_text_once"
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "dataset", "label", "id"], name="example_label"),
            models.Index(
                fields=["organisation", "dataset", "labelled", "id"], name="example_labelled"
            ),
            models.Index(
                fields=["organisation", "dataset", "-uncertainty"],
                name="example_uncertainty",
                condition=models.Q(uncertainty__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class DatasetItem(TenantModel):
    """The text of an item that the sequences of a next-item data set name."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="items")
    key = models.CharField(max_length=200)
    text = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "dataset", "key"], name="dataset_item_once"
            ),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class DatasetImport(AuthoredModel):
    """One file that was imported and what became of its rows; the refused ones can be downloaded."""

    class Kind(models.TextChoices):
        """What the file holds."""

        ROWS = "rows", _("Rows")
        ITEMS = "items", _("Item texts")

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.ROWS)
    file_name = models.CharField(max_length=200)
    # Where the file waits until it is read, below ROOTSTOCK_ARTIFACTS; removed afterwards.
    path = models.CharField(max_length=200, blank=True)
    # {"columns": {"text": "headline"}}
    options = models.JSONField(default=dict)
    job = models.ForeignKey(
        "jobs.Job", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    rows = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    unlabelled = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    # The first of them: [{"line", "column", "detail"}]; all are in the file at `refused_path`.
    problems = models.JSONField(default=list)
    conflicts = models.JSONField(default=list)
    refused_path = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.file_name


class DatasetSource(AuthoredModel):
    """Rows of an application that a data set is filled from, and how far it has been read."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="sources")
    # The name under which the application registered it: "finance.documents".
    key = models.CharField(max_length=60)
    # What the application said after the last row: where the next pull begins.
    cursor = models.CharField(max_length=200, blank=True)
    pulled_at = models.DateTimeField(null=True, blank=True)
    added = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "dataset", "key"], name="dataset_source_once"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class LabelChange(AuthoredModel):
    """One edit of an example's answer. Never changed; gone only together with its example."""

    class Reason(models.TextChoices):
        """How it came about."""

        EDIT = "edit", _("Edited")
        ANNOTATION = "annotation", _("Annotated")
        ADJUDICATION = "adjudication", _("Decided")
        UNDO = "undo", _("Undone")

    updated_at = None  # type: ignore[assignment]  # nothing is ever updated

    # The constraint is made in the migration with ON DELETE CASCADE: the application's role may not delete history.
    example = models.ForeignKey(
        DatasetExample,
        on_delete=models.DO_NOTHING,
        related_name="label_changes",
        db_constraint=False,
    )
    # The single label, where the task has one.
    from_label = models.CharField(max_length=120, blank=True)
    to_label = models.CharField(max_length=120, blank=True)
    # The answer's keys of the content, such as {"labels": ["a", "b"]}; {} for none.
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.CharField(max_length=12, choices=Reason.choices, default=Reason.EDIT)

    def __str__(self) -> str:
        return f"{self.from_label} → {self.to_label}"


class Snapshot(AuthoredModel):
    """A frozen copy of a data set's usable examples, split so that no text is in two parts."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="snapshots")
    number = models.PositiveIntegerField()
    content_hash = models.CharField(max_length=64)
    # Directory with train.jsonl, validation.jsonl and test.jsonl, relative to ROOTSTOCK_ARTIFACTS.
    path = models.CharField(max_length=200)
    # {"train": {"negative": 12, …}, "validation": {…}, "test": {…}}; of entities their kinds.
    label_counts = models.JSONField()
    # {"train": 800, "validation": 100, "test": 100}
    split_counts = models.JSONField(default=dict)
    example_count = models.PositiveIntegerField()
    # Groups of examples that are never divided, and how many of them have more than one example.
    duplicate_groups = models.PositiveIntegerField()
    groups_kept_together = models.PositiveIntegerField(default=0)
    # Texts at least this similar (Jaccard) are one group; 1: only those equal but for case and punctuation.
    near_duplicates = models.FloatField(default=1.0)
    # The metadata column that is kept together as well.
    group_by = models.CharField(max_length=120, blank=True)
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
