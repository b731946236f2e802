"""Who a visitor is: signed tokens of ours, signed identities of the company's own server."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core import signing
from django.utils import timezone

from apps.customer_service.models import Channel, Conversation, Visitor
from apps.customer_service.services.conversations import conversation_changed, conversations_lock

SALT = "rootstock.service.visitor"
TOKEN_SECONDS = 24 * 3600
# So long a former token still says which unverified visitor somebody was, so that their conversation goes on.
RETURN_SECONDS = 30 * 24 * 3600
# Of a signed identity: how long it may be good for, and by how much clocks may differ.
IDENTITY_SECONDS = 24 * 3600
LEEWAY_SECONDS = 60
LONGEST_IDENTITY = 8192
MOST_ATTRIBUTES = 50
LONGEST_ATTRIBUTE = 1000


class TokenRefused(ValueError):
    """A visitor's token that is not ours, was changed, or whose time is over."""


class IdentityRefused(ValueError):
    """A signed identity that cannot be believed; the text says why."""


@dataclass(frozen=True)
class VisitorToken:
    """What a token says."""

    organisation_id: uuid.UUID
    channel_id: uuid.UUID
    visitor_id: uuid.UUID
    expires_at: datetime


@dataclass(frozen=True)
class Identity:
    """A customer as the company's server vouches for them."""

    subject: str
    name: str = ""
    email: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def token_issue(*, channel: Channel, visitor: Visitor) -> tuple[str, datetime]:
    """(token, the moment it ends): with it a visitor writes and reads in this channel."""
    ids = [str(channel.organisation_id), str(channel.pk), str(visitor.pk)]
    return signing.dumps(ids, salt=SALT), timezone.now() + timedelta(seconds=TOKEN_SECONDS)


def token_read(token: str, *, max_age: int = TOKEN_SECONDS) -> VisitorToken:
    """What a token says.

    Raises:
        TokenRefused: it is forged or too old.
    """
    try:
        organisation, channel, visitor = signing.loads(token, salt=SALT, max_age=max_age)
        issued = signing.b62_decode(token.rsplit(":", 2)[1])
    except (signing.BadSignature, ValueError) as error:
        raise TokenRefused(str(error)) from error
    return VisitorToken(
        uuid.UUID(organisation),
        uuid.UUID(channel),
        uuid.UUID(visitor),
        datetime.fromtimestamp(issued + TOKEN_SECONDS, UTC),
    )


