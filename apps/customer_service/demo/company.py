"""The company's own system in the demonstration: two business actions that verify who calls them.

It stands for somebody else's server, so it is the standard library only, and shows a developer what a receiver does:

1. The signature: `webhook-signature` is `v1,` and the HMAC-SHA256 of `id.timestamp.body` under the action's secret.
2. The time: a call that is older than five minutes is refused.
3. The key: a refund that comes again under the same `webhook-id` gets the first answer and is not made twice. The
   same string is in `Idempotency-Key`, which many frameworks know; but only the `webhook-id` is signed.
4. The action: it is named in the signed body, so that a call of one cannot be sent to the address of another.

`shop.py` mounts it; `secrets` gives the secrets of both actions, read anew at each call:

    company = Company(secrets)                             # one for the life of the server
    status, body = company.answer(path, headers, body)     # of a BaseHTTPRequestHandler: do_POST

Paths: `/company/order-status` and `/company/refund-request`. Orders are made up from their number: its last digit says
how it stands (0 there is none, 1-4 delivered, 5-7 on its way, 8-9 being prepared), so every number that a visitor
tries has an answer.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

__all__ = ["ORDER_STATUS", "REFUND_REQUEST", "Company", "secrets_reader"]

ORDER_STATUS = "/company/order-status"
REFUND_REQUEST = "/company/refund-request"
_ACTIONS = {ORDER_STATUS: "order_status", REFUND_REQUEST: "refund_request"}
TOLERANCE_SECONDS = 300
DAYS_TO_RETURN = 30


class Company:
    """Orders and refunds of a shop, kept in memory."""

    def __init__(self, secrets: Callable[[], Sequence[str]]) -> None:
        self._secrets = secrets
        self._answers: dict[str, tuple[bytes, int, dict[str, Any]]] = {}
        self._lock = threading.Lock()
        # Refund numbers by order: what was really done.
        self.refunds: dict[str, str] = {}

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """(status, JSON) of one call; `headers` by any case of their names."""
        known = {name.lower(): value for name, value in headers.items()}
        status, content = self._answered(path, known, body)
        return status, json.dumps(content, ensure_ascii=False).encode()

    def _answered(
        self, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, Any]]:
        try:
            if path not in _ACTIONS:
                raise _Refused(404, "there is no such action")
            if not verified(headers, body, self._secrets()):
                raise _Refused(401, "the signature is not right")
            order, chinese = _order_of(body, _ACTIONS[path])
            found = look_up(order, today=date.today())  # noqa: DTZ011 - the shop's own day
            if found is None:
                raise _Refused(404, "没有这个订单" if chinese else "there is no such order")
            if path == ORDER_STATUS:
                return 200, found
            return self._refund_once(headers["webhook-id"], body, (order, chinese), found)
        except _Refused as refused:
            return refused.status, {"detail": str(refused)}

    def _refund_once(
        self, key: str, body: bytes, asked: tuple[str, bool], found: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        order, chinese = asked
        with self._lock:
            if key in self._answers:
                first, status, content = self._answers[key]
                if first != body:
                    raise _Refused(422, "this key was used for another request")
                return status, content
            status, content = 422, {}
            if order in self.refunds:
                said = "该订单已经退过款" if chinese else "this order was refunded already"
                content["detail"] = said
            elif not found["refundable"]:
                content["detail"] = "该订单不能退款" if chinese else "this order cannot be refunded"
            else:
                self.refunds[order] = f"R-{10_001 + len(self.refunds)}"
                status, content = 200, {"refund_number": self.refunds[order], "days": 5}
            self._answers[key] = body, status, content
            return status, content


class _Refused(Exception):
    """Says why, with the status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def _order_of(body: bytes, action: str) -> tuple[str, bool]:
    """The order number of a call of this action, and whether Chinese is spoken."""
    try:
        call = json.loads(body)
        order = re.sub(r"[\s-]", "", call["parameters"]["order_number"]).upper()
        if call["action"] != action:
            raise _Refused(400, "a call of another action")
    except (ValueError, KeyError, TypeError) as error:
        raise _Refused(400, "not a call of this action") from error
    return order, str(call.get("language", "")).startswith("zh")


def verified(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    """Whether one of the signatures is right under one of the secrets, and the time is near."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not message_id or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    given = [
        signature.removeprefix("v1,")
        for signature in headers.get("webhook-signature", "").split(" ")
    ]
    signed = f"{message_id}.{timestamp}.".encode() + body
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        if any(hmac.compare_digest(expected, signature) for signature in given):
            return True
    return False


def look_up(order: str, *, today: date) -> dict[str, Any] | None:
    """What is known of an order; None if there is none of this number."""
    if not re.fullmatch(r"[A-Z]{1,2}\d{4,8}", order) or order.endswith("0"):
        return None
    last = int(order[-1])
    total = f"{20 + sum(map(int, order[-4:])) * 7}.00 CNY"
    if last <= 4:
        delivered = today - timedelta(days=last * 3)
        return {
            "status": "delivered",
            "delivered_on": delivered.isoformat(),
            "refundable": (today - delivered).days <= DAYS_TO_RETURN,
            "total": total,
        }
    if last <= 7:
        return {
            "status": "shipped",
            "carrier": "SF Express",
            "tracking_number": f"SF{order[-4:]}0{last}",
            "expected_on": (today + timedelta(days=last - 4)).isoformat(),
            "refundable": False,
            "total": total,
        }
    return {"status": "processing", "refundable": False, "total": total}


def secrets_reader(path: Path) -> Callable[[], Sequence[str]]:
    """Reads the secrets from the file that `demo.flows.flows_setup` leaves; none while it is not there."""

    def read() -> Sequence[str]:
        try:
            found: list[str] = json.loads(path.read_text())
        except FileNotFoundError:
            return []
        return found

    return read
