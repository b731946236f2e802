"""Setting sources up, changing them, taking them away."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import POLLED, Source, SourceKind, SourcePolling
from apps.finance_sentiment.services.sources.pages import SelectorsRefused, selectors_check
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.http import AddressRefused, check_url
from rootstock.webhooks.signing import secret_create

MOST_SOURCES = 5000
SHORTEST_INTERVAL = 30
LONGEST_INTERVAL = 7 * 24 * 3600
SECRET_OVERLAP = timedelta(hours=24)
# What people may set; the name and the kind only when a source is made.
CHANGEABLE = (
    "url",
    "source_group",
    "credibility",
    "language",
    "enabled",
    "interval_seconds",
    "selectors",
    "fetch_articles",
)


def source_create(*, actor: Actor, name: str, kind: str, values: Mapping[str, Any]) -> Source:
    """Set up a source. One of that name that only documents have made so far is taken over, with its documents.

    Raises:
        ValidationError: by field.
    """
    name = " ".join(name.split())
    if not name:
        raise ValidationError({"name": _("A source needs a name.")})
    source = Source.objects.filter(name=name).first()
    if source is not None and source.kind != SourceKind.PUSH and source.archived_at is None:
        raise ValidationError({"name": _("There is a source of this name already.")})
    if source is None and Source.objects.filter(archived_at=None).count() >= MOST_SOURCES:
        raise ValidationError(
            {"name": _("There are at most %(most)d sources.") % {"most": MOST_SOURCES}}
        )
    source = source or Source(name=name)
    source.kind = kind
    source.archived_at = None
    _set(source, values)
    if kind == SourceKind.HOOK:
        source.hook_key = source.hook_key or secrets.token_urlsafe(24)
        source.secret = source.secret or secret_create()
    source.save()
    _schedule(source, at_once=True)
    _record(actor, "source.created", source, {"kind": kind, **_plain(source)})
    return source


def source_update(*, source: Source, actor: Actor, values: Mapping[str, Any]) -> Source:
    """Change what is given; another address or other selectors are tried at once.

    Raises:
        ValidationError: by field.
    """
    before = _plain(source)
    _set(source, values)
    after = _plain(source)
    changes = {key: value for key, value in after.items() if value != before[key]}
    if not changes:
        return source
    source.save()
    anew = bool({"url", "selectors", "fetch_articles", "enabled"} & set(changes))
    _schedule(source, at_once=anew)
    _record(actor, "source.updated", source, changes)
    return source


def source_poll_now(*, source: Source) -> bool:
    """Ask it as soon as a poller is free; False for one that is not asked."""
    return bool(
        SourcePolling.objects.filter(source=source, next_at__isnull=False).update(
            next_at=timezone.now()
        )
    )


def source_archive(*, source: Source, actor: Actor) -> None:
    """Take it away: it is asked no more and takes no more. Its documents stay."""
    source.archived_at = timezone.now()
    source.save(update_fields=["archived_at", "updated_at"])
    SourcePolling.objects.filter(source=source).update(next_at=None)
    _record(actor, "source.removed", source, {})


def source_rotate_secret(*, source: Source, actor: Actor) -> Source:
    """A new secret for a hook; the old one is good for another day.

    Raises:
        ValidationError: it is no hook.
    """
    if source.kind != SourceKind.HOOK:
        raise ValidationError({"kind": _("Only an inbound webhook has a secret.")})
    source.old_secret = source.secret
    source.old_secret_until = timezone.now() + SECRET_OVERLAP
    source.secret = secret_create()
    source.save(update_fields=["secret", "old_secret", "old_secret_until", "updated_at"])
    _record(actor, "source.secret_rotated", source, {})
    return source


def _set(source: Source, values: Mapping[str, Any]) -> None:
    """Put checked values into a source.

    Raises:
        ValidationError: by field.
    """
    for field in CHANGEABLE:
        if field in values:
            setattr(source, field, values[field])
    faults: dict[str, str] = {}
    if source.kind in POLLED:
        faults |= _polled_faults(source)
    else:
        source.url, source.selectors = "", {}
    if not 0 <= source.credibility <= 1:
        faults["credibility"] = _("Credibility is a number from 0 to 1.")
    if faults:
        raise ValidationError(faults)


def _polled_faults(source: Source) -> dict[str, str]:
    faults: dict[str, str] = {}
    try:
        check_url(source.url)
    except AddressRefused as error:
        faults["url"] = str(error) if source.url else _("Say where it is to be found.")
    if not SHORTEST_INTERVAL <= source.interval_seconds <= LONGEST_INTERVAL:
        faults["interval_seconds"] = _("From %(least)d seconds to a week.") % {
            "least": SHORTEST_INTERVAL
        }
    if not isinstance(source.selectors, dict):
        faults["selectors"] = _("Selectors are an object of text by name.")
        return faults
    try:
        source.selectors = selectors_check(source.kind, source.selectors)
    except SelectorsRefused as error:
        faults["selectors"] = f"{error.part}: {error}"
    return faults


def _schedule(source: Source, *, at_once: bool) -> None:
    """Have it polled, or not any more. What is known of the last answer is forgotten when another is expected."""
    if not source.is_polled:
        SourcePolling.objects.filter(source=source).update(next_at=None)
        return
    polling, _made = SourcePolling.objects.get_or_create(source=source)
    if not source.enabled:
        polling.next_at = None
    elif at_once or polling.next_at is None:
        polling.next_at = timezone.now()
        polling.etag, polling.last_modified, polling.digest = "", "", None
        polling.failures = 0
        # What a poll of the old settings brings is not wanted any more.
        polling.lease_token = polling.leased_until = None
    else:
        soon = timezone.now() + timedelta(seconds=source.interval_seconds)
        polling.next_at = min(polling.next_at, soon)
    polling.save()


def _plain(source: Source) -> dict[str, Any]:
    return {field: getattr(source, field) for field in CHANGEABLE}


def _record(actor: Actor, action: str, source: Source, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor, action=action, target="source", target_id=str(source.pk), changes=changes
    )
