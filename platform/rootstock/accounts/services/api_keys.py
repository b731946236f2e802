"""API keys: made, changed, rotated, revoked."""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from rootstock.accounts.keys import key_digest, key_new
from rootstock.accounts.models import ApiKey
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.tenancy.permissions import Permission

__all__ = [
    "api_key_create",
    "api_key_note_use",
    "api_key_revoke",
    "api_key_rotate",
    "api_key_update",
]

MAX_OVERLAP = timedelta(days=30)
# A write for every request would be a row lock for every request.
NOTE_USE_EVERY = timedelta(minutes=1)


def api_key_create(
    *,
    actor: Actor,
    granted: Collection[str],
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    networks: Sequence[str] = (),
) -> tuple[ApiKey, str]:
    """A new key and its text, which is known only now.

    Args:
        granted: the permissions of whoever makes it; a key can never do more than its maker.
        scopes: permissions of the key, at least one.
        expires_at: in the future; None for a key that stays.
        networks: addresses or networks it may be used from (`203.0.113.0/24`); anywhere when empty.

    Raises:
        ValidationError: by field.
        Problem: 403 for a scope that the maker has not.
    """
    new = key_new()
    key = ApiKey(
        name=name.strip(),
        prefix=new.prefix,
        digest=new.digest,
        scopes=_scopes(scopes, granted),
        created_by=actor.label[:200],
        expires_at=_future(expires_at),
        networks=_networks(networks),
    )
    key.full_clean()
    key.save(force_insert=True)
    audit_record(
        actor=actor,
        action="accounts.api_key.create",
        target=str(key),
        target_id=str(key.pk),
        changes={"scopes": key.scopes, "expires_at": key.expires_at, "networks": key.networks},
    )
    return key, new.text


def api_key_update(
    *,
    actor: Actor,
    granted: Collection[str],
    key: ApiKey,
    name: str | None = None,
    scopes: Sequence[str] | None = None,
    networks: Sequence[str] | None = None,
) -> ApiKey:
    """Change what is given; a scope that is added must be one that the person has.

    Raises:
        ValidationError: by field.
        Problem: 403 for a scope that the person has not, 409 for a revoked key.
    """
    _check_usable(key)
    before = {"name": key.name, "scopes": key.scopes, "networks": key.networks}
    if name is not None:
        key.name = name.strip()
    if scopes is not None:
        key.scopes = _scopes(scopes, set(granted) | set(key.scopes))
    if networks is not None:
        key.networks = _networks(networks)
    changes = {
        field: [old, getattr(key, field)]
        for field, old in before.items()
        if getattr(key, field) != old
    }
    if not changes:
        return key
    key.full_clean()
    key.save()
    audit_record(
        actor=actor,
        action="accounts.api_key.update",
        target=str(key),
        target_id=str(key.pk),
        changes=changes,
    )
    return key


def api_key_rotate(
    *, actor: Actor, granted: Collection[str], key: ApiKey, overlap: timedelta = timedelta(0)
) -> str:
    """The text of the key with a new secret.

    The old secret stays valid for `overlap` (at most 30 days; zero ends it at once). Whoever rotates a key gets its
    text, so it takes all the permissions that the key has.

    Raises:
        ValidationError: an overlap out of range.
        Problem: 403 when the key can do more than the person, 409 for a key that no longer works.
    """
    _check_usable(key)
    _scopes(key.scopes, granted)
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise ValidationError({"overlap_seconds": _("From 0 seconds to 30 days.")})
    new = key_new(key.prefix)
    key.previous_digest = bytes(key.digest) if overlap else None
    key.previous_expires_at = timezone.now() + overlap if overlap else None
    key.digest = new.digest
    key.save()
    audit_record(
        actor=actor,
        action="accounts.api_key.rotate",
        target=str(key),
        target_id=str(key.pk),
        changes={"old_secret_valid_until": key.previous_expires_at},
    )
    return new.text


def api_key_revoke(*, actor: Actor, key: ApiKey) -> ApiKey:
    """End a key now and for good; revoking it again changes nothing."""
    if key.revoked_at is not None:
        return key
    key.revoked_at = timezone.now()
    key.previous_digest = None
    key.previous_expires_at = None
    key.save()
    audit_record(
        actor=actor,
        action="accounts.api_key.revoke",
        target=str(key),
        target_id=str(key.pk),
    )
    return key


def api_key_note_use(
    key_id: uuid.UUID, *, last_used_at: datetime | None, renew: str | None = None
) -> None:
    """Remember that a key was used, at most once a minute.

    Args:
        last_used_at: what is remembered so far.
        renew: the secret, where its digest was made under a former ROOTSTOCK_SECRET_KEY and is to be made anew.
    """
    now = timezone.now()
    rows = ApiKey.objects.filter(pk=key_id)
    if renew is not None:
        rows.update(digest=key_digest(renew))
    if last_used_at is None or now - last_used_at >= NOTE_USE_EVERY:
        rows.update(last_used_at=now)


def _check_usable(key: ApiKey) -> None:
    if not key.is_usable:
        raise Problem(409, "key-ended", _("This key was revoked or has expired. Make a new one."))


def _scopes(scopes: Sequence[str], granted: Collection[str]) -> list[str]:
    """In the order of `Permission`, each once."""
    unknown = sorted(set(scopes) - set(Permission))
    if unknown:
        raise ValidationError({"scopes": _("Not a scope: %s.") % ", ".join(unknown)[:200]})
    if not scopes:
        raise ValidationError({"scopes": _("Choose at least one scope.")})
    missing = [scope for scope in Permission if scope in scopes and scope not in granted]
    if missing:
        raise Problem(
            403,
            "missing-permission",
            _("You cannot give a key what you may not do yourself: %s.") % ", ".join(missing),
            errors=[{"pointer": "/scopes", "detail": str(scope)} for scope in missing],
        )
    return [str(scope) for scope in Permission if scope in scopes]


def _networks(networks: Sequence[str]) -> list[str]:
    found = []
    for text in networks:
        try:
            found.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError as error:
            raise ValidationError(
                {"networks": _("Not an address or network: %s.") % text[:60]}
            ) from error
    if len(found) > 50:
        raise ValidationError({"networks": _("At most 50 networks.")})
    return list(dict.fromkeys(found))


def _future(moment: datetime | None) -> datetime | None:
    if moment is not None and moment <= timezone.now():
        raise ValidationError({"expires_at": _("This time has passed.")})
    return moment
