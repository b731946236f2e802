"""Turns of a flow, as a customer meets them; and that no flow can hang or break."""

from __future__ import annotations

import copy
import json
from datetime import date
from typing import Any

import pytest
from flow_samples import RANDOM_ACTIONS, both, definition, definitions
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from apps.customer_service.services.flows import engine
from apps.customer_service.services.flows.checking import faults
from apps.customer_service.services.flows.definition import Definition, definition_parse
from apps.customer_service.services.flows.engine import Context, FlowState, FlowTurn, Returned
from apps.customer_service.services.flows.templates import TEMPLATES

MONDAY = date(2026, 11, 23)
STATUS = {
    "status": "shipped", "carrier": "DHL", "tracking_number": "JD0001", "expected_on": "2026-11-25",
    "refundable": True, "total": "129.00 USD",
}  # fmt: skip


class Talk:
    """A visitor in a flow."""

    def __init__(self, raw: Any, language: str = "en") -> None:
        self.definition: Definition = definition_parse(copy.deepcopy(raw))
        self.context = Context(language, MONDAY)
        self.turn: FlowTurn

    @property
    def state(self) -> FlowState:
        return self.turn.state

    def begin(self, text: str) -> FlowTurn:
        self.turn = engine.begin(self.definition, text, context=self.context)
        return self.turn

    def say(self, text: str, *, choice: str = "", other: bool = False) -> FlowTurn:
        self.turn = engine.flow_turn(
            self.definition,
            # As the database gives it back.
            FlowState.from_json(json.loads(json.dumps(self.state.as_json()))),
            text=text,
            choice=choice,
            other_question=other,
            context=self.context,
        )
        return self.turn

    def answer(
        self, outcome: str, results: dict[str, Any] | None = None, problem: str = ""
    ) -> FlowTurn:
        self.turn = engine.returned(
            self.definition,
            self.state,
            Returned(outcome, results or {}, problem),
            context=self.context,
        )
        return self.turn


@pytest.fixture
def status() -> Talk:
    return Talk(TEMPLATES["order-status"].definition)


@pytest.fixture
def refund() -> Talk:
    return Talk(TEMPLATES["refund-request"].definition)


def test_what_was_said_already_is_not_asked(status: Talk) -> None:
    turn = status.begin("where is my order A-1234?")
    assert turn.body == ""
    assert turn.action is not None
    assert turn.action.action == "order_status"
    assert turn.action.arguments == {"order_number": "A-1234"}
    turn = status.answer("done", STATUS)
    assert "DHL, tracking number JD0001" in turn.body
    assert "25 November 2026" in turn.body
    assert turn.state.outcome == "done"


def test_in_chinese() -> None:
    talk = Talk(TEMPLATES["order-status"].definition, "zh")
    assert "订单号" in talk.begin("我的订单到哪了").body
    assert talk.say("是Ａ－１２３４").action is not None
    assert "预计2026年11月25日送达" in talk.answer("done", STATUS).body


def test_asked_until_understood_then_people(status: Talk) -> None:
    assert "order number" in status.begin("where is my order").body
    assert "does not look like an order number" in status.say("the blue one").body
    assert status.say("blue, I said").state.outcome == "running"
    turn = status.say("blue!")
    assert turn.hand_off == "not-understood"
    assert turn.state.outcome == "handed-off"


@pytest.mark.parametrize("text", ["never mind", "算了", "取消"])
def test_cancelled_at_any_time(status: Talk, text: str) -> None:
    status.begin("where is my order")
    assert status.say(text).state.outcome == "cancelled"


@pytest.mark.parametrize("text", ["can I talk to a person", "转人工"])
def test_people_at_any_time(refund: Talk, text: str) -> None:
    refund.begin("I want a refund")
    assert refund.say(text).hand_off == "asked-for-people"


def test_another_question_is_answered_and_the_flow_asked_again(status: Talk) -> None:
    status.begin("where is my order")
    turn = status.say("do you ship to Norway", other=True)
    assert turn.answer_first
    assert "order number" in turn.body
    # A second one in a row: somebody is past this flow.
    assert status.say("and to Sweden", other=True).left


def test_an_answer_is_an_answer_whatever_its_form(status: Talk) -> None:
    status.begin("where is my order")
    assert status.say("can you look up A-1234?", other=True).action is not None


def _to_confirmation(refund: Talk) -> FlowTurn:
    refund.begin("I want a refund for A-1234")
    refund.answer("done", STATUS)
    refund.say("It is damaged", choice="damaged")
    return refund.say("last Friday")


def test_a_change_is_confirmed_first(refund: Talk) -> None:
    turn = _to_confirmation(refund)
    assert (
        turn.body == "Shall I request a refund of 129.00 USD for order A-1234, "
        "received on 20 November 2026 (It is damaged)?"
    )
    assert [choice["value"] for choice in turn.choices] == ["yes", "no"]
    turn = refund.say("yes please")
    assert turn.action is not None
    assert turn.action.arguments == {
        "order_number": "A-1234",
        "reason": "damaged",
        "received_on": "2026-11-20",
    }
    turn = refund.answer("done", {"refund_number": "R-9", "days": 5})
    assert "R-9" in turn.body
    assert turn.state.outcome == "done"


