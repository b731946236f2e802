"""What the assistant may say: sources, their versions, the passages cut from them, prepared answers, releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.customer_service.models.channels import default_audiences
from apps.customer_service.models.conversations import Conversation, Message
from rootstock.tenancy.models import TenantModel


def said(text: str, values: Mapping[str, Any]) -> str:
    """A stored text in the reader's language, with its values."""
    return gettext(text) % values if values else gettext(text) if text else ""


class Source(TenantModel):
    """A file, an address or a site that knowledge comes from."""

    class Kind(models.TextChoices):
        """How it is read."""

        FILE = "file", _("File")
        URL = "url", _("Web page")
        SITEMAP = "sitemap", _("Site")
        TEXT = "text", _("Text written here")

    kind = models.CharField(max_length=8, choices=Kind.choices)
    title = models.CharField(max_length=300)
    # Of a page or a site.
    url = models.CharField(max_length=2000, blank=True)
    audiences = ArrayField(models.CharField(max_length=40), default=default_audiences)
    # Nothing of it is said after this.
    expires_at = models.DateTimeField(null=True, blank=True)
    # Seconds between two visits; 0: only when asked.
    sync_seconds = models.PositiveIntegerField(default=0)
    next_sync_at = models.DateTimeField(null=True, blank=True)
    # The last visit, and why it brought less than it should: a text and its values, see `said`.
    synced_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True)
    problem_values = models.JSONField(default=dict, blank=True)
    # Its passages have been taken out because `expires_at` has passed.
    expired = models.BooleanField(default=False)
    # At most so many pages of a site.
    page_limit = models.PositiveIntegerField(default=200)
    removed_at = models.DateTimeField(null=True, blank=True)
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["organisation", "next_sync_at"],
                condition=models.Q(next_sync_at__isnull=False),
                name="service_source_sync",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def reason(self) -> str:
        """Why the last visit brought less than it should, in the reader's language; "" when it did not."""
        return said(self.problem, self.problem_values)


class Document(TenantModel):
    """One version of one file or page of a source: never changed once it is read."""

    class State(models.TextChoices):
        """How far reading is."""

        WAITING = "waiting", _("Waiting")
        READING = "reading", _("Being read")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="documents")
    # Which file or page of the source: a file name or an address. Versions of it count up.
    key = models.CharField(max_length=2000)
    version = models.PositiveIntegerField(default=1)
    title = models.CharField(max_length=300, blank=True)
    url = models.CharField(max_length=2000, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    # Why it failed, for the person who gave it: a text and its values, see `said`.
    problem = models.TextField(blank=True)
    problem_values = models.JSONField(default=dict, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    size = models.PositiveIntegerField(default=0)
    # SHA-256 of the bytes; what the server said of them.
    digest = models.CharField(max_length=64, blank=True)
    etag = models.CharField(max_length=300, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    # Below the media directory.
    path = models.CharField(max_length=300, blank=True)
    language = models.CharField(max_length=10, blank=True)
    pages = models.PositiveIntegerField(default=0)
    passage_count = models.PositiveIntegerField(default=0)
    # What was left out or could not be read: [[text, values], …]
    notes = models.JSONField(default=list, blank=True)
    # When its address was found to be empty.
    gone_at = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "key", "version"], name="service_document_version"
            ),
        ]
        indexes = [
            models.Index(fields=["organisation", "state"], name="service_document_state"),
        ]

    def __str__(self) -> str:
        return f"{self.title or self.key} v{self.version}"

    @property
    def reason(self) -> str:
        """Why it failed, in the reader's language."""
        return said(self.problem, self.problem_values)

    @property
    def remarks(self) -> list[str]:
        """What was left out, in the reader's language."""
        return [said(text, values) for text, values in self.notes]


class Passage(TenantModel):
    """A piece of a document, found and cited as one. Its id is its key in the collection "service-passages"."""

    document = models.ForeignKey(Document, on_delete=models.CASCADE, related_name="passages")
    # From 0, in reading order.
    position = models.PositiveIntegerField()
    # The headings above it, the highest first.
    headings = ArrayField(models.CharField(max_length=300), default=list, blank=True)
    text = models.TextField()
    # "prose", "table", "list", "code", "question" (text is then the answer, headings end with the question)
    kind = models.CharField(max_length=10, default="prose")
    # From 1; null where a document has no pages.
    page = models.PositiveIntegerField(null=True)
    language = models.CharField(max_length=10, blank=True)
    # Taken out by a person.
    hidden = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["document", "position"], name="service_passage_order"),
        ]

    def __str__(self) -> str:
        return self.text[:60]


