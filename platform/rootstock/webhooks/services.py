"""Endpoints, and sending them what happened."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.http import AddressRefused, HttpError, check_url, fetch
from rootstock.common.problems import Problem
from rootstock.outbox.services import outbox_write
from rootstock.realtime.services import event_append
from rootstock.webhooks.events import PING, UnknownEvent, event_type_get
from rootstock.webhooks.models import Attempt, Delivery, Endpoint
from rootstock.webhooks.signing import secret_create, signed_headers

logger = logging.getLogger(__name__)

TOPIC = "webhooks.deliver"
STREAM = "webhooks"
MAX_ENDPOINTS = 20
MAX_BODY = 20_000
TIMEOUT_SECONDS = 15.0
OVERLAP = timedelta(hours=24)
# Before the second, third … tenth try: 75 h 35 min 5 s in all, as Standard Webhooks recommends.
WAITS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
]
GONE = gettext_noop("The receiver answered 410 Gone.")
SILENT = gettext_noop("Nothing was accepted for three days.")


# --- endpoints -----------------------------------------------------------------------------------


def endpoint_create(
    *, url: str, event_types: Sequence[str], actor: Actor, description: str = ""
) -> Endpoint:
    """Add an endpoint with a new secret.

    Raises:
        ValidationError: the URL or an event type is not allowed, or there are too many endpoints.
    """
    if Endpoint.objects.count() >= MAX_ENDPOINTS:
        raise ValidationError(_("There are at most %(most)s endpoints.") % {"most": MAX_ENDPOINTS})
    endpoint = Endpoint(
        url=_checked_url(url),
        description=description,
        event_types=_checked_types(event_types),
        secret=secret_create(),
        created_by=actor.label[:200],
    )
    endpoint.save(force_insert=True)
    _record(actor, "webhook.created", endpoint, {"url": url, "event_types": list(event_types)})
    return endpoint


def endpoint_update(
    *,
    endpoint: Endpoint,
    actor: Actor,
    url: str | None = None,
    event_types: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> Endpoint:
    """Change what is given. Enabling forgets why it was disabled.

    Raises:
        ValidationError: the URL or an event type is not allowed.
    """
    changes: dict[str, Any] = {}
    if url is not None and url != endpoint.url:
        endpoint.url = changes["url"] = _checked_url(url)
    if event_types is not None:
        endpoint.event_types = changes["event_types"] = _checked_types(event_types)
    if description is not None:
        endpoint.description = changes["description"] = description
    if enabled is not None and enabled == (endpoint.disabled_at is not None):
        changes["enabled"] = enabled
        endpoint.disabled_at = None if enabled else timezone.now()
        endpoint.disabled_reason = "" if enabled else gettext_noop("Switched off by hand.")
    endpoint.save()
    _record(actor, "webhook.changed", endpoint, changes)
    return endpoint


def endpoint_delete(*, endpoint: Endpoint, actor: Actor) -> None:
    """Remove an endpoint with the log of what was sent to it."""
    _record(actor, "webhook.deleted", endpoint, {"url": endpoint.url})
    endpoint.delete()


def endpoint_rotate_secret(*, endpoint: Endpoint, actor: Actor) -> Endpoint:
    """A new secret. For 24 hours every message is signed with the old one as well."""
    endpoint.old_secret = endpoint.secret
    endpoint.old_secret_until = timezone.now() + OVERLAP
    endpoint.secret = secret_create()
    endpoint.save()
    _record(actor, "webhook.secret_rotated", endpoint, {})
    return endpoint


def endpoint_ping(*, endpoint: Endpoint) -> Delivery:
    """Send a test message.

    Raises:
        Problem: 409, the endpoint is disabled.
    """
    if endpoint.disabled_at is not None:
        raise Problem(409, "endpoint-disabled", "The endpoint is disabled. Enable it first.")
    return _deliver(endpoint, PING.name, _body(PING.name, {"endpoint": str(endpoint.pk)}))


def _checked_url(url: str) -> str:
    try:
        return str(check_url(url))
    except AddressRefused as error:
        raise ValidationError({"url": str(error)}) from error


def _checked_types(names: Sequence[str]) -> list[str]:
    if not names:
        raise ValidationError({"event_types": _("Choose at least one event.")})
    for name in names:
        try:
            event_type_get(name)
        except UnknownEvent as error:
            raise ValidationError(
                {"event_types": _("There is no event %(name)s.") % {"name": name[:80]}}
            ) from error
    return sorted(set(names))


def _record(actor: Actor, action: str, endpoint: Endpoint, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=action,
        target="webhook",
        target_id=str(endpoint.pk),
        changes=changes,
    )


# --- deliveries ----------------------------------------------------------------------------------


def webhook_emit(event_type: str, data: Mapping[str, Any]) -> list[Delivery]:
    """Tell every endpoint that subscribes to the event, after the current transaction.

    A message is below 20 kB: data that is longer is cut down to its short top-level values, with `"truncated": true`.

    Raises:
        UnknownEvent: the event type is not registered.
    """
    event_type_get(event_type)
    endpoints = list(
        Endpoint.objects.filter(disabled_at__isnull=True, event_types__contains=[event_type])
    )
    if not endpoints:
        return []
    body = _body(event_type, data)
    return [_deliver(endpoint, event_type, body) for endpoint in endpoints]


def delivery_replay(*, delivery: Delivery) -> Delivery:
    """Send a message again, with the same id and all its tries before it.

    Raises:
        Problem: 409, it is still being tried, or its endpoint is disabled.
    """
    if delivery.state == Delivery.State.PENDING:
        raise Problem(409, "delivery-pending", "The message is being delivered already.")
    if delivery.endpoint.disabled_at is not None:
        raise Problem(409, "endpoint-disabled", "The endpoint is disabled. Enable it first.")
    delivery.state = Delivery.State.PENDING
    delivery.tries = 0
    delivery.next_try_at = timezone.now()
    delivery.save()
    outbox_write(TOPIC, {"delivery_id": str(delivery.pk)})
    return delivery


def _body(event_type: str, data: Mapping[str, Any]) -> str:
    def text(content: Mapping[str, Any]) -> str:
        message = {
            "type": event_type,
            "timestamp": timezone.now().isoformat(),
            "data": dict(content),
        }
        return json.dumps(message, ensure_ascii=False, separators=(",", ":"), default=str)

    whole = text(data)
    if len(whole.encode()) < MAX_BODY:
        return whole
    short = {
        key: value
        for key, value in list(data.items())[:30]
        if value is None or isinstance(value, bool | int | float) or len(str(value)) <= 100
    }
    return text({**short, "truncated": True})


def _deliver(endpoint: Endpoint, event_type: str, body: str) -> Delivery:
    delivery = Delivery(
        endpoint=endpoint, event_type=event_type, body=body, next_try_at=timezone.now()
    )
    delivery.save(force_insert=True)
    outbox_write(TOPIC, {"delivery_id": str(delivery.pk)})
    return delivery


# --- one try -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Letter:
    """All that a try needs, read in one short transaction."""

    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Tried:
    """What came of a try. `final`: another one would fare no better."""

    status: int | None
    error: str
    answer: str
    milliseconds: int
    final: bool = False

    @property
    def accepted(self) -> bool:
        """Only 2xx is success: a redirect is a failure and never followed."""
        return self.status is not None and 200 <= self.status < 300


def letter_read(delivery_id: str) -> Letter | None:
    """The message ready to be sent; None when there is nothing to send any more."""
    delivery = Delivery.objects.select_related("endpoint").filter(pk=delivery_id).first()
    if delivery is None or delivery.state != Delivery.State.PENDING:
        return None
    endpoint = delivery.endpoint
    if endpoint.disabled_at is not None:
        return None
    now = timezone.now()
    body = delivery.body.encode()
    headers = signed_headers(
        endpoint.secrets_at(now), f"msg_{delivery.pk.hex}", int(now.timestamp()), body
    )
    return Letter(endpoint.url, {"Content-Type": "application/json", **headers}, body)


def letter_send(letter: Letter) -> Tried:
    """One request, outside of any transaction."""
    begin = time.monotonic()

    def took() -> int:
        return round((time.monotonic() - begin) * 1000)

    try:
        answer = fetch(
            "POST",
            letter.url,
            headers=letter.headers,
            body=letter.body,
            timeout=TIMEOUT_SECONDS,
            max_bytes=64_000,
        )
    except HttpError as error:
        return Tried(None, str(error)[:300], "", took())
    text = answer.body[:1000].decode("utf-8", "replace").replace("\x00", "")
    return Tried(answer.status, "", text, took(), final=answer.status == 410)


def delivery_tried(delivery_id: str, tried: Tried | None) -> None:
    """Note what came of a try: done, another one later, or given up."""
    delivery = (
        Delivery.objects.select_for_update(of=("self",))
        .select_related("endpoint")
        .filter(pk=delivery_id)
        .first()
    )
    if delivery is None or delivery.state != Delivery.State.PENDING:
        return
    if tried is None:
        _give_up(delivery)
        return
    delivery.tries += 1
    Attempt.objects.create(
        delivery=delivery,
        status=tried.status,
        error=tried.error,
        answer=tried.answer,
        milliseconds=tried.milliseconds,
    )
    if tried.accepted:
        now = timezone.now()
        delivery.state = Delivery.State.DELIVERED
        delivery.delivered_at = now
        delivery.next_try_at = None
        delivery.save()
        Endpoint.objects.filter(pk=delivery.endpoint_id).update(last_success_at=now)
    elif tried.final:
        _give_up(delivery)
        _disable(delivery.endpoint, GONE)
    elif delivery.tries > len(WAITS):
        _give_up(delivery)
        endpoint = Endpoint.objects.get(pk=delivery.endpoint_id)
        if endpoint.last_success_at is None or endpoint.last_success_at < delivery.created_at:
            _disable(endpoint, SILENT)
    else:
        delivery.next_try_at = timezone.now() + WAITS[delivery.tries - 1]
        delivery.save()
        outbox_write(TOPIC, {"delivery_id": str(delivery.pk)}, available_at=delivery.next_try_at)


def _give_up(delivery: Delivery) -> None:
    delivery.state = Delivery.State.FAILED
    delivery.next_try_at = None
    delivery.save()


def _disable(endpoint: Endpoint, reason: str) -> None:
    changed = Endpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=True).update(
        disabled_at=timezone.now(), disabled_reason=reason, updated_at=timezone.now()
    )
    if changed:
        logger.warning("webhook endpoint %s disabled: %s", endpoint.pk, reason)
        event_append(STREAM, "endpoint.disabled", {"endpoint": str(endpoint.pk), "reason": reason})
