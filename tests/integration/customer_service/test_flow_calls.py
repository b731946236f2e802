"""Calling the company's system: signed, checked, once in effect, and honest about what is not known."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from company_server import CompanyServer, company_server

from apps.customer_service.demo.company import ORDER_STATUS, REFUND_REQUEST
from apps.customer_service.models import ActionCall, BusinessAction
from apps.customer_service.services.flows.actions import action_create, action_rotate_secret
from apps.customer_service.services.flows.calls import action_call, returned_of
from apps.customer_service.services.flows.templates import TEMPLATES
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from rootstock.webhooks.signing import verify

State = ActionCall.State
ORDER = {"order_number": "JP20001231"}
REFUND = {**ORDER, "reason": "damaged"}


@pytest.fixture
def company(settings: Any) -> Iterator[CompanyServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    with company_server() as server:
        yield server


@pytest.fixture
def actions(organisation: Organisation, company: CompanyServer) -> dict[str, BusinessAction]:
    """Both actions of the shipped flows, at the company's address."""
    paths = {"order_status": ORDER_STATUS, "refund_request": REFUND_REQUEST}
    made = {}
    with organisation_scope(organisation.pk):
        for values in TEMPLATES["refund-request"].actions:
            url = company.address + paths[values["name"]]
            made[values["name"]] = action_create(
                actor=SYSTEM, **{**values, "url": url, "timeout_seconds": 1}
            )
    company.secrets = [action.secret for action in made.values()]
    return made


def call(
    organisation: Organisation, name: str, arguments: dict[str, Any], key: str = ""
) -> ActionCall:
    return action_call(
        organisation.pk, action=name, key=key or uuid.uuid4().hex, arguments=arguments
    )


