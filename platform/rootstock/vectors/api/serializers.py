"""What goes in and out of the REST API of the collections."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from rootstock.vectors.models import Collection, Item, Space
from rootstock.vectors.searching import LONGEST_QUERY, MOST_HITS
from rootstock.vectors.selectors import Overview, overview
from rootstock.vectors.services.items import LONGEST_TEXT, MOST_ITEMS

_MODEL = (
    "“auto”, “packaged”, “rootstock-mini”, the name of a model on the hub, or “deployment:NAME”"
)


class CollectionInput(serializers.Serializer[Any]):
    """A new collection."""

    name = serializers.CharField(max_length=120)
    kind = serializers.CharField(max_length=40, required=False, default="texts")
    languages = serializers.ListField(
        child=serializers.CharField(max_length=3), max_length=20, required=False, default=list
    )
    model = serializers.CharField(
        max_length=200,
        required=False,
        default="",
        allow_blank=True,
        help_text=f"{_MODEL}; empty: the organisation's.",
    )


class CollectionSpaceOutput(serializers.ModelSerializer[Space]):
    """The vectors that one model gives the texts of a collection."""

    model = serializers.CharField(source="label")

    class Meta:
        model = Space
        fields = ["id", "state", "model", "digest", "dimensions", "activated_at", "retired_at"]


class CollectionOutput(serializers.ModelSerializer[Collection]):
    """A collection."""

    class Meta:
        model = Collection
        fields = ["id", "name", "kind", "languages", "model", "created_at", "updated_at"]


class CollectionDetailOutput(CollectionOutput):
    """A collection with how it stands."""

    items = serializers.SerializerMethodField(help_text="How many texts it has.")
    waiting = serializers.SerializerMethodField(
        help_text="How many of them a search cannot find yet."
    )
    active = serializers.SerializerMethodField(help_text="What searches ask.")
    former = serializers.SerializerMethodField(help_text="What one can still go back to.")
    outdated = serializers.SerializerMethodField(
        help_text="Whether another model reads it than should, and no job is changing that."
    )
    job = serializers.SerializerMethodField(help_text="The newest job that changes its model.")

    class Meta(CollectionOutput.Meta):
        fields = [
            *CollectionOutput.Meta.fields,
            "items", "waiting", "active", "former", "outdated", "job",
        ]  # fmt: skip

    def to_representation(self, instance: Collection) -> dict[str, Any]:
        """Everything is read once."""
        self._overview: Overview = overview(instance)
        return super().to_representation(instance)

    def get_items(self, row: Collection) -> int:
        """Its size."""
        return self._overview.items

    def get_waiting(self, row: Collection) -> int:
        """Texts without a vector."""
        return self._overview.waiting

    @extend_schema_field(CollectionSpaceOutput(allow_null=True))
    def get_active(self, row: Collection) -> dict[str, Any] | None:
        """The active space."""
        active = self._overview.active
        return None if active is None else dict(CollectionSpaceOutput(active).data)

    @extend_schema_field(CollectionSpaceOutput(many=True))
    def get_former(self, row: Collection) -> list[dict[str, Any]]:
        """Retired spaces."""
        return list(CollectionSpaceOutput(self._overview.former, many=True).data)

    def get_outdated(self, row: Collection) -> bool:
        """Whether it should be read anew."""
        return self._overview.outdated

    @extend_schema_field({"type": "string", "format": "uuid", "nullable": True})
    def get_job(self, row: Collection) -> str | None:
        """The job's id."""
        job = self._overview.job
        return None if job is None else str(job.pk)


class CollectionItemOutput(serializers.ModelSerializer[Item]):
    """A text of a collection."""

    attributes = serializers.DictField(help_text="What searches can be narrowed by.")

    class Meta:
        model = Item
        fields = ["id", "key", "text", "reference", "attributes", "created_at", "updated_at"]


class CollectionItemInput(serializers.Serializer[Any]):
    """A text as its owner gives it."""

    key = serializers.CharField(max_length=200)
    text = serializers.CharField(max_length=LONGEST_TEXT)
    reference = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)
    attributes = serializers.DictField(required=False, default=dict)


