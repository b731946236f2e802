"""People: their profile and their password."""

from __future__ import annotations

import uuid
from functools import partial

from django.conf import settings
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext as _

from rootstock.accounts.models import User
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope

__all__ = [
    "password_change",
    "password_reset_link",
    "password_reset_send",
    "password_set",
    "sign_in_record",
    "user_update",
]


def user_update(*, user: User, name: str, language: str) -> User:
    """Change a person's own profile."""
    user.name = name.strip()
    user.language = language
    user.full_clean(exclude=["password"])
    user.save()
    return user


def password_change(*, user: User, password: str) -> None:
    """A new password, set by the person while signed in; their other sessions end."""
    user.set_password(password)
    user.save()
    _record_everywhere(user, "accounts.password.change")


def password_set(*, user: User, password: str) -> None:
    """A new password, set through the link of a reset e-mail; all their sessions end."""
    user.set_password(password)
    user.save()
    _record_everywhere(user, "accounts.password.reset")


def password_reset_link(user: User) -> str:
    """An address that lets its holder set the password once, for as long as PASSWORD_RESET_TIMEOUT says."""
    return settings.ROOTSTOCK_URL.rstrip("/") + reverse(
        "accounts:reset-confirm",
        kwargs={
            "uidb64": urlsafe_base64_encode(force_bytes(user.pk)),
            "token": default_token_generator.make_token(user),
        },
    )


def password_reset_send(*, email: str) -> None:
    """Send the reset link if somebody who may sign in has this address; say nothing either way."""
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    if user is None:
        return
    with translation.override(user.language or settings.LANGUAGE_CODE):
        context = {"user": user, "link": password_reset_link(user)}
        send_mail(
            subject=_("Set a new password for Rootstock"),
            message=render_to_string("accounts/email/password_reset.txt", context),
            from_email=None,
            recipient_list=[user.email],
        )


def sign_in_record(*, user: User) -> None:
    """Write into the log of each of their organisations that somebody signed in."""
    _record_everywhere(user, "accounts.sign_in")


def _record_everywhere(user: User, action: str) -> None:
    """A person has one password for all organisations: each learns of it, once the change is committed.

    It waits for the commit because one transaction belongs to one organisation.
    """
    for row in call_lookup("memberships_of", user.pk):
        transaction.on_commit(partial(_record, row["organisation_id"], user, action))


def _record(organisation_id: uuid.UUID, user: User, action: str) -> None:
    actor = Actor("user", str(user.pk), str(user))
    with organisation_scope(organisation_id):
        audit_record(actor=actor, action=action, target=user.email, target_id=str(user.pk))
