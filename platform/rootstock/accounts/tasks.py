"""E-mails to people, sent outside any request."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from typing import Any

from celery import shared_task

from rootstock.accounts.services import (
    invitation_letter,
    invitation_note_sent,
    password_reset_send,
)
from rootstock.outbox.handlers import handler, message_scope

logger = logging.getLogger(__name__)


def _send(payload: dict[str, Any]) -> bool:
    """Send the e-mail outside any transaction; False when the invitation is no longer open."""
    with message_scope():
        letter = invitation_letter(payload["invitation_id"])
    if letter is None:
        return False
    letter.send()
    return True


@handler("accounts.invitation", prepare=_send)
def send_invitation(payload: dict[str, Any], sent: bool) -> None:
    """The e-mail of an invitation went out, or was no longer needed."""
    if sent:
        invitation_note_sent(payload["invitation_id"])


@shared_task(
    name="rootstock.accounts.password_reset",
    autoretry_for=(SMTPException, OSError),
    retry_backoff=10,
    retry_jitter=True,
    max_retries=5,
)
def send_password_reset(email: str) -> None:
    """The reset link, if somebody has this address. Twice sent is harmless: both links work until one is used.

    It belongs to no organisation, so there is no outbox row for it: a message that is lost with Redis is asked for
    again by the person who waits for it.
    """
    password_reset_send(email=email)
