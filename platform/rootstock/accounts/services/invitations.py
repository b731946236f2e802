"""Invitations: offered, sent, accepted, taken back.

The token in the link is derived from the invitation's id, so it is stored nowhere and can still be shown and sent
again; the row holds its digest only.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from rootstock.accounts.keys import token_digest, token_for
from rootstock.accounts.models import User
from rootstock.accounts.services.members import check_role
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.common.problems import Problem
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.models import Invitation, Membership, Organisation, Role
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import current_organisation_id, organisation_scope

__all__ = [
    "InvitationProblem",
    "invitation_accept",
    "invitation_create",
    "invitation_find",
    "invitation_letter",
    "invitation_link",
    "invitation_note_sent",
    "invitation_resend",
    "invitation_revoke",
]

VALID_FOR = timedelta(days=7)


class InvitationProblem(Exception):
    """An invitation cannot be accepted, for the reason in `code`."""

    def __init__(self, code: Literal["gone", "other-person"]) -> None:
        super().__init__(code)
        self.code = code


def invitation_create(
    *, actor: Actor, granted: Collection[str], email: str, role: str
) -> Invitation:
    """Invite somebody; the e-mail is sent once the transaction is committed.

    Raises:
        ValidationError: by field; also for somebody who belongs to the organisation already.
        Problem: 403 for a role that may do more than the one who invites, 409 when they are invited already.
    """
    email = _clean_email(email)
    check_role(role, granted)
    if Membership.objects.filter(user__email=email).exists():
        raise ValidationError({"email": _("This person is a member already.")})
    # One whose time is over must not stand in the way of a new one.
    Invitation.objects.filter(
        email=email, accepted_at__isnull=True, expires_at__lte=timezone.now()
    ).delete()
    if Invitation.objects.filter(email=email, accepted_at__isnull=True).exists():
        raise Problem(
            409, "invited", _("This person has been invited already. Send the invitation again.")
        )
    invitation = Invitation(
        email=email,
        role=role,
        invited_by=actor.label[:200],
        expires_at=timezone.now() + VALID_FOR,
    )
    invitation.token_digest = token_digest(_token(invitation))
    invitation.save(force_insert=True)
    outbox_write(topic="accounts.invitation", payload={"invitation_id": str(invitation.pk)})
    audit_record(
        actor=actor,
        action="tenancy.invitation.create",
        target=email,
        target_id=str(invitation.pk),
        changes={"role": [None, role]},
    )
    return invitation


def invitation_resend(
    *, actor: Actor, granted: Collection[str], invitation: Invitation
) -> Invitation:
    """Send it again; it is valid for another week.

    Raises:
        Problem: 403 for a role that may do more than the one who asks, 409 when it was accepted.
    """
    check_role(invitation.role, granted)
    _check_open(invitation)
    invitation.expires_at = timezone.now() + VALID_FOR
    invitation.token_digest = token_digest(_token(invitation))
    invitation.save()
    outbox_write(topic="accounts.invitation", payload={"invitation_id": str(invitation.pk)})
    audit_record(
        actor=actor,
        action="tenancy.invitation.resend",
        target=invitation.email,
        target_id=str(invitation.pk),
    )
    return invitation


def invitation_revoke(*, actor: Actor, invitation: Invitation) -> None:
    """Take an invitation back; its link stops working.

    Raises:
        Problem: 409 when it was accepted.
    """
    _check_open(invitation)
    target_id = str(invitation.pk)
    invitation.delete()
    audit_record(
        actor=actor,
        action="tenancy.invitation.revoke",
        target=invitation.email,
        target_id=target_id,
    )


def invitation_link(invitation: Invitation) -> str:
    """The address at which the invitation is accepted: whoever has it can join."""
    return settings.ROOTSTOCK_URL.rstrip("/") + reverse(
        "accounts:invitation", kwargs={"token": _token(invitation)}
    )


def invitation_letter(invitation_id: str) -> EmailMessage | None:
    """The e-mail of an open invitation, in the language of the organisation; None when it was taken back."""
    invitation = Invitation.objects.filter(pk=invitation_id, accepted_at__isnull=True).first()
    if invitation is None:
        return None
    organisation = Organisation.objects.get(pk=current_organisation_id())
    with translation.override(organisation.language):
        context = {
            "invitation": invitation,
            "role": Role(invitation.role).label,
            "organisation": organisation,
            "link": invitation_link(invitation),
        }
        return EmailMessage(
            subject=_("Join %(organisation)s on Rootstock") % {"organisation": organisation.name},
            body=render_to_string("accounts/email/invitation.txt", context),
            to=[invitation.email],
        )


def invitation_note_sent(invitation_id: str) -> None:
    """Write into the log that the e-mail went out."""
    invitation = Invitation.objects.filter(pk=invitation_id).first()
    if invitation is not None:
        audit_record(
            actor=SYSTEM,
            action="tenancy.invitation.sent",
            target=invitation.email,
            target_id=str(invitation.pk),
        )


def invitation_find(token: str) -> dict[str, Any] | None:
    """The open invitation of a token, as `id organisation_id organisation_name email role`; needs no scope."""
    if not token.isascii() or not token.isalnum():
        return None
    rows = call_lookup("invitation_lookup", token_digest(token))
    return rows[0] if rows else None


def invitation_accept(
    *, token: str, user: User | None, name: str = "", password: str | None = None
) -> tuple[User, Membership]:
    """Join the organisation: as `user`, or as a new person with `name` and `password` when nobody has the address.

    Call it outside any scope.

    Raises:
        InvitationProblem: "gone" when it was used, taken back or is too old; "other-person" when it is for another
            address, or for one that has an account whose owner is not signed in.
    """
    found = invitation_find(token)
    if found is None:
        raise InvitationProblem("gone")
    with organisation_scope(found["organisation_id"]):
        # The row is locked and looked at again: of two clicks at the same moment one joins.
        invitation = (
            Invitation.objects.select_for_update()
            .filter(pk=found["id"], accepted_at__isnull=True)
            .first()
        )
        if invitation is None:
            raise InvitationProblem("gone")
        if user is None:
            if User.objects.filter(email=invitation.email).exists():
                raise InvitationProblem("other-person")
            user = User.objects.create_user(invitation.email, password, name=name.strip())
        elif user.email != invitation.email:
            raise InvitationProblem("other-person")
        membership, _created = Membership.objects.get_or_create(
            user=user, defaults={"role": invitation.role}
        )
        invitation.accepted_at = timezone.now()
        invitation.save()
        audit_record(
            actor=Actor("user", str(user.pk), str(user)),
            action="tenancy.invitation.accept",
            target=invitation.email,
            target_id=str(invitation.pk),
            changes={"role": [None, membership.role]},
        )
    return user, membership


def _token(invitation: Invitation) -> str:
    return token_for("invitation", str(invitation.pk))


def _check_open(invitation: Invitation) -> None:
    if invitation.accepted_at is not None:
        raise Problem(409, "accepted", _("This invitation has been accepted."))


def _clean_email(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise ValidationError({"email": error.messages}) from error
    return email
