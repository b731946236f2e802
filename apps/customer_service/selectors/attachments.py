"""Files of conversations: their signed addresses, which open for an hour."""

from __future__ import annotations

import uuid
from typing import Any

from django.core import signing
from django.urls import reverse

from apps.customer_service.models import Attachment

SALT = "rootstock.service.attachment"
ADDRESS_SECONDS = 3600


def attachment_url(attachment: Attachment) -> str:
    """Where the file is read for the next hour, by whoever has the address."""
    signed = signing.dumps([str(attachment.organisation_id), str(attachment.pk)], salt=SALT)
    return reverse("widget:file", args=[signed])


def attachment_signed(signed: str) -> tuple[uuid.UUID, uuid.UUID]:
    """(organisation, attachment) of a signed address.

    Raises:
        BadSignature: it is not ours, or its hour is over.
    """
    organisation, attachment = signing.loads(signed, salt=SALT, max_age=ADDRESS_SECONDS)
    return uuid.UUID(organisation), uuid.UUID(attachment)


def public_attachment(attachment: Attachment) -> dict[str, Any]:
    """A file as a visitor sees it."""
    return {
        "id": str(attachment.pk),
        "name": attachment.name,
        "type": attachment.content_type,
        "size": attachment.size,
        "url": attachment_url(attachment),
    }
