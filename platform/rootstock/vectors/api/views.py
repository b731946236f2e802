"""REST: collections, their texts, searching them, their model."""

from __future__ import annotations

import uuid
from dataclasses import asdict

from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.outbox.idempotency import IDEMPOTENCY_KEY, idempotent
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest
from rootstock.vectors import hybrid, services
from rootstock.vectors.api.serializers import (
    CollectionDetailOutput,
    CollectionInput,
    CollectionItemOutput,
    CollectionItemsInput,
    CollectionItemsOutput,
    CollectionJobOutput,
    CollectionKeysInput,
    CollectionKeysOutput,
    CollectionModelInput,
    CollectionOutput,
    CollectionSearchInput,
    CollectionSearchOutput,
    EmbeddingModelInput,
    EmbeddingModelOutput,
)
from rootstock.vectors.searching import Answer, search
from rootstock.vectors.selectors import (
    collection_get,
    collection_list,
    default_model,
    item_list,
)


class _VectorsView(ApiView):
    """Reading and writing are two permissions."""

    permission = Permission.MODELS_READ
    write_permission = Permission.MODELS_WRITE


class EmbeddingModelView(_VectorsView):
    """The organisation's embedding model."""

    @extend_schema(operation_id="vectors_embedding_model_read", responses=EmbeddingModelOutput)
    def get(self, request: OrganisationRequest) -> Response:
        """Read it."""
        return Response(EmbeddingModelOutput({"model": default_model(), "jobs": []}).data)

    @extend_schema(
        operation_id="vectors_embedding_model_set",
        request=EmbeddingModelInput,
        responses=EmbeddingModelOutput,
    )
    def put(self, request: OrganisationRequest) -> Response:
        """Set it. With `reembed` the collections that follow it are read anew in the background."""
        data = valid(EmbeddingModelInput(data=request.data))
        services.embedding_model_set(model=data["model"], actor=request.actor)
        jobs = services.collections_follow(actor=request.actor) if data["reembed"] else []
        values = {"model": data["model"], "jobs": [job.pk for job in jobs]}
        return Response(EmbeddingModelOutput(values).data)


class CollectionList(_VectorsView):
    """The collections."""

    @extend_schema(
        operation_id="vectors_collections_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(CollectionOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """List the collections, the newest first."""
        return paginate(self, request, collection_list(), CollectionOutput)

    @extend_schema(
        operation_id="vectors_collections_create",
        parameters=[IDEMPOTENCY_KEY],
        request=CollectionInput,
        responses={201: CollectionDetailOutput},
    )
    @idempotent
    def post(self, request: OrganisationRequest) -> Response:
        """Make an empty collection. It can be searched once its first job is done."""
        data = valid(CollectionInput(data=request.data))
        collection = services.collection_create(actor=request.actor, **data)
        return respond(collection, CollectionDetailOutput(collection).data, status=201)


class CollectionView(_VectorsView):
    """One collection."""

    @extend_schema(operation_id="vectors_collections_read", responses=CollectionDetailOutput)
    def get(self, request: OrganisationRequest, collection_id: uuid.UUID) -> Response:
        """Read one collection and how it stands."""
        return Response(CollectionDetailOutput(collection_get(collection_id)).data)

    @extend_schema(
        operation_id="vectors_collections_delete", parameters=[IF_MATCH], responses={204: None}
    )
    def delete(self, request: OrganisationRequest, collection_id: uuid.UUID) -> Response:
        """Remove a collection with its texts and vectors."""
        collection = collection_get(collection_id)
        check_if_match(request, collection)
        services.collection_delete(collection=collection, actor=request.actor)
        return Response(status=204)


class ItemList(_VectorsView):
    """The texts of a collection."""

    @extend_schema(
        operation_id="vectors_items_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(CollectionItemOutput),
    )
    def get(self, request: OrganisationRequest, collection_id: uuid.UUID) -> Response:
        """List the texts, the newest first."""
        return paginate(
            self, request, item_list(collection_get(collection_id)), CollectionItemOutput
        )

    @extend_schema(
        operation_id="vectors_items_upsert",
        parameters=[IDEMPOTENCY_KEY],
        request=CollectionItemsInput,
        responses=CollectionItemsOutput,
    )
    @idempotent
    def post(self, request: OrganisationRequest, collection_id: uuid.UUID) -> Response:
        """Add texts, and change those whose key is there. Searches find them as soon as the model has read them."""
        collection = collection_get(collection_id)
        data = valid(CollectionItemsInput(data=request.data))
        items = [services.ItemInput(**item) for item in data["items"]]
        done = services.items_upsert(collection=collection, items=items)
        return Response(CollectionItemsOutput(asdict(done)).data)


class ItemsDelete(ApiView):
    """Texts that go."""

    permission = Permission.MODELS_WRITE

    @extend_schema(
        operation_id="vectors_items_delete",
        request=CollectionKeysInput,
        responses=CollectionKeysOutput,
    )
    def post(self, request: OrganisationRequest, collection_id: uuid.UUID) -> Response:
        """Remove the texts of these keys; keys that are not there do no harm."""
        collection = collection_get(collection_id)
        data = valid(CollectionKeysInput(data=request.data))
        deleted = services.items_delete(collection=collection, keys=data["keys"])
        return Response(CollectionKeysOutput({"deleted": deleted}).data)


class Search(ApiView):
    """What answers a query."""

    permission = Permission.MODELS_READ

    @extend_schema(
        operation_id="vectors_search",
        request=CollectionSearchInput,
        responses=CollectionSearchOutput,
    )
    def post(self, request: OrganisationRequest, collection_id: uuid.UUID) -> Response:
        """Find the texts that answer the query best, by meaning, by words, or by both. All vectors of an answer come
        from one model."""
        data = valid(CollectionSearchInput(data=request.data))
        asked = {name: data[name] for name in ("query", "k", "filters")}
        answer: Answer | hybrid.HybridAnswer
        if data["mode"] == "meaning":
            answer = search(request.organisation.pk, collection_id, exact=data["exact"], **asked)
        else:
            more = {name: data[name] for name in ("mode", "weight", "reranker")}
            answer = hybrid.search(request.organisation.pk, collection_id, **asked, **more)
        return Response(CollectionSearchOutput(asdict(answer)).data)


class ModelChange(ApiView):
    """Another model for a collection."""

    permission = Permission.MODELS_WRITE

    @extend_schema(
        operation_id="vectors_model_change",
        request=CollectionModelInput,
        responses={202: CollectionJobOutput},
    )
    def post(self, request: OrganisationRequest, collection_id: uuid.UUID) -> Response:
        """Have another model read the collection. Searches go on with the present one until it is done.

        The vectors of a former model are kept for a week: going back to it takes a moment.
        """
        collection = collection_get(collection_id)
        data = valid(CollectionModelInput(data=request.data))
        job = services.collection_change_model(
            collection=collection, actor=request.actor, model=data["model"]
        )
        return Response(CollectionJobOutput({"job": job.pk}).data, status=202)
