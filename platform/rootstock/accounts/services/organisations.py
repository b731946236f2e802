"""The organisation itself."""

from __future__ import annotations

import zoneinfo

from django.core.exceptions import ValidationError
from django.db import connection
from django.utils.text import slugify
from django.utils.translation import gettext as _

from rootstock.accounts.models import User
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.common.ids import uuid7
from rootstock.tenancy.models import Membership, Organisation, Role
from rootstock.tenancy.scope import organisation_scope

__all__ = ["organisation_create", "organisation_update"]


def organisation_create(
    *,
    name: str,
    owner: User,
    actor: Actor = SYSTEM,
    slug: str = "",
    time_zone: str = "UTC",
    language: str = "en",
) -> Organisation:
    """A new organisation with its first owner. Call it outside any scope.

    Raises:
        ValidationError: by field.
    """
    new_id = uuid7()
    with organisation_scope(new_id):
        organisation = Organisation(
            id=new_id,
            name=name.strip(),
            slug=slug or _free_slug(name, new_id.hex),
            time_zone=_time_zone(time_zone),
            language=language,
        )
        organisation.full_clean()
        organisation.save(force_insert=True)
        Membership.objects.create(user=owner, role=Role.OWNER)
        audit_record(
            actor=actor,
            action="tenancy.organisation.create",
            target=organisation.name,
            target_id=str(organisation.pk),
            changes={"owner": owner.email},
        )
    return organisation


def organisation_update(
    *,
    actor: Actor,
    organisation: Organisation,
    name: str | None = None,
    time_zone: str | None = None,
    language: str | None = None,
    trend_colours: str | None = None,
) -> Organisation:
    """Change what is given.

    Raises:
        ValidationError: by field.
    """
    wanted = {
        "name": name if name is None else name.strip(),
        "time_zone": time_zone if time_zone is None else _time_zone(time_zone),
        "language": language,
        "trend_colours": trend_colours,
    }
    changes = {
        field: [getattr(organisation, field), value]
        for field, value in wanted.items()
        if value is not None and value != getattr(organisation, field)
    }
    if not changes:
        return organisation
    for field, (_old, value) in changes.items():
        setattr(organisation, field, value)
    organisation.full_clean()
    organisation.save()
    audit_record(
        actor=actor,
        action="tenancy.organisation.update",
        target=organisation.name,
        target_id=str(organisation.pk),
        changes=changes,
    )
    return organisation


def _time_zone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValidationError({"time_zone": _("Not a time zone: %s.") % name[:40]})
    return name


def _free_slug(name: str, unique: str) -> str:
    """From the name; the database holds slugs of others that this scope cannot see, so a taken one gets a suffix."""
    slug = slugify(name)[:48] or "organisation"
    with connection.cursor() as cursor:
        cursor.execute("SELECT slug_taken(%s)", [slug])
        (taken,) = cursor.fetchone()
    return f"{slug}-{unique[-8:]}" if taken else slug