def test_a_call_is_signed_and_its_answer_checked(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    made = call(organisation, "order_status", ORDER, key="key-1")
    assert made.state == State.DONE
    assert made.http_status == 200
    assert made.received["results"]["status"] == "delivered"
    assert returned_of(made).outcome == "done"
    _path, headers, body = company.calls[0]
    given = {name.lower(): value for name, value in headers.items()}
    assert verify(actions["order_status"].secret, given, body, now=int(time.time()))
    assert given["idempotency-key"] == given["webhook-id"] == "key-1"
    assert json.loads(body) == {"action": "order_status", "parameters": ORDER}


def test_a_wrong_secret_is_refused_by_the_company(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    company.secrets = ["whsec_" + "A" * 44]
    made = call(organisation, "order_status", ORDER)
    assert made.state == State.REFUSED
    assert made.http_status == 401


def test_both_secrets_sign_for_a_day_after_a_rotation(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    before = actions["order_status"].secret
    with organisation_scope(organisation.pk):
        after = action_rotate_secret(action=actions["order_status"], actor=SYSTEM).secret
    assert before != after
    for secret in (before, after):
        company.secrets = [secret]
        assert call(organisation, "order_status", ORDER).state == State.DONE


def test_the_same_key_is_the_same_call(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    first = call(organisation, "refund_request", REFUND, key="once")
    again = call(organisation, "refund_request", REFUND, key="once")
    assert first.pk == again.pk
    assert first.received["results"]["refund_number"] == "R-10001"
    assert len(company.calls) == 1


def test_a_worker_killed_in_the_middle_of_a_call_makes_it_once(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    """The row says "being called": the next worker sends the same bytes again, and one refund is made."""

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> Any:
        real(*_, **__)
        raise Killed

    from apps.customer_service.services.flows import calls

    real = calls._sent
    calls._sent = die
    try:
        with pytest.raises(Killed):
            call(organisation, "refund_request", REFUND, key="killed")
    finally:
        calls._sent = real
    with organisation_scope(organisation.pk):
        assert ActionCall.objects.get().state == State.CALLING
    made = call(organisation, "refund_request", REFUND, key="killed")
    assert made.state == State.DONE
    assert len(company.calls) == 2
    assert company.calls[0][2] == company.calls[1][2]
    assert list(company.company.refunds.values()) == ["R-10001"]


def test_a_change_that_was_not_answered_is_unknown(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    company.waits(1.5)
    made = call(organisation, "refund_request", REFUND, key="slow")
    assert made.state == State.UNKNOWN
    assert returned_of(made).outcome == "unknown"
    # It was done all the same: only people can find that out, and it is not sent again.
    assert company.company.refunds
    assert call(organisation, "refund_request", REFUND, key="slow").state == State.UNKNOWN
    assert len(company.calls) == 1


def test_a_question_that_was_not_answered_has_failed(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    company.waits(1.5)
    made = call(organisation, "order_status", ORDER)
    assert made.state == State.FAILED
    assert returned_of(made).outcome == "timeout"


def test_nobody_there_is_failed_and_not_unknown(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    """No connection: nothing was sent, so nothing was changed."""
    with organisation_scope(organisation.pk):
        BusinessAction.objects.filter(name="refund_request").update(url="http://127.0.0.1:9/")
    made = call(organisation, "refund_request", REFUND)
    assert made.state == State.FAILED
    # Once more after half a second, and no third time: the visitor waits at most a second here.
    assert made.tries == 2


def test_a_question_is_asked_again_a_change_is_not(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    company.says_once(503, {})
    made = call(organisation, "order_status", ORDER, key="again")
    assert (made.state, made.tries) == (State.DONE, 2)
    [first, second] = company.calls
    assert first[2] == second[2]
    assert {headers["webhook-id"] for _path, headers, _body in company.calls} == {"again"}
    company.says_once(503, {})
    made = call(organisation, "refund_request", REFUND)
    assert (made.state, made.tries) == (State.UNKNOWN, 1)


def test_all_tries_together_take_the_time_of_the_action(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    company.waits(1.5)
    made = call(organisation, "order_status", ORDER)
    assert (made.state, made.tries) == (State.FAILED, 1)


@pytest.mark.parametrize(
    ("status", "content", "question", "change"),
    [
        (200, b"<html>", State.FAILED, State.UNKNOWN),
        (200, [1, 2], State.FAILED, State.UNKNOWN),
        (200, {"status": 5, "days": "soon"}, State.DONE, State.UNKNOWN),
        (200, {"status": ["x"]}, State.FAILED, State.UNKNOWN),
        (500, {"detail": "oh"}, State.FAILED, State.UNKNOWN),
        (409, {}, State.FAILED, State.UNKNOWN),
        (429, {}, State.FAILED, State.FAILED),
        (302, {}, State.FAILED, State.FAILED),
        (422, {"detail": "too late"}, State.REFUSED, State.REFUSED),
        (404, b"", State.REFUSED, State.REFUSED),
    ],
)
def test_what_comes_back_is_judged(  # noqa: PLR0917 - fixtures and the table
    organisation: Organisation,
    company: CompanyServer,
    actions: dict[str, BusinessAction],
    status: int,
    content: Any,
    question: str,
    change: str,
) -> None:
    company.says(status, content)
    assert call(organisation, "order_status", ORDER).state == question
    made = call(organisation, "refund_request", REFUND)
    assert made.state == change
    assert made.http_status == status
    if status == 422:
        assert made.problem == "too late"


def test_an_answer_without_end_is_cut_off(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    company.says(200, {"status": "x" * 100_000})
    made = call(organisation, "order_status", ORDER)
    assert made.state == State.FAILED
    assert "64000" in made.problem


def test_results_that_were_not_announced_are_left_out(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    company.says(200, {"status": "shipped", "card_number": "4111111111111111"})
    made = call(organisation, "order_status", ORDER)
    assert made.received == {"results": {"status": "shipped"}}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "order_number: missing"),
        ({"order_number": {"a": 1}}, "order_number: not a string"),
        ({**ORDER, "colour": "red"}, "colour: there is no such parameter"),
    ],
)
def test_arguments_that_do_not_fit_are_not_sent(
    organisation: Organisation,
    company: CompanyServer,
    actions: dict[str, BusinessAction],
    arguments: dict[str, Any],
    problem: str,
) -> None:
    made = call(organisation, "order_status", arguments)
    assert made.state == State.FAILED
    assert problem in made.problem
    assert company.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://10.0.0.1/",
        "http://100.100.100.200/", "ftp://shop.example/", "http://user:pass@shop.example/", "http://[::ffff:127.0.0.1]/",
    ],
)  # fmt: skip
def test_addresses_of_the_inside_are_refused(organisation: Organisation, url: str) -> None:
    """When the action is made; and when it is called, should a name lead there by then."""
    with organisation_scope(organisation.pk):
        with pytest.raises(Problem) as refused:
            action_create(name="inside", url=url, actor=SYSTEM)
        assert refused.value.errors[0]["pointer"] == "/url"
        BusinessAction.objects.create(name="inside", url=url, secret="whsec_" + "A" * 44)
    made = call(organisation, "inside", {})
    assert made.state == State.FAILED
    assert made.http_status is None


def test_a_name_that_leads_inside_is_refused(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        action_create(name="inside", url="http://localhost/", actor=SYSTEM)
    made = call(organisation, "inside", {})
    assert made.state == State.FAILED
    assert "not a public address" in made.problem


def test_an_action_without_an_address_is_not_called(organisation: Organisation) -> None:
    with organisation_scope(organisation.pk):
        action_create(name="later", actor=SYSTEM)
    assert "no address" in call(organisation, "later", {}).problem


def test_the_secret_is_nowhere_in_the_log(
    organisation: Organisation, company: CompanyServer, actions: dict[str, BusinessAction]
) -> None:
    made = call(organisation, "order_status", ORDER)
    secret = actions["order_status"].secret.removeprefix("whsec_")
    assert secret not in json.dumps([made.sent, made.received, made.problem])
