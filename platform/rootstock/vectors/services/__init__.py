"""All that writes of the collections."""

from __future__ import annotations

from rootstock.vectors.services.collections import (
    collection_create,
    collection_delete,
    embedding_model_set,
)
from rootstock.vectors.services.items import (
    ItemInput,
    Upserted,
    items_delete,
    items_set_attributes,
    items_upsert,
)
from rootstock.vectors.services.spaces import collection_change_model, collections_follow

__all__ = [
    "ItemInput",
    "Upserted",
    "collection_change_model",
    "collection_create",
    "collection_delete",
    "collections_follow",
    "embedding_model_set",
    "items_delete",
    "items_set_attributes",
    "items_upsert",
]
