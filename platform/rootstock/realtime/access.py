"""Who is behind a socket, and what they may read: asked at the start and again while it is open."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from rootstock.common.ids import uuid_of
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission
from rootstock.tenancy.scope import organisation_scope

SESSION_ORGANISATION = "organisation_id"


@dataclass(frozen=True)
class Access:
    """A signed-in person in an organisation."""

    user_id: uuid.UUID
    organisation_id: uuid.UUID
    granted: frozenset[Permission]


def access_of(session_key: str | None, organisation_id: uuid.UUID | None = None) -> Access | None:
    """The access that a browser session gives now; None when it was ended, or the person is no (longer a) member.

    Everything is read afresh. Outside any scope.

    Args:
        organisation_id: of which membership is asked for; None takes the one chosen in the session.
    """
    if not session_key:
        return None
    request = HttpRequest()
    store: Any = import_module(settings.SESSION_ENGINE)
    request.session = store.SessionStore(session_key)
    user = get_user(request)
    if not user.is_authenticated or not user.is_active:
        return None
    chosen = organisation_id or uuid_of(request.session.get(SESSION_ORGANISATION))
    if chosen is None:
        return None
    with organisation_scope(chosen):
        membership = Membership.objects.filter(user_id=user.pk).first()
    if membership is None:
        return None
    return Access(user.pk, chosen, ROLE_PERMISSIONS[membership.role])
