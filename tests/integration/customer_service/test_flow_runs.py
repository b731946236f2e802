"""Flows in conversations: kept between messages, resumed by another worker, left when people take over."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from company_server import CompanyServer, company_server

from apps.customer_service.demo.company import secrets_reader
from apps.customer_service.demo.flows import flows_setup
from apps.customer_service.models import (
    ActionCall,
    BusinessAction,
    Channel,
    Conversation,
    Flow,
    FlowRun,
    Visitor,
)
from apps.customer_service.services.answering.flows_hook import FlowQuestion
from apps.customer_service.services.conversations import conversation_hand_off, conversation_open
from apps.customer_service.services.flows import runner
from apps.customer_service.services.flows.library import (
    flow_from_template,
    flow_make_live,
    template_get,
    version_save,
)
from apps.customer_service.services.flows.runner import FlowReply, flow_advance, flow_begin
from apps.customer_service.services.flows.step import flow_step
from rootstock.common.actors import SYSTEM
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope

State = FlowRun.State


@dataclass(frozen=True)
class Understanding:
    intent: str = ""
    probability: float = 0.0
    in_scope: bool | None = None


class Killed(BaseException):
    """What a worker feels of SIGKILL."""


class Chat:
    """A visitor's conversation in the organisation."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation = organisation
        self.message = uuid.uuid4()
        with organisation_scope(organisation.pk):
            channel = Channel.objects.create(name="Shop", key="shop-key-0002")
            visitor = Visitor.objects.create(external_id="c-7", verified=True)
            self.conversation = conversation_open(
                channel=channel, visitor=visitor, origin="widget", language="en"
            )

    def say(self, text: str, *, again: bool = False, **options: Any) -> FlowReply | None:
        if not again:
            self.message = uuid.uuid4()
        return flow_advance(
            self.organisation.pk,
            conversation_id=self.conversation.pk,
            message_id=self.message,
            text=text,
            **options,
        )

    def hear(self, text: str, **options: Any) -> FlowReply:
        reply = self.say(text, **options)
        assert reply is not None
        return reply

    def run(self) -> FlowRun:
        with organisation_scope(self.organisation.pk):
            return FlowRun.objects.latest("id")


@pytest.fixture
def company(settings: Any) -> Iterator[CompanyServer]:
    settings.ROOTSTOCK_HTTP_ALLOW_PRIVATE = "127.0.0.1/32"
    with company_server() as server:
        yield server


@pytest.fixture
def chat(organisation: Organisation, company: CompanyServer, tmp_path: Any) -> Chat:
    """In an organisation with both shipped flows, live."""
    with organisation_scope(organisation.pk):
        flows_setup(lambda _line: None, company=company.address, secrets=tmp_path / "secrets")
    company.secrets = list(secrets_reader(tmp_path / "secrets")())
    return Chat(organisation)


def test_no_flow_for_what_is_none(chat: Chat) -> None:
    assert chat.say("do you sell tents?") is None
    assert chat.say("How long does a refund take?") is None


def test_begun_by_words_or_a_sure_intent(chat: Chat) -> None:
    with organisation_scope(chat.organisation.pk):
        status = Flow.objects.get(name="Order status").live
        assert flow_begin(None, "Hello, where is my order?") == status
        assert flow_begin(None, "帮我查一下订单") == status
        assert flow_begin(Understanding("order-status", 0.9, True), "parcel?") == status
        assert flow_begin(Understanding("order-status", 0.5, True), "parcel?") is None
        assert flow_begin(Understanding("order-status", 0.9, False), "parcel?") is None
        Flow.objects.update(enabled=False)
        assert flow_begin(None, "where is my order?") is None


