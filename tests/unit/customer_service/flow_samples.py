"""Flows for the tests of the engine: written by hand, and made at random."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from apps.customer_service.services.flows.checking import ActionShape
from apps.customer_service.services.flows.definition import OPERATORS, SLOT_TYPES
from apps.customer_service.services.flows.templates import TEMPLATES

ACTIONS = {
    action["name"]: ActionShape(
        action["changes_something"], action["parameters"], action["results"]
    )
    for template in TEMPLATES.values()
    for action in template.actions
}


def both(text: str) -> dict[str, str]:
    """A text in both languages."""
    return {"en": text, "zh": f"{text}。"}


def definition(*steps: dict[str, Any], start: str = "") -> dict[str, Any]:
    """A definition of these steps."""
    return {
        "version": 1,
        "languages": ["en", "zh"],
        "start": start or steps[0]["id"],
        "steps": list(steps),
    }


def _ids(count: int) -> st.SearchStrategy[str]:
    return st.sampled_from([f"s{number}" for number in range(count)])


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    """A definition of up to eight steps of all kinds, with ways forward and back; most pass the checker."""
    count = draw(st.integers(2, 8))
    anywhere = _ids(count)
    steps: list[dict[str, Any]] = []
    for index in range(count - 1):
        kind = draw(st.sampled_from(["say", "ask", "ask", "choose", "call", "call", "branch"]))
        made = _STEPS[kind](draw, anywhere, f"s{index + 1}")
        steps.append({"id": f"s{index}", "kind": kind, **made})
    last = {"id": f"s{count - 1}", "kind": draw(st.sampled_from(["done", "hand-off"]))}
    if last["kind"] == "hand-off":
        last["reason"] = "over"
    return definition(*steps, last)


def _say(draw: st.DrawFn, anywhere: st.SearchStrategy[str], on: str) -> dict[str, Any]:
    return {"text": both("hello"), "next": on}


def _ask(draw: st.DrawFn, anywhere: st.SearchStrategy[str], on: str) -> dict[str, Any]:
    slot_type = draw(st.sampled_from(SLOT_TYPES))
    step: dict[str, Any] = {
        "slot": draw(st.sampled_from(["a", "b", "c"])),
        "type": slot_type,
        "text": both("which?"),
        "next": on,
        "max_misses": draw(st.integers(0, 2)),
    }
    if slot_type == "code":
        step["pattern"] = "[A-Z]-[0-9]{4}"
    if slot_type == "choice":
        step["options"] = _options(draw, anywhere)
    if draw(st.booleans()):
        step["on_miss"] = draw(anywhere)
    return step


def _choose(draw: st.DrawFn, anywhere: st.SearchStrategy[str], on: str) -> dict[str, Any]:
    return {
        "slot": "d",
        "text": both("which?"),
        "options": _options(draw, anywhere),
        "next": on,
    }


def _call(draw: st.DrawFn, anywhere: st.SearchStrategy[str], on: str) -> dict[str, Any]:
    name = draw(st.sampled_from(["look", "change"]))
    step = {"action": name, "arguments": {"value": "$a"}, "into": "found", "next": on}
    if name == "change" or draw(st.booleans()):
        step["confirm"] = both("shall I?")
    for field in ("on_failure", "on_timeout", "on_declined"):
        if draw(st.booleans()):
            step[field] = draw(anywhere)
    return step


def _branch(draw: st.DrawFn, anywhere: st.SearchStrategy[str], on: str) -> dict[str, Any]:
    operator = draw(st.sampled_from(OPERATORS))
    condition: dict[str, Any] = {"value": draw(st.sampled_from(["a", "found.answer"]))}
    condition["is"] = operator
    if operator == "in":
        condition["to"] = ["yes", 3]
    elif operator not in {"exists", "missing"}:
        condition["to"] = 3
    return {"cases": [{"when": [condition], "next": draw(anywhere)}], "otherwise": on}


_STEPS = {"say": _say, "ask": _ask, "choose": _choose, "call": _call, "branch": _branch}


def _options(draw: st.DrawFn, anywhere: st.SearchStrategy[str]) -> list[dict[str, Any]]:
    options = [{"value": value, "label": both(value)} for value in ("red", "green")]
    if draw(st.booleans()):
        options[0]["next"] = draw(anywhere)
    return options


# What the random flows may call.
RANDOM_ACTIONS = {
    "look": ActionShape(False, {"value": {"type": "string", "required": False}}, {"answer": {"type": "string"}}),
    "change": ActionShape(True, {"value": {"type": "string", "required": False}}, {"answer": {"type": "string"}}),
}  # fmt: skip
