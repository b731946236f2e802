"""Everything that changes people, their organisation and its keys, each change with its audit entry."""

from __future__ import annotations

from rootstock.accounts.services.api_keys import (
    api_key_create,
    api_key_note_use,
    api_key_revoke,
    api_key_rotate,
    api_key_update,
)
from rootstock.accounts.services.invitations import (
    InvitationProblem,
    invitation_accept,
    invitation_create,
    invitation_find,
    invitation_letter,
    invitation_link,
    invitation_note_sent,
    invitation_resend,
    invitation_revoke,
)
from rootstock.accounts.services.members import member_change_role, member_remove
from rootstock.accounts.services.organisations import organisation_create, organisation_update
from rootstock.accounts.services.users import (
    password_change,
    password_reset_link,
    password_reset_send,
    password_set,
    sign_in_record,
    user_update,
)

__all__ = [
    "InvitationProblem",
    "api_key_create",
    "api_key_note_use",
    "api_key_revoke",
    "api_key_rotate",
    "api_key_update",
    "invitation_accept",
    "invitation_create",
    "invitation_find",
    "invitation_letter",
    "invitation_link",
    "invitation_note_sent",
    "invitation_resend",
    "invitation_revoke",
    "member_change_role",
    "member_remove",
    "organisation_create",
    "organisation_update",
    "password_change",
    "password_reset_link",
    "password_reset_send",
    "password_set",
    "sign_in_record",
    "user_update",
]
