"""What the REST of the knowledge takes and gives."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.customer_service.models import (
    Answer,
    Document,
    EvaluationQuestion,
    EvaluationRun,
    Passage,
    Release,
    Source,
)
from apps.customer_service.selectors.evaluation import run_differences
from apps.customer_service.selectors.knowledge import SourceRow, changes_told, source_row

STATES = ("reading", "failed", "partly", "expired", "empty", "ready")


class NamesField(serializers.ListField):
    """Short texts."""

    def __init__(self, longest: int = 40, **options: Any) -> None:
        child = serializers.CharField(max_length=longest)
        super().__init__(child=child, **{"max_length": 200, **options})


class AudiencesField(serializers.ListField):
    """Names of audiences; as a field of a form also a text with commas."""

    def __init__(self, **options: Any) -> None:
        super().__init__(child=serializers.CharField(max_length=40), max_length=20, **options)

    def to_internal_value(self, data: Any) -> list[str]:
        """The names."""
        if isinstance(data, list) and all(isinstance(each, str) for each in data):
            parts = ",".join(data).replace("，", ",").split(",")
            data = [name for name in parts if name.strip()]
        names: list[str] = super().to_internal_value(data)
        return names


# --- sources and documents ---------------------------------------------------------------------


class KnowledgeSourceOutput(serializers.ModelSerializer[Source]):
    """A source and how it stands."""

    audiences = serializers.ListField(child=serializers.CharField())
    state = serializers.SerializerMethodField()
    documents = serializers.SerializerMethodField()
    passages = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()

    class Meta:
        model = Source
        fields = [
            "id", "kind", "title", "url", "audiences", "expires_at", "sync_seconds", "page_limit", "synced_at",
            "next_sync_at", "removed_at", "state", "documents", "passages", "reason", "created_at", "updated_at",
        ]  # fmt: skip

    def _row(self, source: Source) -> SourceRow:
        rows: dict[Any, SourceRow] = self.context.setdefault("rows", {})  # type: ignore[attr-defined]  # a dict it is
        if source.pk not in rows:
            rows[source.pk] = source_row(source)
        return rows[source.pk]

    @extend_schema_field(serializers.ChoiceField(STATES))
    def get_state(self, source: Source) -> str:
        """How far it is."""
        return self._row(source).state

    def get_documents(self, source: Source) -> int:
        """How many files or pages it has."""
        return self._row(source).documents

    def get_passages(self, source: Source) -> int:
        """How many passages they were cut into."""
        return self._row(source).passages

    def get_reason(self, source: Source) -> str:
        """Why it brought less than it should; "" when it did not."""
        return self._row(source).reason


class KnowledgeSourceQuery(serializers.Serializer[Any]):
    """Which sources."""

    q = serializers.CharField(max_length=200, required=False, default="")
    kind = serializers.ChoiceField(Source.Kind.values, required=False, default="")
    removed = serializers.BooleanField(required=False, default=False)


class KnowledgeSourceInput(serializers.Serializer[Any]):
    """A new source: a page or site with `url`, a text with `title` and `text`. Files are uploaded as documents."""

    kind = serializers.ChoiceField(["url", "sitemap", "text"])
    url = serializers.CharField(max_length=2000, required=False)
    title = serializers.CharField(max_length=300, required=False)
    text = serializers.CharField(max_length=1_000_000, required=False, trim_whitespace=False)
    audiences = AudiencesField(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    sync_seconds = serializers.IntegerField(
        min_value=0, max_value=31_536_000, required=False, help_text="0: only when asked."
    )
    page_limit = serializers.IntegerField(min_value=1, max_value=2000, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Each kind needs something else."""
        for name in ("title", "text") if attrs["kind"] == "text" else ("url",):
            if not attrs.get(name):
                raise serializers.ValidationError({name: "This field is required."})
        if attrs["kind"] == "text":
            for name in ("url", "sync_seconds", "page_limit"):
                attrs.pop(name, None)
        else:
            attrs.pop("text", None)
        return attrs


class KnowledgeSourceChange(serializers.Serializer[Any]):
    """What can be changed of a source."""

    title = serializers.CharField(max_length=300, required=False)
    audiences = AudiencesField(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)
    sync_seconds = serializers.IntegerField(min_value=0, max_value=31_536_000, required=False)
    page_limit = serializers.IntegerField(min_value=1, max_value=2000, required=False)


