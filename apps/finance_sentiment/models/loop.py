"""The loop: what people say of documents, which documents they are asked about, and what was learned from it."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.models.documents import Document
from apps.finance_sentiment.models.entities import Entity
from rootstock.jobs.models import Job
from rootstock.modelhub.models import GateReport, ModelVersion, Snapshot, TrainingRun
from rootstock.modelhub.models.common import AuthoredModel
from rootstock.tenancy.models import TenantModel


class Question(models.TextChoices):
    """What is asked about a document."""

    SENTIMENT = "sentiment", _("Sentiment")
    TOPIC = "topic", _("Topics")
    ENTITY = "entity", _("Sentiment towards an entity")


class LabelReason(models.TextChoices):
    """Why a document is worth a look."""

    MARGIN = "margin", _("The model wavered")
    DISAGREEMENT = "disagreement", _("Models disagree")
    DOUBTED = "doubted", _("Doubted by people")
    NOVEL = "novel", _("Unlike what was seen before")
    RANDOM = "random", _("Drawn at random")


class LabelCandidate(TenantModel):
    """A document that people are asked about, and why; one row a reason.

    Of those drawn at random, `probability` is the chance that this document had to be drawn: what people say of them
    measures the models honestly, weighted by its inverse. The others were chosen because a model is probably wrong.
    """

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="candidates")
    document_id: uuid.UUID
    reason = models.CharField(max_length=12, choices=LabelReason.choices)
    # 0 to 1 within a reason, higher first
    score = models.FloatField(default=0.0)
    probability = models.FloatField(null=True)
    # the order of asking: reasons take turns
    rank = models.FloatField(default=0.0)
    # how many people are asked
    people = models.PositiveSmallIntegerField(default=1)
    # ids of those who had nothing to say
    skipped_by = ArrayField(models.CharField(max_length=64), default=list)
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "document", "reason"], name="finance_candidate_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["organisation", "rank", "id"],
                name="finance_candidate_open",
                condition=models.Q(done_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.reason


class DocumentLabel(AuthoredModel):
    """What one person says of a document, or of one mention in it, and what the model had said.

    Never changed: who thinks again makes a new row, and the former is `withdrawn_at`. Undo withdraws the last and
    brings back the one that it replaced.
    """

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="labels")
    document_id: uuid.UUID
    # the revision that was read
    revision = models.PositiveIntegerField(default=1)
    question = models.CharField(max_length=9, choices=Question.choices)
    # of a mention its place in the title, a line feed and the body; 0 and 0 for the whole document
    start = models.PositiveIntegerField(default=0)
    end = models.PositiveIntegerField(default=0)
    surface = models.CharField(max_length=200, blank=True)
    entity = models.ForeignKey(Entity, null=True, on_delete=models.SET_NULL, related_name="labels")
    # one sentiment, or topics, the main one first; none: it is about none of them
    values = ArrayField(models.CharField(max_length=60), default=list)
    said = ArrayField(models.CharField(max_length=60), default=list)
    said_probability = models.FloatField(null=True)
    version = models.CharField(max_length=200, blank=True)
    version_ref = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    # None: the model had said nothing
    agrees = models.BooleanField(null=True)
    # whether what the model had said was hidden
    blind = models.BooleanField(default=False)
    seconds = models.FloatField(null=True)
    replaces = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    replaces_id: uuid.UUID | None
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "organisation", "document", "question", "start", "end", "actor_kind", "actor_id",
                ],
                condition=models.Q(withdrawn_at__isnull=True),
                name="finance_label_once",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(
                fields=["organisation", "question", "updated_at", "id"], name="finance_label_change"
            ),
            models.Index(
                fields=["organisation", "actor_kind", "actor_id", "-id"], name="finance_label_actor"
            ),
        ]

    def __str__(self) -> str:
        return ", ".join(self.values)


class LoopSettings(TenantModel):
    """One row of an organisation: when it learns by itself, from what, and what the gate may deploy."""

    enabled = models.BooleanField(default=False)
    every_days = models.PositiveSmallIntegerField(default=7)
    # labels since the last cycle without which none begins by itself
    least_labels = models.PositiveIntegerField(default=50)
    # documents that are looked for a day; 0: none
    daily_candidates = models.PositiveSmallIntegerField(default=60)
    # pretraining on the collected text first, on at most so many documents
    adapts = models.BooleanField(default=True)
    adapt_documents = models.PositiveIntegerField(default=20_000)
    # the base model; empty: the encoder of what is deployed, else the installation's
    base = models.CharField(max_length=200, blank=True)
    epochs = models.FloatField(default=3.0)
    # what the gate passes is deployed at once; else a person is asked
    deploys = models.BooleanField(default=False)
    next_cycle_at = models.DateTimeField(null=True)
    next_draw_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "loop settings"
        constraints = [
            models.UniqueConstraint(fields=["organisation"], name="finance_loop_settings_once"),
        ]

    def __str__(self) -> str:
        return "on" if self.enabled else "off"


class LoopCycle(AuthoredModel):
    """One turn of the loop: labels are collected and frozen, models trained, checked and deployed."""

    class State(models.TextChoices):
        """Where it is; each step but the last two has a job."""

        COLLECTING = "collecting", _("Collecting labels")
        ADAPTING = "adapting", _("Reading the collected text")
        TRAINING = "training", _("Training")
        CHECKING = "checking", _("Checking")
        WAITING = "waiting", _("Waits for a person")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})

    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.COLLECTING)
    # a copy of the settings when it began: adapts, adapt_documents, base, epochs, deploys
    options = models.JSONField(default=dict)
    # labels when it began, those that no cycle had used before, and documents that were read
    label_count = models.PositiveIntegerField(default=0)
    new_labels = models.PositiveIntegerField(default=0)
    document_count = models.PositiveIntegerField(default=0)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    adapt_run = models.ForeignKey(
        TrainingRun, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    encoder = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organisation", "number"], name="finance_cycle_number"),
            models.UniqueConstraint(
                fields=["organisation"],
                condition=~models.Q(state__in=["done", "failed", "cancelled"]),
                name="finance_cycle_running_once",
            ),
        ]

    def __str__(self) -> str:
        return str(self.number)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in self.ENDED


class LoopHead(TenantModel):
    """One model of a cycle: what it learned from, the gate's verdict, and what became of it."""

    class Outcome(models.TextChoices):
        """What became of the version."""

        OPEN = "open", _("Open")
        DEPLOYED = "deployed", _("Deployed")
        PASSED = "passed", _("Passed, not deployed")
        REFUSED = "refused", _("Refused by the gate")

    cycle = models.ForeignKey(LoopCycle, on_delete=models.CASCADE, related_name="heads")
    # empty: it only reads with the same encoder
    question = models.CharField(max_length=9, choices=Question.choices, blank=True)
    # the deployment, which is also the name of its versions
    model = models.CharField(max_length=120)
    snapshot = models.ForeignKey(Snapshot, null=True, on_delete=models.SET_NULL, related_name="+")
    run = models.ForeignKey(TrainingRun, null=True, on_delete=models.SET_NULL, related_name="+")
    version = models.ForeignKey(
        ModelVersion, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    report = models.ForeignKey(GateReport, null=True, on_delete=models.SET_NULL, related_name="+")
    outcome = models.CharField(max_length=8, choices=Outcome.choices, default=Outcome.OPEN)
    # why it was not trained or not deployed
    note = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "cycle", "model"], name="finance_head_once"
            ),
        ]

    def __str__(self) -> str:
        return self.model
