"""Members of an organisation: their roles, and their leaving."""

from __future__ import annotations

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.tenancy.models import Membership, Organisation, Role
from rootstock.tenancy.permissions import ROLE_PERMISSIONS
from rootstock.tenancy.scope import current_organisation_id

__all__ = ["check_role", "member_change_role", "member_remove"]


def check_role(role: str, granted: Collection[str]) -> str:
    """A role that whoever has `granted` may give or take away.

    Raises:
        ValidationError: not a role.
        Problem: 403 when the role can do more than they.
    """
    if role not in Role.values:
        raise ValidationError({"role": _("Not a role: %s.") % str(role)[:40]})
    if not ROLE_PERMISSIONS[role] <= set(granted):
        raise Problem(
            403,
            "missing-permission",
            _("The role %s may do more than you. Ask somebody who has it.") % Role(role).label,
        )
    return role


def member_change_role(
    *, actor: Actor, granted: Collection[str], membership: Membership, role: str
) -> Membership:
    """Give a member another role.

    Raises:
        ValidationError: not a role.
        Problem: 403 when the old or the new role can do more than the one who asks, 409 for the last owner.
    """
    _lock(membership)
    check_role(membership.role, granted)
    check_role(role, granted)
    if role == membership.role:
        return membership
    _check_not_last_owner(membership)
    before, membership.role = membership.role, role
    membership.save()
    audit_record(
        actor=actor,
        action="tenancy.member.change_role",
        target=membership.user.email,
        target_id=str(membership.pk),
        changes={"role": [before, role]},
    )
    return membership


def member_remove(*, actor: Actor, granted: Collection[str], membership: Membership) -> None:
    """Take somebody out of the organisation; what they made stays. Anybody may take out themselves.

    Raises:
        Problem: 403 for somebody who may do more than the one who asks, 409 for the last owner.
    """
    _lock(membership)
    if not (actor.kind == "user" and actor.id == str(membership.user_id)):
        check_role(membership.role, granted)
    _check_not_last_owner(membership)
    target_id = str(membership.pk)
    membership.delete()
    audit_record(
        actor=actor,
        action="tenancy.member.remove",
        target=membership.user.email,
        target_id=target_id,
        changes={"role": [membership.role, None]},
    )


def _lock(membership: Membership) -> None:
    """Changes of members run one after the other: two owners cannot remove each other at the same moment."""
    Organisation.objects.select_for_update().get(pk=current_organisation_id())
    membership.refresh_from_db()


def _check_not_last_owner(membership: Membership) -> None:
    if membership.role != Role.OWNER:
        return
    if not Membership.objects.filter(role=Role.OWNER).exclude(id=membership.id).exists():
        raise Problem(
            409,
            "last-owner",
            _("This is the last owner. Make somebody else an owner first."),
        )
