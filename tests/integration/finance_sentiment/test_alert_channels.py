"""Where notifications go: what is asked of an address, what is sent there, and by which way."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
from django.core import mail

from apps.finance_sentiment.models import AlertChannel, Notification
from apps.finance_sentiment.services.alerting import chat, sending
from apps.finance_sentiment.services.alerting.chains import StepInput, chain_save
from apps.finance_sentiment.services.alerting.channels import (
    channel_create,
    channel_delete,
    channel_test,
    channel_update,
)
from apps.finance_sentiment.services.alerting.sending import Letter, letter_send
from rootstock.common.actors import SYSTEM
from rootstock.common.http import AddressRefused, Answer, RequestFailed
from rootstock.common.problems import Problem
from rootstock.webhooks.signing import secret_create, verify

sys.path.insert(0, str(Path(__file__).parent))
from alert_stage import Worker

FEISHU = "https://open.feishu.cn/open-apis/bot/v2/hook/0190f1c2-aaaa"
DINGTALK = "https://oapi.dingtalk.com/robot/send?access_token=" + "a1" * 32
WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=0190f1c2-bbbb"
SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


class Outside:
    """What would have gone out, and what comes back."""

    def __init__(self, body: bytes = b"{}", status: int = 200) -> None:
        self.requests: list[dict] = []
        self.answer = Answer(status, {}, body, "")

    def fetch(self, method, url, *, headers=None, body=None, **_):
        self.requests.append(
            {"method": method, "url": url, "headers": headers, "body": json.loads(body)}
        )
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def outside(monkeypatch):
    """Nothing leaves but by `fetch`; `requests` has no way out of its own."""
    requests = importlib.import_module("requests")

    def never(*_args, **_kwargs):
        raise AssertionError("requests went out by itself")

    monkeypatch.setattr(requests.Session, "send", never)
    there = Outside()
    monkeypatch.setattr(chat, "fetch", there.fetch)
    monkeypatch.setattr(sending, "fetch", there.fetch)
    return there


def letter(medium: str, address: str, **values) -> Letter:
    return Letter(
        "0190f1c2-7a34-7cc0-9a7b-1f2e3d4c5b6a",
        medium,
        address,
        "Alert: 能源",
        "12 stories",
        **values,
    )


@pytest.mark.parametrize(
    ("medium", "address", "taken", "text"),
    [
        ("feishu", FEISHU, b'{"code": 0}', lambda body: body["content"]["text"]),
        ("dingtalk", DINGTALK, b'{"errcode": 0}', lambda body: body["text"]["content"]),
        ("wecom", WECOM, b'{"errcode": 0}', lambda body: body["text"]["content"]),
        ("slack", SLACK, b"ok", lambda body: json.dumps(body, ensure_ascii=False)),
    ],
)
def test_chats_are_written_to_by_our_own_way_out(outside, medium, address, taken, text):
    outside.answer = Answer(200, {}, taken, "")
    tried = letter_send(letter(medium, address))
    assert (tried.accepted, tried.error) == (True, "")
    (request,) = outside.requests
    assert request["method"] == "POST"
    assert request["url"].rstrip("/").startswith(address.split("?", maxsplit=1)[0])
    assert "能源" in text(request["body"]) and "12 stories" in text(request["body"])


@pytest.mark.parametrize(
    ("medium", "address", "refusal"),
    [
        ("feishu", FEISHU, b'{"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}'),
        ("dingtalk", DINGTALK, b'{"errcode": 300005, "errmsg": "token is not exist"}'),
        ("wecom", WECOM, b'{"errcode": 93000, "errmsg": "invalid webhook url"}'),
        ("slack", SLACK, b"no_service"),
    ],
)  # fmt: skip
def test_a_refusal_that_comes_with_200_is_a_refusal(outside, medium, address, refusal):
    outside.answer = Answer(200, {}, refusal, "")
    tried = letter_send(letter(medium, address))
    assert not tried.accepted
    assert tried.error == refusal.decode()


def test_no_answer_can_be_tried_again_and_a_refused_address_is_told(outside):
    outside.answer = RequestFailed("no answer in time")
    tried = letter_send(letter("slack", SLACK))
    assert (tried.accepted, tried.error, tried.final) == (False, "no answer in time", False)
    outside.answer = AddressRefused("10.0.0.1 is not a public address")
    tried = letter_send(letter("webhook", "https://example.com/", secret=secret_create()))
    assert (tried.accepted, tried.final) == (False, True)


def test_feishu_and_dingtalk_messages_are_signed_where_the_robot_asks_for_it(outside):
    outside.answer = Answer(200, {}, b'{"code": 0, "errcode": 0}', "")
    letter_send(letter("feishu", FEISHU, secret="s3cret"))
    assert {"timestamp", "sign"} <= set(outside.requests[0]["body"])
    # by openssl dgst -sha256 -mac HMAC, with "1599360473", a line break and "demo" as key
    signed = json.loads(chat._feishu_signed(b"{}", "demo", 1599360473))
    assert signed == {
        "timestamp": "1599360473",
        "sign": "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=",
    }
    letter_send(letter("dingtalk", DINGTALK, secret="SEC" + "0a" * 32))
    assert "sign=" in outside.requests[1]["url"]


def test_a_webhook_is_signed_and_keeps_its_id_at_every_try(outside):
    secret = secret_create()
    for _ in range(2):
        letter_send(
            letter("webhook", "https://example.com/", secret=secret, data={"reason": "firing"})
        )
    first, second = outside.requests
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"]
    assert first["body"]["type"] == "finance.alert.firing"
    now = int(first["headers"]["webhook-timestamp"])
    body = json.dumps(first["body"], ensure_ascii=False, separators=(",", ":")).encode()
    assert verify(secret, first["headers"], body, now=now)


@pytest.mark.django_db
def test_an_email_test_arrives_and_the_channel_shows_it(scope):
    worker = Worker(answer=letter_send)
    channel = channel_create(actor=SYSTEM, name="Desk", medium="email", address="desk@example.com")
    row = channel_test(channel=channel, actor=SYSTEM)
    worker.until(1)
    (message,) = mail.outbox
    assert message.to == ["desk@example.com"]
    assert str(row.pk) in message.extra_headers["Message-ID"]
    row.refresh_from_db()
    channel.refresh_from_db()
    assert (row.state, channel.problem) == ("sent", "")
    assert channel.last_success_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("medium", "address"),
    [
        ("email", "nobody"),
        ("webhook", "http://127.0.0.1/hook"),
        ("webhook", "file:///etc/passwd"),
        ("slack", "https://hooks.slack.com.evil.example/services/T1/B1/c1"),
        ("slack", FEISHU),
        ("feishu", "https://open.feishu.cn/open-apis/bot/v2/hook/../../x"),
        ("dingtalk", DINGTALK + "&redirect=https://evil.example"),
        ("wecom", "json://169.254.169.254/"),
    ],
)
def test_an_address_that_a_channel_cannot_have_is_refused(scope, medium, address):
    with pytest.raises(Problem) as raised:
        channel_create(actor=SYSTEM, name="X", medium=medium, address=address)
    assert raised.value.errors[0]["pointer"] == "/address"


@pytest.mark.django_db
def test_a_secret_is_never_shown_again_and_a_new_address_forgets_it(scope):
    channel = channel_create(
        actor=SYSTEM, name="Group", medium="feishu", address=FEISHU, secret="s3cret"
    )
    assert "0190f1c2" not in channel.hint
    changed = channel_update(channel=channel, actor=SYSTEM, values={"address": FEISHU + "2"})
    assert changed.secret == ""
    hook = channel_create(
        actor=SYSTEM, name="Hook", medium="webhook", address="https://example.com/"
    )
    assert hook.secret.startswith("whsec_")


@pytest.mark.django_db
def test_a_channel_that_a_chain_tells_stays(scope):
    channel = channel_create(actor=SYSTEM, name="Desk", medium="email", address="d@example.com")
    chain = chain_save(
        chain=None, actor=SYSTEM, name="All", steps=[StepInput("channel", channel_id=channel.pk)]
    )
    with pytest.raises(Problem) as raised:
        channel_delete(channel=channel, actor=SYSTEM)
    assert raised.value.status_code == 409
    chain.delete()
    channel_delete(channel=channel, actor=SYSTEM)
    assert not AlertChannel.objects.exists()
    assert not Notification.objects.exists()