def test_declined_changes_nothing(refund: Talk) -> None:
    _to_confirmation(refund)
    turn = refund.say("no")
    assert turn.action is None
    assert turn.state.outcome == "cancelled"
    assert "nothing was changed" in turn.body


def test_a_correction_goes_back_and_keeps_the_other_answers(refund: Talk) -> None:
    _to_confirmation(refund)
    turn = refund.say("no, I meant A-1235")
    # The other order is looked up; the reason and the day are not asked again.
    assert turn.action is not None
    assert turn.action.arguments == {"order_number": "A-1235"}
    assert turn.action.number == 2
    turn = refund.answer("done", STATUS)
    assert "order A-1235, received on 20 November 2026 (It is damaged)" in turn.body


def test_a_correction_of_the_day_in_chinese() -> None:
    talk = Talk(TEMPLATES["refund-request"].definition, "zh")
    talk.begin("我要退款,订单A-1234")
    talk.answer("done", STATUS)
    talk.say("坏了")
    talk.say("上周五")
    assert "2026年11月19日收到" in talk.say("不对,是上周四").body


def test_an_appointment_in_two_messages() -> None:
    """Reason, day and part of the day are read out of one sentence; the phone number is asked."""
    talk = Talk(TEMPLATES["appointment"].definition)
    assert "phone number" in talk.begin("book a visit for a repair tomorrow morning").body
    turn = talk.say("+49 30 1234567")
    assert "24 November 2026, Morning (Repair)" in turn.body
    turn = talk.say("yes")
    assert turn.action is not None
    assert turn.action.arguments == {
        "reason": "repair", "day": "2026-11-24", "part_of_day": "morning", "phone": "+49301234567",
    }  # fmt: skip
    turn = talk.answer("done", {"appointment_number": "V-7", "time": "10:30"})
    assert "at 10:30" in turn.body
    assert "V-7" in turn.body


def test_an_appointment_in_chinese() -> None:
    talk = Talk(TEMPLATES["appointment"].definition, "zh")
    turn = talk.begin("我想预约")
    assert [choice["label"] for choice in turn.choices] == ["咨询", "维修", "取货"]
    assert "哪一天" in talk.say("维修", choice="repair").body
    assert "今天或以后" in talk.say("昨天").body
    assert "时间段" in talk.say("后天").body
    assert "电话" in talk.say("下午吧").body
    assert "2026年11月25日下午（维修）" in talk.say("13812345678").body
    turn = talk.say("好的")
    assert turn.action is not None
    assert "预约号 V-7" in talk.answer("done", {"appointment_number": "V-7"}).body


def test_an_address_is_changed_while_the_order_is_there() -> None:
    talk = Talk(TEMPLATES["address-change"].definition, "zh")
    talk.begin("改地址，订单 A-1238")
    assert "收货地址" in talk.answer("done", {"status": "processing"}).body
    assert "电话" in talk.say("李雷，上海市黄浦区中山东一路 1 号").body
    turn = talk.say("13812345678")
    assert "上海市黄浦区中山东一路 1 号" in turn.body
    turn = talk.say("是", choice="yes")
    assert turn.action is not None
    assert turn.action.action == "address_change"
    assert "将送至：上海" in talk.answer("done", {"address": "上海市黄浦区中山东一路 1 号"}).body


def test_an_address_is_not_changed_when_the_order_has_left() -> None:
    talk = Talk(TEMPLATES["address-change"].definition)
    talk.begin("change the address of A-1235")
    assert talk.answer("done", STATUS).hand_off == "left-already"


@pytest.mark.parametrize(
    ("last", "said"),
    [({"kind": "done"}, "That is done."), ({"kind": "hand-off", "reason": "r"}, "colleague")],
)
def test_an_end_without_words_is_not_silent(last: dict[str, Any], said: str) -> None:
    ask = {"id": "a", "kind": "ask", "slot": "a", "type": "text", "text": both("why?"), "next": "z"}
    talk = Talk(definition(ask, {"id": "z", **last}))
    talk.begin("hello")
    assert said in talk.say("because").body


def test_correcting_while_the_next_question_is_open(refund: Talk) -> None:
    refund.begin("I want a refund for A-1234")
    refund.answer("done", STATUS)
    turn = refund.say("sorry, I meant A-1235")
    assert turn.action is not None
    assert turn.action.arguments == {"order_number": "A-1235"}


def test_one_message_may_hold_several_answers(refund: Talk) -> None:
    refund.begin("I want a refund, A-1234 came on 2026-11-20 and is broken")
    assert "Shall I" in refund.answer("done", STATUS).body


def test_refused_and_failed_calls_are_told(refund: Talk) -> None:
    _to_confirmation(refund)
    refund.say("yes")
    turn = refund.answer("refused", problem="the 30 days are over")
    assert "the 30 days are over" in turn.body
    assert turn.hand_off == "refund-refused"


