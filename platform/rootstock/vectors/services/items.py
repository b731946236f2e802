"""Texts of a collection: written, changed, removed. Their vectors follow in the background, see `spaces`."""

from __future__ import annotations

import hashlib
import unicodedata
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from psycopg.types.json import Jsonb

from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.scope import current_organisation_id
from rootstock.vectors.models import Collection, Item, Space
from rootstock.vectors.tables import vectors_delete
from rootstock.vectors.values import simple, storable
from rootstock.vectors.words import words_forget, words_write

EMBED_TOPIC = "vectors.embed"
MOST_ITEMS = 1000
LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class ItemInput:
    """A text as its owner gives it. `attributes`: a flat object that searches can be narrowed by."""

    key: str
    text: str
    reference: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Upserted:
    """How many items were new, were changed, and were there already just so."""

    created: int
    updated: int
    unchanged: int


def clean_text(text: str) -> str:
    """A text as it is stored: characters composed (NFC), no NUL, no space around."""
    return unicodedata.normalize("NFC", text.replace("\x00", "")).strip()


def content_hash(text: str) -> str:
    """SHA-256 of a stored text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


_LOCK = """
    SELECT id FROM vectors_item WHERE collection_id = %(collection)s AND key = ANY(%(keys)s)
    ORDER BY id FOR NO KEY UPDATE
"""
_UPSERT = """
    WITH former AS (
        SELECT key, content_hash FROM vectors_item
        WHERE collection_id = %(collection)s AND key = ANY(%(keys)s)
    ), written AS (
        INSERT INTO vectors_item AS item
            (id, created_at, updated_at, organisation_id, collection_id, key, text, reference, attributes, content_hash)
        SELECT id, now(), now(), %(organisation)s, %(collection)s, key, text, reference, attributes, content_hash
        FROM unnest(%(ids)s::uuid[], %(keys)s::text[], %(texts)s::text[], %(references)s::text[],
            %(attributes)s::jsonb[], %(hashes)s::text[])
            AS given(id, key, text, reference, attributes, content_hash)
        ON CONFLICT (collection_id, key) DO UPDATE SET updated_at = now(), text = excluded.text,
            reference = excluded.reference, attributes = excluded.attributes, content_hash = excluded.content_hash
        WHERE (item.text, item.reference, item.attributes) IS DISTINCT FROM
            (excluded.text, excluded.reference, excluded.attributes)
        RETURNING item.id, item.key, item.text, item.content_hash, xmax = 0 AS created
    )
    SELECT written.id, written.text, created, former.content_hash IS DISTINCT FROM written.content_hash
    FROM written LEFT JOIN former USING (key)
"""


def items_upsert(*, collection: Collection, items: Sequence[ItemInput]) -> Upserted:
    """Add items, and change those whose key is there already. Doing it twice is doing it once.

    Texts are found by their words at once, and by their meaning as soon as a worker has asked the model for their
    vectors; until then a changed item is found by what its former text meant.

    Raises:
        Problem: 422, with the place of each item that cannot be taken.
    """
    rows = sorted(_checked(items), key=lambda row: row.key)
    if not rows:
        return Upserted(0, 0, 0)
    values: dict[str, Any] = {
        "organisation": current_organisation_id(),
        "collection": collection.pk,
        "ids": [uuid7() for _row in rows],
        "keys": [row.key for row in rows],
        "texts": [row.text for row in rows],
        "references": [row.reference for row in rows],
        "attributes": [Jsonb(dict(row.attributes)) for row in rows],
        "hashes": [content_hash(row.text) for row in rows],
    }
    with connection.cursor() as cursor:
        # Workers that write vectors hold items in the order of their ids: so does this, or the two would deadlock.
        cursor.execute(_LOCK, values)
        cursor.execute(_UPSERT, values)
        written = cursor.fetchall()
    changed = [(item_id, text) for item_id, text, _created, other in written if other]
    words_write(collection.pk, changed)
    embed_request(collection.pk, [item_id for item_id, _text in changed])
    created = sum(new for _item_id, _text, new, _other in written)
    return Upserted(created, len(written) - created, len(rows) - len(written))


def items_delete(*, collection: Collection, keys: Sequence[str]) -> int:
    """Remove the items of these keys with their vectors; returns how many there were."""
    items = Item.objects.select_for_update().filter(collection=collection, key__in=list(keys))
    found: list[uuid.UUID] = list(items.order_by("id").values_list("id", flat=True))
    words_forget(collection.pk, found)
    # The items before vectors: a worker that is writing their vectors holds them, and is done when this goes on.
    Item.objects.filter(pk__in=found).delete()
    for space in Space.objects.filter(collection=collection).order_by("id"):
        vectors_delete(space, found)
    return len(found)


_SET_ATTRIBUTES = """
    UPDATE vectors_item SET updated_at = now(), attributes = attributes - %(remove)s::text[] || %(values)s
    WHERE collection_id = %(collection)s AND key = ANY(%(keys)s)
        AND attributes IS DISTINCT FROM attributes - %(remove)s::text[] || %(values)s