def test_an_order_is_found(chat: Chat, company: CompanyServer) -> None:
    assert "order number" in chat.hear("where is my order").body
    reply = chat.hear("JP20001235")
    assert "SF Express" in reply.body
    assert chat.run().state == State.DONE
    # The company is told who asks; the trace that agents see names the slots and not their values.
    assert b'"visitor":{"id":"c-7","verified":true}' in company.calls[0][2]
    assert "JP20001235" not in str(reply.trace)
    assert chat.say("thanks") is None


def test_a_refund_from_the_first_word_to_the_last(chat: Chat, company: CompanyServer) -> None:
    reply = chat.hear("I want a refund for JP20001231, it is broken", language="en")
    assert "When did you receive it" in reply.body
    reply = chat.hear("last Friday")
    assert [choice["value"] for choice in reply.choices] == ["yes", "no"]
    assert company.company.refunds == {}
    reply = chat.hear("Yes", choice="yes")
    assert "R-10001" in reply.body
    assert company.company.refunds == {"JP20001231": "R-10001"}


def test_in_chinese(chat: Chat) -> None:
    assert "订单号" in chat.hear("我要退款", language="zh-Hans").body
    assert "退款原因" in chat.hear("单号JP20001231", language="zh").body
    assert "哪天" in chat.hear("坏了", language="zh").body
    assert "确认" in chat.hear("上周五", language="zh").body
    assert "退款编号 R-10001" in chat.hear("确认", language="zh").body


def test_the_same_message_is_taken_once(chat: Chat) -> None:
    """A worker died after the run was written and before the reply: the next one says the same."""
    first = chat.hear("where is my order")
    assert chat.hear("where is my order", again=True) == first
    last = chat.hear("JP20001235")
    assert chat.hear("JP20001235", again=True) == last
    with organisation_scope(chat.organisation.pk):
        assert FlowRun.objects.count() == 1


