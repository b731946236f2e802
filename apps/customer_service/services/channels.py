"""Installations of the widget: making, setting up and removing them."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import date
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from apps.customer_service.models import Channel
from apps.customer_service.services.channel_settings import (
    appearance_clean,
    audiences_clean,
    hours_clean,
    origins_clean,
    pre_chat_clean,
)
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor

MOST_CHANNELS = 100
KEY_LENGTH = 20
KEY_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_CLEAN: dict[str, Callable[[Any], Any]] = {
    "origins": origins_clean,
    "appearance": appearance_clean,
    "pre_chat": pre_chat_clean,
    "business_hours": hours_clean,
    "audiences": audiences_clean,
}
_PLAIN = ("enabled", "identity_required", "attachments")


def channel_create(*, name: str, actor: Actor, **settings: Any) -> Channel:
    """A channel with a key and a secret of its own; `settings` are those of `channel_update`.

    Raises:
        ValidationError: by field, what is wrong with it.
    """
    if Channel.objects.count() >= MOST_CHANNELS:
        raise ValidationError(_("There are at most %(most)s channels.") % {"most": MOST_CHANNELS})
    channel = Channel(
        key=get_random_string(KEY_LENGTH, KEY_LETTERS), identity_secret=_secret(), appearance={}
    )
    changes = _set(channel, {"name": name, "appearance": {}, **settings})
    channel.save(force_insert=True)
    _record(actor, "service.channel.created", channel, changes)
    return channel


def channel_update(*, channel: Channel, actor: Actor, **settings: Any) -> Channel:
    """Change what is given.

    Args:
        settings: name, enabled, origins, appearance, pre_chat, business_hours, holidays, audiences, attachments,
            identity_required; each as the model describes it.

    Raises:
        ValidationError: by field, what is wrong with it.
    """
    changes = _set(channel, settings)
    channel.save()
    if changes:
        _record(actor, "service.channel.changed", channel, changes)
    return channel


def channel_rotate_secret(*, channel: Channel, actor: Actor) -> Channel:
    """A new secret for signing identities; those signed with the old one are refused from now on."""
    channel.identity_secret = _secret()
    channel.save()
    _record(actor, "service.channel.secret_rotated", channel, {})
    return channel


def channel_delete(*, channel: Channel, actor: Actor) -> None:
    """Remove it. Its conversations stay; pages that still have its tag show nothing."""
    _record(actor, "service.channel.deleted", channel, {"name": channel.name})
    channel.delete()


def _set(channel: Channel, settings: dict[str, Any]) -> dict[str, Any]:
    """Put cleaned values into the row; what has changed."""
    errors: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for name, given in settings.items():
        try:
            value = _value(channel, name, given)
        except ValidationError as error:
            errors[name] = error.messages
            continue
        if value != getattr(channel, name):
            setattr(channel, name, value)
            changes[name] = [str(one) for one in value] if name == "holidays" else value
    if errors:
        raise ValidationError(errors)
    return changes


def _value(channel: Channel, name: str, given: Any) -> Any:
    if name in _CLEAN:
        return _CLEAN[name](given)
    if name in _PLAIN:
        return bool(given)
    if name == "holidays":
        days: list[date] = sorted(set(given))
        return days
    if name != "name":
        raise TypeError(f"no setting of a channel: {name}")
    text = str(given).strip()
    if not text or len(text) > 120:
        raise ValidationError(_("A name has from 1 to 120 characters."))
    if Channel.objects.exclude(pk=channel.pk).filter(name=text).exists():
        raise ValidationError(_("There is a channel of this name already."))
    return text


def _secret() -> str:
    return secrets.token_urlsafe(32)


def _record(actor: Actor, action: str, channel: Channel, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=action,
        target="service.channel",
        target_id=str(channel.pk),
        changes=changes,
    )
