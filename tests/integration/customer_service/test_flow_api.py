"""REST of flows and business actions."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from company_server import CompanyServer, company_server
from django.test import Client

from apps.customer_service.demo.company import ORDER_STATUS
from apps.customer_service.models import ActionCall, BusinessAction, Flow
from apps.customer_service.services.flows.actions import action_create
from apps.customer_service.services.flows.calls import action_test
from apps.customer_service.services.flows.library import flow_from_template, template_get
from apps.customer_service.services.flows.templates import TEMPLATES
from rootstock.common.actors import SYSTEM
from rootstock.common.ids import uuid7
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope
from tests.api_cases import (
    AccessCases,
    ChangeCases,
    CreateCases,
    DetailCases,
    ListCases,
    check_problem,
)

HELLO = {
    "version": 1,
    "languages": ["en"],
    "start": "end",
    "steps": [{"id": "end", "kind": "done", "text": {"en": "Hello."}}],
}
API = "/api/v1/service"


def a_flow() -> Flow:
    return flow_from_template(template=template_get("order-status"), actor=SYSTEM)


def an_action() -> BusinessAction:
    return action_create(name=f"a{uuid7().hex[-8:]}", actor=SYSTEM)


class TestFlows(ListCases):
    path = f"{API}/flows"
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        return str(a_flow().pk)


class TestFlowCreate(CreateCases):
    path = f"{API}/flows"
    permission = "service:write"
    body = {"name": "Hello", "definition": HELLO, "phrases": ["hello there"]}
    invalid = [
        ({}, "/name"),
        ({"name": "x"}, "/definition"),
        ({"name": "x", "definition": 5}, "/definition"),
        (
            {"name": "x", "definition": {**HELLO, "start": "nowhere"}},
            "/definition/start",
        ),
        ({"name": "x", "definition": HELLO, "threshold": 2}, "/threshold"),
        ({"template": "nothing"}, "/template"),
    ]


class TestFlow(DetailCases):
    path = f"{API}/flows/{{id}}"
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        return str(a_flow().pk)


class TestFlowChange(ChangeCases):
    path = f"{API}/flows/{{id}}"
    permission = "service:write"
    body = {"phrases": ["parcel please"], "threshold": 0.7}

    def make(self, organisation: Organisation) -> str:
        return str(a_flow().pk)


class TestFlowVersions(AccessCases):
    path = f"{API}/flows/{{id}}/versions"
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        return str(a_flow().pk)


class TestFlowCheck(AccessCases):
    path = f"{API}/flows/check"
    permission = "service:read"
    method = "post"
    body = {"definition": HELLO}


class TestFlowSimulate(AccessCases):
    path = f"{API}/flows/simulate"
    permission = "service:write"
    method = "post"
    body = {"definition": HELLO}


class TestActions(ListCases):
    path = f"{API}/actions"
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        return str(an_action().pk)


class TestActionCreate(CreateCases):
    path = f"{API}/actions"
    permission = "service:write"
    body = {"name": "look_up", "parameters": {"number": {"type": "string"}}}
    invalid = [
        ({}, "/name"),
        ({"name": "Look up"}, "/name"),
        ({"name": "x", "url": "http://127.0.0.1/"}, "/url"),
        ({"name": "x", "timeout_seconds": 300}, "/timeout_seconds"),
        ({"name": "x", "parameters": {"Bad name": {"type": "string"}}}, "/parameters/Bad name"),
        ({"name": "x", "results": {"a": {"type": "colour"}}}, "/results/a/type"),
    ]


class TestAction(DetailCases):
    path = f"{API}/actions/{{id}}"
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        return str(an_action().pk)


class TestActionChange(ChangeCases):
    path = f"{API}/actions/{{id}}"
    permission = "service:write"
    body = {"url": "https://shop.example/orders", "description": "Looks it up."}

    def make(self, organisation: Organisation) -> str:
        return str(an_action().pk)


class TestCalls(ListCases):
    path = f"{API}/action-calls"
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        call = ActionCall.objects.create(
            action=an_action(), key=uuid7().hex, state=ActionCall.State.DONE
        )
        return str(call.pk)


@pytest.fixture
def client(organisation: Organisation, make_key: Callable[..., str]) -> Client:
    key = make_key(organisation, scopes=["service:read", "service:write"])
    return Client(headers={"Authorization": f"Bearer {key}"}, raise_request_exception=False)


@pytest.fixture
def company(settings: Any) -> Iterator[CompanyServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    with company_server() as server:
        yield server


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(f"{API}/{path}", json.dumps(body or {}), content_type="application/json")


def test_from_template_to_live_and_back(client: Client) -> None:
    flow = post(client, "flows", {"template": "order-status"}).json()
    assert (flow["live"], flow["newest"], flow["enabled"]) == (None, 1, False)
    problem = check_problem(post(client, f"flows/{flow['id']}/versions/1/live"), 409)
    assert "order_status" in problem["detail"]
    action = client.get(f"{API}/actions").json()["results"][0]
    assert action["name"] == "order_status"
    client.patch(
        f"{API}/actions/{action['id']}",
        json.dumps({"url": "https://shop.example/orders"}),
        content_type="application/json",
    )
    assert post(client, f"flows/{flow['id']}/versions/1/live").json()["live"] == 1
    # The live flow calls it: it stays.
    problem = check_problem(client.delete(f"{API}/actions/{action['id']}"), 409)
    assert "Order status" in problem["detail"]
    version = post(client, f"flows/{flow['id']}/versions", {"definition": HELLO}).json()
    assert version["number"] == 2
    diff = client.get(f"{API}/flows/{flow['id']}/versions/2/diff").json()
    assert (diff["before"], diff["after"]) == (1, 2)
    assert {"sign": "+", "line": '  "start": "end",'} in diff["lines"]
    assert post(client, f"flows/{flow['id']}/versions/2/live").json()["live"] == 2
    assert post(client, f"flows/{flow['id']}/versions/1/live").json()["live"] == 1


def test_saving_the_same_is_the_same_version(client: Client) -> None:
    flow = post(client, "flows", {"name": "Hello", "definition": HELLO}).json()
    assert post(client, f"flows/{flow['id']}/versions", {"definition": HELLO}).json()["number"] == 1


def test_a_flow_cannot_be_switched_on_without_a_live_version(client: Client) -> None:
    flow = post(client, "flows", {"name": "Hello", "definition": HELLO}).json()
    answer = client.patch(
        f"{API}/flows/{flow['id']}", json.dumps({"enabled": True}), content_type="application/json"
    )
    check_problem(answer, 409)


def test_two_flows_of_one_name(client: Client) -> None:
    post(client, "flows", {"name": "Hello", "definition": HELLO})
    problem = check_problem(post(client, "flows", {"name": "Hello", "definition": HELLO}), 409)
    assert problem["errors"][0]["pointer"] == "/name"


def test_the_check_says_where(client: Client) -> None:
    post(client, "flows", {"template": "order-status"})
    broken = copy.deepcopy(dict(TEMPLATES["order-status"].definition))
    assert post(client, "flows/check", {"definition": broken}).json() == {"faults": []}
    del broken["steps"][0]["text"]["zh"]
    answer = post(client, "flows/check", {"definition": broken}).json()
    assert [fault["pointer"] for fault in answer["faults"]] == ["/steps/0/text/zh"]


def test_the_secret_is_told_twice_at_most(client: Client) -> None:
    made = post(client, "actions", {"name": "look"}).json()
    assert made["secret"].startswith("whsec_")
    path = f"{API}/actions/{made['id']}"
    assert "secret" not in client.get(path).json()
    assert "secret" not in client.get(f"{API}/actions").json()["results"][0]
    rotated = post(client, f"actions/{made['id']}/secret").json()
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"]


def test_a_test_call(client: Client, organisation: Organisation, company: CompanyServer) -> None:
    template = TEMPLATES["order-status"].actions[0]
    url = company.address + ORDER_STATUS
    action = post(client, "actions", {**template, "url": url}).json()
    company.secrets = [action["secret"]]
    body = {"arguments": {"order_number": "JP20001235"}, "language": "zh"}
    call = post(client, f"actions/{action['id']}/test", body).json()
    assert call["state"] == "done"
    assert call["received"]["results"]["status"] == "shipped"
    assert call["sent"]["test"] is True
    assert client.get(f"{API}/action-calls/{call['id']}").json() == call
    only = client.get(f"{API}/action-calls?state=failed").json()["results"]
    assert only == []


def test_a_dry_run_calls_nothing(client: Client, company: CompanyServer) -> None:
    flow = post(client, "flows", {"template": "order-status"}).json()
    version = client.get(f"{API}/flows/{flow['id']}/versions/1").json()
    body: dict[str, Any] = {"definition": version["definition"], "text": "where is my order"}
    turn = post(client, "flows/simulate", body).json()
    assert "order number" in turn["body"]
    assert turn["steps"] == ["order"]
    turn = post(
        client, "flows/simulate", {**body, "state": turn["state"], "text": "JP20001235"}
    ).json()
    assert turn["call"]["action"] == "order_status"
    assert turn["call"]["arguments"] == {"order_number": "JP20001235"}
    assert set(turn["call"]["example"]) >= {"status", "carrier"}
    returned = {"outcome": "done", "results": {"status": "processing"}}
    turn = post(
        client, "flows/simulate", {**body, "state": turn["state"], "returned": returned}
    ).json()
    assert "being prepared" in turn["body"]
    assert turn["state"]["outcome"] == "done"
    assert company.calls == []
    check_problem(post(client, "flows/simulate", {**body, "state": turn["state"]}), 422)


def test_a_real_run_calls_as_a_test(
    client: Client, organisation: Organisation, company: CompanyServer
) -> None:
    with organisation_scope(organisation.pk):
        flow = a_flow()
        action = BusinessAction.objects.get()
        action.url = company.address + ORDER_STATUS
        action.save()
        company.secrets = [action.secret]
        definition = flow.versions.get().definition
    body = {"definition": definition, "text": "JP20001235?", "real": True, "language": "zh"}
    turn = post(client, "flows/simulate", body).json()
    assert "运单号" in turn["body"]
    assert [call["state"] for call in turn["calls"]] == ["done"]
    assert json.loads(company.calls[0][2])["test"] is True


@pytest.mark.parametrize(
    "state",
    [
        5,
        {},
        {"step": "nowhere"},
        {
            "step": "end", "phase": "asked", "outcome": "running", "slots": {}, "results": {}, "given": [],
            "settled": [], "misses": 0, "calls": 0,
        },
        {
            "step": "end", "phase": "ended", "outcome": "running", "slots": {"x": 1}, "results": {}, "given": ["y"],
            "settled": [], "misses": 0, "calls": 0,
        },
    ],
)  # fmt: skip
def test_a_made_up_state_is_refused(client: Client, state: Any) -> None:
    problem = check_problem(
        post(client, "flows/simulate", {"definition": HELLO, "state": state}), 422
    )
    assert problem["errors"][0]["pointer"] == "/state"


def test_another_organisation_reaches_none_of_it(
    client: Client, organisation_b: Organisation
) -> None:
    with organisation_scope(organisation_b.pk):
        flow, action = a_flow(), an_action()
    for path in (
        f"flows/{flow.pk}/versions",
        f"flows/{flow.pk}/versions/1",
        f"flows/{flow.pk}/runs",
        f"flows/{flow.pk}/versions/1/diff",
        f"action-calls?action={action.pk}",
    ):
        check_problem(client.get(f"{API}/{path}"), 404)
    for path in (
        f"flows/{flow.pk}/versions/1/live",
        f"actions/{action.pk}/secret",
        f"actions/{action.pk}/test",
    ):
        check_problem(post(client, path), 404)


def test_what_a_test_call_names_belongs_to_the_organisation(
    organisation: Organisation, organisation_b: Organisation
) -> None:
    """An action of another organisation is not found by its name either."""
    with organisation_scope(organisation_b.pk):
        name = an_action().name
    with pytest.raises(BusinessAction.DoesNotExist):
        action_test(organisation.pk, action=name, arguments={})