def test_what_nobody_knows_is_told_as_such_and_people_are_offered(refund: Talk) -> None:
    _to_confirmation(refund)
    refund.say("yes")
    turn = refund.answer("unknown", problem="no answer in time")
    assert "do not know whether this went through" in turn.body
    assert [choice["value"] for choice in turn.choices] == ["people", "leave"]
    assert refund.say("yes please").hand_off == "action-unknown"


def test_what_nobody_knows_may_be_left_at_that(refund: Talk) -> None:
    _to_confirmation(refund)
    refund.say("yes")
    refund.answer("unknown")
    assert refund.say("No", choice="leave").state.outcome == "failed"


def test_a_second_visit_asks_again(status: Talk) -> None:
    """The value that was not found is not taken for the new answer."""
    status.begin("where is my order A-1234")
    status.answer("failed", problem="not found")
    turn = status.say("Try another number", choice="again")
    assert "order number" in turn.body
    assert status.say("A-9999").action is not None


def test_two_dates_are_not_guessed_apart() -> None:
    steps = [
        {"id": name, "kind": "ask", "slot": name, "type": "date", "text": both(f"{name}?"), "next": following}
        for name, following in (("since", "until"), ("until", "over"))
    ]  # fmt: skip
    talk = Talk(definition(*steps, {"id": "over", "kind": "done"}))
    talk.begin("from 2026-11-01")
    assert talk.state.slots == {}
    talk.say("2026-11-01")
    assert talk.state.slots == {"since": "2026-11-01"}


def test_branches_compare() -> None:
    def leads(operator: str, to: Any, value: str) -> str:
        ask = {
            "id": "a",
            "kind": "ask",
            "slot": "n",
            "type": "amount",
            "text": both("?"),
            "next": "b",
        }
        condition = {"value": "n", "is": operator}
        case = {"when": [condition if to is None else {**condition, "to": to}], "next": "yes"}
        branch = {"id": "b", "kind": "branch", "cases": [case], "otherwise": "no"}
        ends = [{"id": name, "kind": "done", "text": both(name)} for name in ("yes", "no")]
        raw = definition(ask, branch, *ends)
        assert faults(raw, {}) == []
        talk = Talk(raw)
        talk.begin("")
        return talk.say(value).body

    assert leads("greater", 10, "$10.50") == "yes"
    assert leads("greater", 10, "$10") == "no"
    assert leads("less-or-equal", 10, "$10") == "yes"
    assert leads("equals", 10, "10 dollars") == "yes"
    assert leads("in", [5, 10], "$10") == "yes"
    assert leads("not-equals", 10, "$10") == "no"
    assert leads("exists", None, "$10") == "yes"
    assert leads("missing", None, "$10") == "no"


def test_values_are_never_markup() -> None:
    ask = {"id": "a", "kind": "ask", "slot": "t", "type": "text", "text": both("?"), "next": "b"}
    talk = Talk(definition(ask, {"id": "b", "kind": "done", "text": both("You said {t}")}))
    talk.begin("")
    body = talk.say("[free\nmoney](https://evil.example) {t}").body
    assert "](" not in body
    assert "\n" not in body


_TEXTS = st.sampled_from(
    [
        "", "A-1234", "yes", "no", "red", "no, I meant B-1234", "last Friday", "$20", "3", "a@b.co", "13812345678",
        "what is the capital of France?", "你好", "坏了", "2026-11-20", "green", "不对,是昨天", "maybe",
    ]
)  # fmt: skip
_OUTCOMES = st.sampled_from(engine.CALL_OUTCOMES)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    definitions(),
    st.text(max_size=20) | _TEXTS,
    st.lists(st.tuples(_TEXTS, st.booleans(), _OUTCOMES), max_size=12),
    st.sampled_from(["en", "zh"]),
)
def test_no_flow_that_passes_the_checker_hangs_or_breaks(
    raw: dict[str, Any], first: str, talk: list[tuple[str, bool, str]], language: str
) -> None:
    """Every turn ends, in a question, a call or an end; the state survives JSON; the same in gives the same out."""
    assume(faults(raw, RANDOM_ACTIONS) == [])
    visitor = Talk(raw, language)
    visitor.begin(first)
    for text, other, outcome in talk:
        before = visitor.turn
        assert before.state.phase in {"asked", "confirming", "calling", "offered", "ended"}
        assert (before.state.phase == "ended") == (before.state.outcome != "running")
        assert (before.action is not None) == (before.state.phase == "calling")
        if before.state.phase == "ended":
            break
        if before.state.phase == "calling":
            turn = visitor.answer(outcome, {"answer": "yes"} if outcome == "done" else {}, "why")
        else:
            assert before.body
            turn = visitor.say(text, other=other)
            visitor.turn = before
            assert visitor.say(text, other=other) == turn
        assert turn.left or turn.body or turn.action or turn.state.phase == "ended"