"""
_STEP = 10_000


def items_set_attributes(
    *,
    collection: Collection,
    keys: Sequence[str],
    values: Mapping[str, Any],
    remove: Sequence[str] = (),
) -> int:
    """Set attributes of many items, and take others away, without reading a text; returns how many have changed.

    All in the caller's transaction, so that searches see all of it or nothing. `keys` may be any number; those of
    which there is no item are passed over.

    Raises:
        Problem: 422, a value is no text, number, yes or no.
    """
    if not all(simple(value) and storable(name) for name, value in values.items()):
        raise Problem(
            422, "invalid", _("Attributes are at most 30 texts, numbers or yes and no by name.")
        )
    changed = 0
    with connection.cursor() as cursor:
        for start in range(0, len(keys), _STEP):
            given: dict[str, Any] = {
                "collection": collection.pk,
                "keys": list(keys[start : start + _STEP]),
                "values": Jsonb(dict(values)),
                "remove": list(remove),
            }
            cursor.execute(_LOCK, given)
            cursor.execute(_SET_ATTRIBUTES, given)
            changed += cursor.rowcount
    return changed


def embed_request(collection_id: uuid.UUID | str, item_ids: Sequence[uuid.UUID]) -> None:
    """Have a worker give the texts of these items their vectors."""
    if item_ids:
        payload = {"collection": str(collection_id), "item_ids": [str(each) for each in item_ids]}
        outbox_write(EMBED_TOPIC, payload)


def _checked(items: Sequence[ItemInput]) -> list[ItemInput]:
    if len(items) > MOST_ITEMS:
        raise Problem(
            422, "too-many", _("Give at most %(most)s items at a time.") % {"most": MOST_ITEMS}
        )
    rows: list[ItemInput] = []
    errors: list[dict[str, str]] = []
    keys: set[str] = set()
    for index, item in enumerate(items):
        key, text = item.key.strip(), clean_text(item.text)
        for place, fault in _faults(key, text, item, known=key in keys):
            errors.append({"pointer": f"/items/{index}/{place}", "detail": fault})
        keys.add(key)
        rows.append(ItemInput(key, text, item.reference, item.attributes))
    if errors:
        raise Problem(
            422,
            "invalid",
            _("%(n)s of the items' values cannot be taken.") % {"n": len(errors)},
            errors=errors,
        )
    return rows


def _faults(key: str, text: str, item: ItemInput, *, known: bool) -> list[tuple[str, str]]:
    """Where an item is at fault, and how."""
    faults = []
    if not 0 < len(key) <= 200 or not storable(key):
        faults.append(("key", _("A key has 1 to 200 characters.")))
    elif known:
        faults.append(("key", _("Two items have this key.")))
    if not text or len(text) > LONGEST_TEXT or not storable(text):
        faults.append(("text", _("A text has 1 to 100,000 characters.")))
    if len(item.reference) > 500 or not storable(item.reference):
        faults.append(("reference", _("A reference has at most 500 characters.")))
    if len(item.attributes) > 30 or not all(
        simple(value) and storable(name) and len(f"{name}{value}") <= 500
        for name, value in item.attributes.items()
    ):
        faults.append(
            ("attributes", _("Attributes are at most 30 texts, numbers or yes and no by name."))
        )
    return faults
