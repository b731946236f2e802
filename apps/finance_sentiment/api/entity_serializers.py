"""What the API says of entities and topics, and what it takes."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apps.finance_sentiment.models import (
    Alias,
    Entity,
    EntityKind,
    Instrument,
    Mention,
    Sentiment,
    Topic,
    TopicProposal,
)
from apps.finance_sentiment.services.entities import MAX_BATCH


class EntityFilter(serializers.Serializer[Any]):
    """Which entities."""

    q = serializers.CharField(
        required=False, max_length=200, help_text="a part of a name, or a symbol"
    )
    kind = serializers.ChoiceField(EntityKind.choices, required=False)


class AliasOutput(serializers.ModelSerializer[Alias]):
    """A name, and from when to when it was one."""

    class Meta:
        model = Alias
        fields = ["id", "text", "kind", "language", "ambiguity", "valid_from", "valid_until"]


class InstrumentOutput(serializers.ModelSerializer[Instrument]):
    """A listing."""

    class Meta:
        model = Instrument
        fields = [
            "id",
            "symbol",
            "exchange",
            "listing",
            "currency",
            "listed_from",
            "listed_until",
        ]


class EntityOutput(serializers.ModelSerializer[Entity]):
    """An entity."""

    class Meta:
        model = Entity
        fields = ["id", "key", "kind", "name", "name_zh", "country", "sector", "context"]


class EntityDetailOutput(EntityOutput):
    """An entity with its names and listings."""

    aliases = AliasOutput(many=True)
    instruments = InstrumentOutput(many=True)

    class Meta(EntityOutput.Meta):
        fields = [*EntityOutput.Meta.fields, "aliases", "instruments"]


class AliasInput(serializers.Serializer[Any]):
    """A name to add."""

    text = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(Alias.Kind.choices, required=False)
    language = serializers.CharField(max_length=8, required=False, allow_blank=True)
    ambiguity = serializers.FloatField(min_value=0, max_value=1, required=False, allow_null=True)
    valid_from = serializers.DateField(required=False, allow_null=True)
    valid_until = serializers.DateField(required=False, allow_null=True)


class InstrumentInput(serializers.Serializer[Any]):
    """A listing to add."""

    symbol = serializers.CharField(max_length=20)
    exchange = serializers.CharField(max_length=8, help_text="ISO 10383, such as XSHG or XNYS")
    listing = serializers.ChoiceField(Instrument.Listing.choices, required=False)
    currency = serializers.CharField(max_length=3, required=False, allow_blank=True)
    listed_from = serializers.DateField(required=False, allow_null=True)
    listed_until = serializers.DateField(required=False, allow_null=True)


class EntityInput(serializers.Serializer[Any]):
    """An entity to store; one with this key is completed."""

    key = serializers.CharField(max_length=100, required=False)
    name = serializers.CharField(max_length=200)
    name_zh = serializers.CharField(max_length=200, required=False, allow_blank=True)
    kind = serializers.ChoiceField(EntityKind.choices, required=False)
    country = serializers.CharField(max_length=2, required=False, allow_blank=True)
    sector = serializers.CharField(max_length=100, required=False, allow_blank=True)
    context = serializers.ListField(  # type: ignore[assignment]
        child=serializers.CharField(max_length=60),
        required=False,
        max_length=200,
        help_text="words that speak for this entity where its name could mean another",
    )
    aliases = serializers.ListField(child=AliasInput(), required=False, max_length=200)
    instruments = serializers.ListField(child=InstrumentInput(), required=False, max_length=200)


class EntityBatchInput(serializers.Serializer[Any]):
    """Up to 1,000 entities."""

    entities = serializers.ListField(child=EntityInput(), min_length=1, max_length=MAX_BATCH)


class EntityBatchOutput(serializers.Serializer[Any]):
    """What became of them, and the job that reads stored documents anew."""

    created = serializers.IntegerField()
    known = serializers.IntegerField()
    aliases = serializers.IntegerField()
    instruments = serializers.IntegerField()
    job = serializers.UUIDField()


class MentionFilter(serializers.Serializer[Any]):
    """Which mentions."""

    state = serializers.ChoiceField(Mention.State.choices, required=False)
    document = serializers.UUIDField(required=False)
    entity = serializers.UUIDField(required=False)
    sentiment = serializers.ChoiceField(Sentiment.choices, required=False)


class MentionCandidateOutput(serializers.Serializer[Any]):
    """Who may be meant, and how sure that is."""

    entity = serializers.UUIDField()
    score = serializers.FloatField()


class MentionOutput(serializers.ModelSerializer[Mention]):
    """A place in a document that names somebody. Places count the characters of title, line feed and body."""

    document = serializers.UUIDField(source="document_id")
    entity = serializers.UUIDField(source="entity_id", allow_null=True)
    candidates = MentionCandidateOutput(many=True)

    class Meta:
        model = Mention
        fields = [
            "id",
            "document",
            "entity",
            "state",
            "surface",
            "kind",
            "start",
            "end",
            "link_score",
            "candidates",
            "is_decided",
            "sentiment",
            "probability",
            "basis",
            "published_at",
        ]


class MentionDecisionInput(serializers.Serializer[Any]):
    """Who is meant."""

    entity = serializers.UUIDField(allow_null=True, help_text="null: the words name nobody")
    everywhere = serializers.BooleanField(
        default=False, help_text="so do the same words wherever nobody has decided"
    )
    learn = serializers.BooleanField(
        default=False, help_text="keep the words as a name of the entity"
    )


class MentionDecisionOutput(serializers.Serializer[Any]):
    """How many mentions that decides."""

    decided = serializers.IntegerField()


class AttributionOutput(serializers.Serializer[Any]):
    """What a word does for the label: the probability that is lost without it."""

    start = serializers.IntegerField()
    end = serializers.IntegerField()
    text = serializers.CharField()
    weight = serializers.FloatField()


class ExplanationOutput(serializers.Serializer[Any]):
    """Why a model says what it says. Places count the characters of `text`, as the model reads it."""

    deployment = serializers.CharField()
    version = serializers.CharField()
    text = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    probability = serializers.FloatField()
    words = AttributionOutput(many=True)


class TopicRowOutput(serializers.ModelSerializer[Topic]):
    """A topic of the taxonomy."""

    class Meta:
        model = Topic
        fields = ["id", "slug", "name", "name_zh", "description", "terms", "origin", "enabled"]


class TopicChangeInput(serializers.Serializer[Any]):
    """What to change of a topic."""

    name = serializers.CharField(max_length=100, required=False)
    name_zh = serializers.CharField(max_length=100, required=False, allow_blank=True)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    terms = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        max_length=200,
        help_text="words in English and Chinese; one that ends in * is a beginning",
    )
    enabled = serializers.BooleanField(required=False)


class TopicInput(TopicChangeInput):
    """A topic to add."""

    slug = serializers.RegexField(
        r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60, help_text="the label on documents"
    )
    name = serializers.CharField(max_length=100)


class TopicPromotionInput(TopicChangeInput):
    """What the topic is called that a proposal becomes."""

    slug = serializers.RegexField(r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)
    name = serializers.CharField(max_length=100)


class TopicProposalFilter(serializers.Serializer[Any]):
    """Which proposals."""

    state = serializers.ChoiceField(TopicProposal.State.choices, required=False)


class TopicProposalOutput(serializers.ModelSerializer[TopicProposal]):
    """Documents that no topic covers and that speak of the same."""

    topic = serializers.UUIDField(source="topic_id", allow_null=True)

    class Meta:
        model = TopicProposal
        fields = [
            "id",
            "terms",
            "documents",
            "size",
            "cohesion",
            "first_published_at",
            "last_published_at",
            "model",
            "state",
            "topic",
        ]


class DiscoveryInput(serializers.Serializer[Any]):
    """How far back to look."""

    days = serializers.IntegerField(min_value=1, max_value=365, default=30)


class DiscoveryOutput(serializers.Serializer[Any]):
    """The job that was started."""

    job = serializers.UUIDField()