@pytest.mark.parametrize("place", ["before", "during", "after"])
def test_a_worker_killed_around_a_call(
    chat: Chat, company: CompanyServer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Before, during or after the call: one refund, and the customer hears its number."""
    chat.hear("I want a refund for JP20001231, it is broken")
    chat.hear("last Friday")
    real = runner.action_call

    def killed(*arguments: Any, **named: Any) -> Any:
        if place == "after":
            real(*arguments, **named)
        if place == "during":
            from apps.customer_service.services.flows import calls

            def sent_and_gone(letter: Any, seconds: float) -> Any:
                calls_sent(letter, seconds)
                raise Killed

            calls_sent = calls._sent
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(calls, "_sent", sent_and_gone)
                real(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(runner, "action_call", killed)
        with pytest.raises(Killed):
            chat.say("yes")
    assert chat.run().memory["phase"] == "calling"
    reply = chat.hear("yes", again=True)
    assert "R-10001" in reply.body
    assert list(company.company.refunds.values()) == ["R-10001"]
    with organisation_scope(chat.organisation.pk):
        assert ActionCall.objects.filter(action__name="refund_request").count() == 1


def test_a_call_left_behind_is_ended_before_the_next_message(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    chat.hear("where is my order")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "action_call", killed)
        with pytest.raises(Killed):
            chat.say("JP20001230")
    # The call is made now: there is no such order, and what was said meanwhile is the answer to what follows.
    reply = chat.hear("ask a colleague")
    assert reply.hand_off == "order-not-found"


def test_a_change_nobody_answered(chat: Chat, company: CompanyServer) -> None:
    chat.hear("I want a refund for JP20001231, it is broken")
    chat.hear("last Friday")
    company.says(500, {})
    reply = chat.hear("yes")
    assert "do not know whether this went through" in reply.body
    assert chat.hear("Talk to a person", choice="people").hand_off == "action-unknown"
    assert chat.run().state == State.HANDED_OFF


def test_another_question_and_another_flow(chat: Chat) -> None:
    chat.hear("where is my order")
    reply = chat.hear("do you ship abroad", understanding=Understanding("shipping", 0.95, True))
    assert reply.answer_first
    # Another flow takes over at once.
    reply = chat.hear("actually, I want a refund")
    assert not reply.answer_first
    assert reply.trace["flow"] == "Refund request"
    with organisation_scope(chat.organisation.pk):
        states = list(FlowRun.objects.order_by("id").values_list("state", flat=True))
    assert states == [State.LEFT, State.RUNNING]


def test_left_for_an_answer(chat: Chat) -> None:
    chat.hear("where is my order")
    for _ in range(2):
        reply = chat.hear("is it open on Sunday", understanding=Understanding("hours", 0.95, True))
    assert reply.left
    assert chat.run().state == State.LEFT


def test_people_end_a_flow(chat: Chat) -> None:
    chat.hear("where is my order")
    with organisation_scope(chat.organisation.pk):
        conversation = Conversation.objects.get()
        conversation_hand_off(conversation=conversation, reason="asked")
    assert chat.run().state == State.LEFT


def test_a_run_goes_on_with_its_version(chat: Chat) -> None:
    """A new version in the middle of a talk changes nothing for who is in the old one."""
    chat.hear("where is my order")
    with organisation_scope(chat.organisation.pk):
        flow = Flow.objects.get(name="Order status")
        end = {"id": "bye", "kind": "done", "text": {"en": "Closed.", "zh": "停止服务。"}}
        changed = {"version": 1, "languages": ["en", "zh"], "start": "bye", "steps": [end]}
        version = version_save(flow=flow, definition=changed, actor=SYSTEM)
        flow_make_live(flow=flow, version=version, actor=SYSTEM)
    assert "SF Express" in chat.hear("JP20001235").body
    assert chat.hear("where is my order").body == "Closed."


def test_an_action_that_was_removed_meanwhile(chat: Chat) -> None:
    """The run goes on with its version, which calls it: it has failed, and nobody waits in vain."""
    chat.hear("where is my order")
    with organisation_scope(chat.organisation.pk):
        BusinessAction.objects.filter(name="order_status").delete()
    reply = chat.hear("JP20001235")
    assert "could not look up order JP20001235" in reply.body
    assert [choice["value"] for choice in reply.choices] == ["again", "colleague"]


def test_the_demonstration_is_set_up_again(
    chat: Chat, company: CompanyServer, tmp_path: Any
) -> None:
    """On another port, with another draft there: the draft stays a draft."""
    with organisation_scope(chat.organisation.pk):
        flow_from_template(template=template_get("order-status"), actor=SYSTEM)
        flows_setup(str, company="http://127.0.0.1:8201", secrets=tmp_path / "secrets")
        assert list(Flow.objects.filter(live=None).values_list("name", flat=True)) == [
            "Order status 2"
        ]
        urls = set(BusinessAction.objects.values_list("url", flat=True))
        secrets = set(BusinessAction.objects.values_list("secret", flat=True))
    assert all(url.startswith("http://127.0.0.1:8201/company/") for url in urls)
    assert set(secrets_reader(tmp_path / "secrets")()) == secrets
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_another_organisation_sees_none_of_it(chat: Chat, organisation_b: Organisation) -> None:
    chat.hear("where is my order")
    found = flow_advance(
        organisation_b.pk,
        conversation_id=chat.conversation.pk,
        message_id=uuid.uuid4(),
        text="JP20001235",
    )
    assert found is None


def test_the_assistant_asks_the_step(chat: Chat) -> None:
    def asked(text: str, **said: Any) -> Any:
        question = FlowQuestion(
            organisation_id=chat.organisation.pk,
            conversation=chat.conversation.pk,
            message=uuid.uuid4(),
            text=text,
            choice="",
            language="en",
            **said,
        )
        return flow_step(question)

    assert asked("do you sell tents?") is None
    outcome = asked("my parcel", intent="order-status", probability=0.9, in_scope=True)
    assert "order number" in outcome.body
    assert outcome.trace["flow"] == "Order status"
    assert asked("never mind").hand_off == ""