def identity_read(token: str, *, secret: str, now: float | None = None) -> Identity:
    """The customer of a compact JWT (RFC 7519), signed with HMAC-SHA256 and the channel's secret.

    Claims: `sub` (the company's id of the customer) and `exp`, at most 24 hours ahead; `nbf`, `iat`, `name`, `email`
    and `attributes` (a flat object) if given. No other algorithm is understood, `none` least of all.

    Raises:
        IdentityRefused: it is malformed, not signed with this secret, expired, or a claim is not valid.
    """
    now = time.time() if now is None else now
    if not secret:
        raise IdentityRefused("This channel has no identity secret.")
    parts = token.split(".")
    if len(token) > LONGEST_IDENTITY or len(parts) != 3:
        raise IdentityRefused("The identity is not a compact JWT.")
    header, claims, signature = parts
    expected = hmac.new(secret.encode(), f"{header}.{claims}".encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(expected, _base64(signature)):
        raise IdentityRefused("The identity is not signed with this channel's secret.")
    if _json(header).get("alg") != "HS256":
        raise IdentityRefused("The identity must be signed with HS256.")
    return _identity(_json(claims), now)


def _identity(claims: dict[str, Any], now: float) -> Identity:
    expires = _moment(claims, "exp")
    if expires is None:
        raise IdentityRefused("The identity has no exp.")
    if expires <= now - LEEWAY_SECONDS:
        raise IdentityRefused("The identity has expired.")
    if expires > now + IDENTITY_SECONDS + LEEWAY_SECONDS:
        raise IdentityRefused("The identity may be good for 24 hours at most.")
    for name in ("nbf", "iat"):
        begins = _moment(claims, name)
        if begins is not None and begins > now + LEEWAY_SECONDS:
            raise IdentityRefused(f"The identity's {name} lies in the future.")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip() or len(subject) > 200:
        raise IdentityRefused("The identity's sub is a text of 1 to 200 characters.")
    attributes = claims.get("attributes", {})
    if not isinstance(attributes, dict) or len(attributes) > MOST_ATTRIBUTES:
        raise IdentityRefused(f"attributes is an object of at most {MOST_ATTRIBUTES} values.")
    for value in attributes.values():
        if isinstance(value, dict | list) or len(str(value)) > LONGEST_ATTRIBUTE:
            raise IdentityRefused("Attributes are texts, numbers, true, false or null.")
    name, email = claims.get("name", ""), claims.get("email", "")
    if not isinstance(name, str) or not isinstance(email, str):
        raise IdentityRefused("name and email are texts.")
    return Identity(subject, name[:200], email[:254], attributes)


def visitor_begin(
    *,
    identity: Identity | None = None,
    former: uuid.UUID | None = None,
    language: str = "",
) -> Visitor:
    """The visitor of a new session.

    With an identity it is the company's customer; conversations that the same browser had before it was known who
    writes become theirs. Without one it is whoever the former token named, but never a customer: what was vouched for
    once holds for that session only.
    """
    before = Visitor.objects.filter(pk=former, external_id="").first() if former else None
    if identity is not None:
        visitor = _customer(identity)
        if before is not None:
            _merge(before, visitor)
    else:
        visitor = before or Visitor.objects.create()
    visitor.language = language[:10] or visitor.language
    visitor.last_seen_at = timezone.now()
    visitor.save()
    return visitor


def visitor_named(*, external_id: str = "", name: str = "", email: str = "") -> Visitor:
    """The customer whom a program with a key of ours names by the company's own id; without one somebody new."""
    if external_id:
        return _saved(_customer(Identity(external_id, name, email)))
    return Visitor.objects.create(name=name, email=email)


def visitor_told(*, visitor: Visitor, answers: dict[str, str]) -> None:
    """Keep what was asked before the conversation. What the company vouches for is not overwritten."""
    for name, value in answers.items():
        if name not in ("name", "email"):
            visitor.attributes.setdefault(name, value)
        elif not visitor.verified:
            setattr(visitor, name, value[:200])
    visitor.save()


def _customer(identity: Identity) -> Visitor:
    visitor, _made = Visitor.objects.get_or_create(external_id=identity.subject)
    visitor.verified = True
    visitor.name = identity.name or visitor.name
    visitor.email = identity.email or visitor.email
    visitor.attributes = {**visitor.attributes, **identity.attributes}
    return visitor


def _saved(visitor: Visitor) -> Visitor:
    visitor.save()
    return visitor


def _merge(anonymous: Visitor, customer: Visitor) -> None:
    ids = Conversation.objects.filter(visitor=anonymous).values_list("pk", flat=True)
    conversations = conversations_lock(list(ids))
    customer.save()
    for conversation in conversations:
        conversation.visitor = customer
        conversation.save(update_fields=["visitor", "updated_at"])
    anonymous.delete()
    for conversation in conversations:
        conversation_changed(conversation=conversation)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise IdentityRefused("The identity is not a compact JWT.") from None


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(_base64(text))
    except (ValueError, RecursionError):
        raise IdentityRefused("The identity is not a compact JWT.") from None
    if not isinstance(value, dict) or "\\u0000" in json.dumps(value):
        raise IdentityRefused("The identity is not a compact JWT.")
    return value


def _moment(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise IdentityRefused(f"The identity's {name} is a number of seconds since 1970.")
    return value
