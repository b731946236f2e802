"""What a flow is made of: the steps of a definition that `checking.faults` finds nothing wrong with.

    {"version": 1, "languages": ["en", "zh"], "start": "order",
     "steps": [{"id": "order", "kind": "ask", "slot": "order_number", "type": "code", "pattern": "[A-Z]-[0-9]{4}",
                "text": {"en": "What is the order number?", "zh": "订单号是多少?"}, "next": "look"}, …]}

A value is named by a path: a slot (`order_number`, `amount.currency`) or a result of a call (`order.status`). Texts
hold paths in braces, arguments as "$path"; a "$$" begins a literal dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "LANGUAGES",
    "OPERATORS",
    "OUTSIDE_PATHS",
    "SLOT_TYPES",
    "Ask",
    "Branch",
    "Call",
    "Condition",
    "Definition",
    "Done",
    "HandOff",
    "Option",
    "Say",
    "Step",
    "Text",
    "definition_parse",
    "paths_in",
    "targets",
]

VERSION = 1
LANGUAGES = ("en", "zh")
SLOT_TYPES = (
    "code", "date", "amount", "number", "phone", "email", "choice", "text", "boolean",
)  # fmt: skip
OPERATORS = (
    "equals", "not-equals", "in", "exists", "missing", "less", "less-or-equal", "greater", "greater-or-equal",
)  # fmt: skip
PATH = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?"
# Known in every flow, from the conversation.
OUTSIDE_PATHS = frozenset({"visitor.name", "visitor.email", "visitor.id", "visitor.verified"})
DEFAULT_MISSES = 2

Text = Mapping[str, str]
SlotType = Literal[
    "code", "date", "amount", "number", "phone", "email", "choice", "text", "boolean"
]


@dataclass(frozen=True)
class Option:
    """One of the answers to a choice. `next` is empty where the step's own holds."""

    value: str
    label: Text
    words: tuple[str, ...] = ()
    next: str = ""


@dataclass(frozen=True)
class Say:
    """Says something and goes on."""

    id: str
    text: Text
    next: str


@dataclass(frozen=True)
class Ask:
    """Fills a slot, from what was said already or by a question; `choose` is one with buttons.

    After more than `max_misses` answers that were not understood it goes to `on_miss`, or to people.
    """

    id: str
    slot: str
    type: SlotType
    text: Text
    next: str
    invalid: Text | None = None
    max_misses: int = DEFAULT_MISSES
    on_miss: str = ""
    # Taken from earlier messages as well.
    ahead: bool = True
    pattern: str = ""
    currency: str = "USD"
    minimum: float | None = None
    maximum: float | None = None
    when: Literal["past", "future", "any"] = "any"
    options: tuple[Option, ...] = ()


@dataclass(frozen=True)
class Call:
    """Calls a business action; its results are kept under `into`. With `confirm` it asks before."""

    id: str
    action: str
    arguments: Mapping[str, Any]
    into: str
    next: str
    confirm: Text | None = None
    on_failure: str = ""
    on_timeout: str = ""
    on_declined: str = ""


@dataclass(frozen=True)
class Condition:
    """Compares the value of a path; never true of a value that is not there, but for `missing`."""

    value: str
    operator: str
    to: Any = None


@dataclass(frozen=True)
class Branch:
    """The first case all of whose conditions hold, or `otherwise`."""

    id: str
    cases: tuple[tuple[tuple[Condition, ...], str], ...]
    otherwise: str


@dataclass(frozen=True)
class HandOff:
    """Ends with people."""

    id: str
    reason: str
    text: Text | None = None


@dataclass(frozen=True)
class Done:
    """Ends."""

    id: str
    text: Text | None = None


Step = Say | Ask | Call | Branch | HandOff | Done


@dataclass(frozen=True)
class Definition:
    """A whole flow."""

    start: str
    languages: tuple[str, ...]
    steps: Mapping[str, Step]

    def asks(self) -> Iterator[Ask]:
        """The questions, in the order in which they are written."""
        return (step for step in self.steps.values() if isinstance(step, Ask))

    def ask_of(self, slot: str) -> Ask | None:
        """The first question that fills a slot."""
        return next((step for step in self.asks() if step.slot == slot), None)


def definition_parse(raw: Mapping[str, Any]) -> Definition:
    """The steps of a definition that has been checked.

    Raises:
        KeyError, TypeError: it has not been, and is not one.
    """
    steps = [_PARSERS[step["kind"]](step) for step in raw["steps"]]
    languages = tuple(raw.get("languages") or LANGUAGES)
    return Definition(raw["start"], languages, {step.id: step for step in steps})


def _say(raw: Mapping[str, Any]) -> Say:
    return Say(raw["id"], raw["text"], raw["next"])


def _ask(raw: Mapping[str, Any]) -> Ask:
    options = tuple(
        Option(
            option["value"],
            option["label"],
            tuple(option.get("words", ())),
            option.get("next", ""),
        )
        for option in raw.get("options", ())
    )
    given = {
        name: raw[name]
        for name in (
            "invalid", "max_misses", "on_miss", "ahead", "pattern", "currency", "minimum", "maximum", "when",
        )
        if name in raw
    }  # fmt: skip
    kind: SlotType = "choice" if raw["kind"] == "choose" else raw["type"]
    return Ask(
        raw["id"], raw["slot"], kind, raw["text"], raw.get("next", ""), options=options, **given
    )


def _call(raw: Mapping[str, Any]) -> Call:
    given = {
        name: raw[name]
        for name in ("confirm", "on_failure", "on_timeout", "on_declined")
        if name in raw
    }
    into = raw.get("into") or raw["action"]
    return Call(raw["id"], raw["action"], raw.get("arguments", {}), into, raw["next"], **given)


def _branch(raw: Mapping[str, Any]) -> Branch:
    cases = tuple(
        (
            tuple(
                Condition(condition["value"], condition["is"], condition.get("to"))
                for condition in case["when"]
            ),
            case["next"],
        )
        for case in raw["cases"]
    )
    return Branch(raw["id"], cases, raw["otherwise"])


def _hand_off(raw: Mapping[str, Any]) -> HandOff:
    return HandOff(raw["id"], raw["reason"], raw.get("text"))


def _done(raw: Mapping[str, Any]) -> Done:
    return Done(raw["id"], raw.get("text"))


_PARSERS: dict[str, Any] = {
    "say": _say,
    "ask": _ask,
    "choose": _ask,
    "call": _call,
    "branch": _branch,
    "hand-off": _hand_off,
    "done": _done,
}


def targets(step: Step) -> list[tuple[str, str]]:
    """Where a step can lead: (field, id of the step)."""
    match step:
        case Say():
            return [("next", step.next)]
        case Ask():
            own = [("next", step.next)] if step.next else []
            options = [
                (f"options/{index}/next", option.next)
                for index, option in enumerate(step.options)
                if option.next
            ]
            return own + options + ([("on_miss", step.on_miss)] if step.on_miss else [])
        case Call():
            fields = ("next", "on_failure", "on_timeout", "on_declined")
            return [(name, getattr(step, name)) for name in fields if getattr(step, name)]
        case Branch():
            cases = [(f"cases/{index}/next", case[1]) for index, case in enumerate(step.cases)]
            return [*cases, ("otherwise", step.otherwise)]
        case _:
            return []


def paths_in(text: str) -> list[str]:
    """The paths that a text holds in braces."""
    return re.findall(rf"\{{({PATH})\}}", text)
