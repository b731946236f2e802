"""What is wrong with a definition is said with its place."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flow_samples import ACTIONS, both, definition
from hypothesis import given
from hypothesis import strategies as st

from apps.customer_service.services.flows.checking import faults
from apps.customer_service.services.flows.templates import TEMPLATES

ORDER = {
    "id": "order",
    "kind": "ask",
    "slot": "order_number",
    "type": "code",
    "pattern": "[A-Z]-[0-9]{4}",
    "text": both("Number?"),
    "next": "look",
}
LOOK = {
    "id": "look",
    "kind": "call",
    "action": "order_status",
    "arguments": {"order_number": "$order_number"},
    "into": "found",
    "next": "done",
}
DONE = {"id": "done", "kind": "done", "text": both("It is {found.status}.")}


def found(*steps: dict[str, Any], **top: Any) -> dict[str, str]:
    return {fault.pointer: fault.detail for fault in faults({**definition(*steps), **top}, ACTIONS)}


@pytest.mark.parametrize("key", TEMPLATES)
def test_the_shipped_flows_are_whole(key: str) -> None:
    assert faults(copy.deepcopy(dict(TEMPLATES[key].definition)), ACTIONS) == []


def test_a_whole_flow_has_no_faults() -> None:
    assert found(ORDER, LOOK, DONE) == {}


@pytest.mark.parametrize("raw", [None, 5, [], "x", {}, {"version": 1, "start": "a", "steps": [3]}])
def test_what_is_no_definition(raw: Any) -> None:
    assert faults(raw, ACTIONS)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"next": "nowhere"}, "/steps/0/next"),
        ({"next": None}, "/steps/0/next"),
        ({"text": {"en": "Number?"}}, "/steps/0/text/zh"),
        ({"text": {"en": "Number?", "zh": " "}}, "/steps/0/text/zh"),
        ({"text": "Number?"}, "/steps/0/text"),
        ({"type": "colour"}, "/steps/0/type"),
        ({"pattern": "[A-"}, "/steps/0/pattern"),
        ({"max_misses": -1}, "/steps/0/max_misses"),
        ({"colour": "red"}, "/steps/0/colour"),
        ({"kind": "sing"}, "/steps/0/kind"),
        ({"id": "done"}, "/steps/2/id"),
        ({"id": "Order 1"}, "/steps/0/id"),
        ({"slot": "order-number"}, "/steps/0/slot"),
        ({"options": [{"value": "a", "label": both("a")}]}, "/steps/0/options"),
        ({"minimum": float("nan")}, "/steps/0/minimum"),
    ],
)
def test_faults_of_a_question(changed: dict[str, Any], pointer: str) -> None:
    assert pointer in found({**ORDER, **changed}, LOOK, DONE)


def test_a_flow_in_one_language() -> None:
    english = {**ORDER, "text": {"en": "Number?"}}
    done = {**DONE, "text": {"en": "{found.status}"}}
    assert found(english, LOOK, done, languages=["en"]) == {}
    assert "/languages" in found(english, LOOK, done, languages=["fr"])


def test_calls_fit_their_action() -> None:
    assert "/steps/1/action" in found(ORDER, {**LOOK, "action": "nothing"}, DONE)
    assert "/steps/1/arguments" in found(ORDER, {**LOOK, "arguments": {}}, DONE)
    extra = {**LOOK, "arguments": {"order_number": "$order_number", "colour": "red"}}
    assert "/steps/1/arguments/colour" in found(ORDER, extra, DONE)
    assert "/steps/1/into" in found(ORDER, {**LOOK, "into": "order_number"}, DONE)
    refund = {
        "id": "look",
        "kind": "call",
        "action": "refund_request",
        "arguments": {"order_number": "$order_number", "reason": "late"},
        "next": "done",
    }
    detail = found(ORDER, refund, {"id": "done", "kind": "done"})["/steps/1/confirm"]
    assert "refund_request" in detail


def test_every_step_is_reached_and_reaches_an_end() -> None:
    alone = {"id": "alone", "kind": "say", "text": both("?"), "next": "done"}
    assert found(ORDER, LOOK, DONE, alone) == {"/steps/3": "No step leads here."}
    first = {**ORDER, "next": "order2"}
    second = {**ORDER, "id": "order2", "next": "order"}
    assert set(found(first, second, start="order")) == {"/steps/0", "/steps/1"}


def test_no_circle_without_a_question() -> None:
    again = {**LOOK, "on_failure": "sorry"}
    sorry = {"id": "sorry", "kind": "say", "text": both("Once more."), "next": "look"}
    assert set(found(ORDER, again, DONE, sorry)) == {"/steps/1", "/steps/3"}
    # Asking in between makes it whole.
    assert found(ORDER, again, DONE, {**sorry, "next": "order"}) == {}


def test_texts_name_only_what_is_known_there() -> None:
    unknown = {**DONE, "text": {"en": "{found.colour}", "zh": "{found.status}"}}
    assert set(found(ORDER, LOOK, unknown)) == {"/steps/2/text/en"}
    # After a failure there is no status, but the problem is known.
    failing = {**LOOK, "on_failure": "failed"}
    failed = {"id": "failed", "kind": "done", "text": both("{found.status}")}
    assert set(found(ORDER, failing, DONE, failed)) == {"/steps/3/text/en", "/steps/3/text/zh"}
    assert found(ORDER, failing, DONE, {**failed, "text": both("{found.problem}")}) == {}
    early = {**ORDER, "text": both("{order_number}?")}
    assert set(found(early, LOOK, DONE)) == {"/steps/0/text/en", "/steps/0/text/zh"}


def test_an_argument_must_be_known_where_it_is_needed() -> None:
    assert "/steps/0/arguments/order_number" in found({**LOOK, "id": "order"}, DONE)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=12,
)
_PLACES = [
    (index, name)
    for index, step in enumerate(TEMPLATES["refund-request"].definition["steps"])
    for name in step
]


@given(_JSON)
def test_any_json_is_checked(raw: Any) -> None:
    """The checker never raises."""
    faults(raw, ACTIONS)


@given(st.sampled_from(_PLACES), _JSON)
def test_any_field_of_a_whole_flow_may_be_anything(place: tuple[int, str], value: Any) -> None:
    raw = copy.deepcopy(dict(TEMPLATES["refund-request"].definition))
    raw["steps"][place[0]][place[1]] = value
    faults(raw, ACTIONS)
