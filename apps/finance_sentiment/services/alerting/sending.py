"""One try to send one message, outside of any transaction."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from email.utils import make_msgid
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from apps.finance_sentiment.models import Medium
from apps.finance_sentiment.services.alerting.chat import NotAnAddress, chat_send
from rootstock.common.http import AddressRefused, HttpError, fetch
from rootstock.webhooks.signing import signed_headers

TIMEOUT_SECONDS = 15.0
# Trying again would bring the same answer: the address is gone, or the secret is wrong.
_FINAL = frozenset({400, 401, 403, 404, 405, 410})


@dataclass(frozen=True, slots=True)
class Letter:
    """All that a try needs."""

    id: str
    medium: str
    address: str
    subject: str
    body: str
    secret: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    # An HTML document: the mail shows it, and has it as a file as well, for programs that cut its charts out.
    page: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a try. `final`: another one would fare no better."""

    accepted: bool
    status: int | None = None
    error: str = ""
    milliseconds: int = 0
    final: bool = False


def letter_send(letter: Letter) -> Tried:
    """Send it; whatever goes wrong is in the result."""
    begin = time.monotonic()
    ways = {Medium.EMAIL: _email, Medium.WEBHOOK: _webhook}
    tried = ways.get(Medium(letter.medium), _chat)(letter)
    took = round((time.monotonic() - begin) * 1000)
    return Tried(tried.accepted, tried.status, tried.error[:300], took, tried.final)


def _email(letter: Letter) -> Tried:
    # The id stays the same at every try, so that mailboxes show a repeated message once.
    domain = make_msgid(domain="rootstock.invalid").rpartition("@")[2]
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.body,
        to=[letter.address],
        headers={"Message-ID": f"<{letter.id}@{domain}", "Auto-Submitted": "auto-generated"},
    )
    if letter.page:
        message.attach_alternative(letter.page, "text/html")
        message.attach("report.html", letter.page, "text/html")
    try:
        message.send()
    except SMTPRecipientsRefused as error:
        return Tried(False, None, str(error), final=True)
    except (SMTPException, OSError) as error:
        return Tried(False, None, str(error) or type(error).__name__)
    return Tried(True)


def _event_type(reason: str) -> str:
    return "finance.report.made" if reason == "report" else f"finance.alert.{reason}"


def _webhook(letter: Letter) -> Tried:
    now = timezone.now()
    message = {
        "type": _event_type(letter.data.get("reason", "firing")),
        "timestamp": now.isoformat(),
        "data": {**letter.data, "text": f"{letter.subject}\n\n{letter.body}"},
    }
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":"), default=str).encode()
    headers = signed_headers(
        [letter.secret], f"msg_{letter.id.replace('-', '')}", int(now.timestamp()), body
    )
    try:
        answer = fetch(
            "POST",
            letter.address,
            headers={"Content-Type": "application/json", **headers},
            body=body,
            timeout=TIMEOUT_SECONDS,
            max_bytes=64_000,
        )
    except AddressRefused as error:
        return Tried(False, None, str(error), final=True)
    except HttpError as error:
        return Tried(False, None, str(error))
    if 200 <= answer.status < 300:
        return Tried(True, answer.status)
    said = answer.body[:200].decode("utf-8", "replace").replace("\x00", "")
    return Tried(
        False, answer.status, f"HTTP {answer.status} {said}".strip(), final=answer.status in _FINAL
    )


def _chat(letter: Letter) -> Tried:
    try:
        answer = chat_send(
            letter.medium,
            address=letter.address,
            secret=letter.secret,
            subject=letter.subject,
            body=letter.body,
        )
    except NotAnAddress:
        return Tried(False, None, "not the address of a robot of this service", final=True)
    return Tried(answer.accepted, answer.status, answer.error, final=answer.status in _FINAL)
