"""What the API takes and gives about labels."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.finance_sentiment.models import DocumentLabel, LabelReason, Question


class DocumentLabelInput(serializers.Serializer[Any]):
    """What you say of a document, or of one mention in it."""

    question = serializers.ChoiceField(Question.choices)
    values = serializers.ListField(
        child=serializers.CharField(max_length=60),
        max_length=10,
        help_text="One sentiment, or topics with the main one first; no topic at all is an answer too.",
    )
    start = serializers.IntegerField(default=0, min_value=0, max_value=10_000_000)
    end = serializers.IntegerField(default=0, min_value=0, max_value=10_000_000)
    seconds = serializers.FloatField(default=None, allow_null=True, min_value=0, max_value=86_400)
    blind = serializers.BooleanField(
        default=False, help_text="What the model had said was not shown."
    )


class DocumentLabelFilter(serializers.Serializer[Any]):
    """Which labels."""

    question = serializers.ChoiceField(Question.choices, required=False)
    document = serializers.UUIDField(required=False)
    agrees = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="Whether the model had said so."
    )
    version = serializers.CharField(required=False, max_length=200)
    actor_id = serializers.CharField(required=False, max_length=64)
    withdrawn = serializers.BooleanField(required=False, default=False)


class DocumentLabelOutput(serializers.ModelSerializer[DocumentLabel]):
    """A label with what the model had said."""

    document = serializers.UUIDField(source="document_id")
    title = serializers.CharField(source="document.title")
    entity = serializers.UUIDField(source="entity_id", allow_null=True)
    by = serializers.CharField(source="actor_label")

    class Meta:
        model = DocumentLabel
        fields = (
            "id",
            "document",
            "title",
            "revision",
            "question",
            "start",
            "end",
            "surface",
            "entity",
            "values",
            "said",
            "said_probability",
            "version",
            "agrees",
            "blind",
            "by",
            "actor_id",
            "created_at",
            "withdrawn_at",
        )


class LabelSaidOutput(serializers.Serializer[Any]):
    """One label as a page shows it."""

    by = serializers.CharField()
    mine = serializers.BooleanField()
    values = serializers.ListField(child=serializers.CharField())
    agrees = serializers.BooleanField(allow_null=True)
    at = serializers.DateTimeField()


class LabelStateOutput(serializers.Serializer[Any]):
    """What the model says, what people say, and what you say."""

    said = serializers.ListField(child=serializers.CharField())
    probability = serializers.FloatField(allow_null=True)
    version = serializers.CharField(allow_blank=True)
    mine = serializers.ListField(child=serializers.CharField(), allow_null=True)
    consensus = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="What most people say."
    )
    disagreed = serializers.BooleanField()
    labels = LabelSaidOutput(many=True)


class MentionLabelStateOutput(LabelStateOutput):
    """The same of one mention."""

    start = serializers.IntegerField()
    end = serializers.IntegerField()
    surface = serializers.CharField()
    entity = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(allow_blank=True)


class DocumentLabelsOutput(serializers.Serializer[Any]):
    """Everything that was said of a document."""

    document = serializers.UUIDField()
    title = serializers.CharField()
    revision = serializers.IntegerField()
    status = serializers.CharField()
    sentiment = LabelStateOutput()
    topics = LabelStateOutput()
    mentions = MentionLabelStateOutput(many=True)


class LabelUndoneOutput(serializers.Serializer[Any]):
    """What was taken back, and how its document stands now."""

    undone = DocumentLabelOutput()
    labels = DocumentLabelsOutput()


class TopicChoiceOutput(serializers.Serializer[Any]):
    """A topic that can be given."""

    topic = serializers.CharField()
    name = serializers.CharField()


class LabelChoicesOutput(serializers.Serializer[Any]):
    """What can be said."""

    sentiments = serializers.ListField(child=serializers.CharField())
    topics = TopicChoiceOutput(many=True)


class DoubtOutput(serializers.Serializer[Any]):
    """That a document waits for others to look at it."""

    document = serializers.UUIDField(source="document_id")
    reason = serializers.ChoiceField(LabelReason.choices)
    people = serializers.IntegerField()


class LabelAgreementOutput(serializers.Serializer[Any]):
    """How far people agree on one question."""

    question = serializers.ChoiceField(Question.choices)
    labels = serializers.IntegerField()
    people = serializers.IntegerField()
    shared = serializers.IntegerField(help_text="Read by two or more.")
    raw = serializers.FloatField(allow_null=True)
    alpha = serializers.FloatField(allow_null=True, help_text="Krippendorff's.")
    model = serializers.FloatField(
        allow_null=True, help_text="The part of the labels that the model had said."
    )


class LabelAgreementListOutput(serializers.Serializer[Any]):
    """The figures of all questions."""

    results = LabelAgreementOutput(many=True)