class CollectionItemsInput(serializers.Serializer[Any]):
    """Texts to be added or changed."""

    items = CollectionItemInput(many=True, allow_empty=False)

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Not too many at a time."""
        if len(items) > MOST_ITEMS:
            raise serializers.ValidationError(f"Give at most {MOST_ITEMS} items at a time.")
        return items


class CollectionItemsOutput(serializers.Serializer[Any]):
    """What became of them."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class CollectionKeysInput(serializers.Serializer[Any]):
    """Which texts go."""

    keys = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=MOST_ITEMS
    )


class CollectionKeysOutput(serializers.Serializer[Any]):
    """How many went."""

    deleted = serializers.IntegerField()


class CollectionSearchInput(serializers.Serializer[Any]):
    """A search."""

    query = serializers.CharField(max_length=LONGEST_QUERY)
    k = serializers.IntegerField(min_value=1, max_value=MOST_HITS, required=False, default=10)
    filters = serializers.DictField(
        required=False,
        default=dict,
        help_text="Attributes that an item must have, by name; a list means one of its values.",
    )
    exact = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Compare every vector instead of using the index; only of mode “meaning”.",
    )
    mode = serializers.ChoiceField(
        choices=["meaning", "words", "hybrid"],
        required=False,
        default="meaning",
        help_text="By the model's vectors, by words (BM25), or by both.",
    )
    weight = serializers.FloatField(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=1,
        help_text="Of mode “hybrid”: the share of meaning; null: the default.",
    )
    reranker = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        max_length=200,
        help_text="Of modes “hybrid” and “words”: a deployed reranker, which orders the ten best anew.",
    )


class CollectionHitOutput(serializers.Serializer[Any]):
    """A text that was found."""

    item_id = serializers.UUIDField()
    key = serializers.CharField()
    text = serializers.CharField()
    reference = serializers.CharField()
    attributes = serializers.DictField()
    score = serializers.FloatField(
        help_text="What it is ranked by: with mode “meaning” its cosine with the query, -1 to 1; else 0 to 1."
    )
    cosine = serializers.FloatField(
        required=False, allow_null=True, help_text="Null: meaning was not compared."
    )
    bm25 = serializers.FloatField(required=False)
    words = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="The query's terms that it has."
    )
    rank_vector = serializers.IntegerField(
        required=False, allow_null=True, help_text="Its place by meaning alone."
    )
    rank_words = serializers.IntegerField(
        required=False, allow_null=True, help_text="Its place by words alone."
    )
    rerank = serializers.FloatField(
        required=False, allow_null=True, help_text="What the reranker says, 0 to 1."
    )


class CollectionSearchOutput(serializers.Serializer[Any]):
    """What was found, and the one model that read the query and every text. Why each text was found is told with modes
    “hybrid” and “words”."""

    space_id = serializers.UUIDField(allow_null=True)
    model = serializers.CharField(allow_blank=True)
    digest = serializers.CharField(allow_blank=True)
    words_only = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="Why only words were compared: “asked”, “no-space”, “language” or “unavailable”.",
    )
    weight = serializers.FloatField(required=False, help_text="The share of meaning.")
    reranked = serializers.BooleanField(required=False)
    seconds = serializers.DictField(child=serializers.FloatField(), required=False)
    hits = CollectionHitOutput(many=True)


class CollectionModelInput(serializers.Serializer[Any]):
    """Which model shall read a collection."""

    model = serializers.CharField(
        max_length=200,
        required=False,
        allow_null=True,
        allow_blank=True,
        default=None,
        help_text=f"{_MODEL}; empty: the organisation's from now on; null: the one that it should have.",
    )


class CollectionJobOutput(serializers.Serializer[Any]):
    """The job that does it; see /api/v1/jobs/."""

    job = serializers.UUIDField()


class EmbeddingModel(serializers.Serializer[Any]):
    """The organisation's embedding model."""

    model = serializers.CharField(max_length=200, help_text=_MODEL)


class EmbeddingModelInput(EmbeddingModel):
    """Another one."""

    reembed = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Have the collections that follow the organisation's model read anew at once.",
    )


class EmbeddingModelOutput(EmbeddingModel):
    """What is set now, and the jobs that were started."""

    jobs = serializers.ListField(child=serializers.UUIDField())
