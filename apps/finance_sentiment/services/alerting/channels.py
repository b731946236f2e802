"""Channels: adding, changing, testing and removing the places where notifications go."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import AlertChannel, EscalationStep, Medium, Notification
from apps.finance_sentiment.services.alerting.chat import (
    EXAMPLES,
    SIGNED,
    NotAnAddress,
    chat_tokens,
)
from apps.finance_sentiment.services.alerting.notifying import Target, notifications_make
from apps.finance_sentiment.services.alerting.people import QUIET_FIELDS, quiet_check
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.http import AddressRefused, check_url
from rootstock.common.ids import uuid7
from rootstock.common.problems import Problem, invalid
from rootstock.webhooks.signing import secret_create

MOST = 100
LONGEST_SECRET = 200
FIELDS = ("name", "enabled", "tells_end", *QUIET_FIELDS)


def channel_create(
    *,
    actor: Actor,
    name: str,
    medium: str,
    address: str,
    secret: str = "",
    owner_id: uuid.UUID | None = None,
    values: Mapping[str, Any] | None = None,
) -> AlertChannel:
    """Add a channel. A webhook gets a secret of its own making, which can be read once, from what is returned.

    Raises:
        Problem: 422 that says what is wrong, and where; 409 when there are too many.
    """
    if AlertChannel.objects.count() >= MOST:
        raise Problem(409, "too-many", _("There are at most %(most)d channels.") % {"most": MOST})
    if medium == Medium.IN_APP or medium not in Medium.values:
        raise invalid("/medium", _("Not a way that a channel can go."))
    channel = AlertChannel(medium=medium, owner_id=owner_id, created_by=actor.label[:200])
    _set(channel, {**(values or {}), "name": name})
    _set_address(channel, address)
    _set_secret(channel, secret)
    channel.save(force_insert=True)
    _record(actor, "create", channel, {"medium": medium, "hint": channel.hint})
    return channel


def channel_update(
    *, channel: AlertChannel, actor: Actor, values: Mapping[str, Any]
) -> AlertChannel:
    """Change what is given. A new address without a secret forgets the old secret, except that of a webhook's.

    Raises:
        Problem: 422 that says what is wrong, and where.
    """
    _set(channel, values)
    if values.get("address"):
        _set_address(channel, values["address"])
        if channel.medium != Medium.WEBHOOK:
            channel.secret = ""
    if values.get("secret"):
        _set_secret(channel, values["secret"])
    channel.save()
    _record(actor, "update", channel, {"fields": sorted(set(values) - {"secret"})})
    return channel


def channel_delete(*, channel: AlertChannel, actor: Actor) -> None:
    """Forget a channel.

    Raises:
        Problem: 409 while a chain tells it.
    """
    step = EscalationStep.objects.filter(channel=channel).select_related("chain").first()
    if step is not None:
        raise Problem(
            409,
            "in-use",
            _("The chain “%(chain)s” tells this channel. Take it out there first.")
            % {"chain": step.chain.name},
        )
    _record(actor, "delete", channel, {"medium": channel.medium})
    channel.delete()


def channel_test(*, channel: AlertChannel, actor: Actor) -> Notification:
    """Send a message that says that it is a test; its state tells what came of it.

    Raises:
        Problem: 409 while the channel is switched off.
    """
    if not channel.enabled:
        raise Problem(409, "channel-disabled", _("The channel is switched off."))
    (row,) = notifications_make(
        targets=[Target(channel.medium, channel)],
        alerts=[],
        reason=Notification.Reason.TEST,
        token=f"test:{uuid7()}",
    )
    _record(actor, "test", channel, {})
    return row


def _set(channel: AlertChannel, values: Mapping[str, Any]) -> None:
    for field in FIELDS:
        if field in values:
            setattr(channel, field, values[field])
    channel.name = channel.name.strip()
    if not channel.name or len(channel.name) > 80:
        raise invalid("/name", _("A name has 1 to 80 characters."))
    taken = AlertChannel.objects.filter(name=channel.name).exclude(pk=channel.pk)
    if taken.exists():
        raise invalid("/name", _("There is a channel of this name already."))
    quiet_check(channel)


def _set_address(channel: AlertChannel, address: str) -> None:
    address = address.strip()
    if channel.medium == Medium.EMAIL:
        try:
            validate_email(address)
        except ValidationError as error:
            raise invalid("/address", _("Not an e-mail address.")) from error
        channel.hint = address[:120]
    elif channel.medium == Medium.WEBHOOK:
        try:
            address = str(check_url(address))
        except AddressRefused as error:
            raise invalid("/address", str(error)) from error
        channel.hint = urlsplit(address).netloc[:120]
    else:
        try:
            tokens = chat_tokens(channel.medium, address)
        except NotAnAddress as error:
            raise invalid(
                "/address",
                _("Not the address of a robot there. It begins like %(example)s")
                % {"example": EXAMPLES[Medium(channel.medium)]},
            ) from error
        channel.hint = f"{urlsplit(address).netloc} …{list(tokens.values())[-1][-4:]}"
    channel.address = address
    channel.problem = ""


def _set_secret(channel: AlertChannel, secret: str) -> None:
    secret = secret.strip()
    if channel.medium == Medium.WEBHOOK:
        # Made here, so that it is a strong one; a given one is never taken.
        channel.secret = secret_create()
    elif secret and channel.medium not in SIGNED:
        raise invalid("/secret", _("Messages that go this way are not signed."))
    elif len(secret) > LONGEST_SECRET or not secret.isascii() or "\x00" in secret:
        raise invalid("/secret", _("A secret has at most 200 ASCII characters."))
    else:
        channel.secret = secret


def _record(actor: Actor, action: str, channel: AlertChannel, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"finance.channel.{action}",
        target=f"alert channel {channel.name}",
        target_id=str(channel.pk),
        changes=changes or None,
    )
