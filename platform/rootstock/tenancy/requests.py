"""What the middleware has put on a request, for annotations."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from rest_framework.request import Request

from rootstock.common.actors import Actor
from rootstock.tenancy.models import Membership, Organisation
from rootstock.tenancy.permissions import Permission

__all__ = ["OrganisationRequest", "PageRequest"]


class OrganisationRequest(Request):
    """A REST request inside an organisation. `membership` is None for a key."""

    organisation: Organisation
    membership: Membership | None
    actor: Actor
    granted: frozenset[Permission]


class PageRequest(HttpRequest):
    """A page request of a signed-in person inside an organisation."""

    organisation: Organisation
    membership: Membership
    memberships: list[dict[str, Any]]
    actor: Actor
    granted: frozenset[Permission]
    request_id: str
