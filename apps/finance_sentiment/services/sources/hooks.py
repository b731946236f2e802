"""Inbound webhooks: signed messages (Standard Webhooks) with documents, each taken once."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import HookDelivery, Source
from apps.finance_sentiment.services.intake import MAX_BATCH
from apps.finance_sentiment.services.sources.items import RawItem, plain, squeezed
from apps.finance_sentiment.services.sources.refusing import Refusal
from apps.finance_sentiment.services.sources.taking import items_match, items_take
from rootstock.tenancy.rls import call_lookup
from rootstock.webhooks.signing import verify

TOLERANCE_SECONDS = 300
# Answers are kept for senders that try again; a replay is refused by its time long before.
KEPT = timedelta(days=1)
_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_FIELDS = ("external_id", "title", "body", "url", "language", "published_at")


class Unsigned(Exception):
    """A message that is not from who it should be from, or too old; the text says what is wrong."""


class NoDocuments(ValueError):
    """A message without a list of documents, or with too many."""


@dataclass(frozen=True, slots=True)
class Hook:
    """Whose hook an address is."""

    organisation_id: uuid.UUID
    source_id: uuid.UUID


def hook_find(key: str) -> Hook | None:
    """The hook of an address; outside any scope."""
    rows = call_lookup("finance_source_by_hook", key)
    return Hook(rows[0]["organisation_id"], rows[0]["source_id"]) if rows else None


def signature_check(*, source: Source, headers: Mapping[str, str], body: bytes) -> str:
    """The id of a message whose signature is right.

    Raises:
        Unsigned: with what is wrong.
    """
    given = {name: headers.get(name, "") for name in _HEADERS}
    for name, value in given.items():
        if not value or len(value) > 2000 or not value.isascii():
            raise Unsigned(_("The header %(name)s is missing or malformed.") % {"name": name})
    if len(given["webhook-id"]) > 200:
        raise Unsigned(_("The header %(name)s is missing or malformed.") % {"name": "webhook-id"})
    now = timezone.now()
    stamp = given["webhook-timestamp"]
    if not stamp.isdecimal() or len(stamp) > 12:
        raise Unsigned(_("webhook-timestamp is not a number of seconds since 1970."))
    if abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
        raise Unsigned(_("webhook-timestamp is more than five minutes away from our clock."))
    secrets = [source.secret]
    if source.old_secret and source.old_secret_until and now < source.old_secret_until:
        secrets.append(source.old_secret)
    if not any(
        secret and verify(secret, given, body, now=int(time.time()), tolerance=TOLERANCE_SECONDS)
        for secret in secrets
    ):
        raise Unsigned(_("No signature in webhook-signature is right for this message."))
    return given["webhook-id"]


def hook_take(*, source: Source, message_id: str, content: Any) -> dict[str, Any]:
    """Store the documents of a verified message: the good ones, and the others as dead letters.

    Returns the answer; a message whose id was taken before gets the answer that it got, and `replayed`.

    Raises:
        NoDocuments: there are none in the message, or too many.
    """
    delivery, is_new = HookDelivery.objects.get_or_create(source=source, message_id=message_id)
    if not is_new:
        return {**delivery.answer, "replayed": True}
    now = timezone.now()
    items, refusals = _items(_documents(content))
    seen, _repeated = items_match(source=source, items=items)
    taken = items_take(
        source=source,
        seen=seen,
        now=now,
        zone=timezone.get_current_timezone(),
        refusals=refusals,
    )
    delivery.answer = {
        "created": taken.created,
        "updated": taken.updated,
        "unchanged": taken.unchanged,
        "refused": taken.refused,
    }
    delivery.save(update_fields=["answer", "updated_at"])
    HookDelivery.objects.filter(source=source, created_at__lt=now - KEPT).delete()
    return {**delivery.answer, "replayed": False}


def _documents(content: Any) -> list[Any]:
    """A list of documents, an object that has one, or a document alone.

    Raises:
        NoDocuments: none of these.
    """
    found = content
    if isinstance(content, dict):
        found = content.get("documents", [content] if "title" in content else None)
    if not isinstance(found, list) or not found:
        raise NoDocuments(_("The message has no list of documents."))
    if len(found) > MAX_BATCH:
        raise NoDocuments(
            _("%(count)d documents; at most %(limit)d are taken in one call.")
            % {"count": len(found), "limit": MAX_BATCH}
        )
    return found


def _items(documents: list[Any]) -> tuple[list[RawItem], list[Refusal]]:
    items: list[RawItem] = []
    refusals: list[Refusal] = []
    for document in documents:
        fault = _fault(document)
        if fault:
            payload = document if isinstance(document, dict) else {"document": document}
            refusals.append(Refusal(_made_up_key(document), payload, [fault]))
            continue
        texts = {name: str(document.get(name) or "") for name in _FIELDS}
        items.append(
            RawItem(
                guid=squeezed(texts["external_id"]),
                link=texts["url"].strip(),
                title=squeezed(texts["title"]),
                body=plain(texts["body"]),
                time=texts["published_at"],
                language=texts["language"].strip(),
            )
        )
    return items, refusals


def _fault(document: Any) -> dict[str, str] | None:
    if not isinstance(document, dict):
        return {"field": "", "detail": _("A document is an object with named fields.")}
    for name in _FIELDS:
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            return {"field": name, "detail": _("This must be text.")}
    return None


def _made_up_key(document: Any) -> str:
    if isinstance(document, dict) and isinstance(document.get("external_id"), str):
        return str(document["external_id"])[:200]
    return hashlib.blake2b(repr(document).encode("utf-8", "replace"), digest_size=16).hexdigest()
