"""Attacks on business actions: forged and replayed calls, addresses of the inside, other organisations' secrets."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from company_server import CompanyServer, company_server
from django.test import Client

from apps.customer_service.demo import company as company_module
from apps.customer_service.demo.company import ORDER_STATUS, REFUND_REQUEST
from apps.customer_service.models import ActionCall, BusinessAction
from apps.customer_service.services.flows.actions import action_create
from apps.customer_service.services.flows.calls import action_call
from apps.customer_service.services.flows.order_steps import REFUND_REQUEST as REFUND_ACTION
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from rootstock.webhooks.signing import secret_create, signed_headers

State = ActionCall.State
REFUND = {"order_number": "JP20001231", "reason": "damaged"}


@pytest.fixture
def company(settings: Any) -> Iterator[CompanyServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    with company_server() as server:
        yield server


def refund_action(organisation: Organisation, url: str) -> BusinessAction:
    with organisation_scope(organisation.pk):
        return action_create(actor=SYSTEM, **{**REFUND_ACTION, "url": url, "timeout_seconds": 1})


def call(organisation: Organisation, key: str = "") -> ActionCall:
    return action_call(
        organisation.pk, action="refund_request", key=key or uuid.uuid4().hex, arguments=REFUND
    )


@pytest.fixture
def taken(organisation: Organisation, company: CompanyServer) -> tuple[str, dict[str, str], bytes]:
    """A refund as it was on the wire: what somebody who reads along has. It has not been answered yet."""
    action = refund_action(organisation, company.address + REFUND_REQUEST)
    assert call(organisation, key="first").state == State.REFUSED
    company.secrets = [action.secret]
    return company.calls[0]


def answered(company: CompanyServer, path: str, headers: dict[str, str], body: bytes) -> int:
    """What the company says to a call of somebody else."""
    return company.company.answer(path, headers, body)[0]


def test_the_call_itself_is_good(company: CompanyServer, taken: Any) -> None:
    path, headers, body = taken
    assert answered(company, path, headers, body) == 200
    assert company.company.refunds == {"JP20001231": "R-10001"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-signature", "v1,AAAA"),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-id", "second"),
        ("webhook-id", ""),
        ("webhook-timestamp", "soon"),
        ("webhook-timestamp", "²"),
        ("webhook-timestamp", "-5"),
        ("webhook-timestamp", "9" * 400),
    ],
)
def test_a_forged_call_is_refused(
    company: CompanyServer, taken: Any, name: str, value: str
) -> None:
    path, headers, body = taken
    forged = {key.lower(): given for key, given in headers.items()} | {name: value}
    assert answered(company, path, forged, body) == 401
    assert company.company.refunds == {}


def test_a_call_of_other_content_is_refused(company: CompanyServer, taken: Any) -> None:
    path, headers, body = taken
    other = body.replace(b"JP20001231", b"JP20001232")
    assert other != body
    assert answered(company, path, headers, other) == 401


def test_a_call_to_another_address_is_refused(company: CompanyServer, taken: Any) -> None:
    """Signed for one action, sent to the other."""
    _path, headers, body = taken
    assert answered(company, ORDER_STATUS, headers, body) == 400


def test_a_replayed_call_is_done_once(company: CompanyServer, taken: Any) -> None:
    """Under the key that is signed, whatever `Idempotency-Key` claims."""
    path, headers, body = taken
    first = company.company.answer(path, headers, body)
    again = {**headers, "Idempotency-Key": "another"}
    assert company.company.answer(path, again, body) == first
    assert len(company.company.refunds) == 1


def test_a_call_is_old_after_five_minutes(
    company: CompanyServer, taken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, headers, body = taken
    later = time.time() + 301
    monkeypatch.setattr(company_module.time, "time", lambda: later)
    assert answered(company, path, headers, body) == 401
    assert company.company.refunds == {}


def test_another_organisations_secret_is_no_good(
    organisation: Organisation, organisation_b: Organisation, company: CompanyServer
) -> None:
    """Whoever else names the same address has another secret, and none of our rows."""
    ours = refund_action(organisation, company.address + REFUND_REQUEST)
    company.secrets = [ours.secret]
    refund_action(organisation_b, company.address + REFUND_REQUEST)
    made = call(organisation_b)
    assert (made.state, made.http_status) == (State.REFUSED, 401)
    assert call(organisation).state == State.DONE
    with organisation_scope(organisation_b.pk):
        assert list(ActionCall.objects.values_list("pk", flat=True)) == [made.pk]


def test_a_secret_that_was_guessed_is_no_good(company: CompanyServer, taken: Any) -> None:
    path, headers, body = taken
    guessed = signed_headers([secret_create()], "first", int(time.time()), body)
    assert answered(company, path, {**headers, **guessed}, body) == 401


# --- addresses of the inside ------------------------------------------------------------------------


class Inside:
    """A server that only this machine may reach."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        inside = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                inside.asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST  # noqa: N815 - as the server names it

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def inside() -> Iterator[Inside]:
    made = Inside()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]"])  # noqa: S104
def test_a_call_never_reaches_the_inside(
    organisation: Organisation, inside: Inside, host: str
) -> None:
    """Not even where the row holds such an address, however it came there."""
    with organisation_scope(organisation.pk):
        action = action_create(actor=SYSTEM, **REFUND_ACTION)
        url = f"http://{host}:{inside.server.server_port}/admin"
        BusinessAction.objects.filter(pk=action.pk).update(url=url)
    made = call(organisation)
    assert (made.state, made.tries) == (State.FAILED, 1)
    assert inside.asked == []


def test_a_redirect_to_the_inside_is_not_followed(
    organisation: Organisation, company: CompanyServer, inside: Inside
) -> None:
    action = refund_action(organisation, company.address + REFUND_REQUEST)
    company.secrets = [action.secret]
    company.says(307, b"")
    company.location = f"{inside.address}/admin"
    assert call(organisation).state == State.FAILED
    assert inside.asked == []


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "file:///etc/passwd"])
def test_rest_says_where_an_address_is_wrong(
    organisation: Organisation, make_key: Callable[..., str], url: str
) -> None:
    key = make_key(organisation, scopes=["service:read", "service:write"])
    answer = Client().post(
        "/api/v1/service/actions",
        json.dumps({"name": "inside", "url": url}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/url"]