class KnowledgeDocumentOutput(serializers.ModelSerializer[Document]):
    """One version of a file or page."""

    reason = serializers.CharField(read_only=True)
    notes = serializers.SerializerMethodField()

    class Meta:
        model = Document
        fields = [
            "id", "source", "key", "version", "title", "url", "state", "reason", "notes", "content_type", "size",
            "digest", "language", "pages", "passage_count", "gone_at", "fetched_at", "read_at", "created_at",
            "updated_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_notes(self, document: Document) -> list[str]:
        """What was left out of it."""
        return document.remarks


class KnowledgeDocumentQuery(serializers.Serializer[Any]):
    """Which documents."""

    source = serializers.UUIDField(required=False)  # type: ignore[assignment]  # a field, not where it is read from
    state = serializers.ChoiceField(Document.State.values, required=False, default="")


class KnowledgeDocumentInput(serializers.Serializer[Any]):
    """A file. Of the same name as one that is there it becomes that one's next version."""

    file = serializers.FileField(max_length=300, allow_empty_file=False)
    source = serializers.UUIDField(  # type: ignore[assignment]  # a field, not where it is read from
        required=False, help_text="Whose next version it is; default: found by the file's name."
    )
    audiences = AudiencesField(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class PassageOutput(serializers.ModelSerializer[Passage]):
    """A piece of a document that is found and cited as one."""

    headings = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Passage
        fields = [
            "id", "document", "position", "headings", "text", "kind", "page", "language", "hidden", "updated_at",
        ]  # fmt: skip


class PassageChange(serializers.Serializer[Any]):
    """Taken out, or back in."""

    hidden = serializers.BooleanField()


# --- prepared answers --------------------------------------------------------------------------


class BodiesField(serializers.DictField):
    """Markdown by language: "en", "zh" or both."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=serializers.CharField(max_length=20_000, allow_blank=True), **options
        )


class PreparedAnswerOutput(serializers.ModelSerializer[Answer]):
    """A prepared answer: as the draft has it, and as visitors are told."""

    bodies = BodiesField()
    questions = serializers.ListField(child=serializers.CharField())
    live_bodies = BodiesField()
    live_questions = serializers.ListField(child=serializers.CharField())
    audiences = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = Answer
        fields = [
            "id", "intent", "title", "bodies", "questions", "audiences", "origin", "live", "live_bodies",
            "live_questions", "expires_at", "removed_at", "updated_by", "created_at", "updated_at",
        ]  # fmt: skip


class PreparedAnswerInput(serializers.Serializer[Any]):
    """A prepared answer."""

    title = serializers.CharField(max_length=300, help_text="The question; one way to ask it.")
    bodies = BodiesField()
    questions = NamesField(longest=1000, required=False, help_text="Other ways to ask it.")
    intent = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="Default: made of the title."
    )
    audiences = AudiencesField(required=False)
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


class PreparedAnswerChange(PreparedAnswerInput):
    """What can be changed of it."""

    title = serializers.CharField(max_length=300, required=False)
    bodies = BodiesField(required=False)
    intent = serializers.CharField(max_length=120, required=False)


class AnswerQuery(serializers.Serializer[Any]):
    """Which answers."""

    q = serializers.CharField(max_length=200, required=False, default="")
    state = serializers.ChoiceField(["live", "removed"], required=False, default="")


class TableInput(serializers.Serializer[Any]):
    """A table: CSV or XLSX."""

    file = serializers.FileField(max_length=300, allow_empty_file=False)


# --- asking ------------------------------------------------------------------------------------


class AskInput(serializers.Serializer[Any]):
    """A question to the knowledge."""

    question = serializers.CharField(max_length=4000)
    audience = serializers.CharField(max_length=40, required=False, default="public")
    draft = serializers.BooleanField(
        required=False, default=True, help_text="False: ask what visitors are answered from."
    )
    weight = serializers.FloatField(
        min_value=0,
        max_value=1,
        required=False,
        allow_null=True,
        default=None,
        help_text="Share of meaning against words; default: as set for visitors.",
    )


class FoundOutput(serializers.Serializer[Any]):
    """A passage that was found, and what its rank is made of."""

    passage = PassageOutput()
    title = serializers.CharField()
    said = serializers.BooleanField(help_text="Whether a reply may use it.")
    score = serializers.FloatField()
    mixture = serializers.FloatField(help_text="Meaning and words together, 0 to 1.")
    cosine = serializers.FloatField(allow_null=True)
    rank_vector = serializers.IntegerField(allow_null=True)
    bm25 = serializers.FloatField()
    rank_words = serializers.IntegerField(allow_null=True)
    words = serializers.ListField(child=serializers.CharField())
    rerank = serializers.FloatField(allow_null=True)


class SaidOutput(serializers.Serializer[Any]):
    """What the assistant would say."""

    kind = serializers.CharField()
    body = serializers.CharField()
    language = serializers.CharField()
    citations = serializers.ListField(child=serializers.DictField())
    trace = serializers.DictField()


class AskedOutput(serializers.Serializer[Any]):
    """What came of a question."""

    results = FoundOutput(many=True)
    model = serializers.CharField(
        help_text="What read the question; empty: only words were compared."
    )
    words_only = serializers.CharField(
        help_text="Why only words were compared; empty: they were not."
    )
    weight = serializers.FloatField(allow_null=True)
    reranked = serializers.BooleanField()
    seconds = serializers.DictField(child=serializers.FloatField())
    reply = SaidOutput(allow_null=True)
    problem = serializers.CharField(help_text="Why no reply came.")


# --- evaluation and releases -------------------------------------------------------------------


class QuestionOutput(serializers.ModelSerializer[EvaluationQuestion]):
    """A question whose right source is known."""

    document_keys = serializers.ListField(child=serializers.CharField())
    intents = serializers.ListField(child=serializers.CharField())
    must_contain = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = EvaluationQuestion
        fields = [
            "id", "question", "language", "document_keys", "intents", "must_contain", "unanswerable",
            "created_at", "updated_at",
        ]  # fmt: skip


class QuestionInput(serializers.Serializer[Any]):
    """A question and what must be found for it: one of the documents, or of the answers."""

    question = serializers.CharField(max_length=2000)
    document_keys = NamesField(
        longest=2000, max_length=50, required=False, help_text="File names or addresses."
    )
    intents = NamesField(longest=120, max_length=50, required=False)
    must_contain = NamesField(
        longest=200, max_length=50, required=False, help_text="Words that the reply must hold."
    )
    unanswerable = serializers.BooleanField(
        required=False, help_text="Nothing should be answered at all."
    )


class QuestionChange(QuestionInput):
    """What can be changed of it."""

    question = serializers.CharField(max_length=2000, required=False)


class RefusedLineOutput(serializers.Serializer[Any]):
    """A line that was left out."""

    line = serializers.IntegerField()
    detail = serializers.CharField()


class QuestionImportOutput(serializers.Serializer[Any]):
    """What became of a file."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    refused = RefusedLineOutput(many=True)


class KnowledgeEvaluationOutput(serializers.ModelSerializer[EvaluationRun]):
    """A run: its figures from 0 to 1, beside those of the run that it is held against."""

    figures = serializers.DictField()
    findings = serializers.SerializerMethodField()

    class Meta:
        model = EvaluationRun
        fields = [
            "id", "state", "draft", "baseline", "figures", "passed", "findings", "actor_label",
            "created_at", "updated_at",
        ]  # fmt: skip

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_findings(self, run: EvaluationRun) -> list[str]:
        """What got worse."""
        return run.remarks


class EvaluationRowOutput(serializers.Serializer[Any]):
    """What became of a question. `rank`: of its right source, 0 for none; null where none is expected."""

    question = serializers.CharField()
    text = serializers.CharField()
    rank = serializers.IntegerField(allow_null=True)
    found = serializers.CharField(allow_blank=True)
    kind = serializers.CharField()
    right = serializers.BooleanField()
    seconds = serializers.FloatField()


class DifferenceOutput(serializers.Serializer[Any]):
    """A question that went otherwise than in the baseline."""

    worse = serializers.BooleanField()
    before = EvaluationRowOutput()
    now = EvaluationRowOutput()


class KnowledgeEvaluationDetailOutput(KnowledgeEvaluationOutput):
    """The same with every question."""

    rows = EvaluationRowOutput(many=True)
    differences = serializers.SerializerMethodField()

    class Meta(KnowledgeEvaluationOutput.Meta):
        fields = [*KnowledgeEvaluationOutput.Meta.fields, "rows", "differences"]

    @extend_schema_field(DifferenceOutput(many=True))
    def get_differences(self, run: EvaluationRun) -> Any:
        """What got worse or better, the former first."""
        return DifferenceOutput(run_differences(run), many=True).data


class ChangeOutput(serializers.Serializer[Any]):
    """A line of what a release changes. `id` and `title` are empty when it is no longer kept."""

    verb = serializers.ChoiceField(["added", "changed", "removed"])
    kind = serializers.ChoiceField(["document", "answer"])
    id = serializers.CharField(allow_blank=True)
    title = serializers.CharField(allow_blank=True)


class DraftOutput(serializers.Serializer[Any]):
    """What a release now would change; at most 200 changes are listed."""

    draft = serializers.CharField(help_text="Fingerprint; an evaluation of it names the same.")
    has_changes = serializers.BooleanField()
    changes = ChangeOutput(many=True)
    questions = serializers.IntegerField(help_text="How many questions guard a release.")
    evaluation = serializers.UUIDField(
        allow_null=True, help_text="The newest finished run of just this draft."
    )
    passed = serializers.BooleanField(allow_null=True)


class ReleaseOutput(serializers.ModelSerializer[Release]):
    """What visitors are answered from since a moment."""

    class Meta:
        model = Release
        fields = [
            "id", "number", "evaluation", "forced", "comment", "actor_label", "created_at", "updated_at",
        ]  # fmt: skip


class ReleaseDetailOutput(ReleaseOutput):
    """The same with what it changed."""

    changes = serializers.SerializerMethodField()

    class Meta(ReleaseOutput.Meta):
        fields = [*ReleaseOutput.Meta.fields, "changes"]

    @extend_schema_field(ChangeOutput(many=True))
    def get_changes(self, release: Release) -> Any:
        """At most 200."""
        return ChangeOutput(changes_told(release.changes), many=True).data


class ReleaseInput(serializers.Serializer[Any]):
    """Publish the draft."""

    comment = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)
    forced = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Although no evaluation has passed; needs a comment.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A forced release says why."""
        if attrs["forced"] and not attrs["comment"].strip():
            raise serializers.ValidationError({"comment": "Say why it is published all the same."})
        return attrs


class RollBackInput(serializers.Serializer[Any]):
    """Go back."""

    comment = serializers.CharField(max_length=2000, required=False, default="", allow_blank=True)