class Answer(TenantModel):
    """A prepared answer to one intent. Its questions are items of the collection "service-questions"."""

    class Origin(models.TextChoices):
        """How it came about."""

        WRITTEN = "written", _("Written")
        MINED = "mined", _("Found in dialogues")
        UNANSWERED = "unanswered", _("Written for unanswered questions")
        IMPORTED = "imported", _("Imported")

    # What the intent model calls it; unique.
    intent = models.CharField(max_length=120)
    title = models.CharField(max_length=300)
    # Markdown, by language: {"en": …, "zh": …}
    bodies = models.JSONField(default=dict)
    # Other ways to ask it: [text, …], any language.
    questions = models.JSONField(default=list, blank=True)
    audiences = ArrayField(models.CharField(max_length=40), default=default_audiences)
    origin = models.CharField(max_length=12, choices=Origin.choices, default=Origin.WRITTEN)
    # Draft until a release takes it up.
    live = models.BooleanField(default=False)
    live_bodies = models.JSONField(default=dict, blank=True)
    live_questions = models.JSONField(default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    updated_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "intent"], name="service_answer_intent"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Release(TenantModel):
    """What visitors are answered from since a moment: append-only; going back is a release of an earlier state."""

    number = models.PositiveIntegerField()
    # Document ids, and {answer id: {"bodies", "questions"}}.
    documents = models.JSONField(default=list)
    answers = models.JSONField(default=dict)
    # The evaluation run that let it pass; null when it was forced or there are no questions.
    evaluation = models.ForeignKey(
        "EvaluationRun", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    forced = models.BooleanField(default=False)
    comment = models.TextField(blank=True)
    actor_label = models.CharField(max_length=200)
    # What changed against the one before: {"documents": [added, removed], "answers": [added, changed, removed]}
    changes = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organisation", "number"], name="service_release_number"
            ),
        ]

    def __str__(self) -> str:
        return f"release {self.number}"


class EvaluationQuestion(TenantModel):
    """A question whose right source is known: a release must still find it."""

    question = models.TextField()
    language = models.CharField(max_length=10, blank=True)
    # One of these must be found: keys of documents, or intents of answers.
    document_keys = ArrayField(models.CharField(max_length=2000), default=list, blank=True)
    intents = ArrayField(models.CharField(max_length=120), default=list, blank=True)
    # Words that the answer must hold; empty: any.
    must_contain = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    # Nothing should be answered at all.
    unanswerable = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.question[:60]


class EvaluationRun(TenantModel):
    """All questions asked of the draft: what was found, beside the run before."""

    state = models.CharField(max_length=10, default="running")
    # Fingerprint of the draft that was asked: a release of another draft needs another run.
    draft = models.CharField(max_length=64, blank=True)
    # The run that it is compared with.
    baseline = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # {"recall_at_1", "recall_at_5", "mrr_at_10", "answered", "refused_right", "questions", "interval": {…}}
    figures = models.JSONField(default=dict)
    # Row by row: [{"question": id, "rank", "found", "kind", "seconds"}]
    rows = models.JSONField(default=list)
    passed = models.BooleanField(null=True)
    # Why not: [[text, values], …]
    findings = models.JSONField(default=list)
    actor_label = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.state} {self.created_at.isoformat()}"

    @property
    def remarks(self) -> list[str]:
        """What it found, in the reader's language; the names of figures are texts, too."""
        return [
            said(
                text, values | {name: gettext(values[name]) for name in values if name == "figure"}
            )
            for text, values in self.findings
        ]


class UnansweredCluster(TenantModel):
    """Questions that mean the same and had no answer."""

    class State(models.TextChoices):
        """What somebody made of it."""

        OPEN = "open", _("Open")
        ANSWERED = "answered", _("Answered")
        IGNORED = "ignored", _("Not ours")

    title = models.CharField(max_length=300)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    language = models.CharField(max_length=10, blank=True)
    # How many customers asked.
    size = models.PositiveIntegerField(default=0)
    last_asked_at = models.DateTimeField(null=True)
    # Somebody has put it together: it takes questions in, and is not joined with another by itself.
    kept = models.BooleanField(default=False)
    # Mean of its questions' vectors, and which model made them.
    centroid = ArrayField(models.FloatField(), default=list, blank=True)
    model_digest = models.CharField(max_length=64, blank=True)
    answer = models.ForeignKey(
        Answer, on_delete=models.SET_NULL, null=True, blank=True, related_name="clusters"
    )

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "state", "-size"], name="service_cluster_size"),
        ]

    def __str__(self) -> str:
        return self.title


class UnansweredQuestion(TenantModel):
    """A question that the assistant could not answer, masked of personal data."""

    message = models.OneToOneField(
        Message, on_delete=models.SET_NULL, null=True, related_name="unanswered"
    )
    conversation = models.ForeignKey(
        Conversation, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    cluster = models.ForeignKey(
        UnansweredCluster,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="questions",
    )
    # As it reads without the turns before it.
    text = models.TextField()
    language = models.CharField(max_length=10, blank=True)
    # "no-passage", "no-support", "out-of-scope", "thumb-down", "people-asked"
    reason = models.CharField(max_length=20)

    class Meta:
        indexes = [
            models.Index(fields=["organisation", "-created_at"], name="service_unanswered_time"),
        ]

    def __str__(self) -> str:
        return self.text[:60]
