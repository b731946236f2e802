"""Reading people, invitations and keys of the organisation of the current scope."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.utils import timezone

from rootstock.accounts.models import ApiKey
from rootstock.tenancy.models import Invitation, Membership

__all__ = ["api_keys", "invitations_open", "member_get", "members"]


def members() -> QuerySet[Membership]:
    """Everybody who belongs to the organisation, oldest member first."""
    return Membership.objects.select_related("user").order_by("id")


def member_get(member_id: uuid.UUID) -> Membership | None:
    """One member with the person."""
    return members().filter(pk=member_id).first()


def invitations_open() -> QuerySet[Invitation]:
    """Invitations that wait for an answer, newest first; those whose time is over are among them."""
    return Invitation.objects.filter(accepted_at__isnull=True).order_by("-id")


def api_keys(*, usable: bool | None = None) -> QuerySet[ApiKey]:
    """Keys, newest first; `usable` picks those that work, or those that no longer do."""
    keys = ApiKey.objects.order_by("-id")
    if usable is None:
        return keys
    ended = ApiKey.objects.exclude(revoked_at=None) | ApiKey.objects.filter(
        expires_at__lte=timezone.now()
    )
    ids = ended.values("pk")
    return keys.exclude(pk__in=ids) if usable else keys.filter(pk__in=ids)
