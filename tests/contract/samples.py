"""Rows for the tests that walk every endpoint: one of each thing that a path can name."""

from __future__ import annotations

from typing import Any

from rootstock.accounts.services import api_key_create, invitation_create
from rootstock.common.actors import SYSTEM
from rootstock.common.ids import uuid7
from rootstock.tenancy.models import Membership
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.scope import organisation_scope


def sample_ids(organisation: Any, make_user: Any) -> dict[str, str]:
    """Makes the rows in `organisation`; their ids by the name of the path parameter that takes them."""
    make_user(organisation, role="owner")
    user = make_user(organisation, role="analyst")
    everything = frozenset(Permission)
    with organisation_scope(organisation.pk):
        key, _text = api_key_create(
            actor=SYSTEM, granted=everything, name="sample", scopes=["finance:read"]
        )
        invitation = invitation_create(
            actor=SYSTEM,
            granted=everything,
            email=f"sample-{uuid7().hex[-8:]}@example.com",
            role="viewer",
        )
        member = Membership.objects.get(user=user)
    return {
        "key_id": str(key.pk),
        "invitation_id": str(invitation.pk),
        "member_id": str(member.pk),
    }
