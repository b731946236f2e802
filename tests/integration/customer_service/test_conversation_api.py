"""Conversations over the platform's REST: for programs with a key."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from apps.customer_service.models import Channel, Conversation, Visitor
from apps.customer_service.services.conversations import conversation_open
from rootstock.common.ids import uuid7
from rootstock.tenancy.models import Membership, Organisation
from rootstock.tenancy.scope import organisation_scope
from tests.api_cases import AccessCases, ChangeCases, ListCases, check_problem

pytestmark = pytest.mark.usefixtures("no_hooks")
PATH = "/api/v1/service/conversations"


def make() -> Conversation:
    channel = Channel.objects.create(name=uuid7().hex, key=uuid7().hex)
    return conversation_open(channel=channel, visitor=Visitor.objects.create(), origin="api")


class TestList(ListCases):
    path = PATH
    permission = "service:read"

    def make(self, organisation: Organisation) -> str:
        return str(make().pk)

    def test_filters(self, organisation: Organisation, make_key: Any) -> None:
        """Each narrows the list; nonsense is told with its place."""
        with organisation_scope(organisation.pk):
            conversation = make()
            Conversation.objects.filter(pk=conversation.pk).update(
                labels=["vip"], language="zh", emotion="anger", external_id="X-1"
            )
            make()
        client = self.client(organisation, make_key)
        for query, count in (
            ("", 2),
            ("?label=vip", 1),
            ("?language=zh&emotion=anger", 1),
            ("?external_id=X-1", 1),
            ("?status=assistant,waiting", 2),
            ("?status=resolved", 0),
            ("?assignee=none", 2),
            ("?waiting=true", 0),
            (f"?channel={conversation.channel_id}", 1),
        ):
            assert len(client.get(PATH + query).json()["results"]) == count, query
        for query in ("status=gone", "assignee=x", "channel=x", "emotion=x", "waiting=x"):
            problem = check_problem(client.get(f"{PATH}?{query}"), 422)
            assert problem["errors"][0]["pointer"].startswith("/" + query.split("=")[0])


class TestChange(ChangeCases):
    path = PATH + "/{id}"
    permission = "service:reply"
    body: ClassVar[dict[str, Any]] = {"labels": ["vip"], "priority": 2}

    def make(self, organisation: Organisation) -> str:
        return str(make().pk)


class TestHandOff(AccessCases):
    path = PATH + "/{id}/hand-off"
    permission = "service:reply"
    method = "post"
    body: ClassVar[dict[str, Any]] = {"reason": "asked"}

    def make(self, organisation: Organisation) -> str:
        return str(make().pk)


@pytest.mark.django_db
def test_a_program_brings_a_conversation_and_moves_it_on(
    organisation: Organisation, make_key: Any, make_user: Any
) -> None:
    cases = AccessCases()
    cases.permission = "service:reply"  # type: ignore[misc]
    client = cases.client(organisation, make_key, "service:read", "service:reply")

    def post(path: str, body: Any, **headers: str) -> Any:
        return client.post(PATH + path, body, content_type="application/json", headers=headers)

    with organisation_scope(organisation.pk):
        channel = Channel.objects.create(name="Mail", key="mail")
        member = Membership.objects.get(user=make_user(organisation, "agent"))
    body = {
        "channel": str(channel.pk),
        "visitor": {"external_id": "c-7", "name": "Li Wei"},
        "external_id": "M-1",
        "language": "zh",
    }
    made = post("", body, **{"Idempotency-Key": "one"})
    assert made.status_code == 201, made.content
    again = post("", body, **{"Idempotency-Key": "one"})
    assert again["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == made.json()["id"]
    check_problem(post("", body), 409)
    talk = f"/{made.json()['id']}"
    assert made.json()["visitor"]["verified"] is True

    said = post(f"{talk}/messages", {"author": "visitor", "body": "你好", "client_id": "1"})
    assert said.status_code == 201
    check_problem(post(f"{talk}/messages", {"author": "visitor", "body": "x" * 4001}), 422)
    check_problem(post(f"{talk}/messages", {"author": "assistant", "body": "x"}), 422)
    assert post(f"{talk}/hand-off", {"reason": "asked"}).json()["status"] == "waiting"
    assigned = post(f"{talk}/assign", {"member": str(member.pk)}).json()
    assert assigned["assignee"]["id"] == str(member.pk)
    check_problem(post(f"{talk}/assign", {"member": str(uuid7())}), 422)
    assert post(f"{talk}/messages", {"author": "agent", "body": "在"}).status_code == 201
    assert post(f"{talk}/messages", {"author": "note", "body": "VIP"}).status_code == 201
    messages = client.get(f"{PATH}{talk}/messages").json()
    assert [m["author"] for m in messages["results"]] == ["visitor", "agent", "note"]
    assert [
        m["sequence"] for m in client.get(f"{PATH}{talk}/messages?after=2").json()["results"]
    ] == [3]
    assert post(f"{talk}/return", {}).json()["status"] == "assistant"
    resolved = post(f"{talk}/resolve", {}).json()
    assert (resolved["status"], resolved["contained"]) == ("resolved", False)
    assert post(f"{talk}/reopen", {}).json()["status"] == "assistant"


@pytest.mark.django_db
def test_rows_of_others_cannot_be_named(
    organisation: Organisation, organisation_b: Organisation, make_key: Any
) -> None:
    client = AccessCases().client(organisation, make_key, "service:read", "service:reply")
    with organisation_scope(organisation.pk):
        own = make()
    with organisation_scope(organisation_b.pk):
        foreign = make()
        member = make_foreign_member(organisation_b)
    for body in (
        {"channel": str(foreign.channel_id)},
        {"channel": str(own.channel_id), "visitor": {"id": str(foreign.visitor_id)}},
    ):
        response = client.post(PATH, body, content_type="application/json")
        assert response.status_code in (404, 422)
    answer = client.post(
        f"{PATH}/{own.pk}/assign", {"member": str(member)}, content_type="application/json"
    )
    check_problem(answer, 422)


def make_foreign_member(organisation: Organisation) -> Any:
    from rootstock.accounts.models import User

    user = User.objects.create_user(f"{uuid7().hex}@example.com", "correct horse")
    return Membership.objects.create(user=user, role="agent").pk
