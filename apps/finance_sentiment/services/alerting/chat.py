"""Feishu, DingTalk, WeCom and Slack: apprise knows what they want to hear, `rootstock.common.http` brings it there.

Apprise speaks through `requests`, which follows redirects, obeys proxies of the environment and connects to any
address. So each of the four modules is given a `requests` whose only way out is `fetch`, and no other plugin of
apprise is loaded. Three of the services answer 200 to what they refuse; the answer itself is read as well.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache, partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from apps.finance_sentiment.models import Medium
from rootstock.common.http import Answer, HttpError, fetch

TIMEOUT_SECONDS = 15.0
# The addresses that the services give out for their robots. Nothing else is ever connected to.
PATTERNS = {
    Medium.FEISHU: r"https://open\.feishu\.cn/open-apis/bot/v2/hook/(?P<token>[A-Za-z0-9_-]+)/?",
    Medium.DINGTALK: r"https://oapi\.dingtalk\.com/robot/send\?access_token=(?P<token>[A-Za-z0-9]+)",
    Medium.WECOM: r"https://qyapi\.weixin\.qq\.com/cgi-bin/webhook/send\?key=(?P<key>[A-Za-z0-9_-]+)",
    Medium.SLACK: (
        r"https://hooks\.slack\.com/services/"
        r"(?P<token_a>[A-Z0-9]+)/(?P<token_b>[A-Z0-9]+)/(?P<token_c>[A-Za-z0-9]+)/?"
    ),
}
EXAMPLES = {
    Medium.FEISHU: "https://open.feishu.cn/open-apis/bot/v2/hook/…",
    Medium.DINGTALK: "https://oapi.dingtalk.com/robot/send?access_token=…",
    Medium.WECOM: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=…",
    Medium.SLACK: "https://hooks.slack.com/services/T…/B…/…",
}
SIGNED = frozenset({Medium.FEISHU, Medium.DINGTALK})
_CLASSES = {
    Medium.FEISHU: ("apprise.plugins.feishu", "NotifyFeishu"),
    Medium.DINGTALK: ("apprise.plugins.dingtalk", "NotifyDingTalk"),
    Medium.WECOM: ("apprise.plugins.wecombot", "NotifyWeComBot"),
    Medium.SLACK: ("apprise.plugins.slack", "NotifySlack"),
}


class NotAnAddress(ValueError):
    """It is not the address of a robot of that service."""


@dataclass(slots=True)
class Exchange:
    """What one message led to."""

    feishu_secret: str = ""
    answer: Answer | None = None
    error: HttpError | None = None


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """Whether the service took the message, and what it said."""

    accepted: bool
    status: int | None = None
    error: str = ""
    # the request brought no answer: it may work later
    silent: bool = False


@dataclass(slots=True)
class _Response:
    """So much of a `requests.Response` as the plugins read."""

    status_code: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")


_exchange: ContextVar[Exchange] = ContextVar("finance_chat_exchange")


def chat_tokens(medium: str, address: str) -> dict[str, str]:
    """The parts of a robot's address.

    Raises:
        NotAnAddress: it is none.
    """
    found = re.fullmatch(PATTERNS[Medium(medium)], address)
    if found is None:
        raise NotAnAddress(address)
    return found.groupdict()


def chat_send(medium: str, *, address: str, secret: str, subject: str, body: str) -> ChatAnswer:
    """Write a message into the group of a robot.

    Raises:
        NotAnAddress: the address is not one of that service.
    """
    tokens: dict[str, Any] = dict(chat_tokens(medium, address))
    if medium == Medium.DINGTALK and secret:
        tokens["secret"] = secret
    if medium == Medium.SLACK:
        tokens["include_image"] = False
    exchange = Exchange(feishu_secret=secret if medium == Medium.FEISHU else "")
    held = _exchange.set(exchange)
    try:
        accepted = bool(_plugin(Medium(medium))(**tokens).notify(body=body, title=subject))
    finally:
        _exchange.reset(held)
    return _judged(accepted, exchange)


def _judged(accepted: bool, exchange: Exchange) -> ChatAnswer:
    if exchange.error is not None or exchange.answer is None:
        return ChatAnswer(False, None, str(exchange.error or "nothing was sent")[:300], silent=True)
    answer = exchange.answer
    said = answer.body[:300].decode("utf-8", "replace").replace("\x00", "")
    try:
        told = json.loads(answer.body)
    except ValueError:
        told = None
    code: Any = 0
    if isinstance(told, dict):
        code = told.get("errcode", told.get("code", told.get("StatusCode", 0)))
    if accepted and code == 0:
        return ChatAnswer(True, answer.status)
    return ChatAnswer(False, answer.status, said or f"HTTP {answer.status}")


@cache
def _plugin(medium: Medium) -> Any:
    """The class of apprise that speaks to a service, with our way out."""
    module_name, class_name = _CLASSES[medium]
    module: Any = importlib.import_module(module_name)
    module.requests = SimpleNamespace(
        post=partial(_request, "POST"),
        request=_request,
        codes=SimpleNamespace(ok=200),
        RequestException=HttpError,
    )
    return getattr(module, class_name)


def _request(
    method: str,
    url: str,
    *,
    data: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None,
    **_: Any,
) -> _Response:
    """`requests.request` by way of `fetch`: no redirects, no proxy, public addresses only."""
    exchange = _exchange.get()
    if params:
        url += ("&" if "?" in url else "?") + urlencode(params)
    body = data.encode() if isinstance(data, str) else data
    if exchange.feishu_secret and body is not None:
        body = _feishu_signed(body, exchange.feishu_secret, int(time.time()))
    try:
        exchange.answer = fetch(
            method.upper(),
            url,
            headers=headers,
            body=body,
            timeout=TIMEOUT_SECONDS,
            max_bytes=64_000,
        )
    except HttpError as error:
        exchange.error = error
        raise
    answer = exchange.answer
    return _Response(answer.status, answer.body, answer.headers)


def _feishu_signed(body: bytes, secret: str, timestamp: int) -> bytes:
    """Feishu's signature (its page on custom bots): an HMAC of nothing under "timestamp, line break, secret"."""
    key = f"{timestamp}\n{secret}".encode()
    sign = base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode("ascii")
    return json.dumps({**json.loads(body), "timestamp": str(timestamp), "sign": sign}).encode()
