"""One turn of a flow: what was said and where it stood in; what is said, shown and done next, out.

Pure and deterministic: no clock, no database, no network. The definition is one that `checking.faults` passes, so
a turn ends: every circle in it has a question, and a question is skipped only while a value that came before it is
left.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Literal

from apps.customer_service.services.flows import values, words
from apps.customer_service.services.flows.definition import (
    Ask,
    Branch,
    Call,
    Definition,
    Done,
    HandOff,
    Say,
)
from apps.customer_service.services.flows.slots import (
    AHEAD_TYPES,
    extract,
    extract_ahead,
    option_of,
    yes_or_no,
)

__all__ = [
    "ActionRequest",
    "Context",
    "FlowState",
    "FlowTurn",
    "Returned",
    "begin",
    "flow_turn",
    "returned",
]

Phase = Literal["asked", "confirming", "calling", "offered", "ended"]
Outcome = Literal["running", "done", "cancelled", "left", "handed-off", "failed"]
CALL_OUTCOMES = ("done", "refused", "failed", "timeout", "unknown")
CONFIRM, DECLINE, PEOPLE, LEAVE = "yes", "no", "people", "leave"


@dataclass(frozen=True)
class Context:
    """What a turn knows beside its flow: the language of the talk, today where the company is, who is talking."""

    language: str
    today: date
    visitor: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FlowState:
    """Where a run stands; plain data, kept as JSON."""

    step: str
    phase: Phase = "ended"
    outcome: Outcome = "running"
    slots: dict[str, Any] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Slots with a value that no question has used yet.
    given: tuple[str, ...] = ()
    # Slots in the order in which they were settled: what a correction can mean, the latest first.
    settled: tuple[str, ...] = ()
    misses: int = 0
    # How many calls were made: part of a call's key.
    calls: int = 0

    def as_json(self) -> dict[str, Any]:
        """For a row, or a page."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> FlowState:
        """The state that `as_json` gave."""
        listed = {name: tuple(raw[name]) for name in ("given", "settled")}
        return cls(**{**raw, **listed})


@dataclass(frozen=True)
class ActionRequest:
    """A business action to be called before the flow goes on. `number` counts the calls of the run from 1."""

    step: str
    action: str
    arguments: dict[str, Any]
    number: int


@dataclass(frozen=True)
class FlowTurn:
    """What comes of a turn.

    `hand_off` is the reason for people, or empty. `left`: the flow is over and what was said is an ordinary message.
    `answer_first`: what was said is another question; answer it, then say `body`, which asks again.
    """

    state: FlowState
    body: str = ""
    choices: tuple[dict[str, str], ...] = ()
    action: ActionRequest | None = None
    hand_off: str = ""
    left: bool = False
    answer_first: bool = False
    # The steps passed, for the trace.
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Returned:
    """What came of a call. `outcome`: done, refused, failed, timeout (a question to the company's system that was not
    answered), unknown (a change of which nobody knows whether it was made)."""

    outcome: str
    results: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""


def begin(definition: Definition, text: str, *, context: Context) -> FlowTurn:
    """The first turn; what the text says already is not asked."""
    state = _take_ahead(definition, FlowState(definition.start), text, context)
    return _Walk(definition, state, context).go()


def flow_turn(
    definition: Definition,
    state: FlowState,
    *,
    text: str,
    choice: str = "",
    other_question: bool = False,
    context: Context,
) -> FlowTurn:
    """The turn that a visitor's message makes.

    Args:
        choice: the value of the button that was pressed, if one was.
        other_question: the text is a question of another kind, as far as anybody can tell from it alone; used only
            when it is no answer.

    Raises:
        ValueError: the run has ended, or waits for a call and not for a message.
    """
    walk = _Walk(definition, state, context)
    step = definition.steps[state.step]
    if state.phase == "offered":
        return _offered(walk, text, choice)
    if state.phase not in {"asked", "confirming"}:
        raise ValueError(f"nothing was asked: the run is {state.phase}")
    pressed = isinstance(step, Ask) and option_of(step, choice or text) is not None
    if not pressed and words.wants_to_cancel(text) and choice == "":
        return walk.end("cancelled", "cancelled")
    if not pressed and words.wants_people(text):
        return walk.end("handed-off", "people-now", hand_off="asked-for-people")
    if isinstance(step, Ask):
        return _answered(walk, step, text, choice, other_question)
    if isinstance(step, Call):
        return _confirmed(walk, step, text, choice, other_question)
    raise ValueError(f"the step {state.step} asks nothing")


def returned(
    definition: Definition, state: FlowState, answer: Returned, *, context: Context
) -> FlowTurn:
    """The turn that the end of a call makes.

    Raises:
        ValueError: the run waits for no call.
    """
    step = definition.steps[state.step]
    if state.phase != "calling" or not isinstance(step, Call):
        raise ValueError(f"no call is awaited: the run is {state.phase}")
    walk = _Walk(definition, state, context)
    if answer.outcome == "done":
        walk.state = replace(
            state, results={**state.results, step.into: dict(answer.results)}, misses=0
        )
        return walk.go(step.next)
    walk.state = replace(state, results={**state.results, step.into: {"problem": answer.problem}})
    if answer.outcome == "unknown":
        # Whatever the author of the flow says next, nobody is led to believe that it was done, or was not.
        walk.say("unknown")
        return walk.go(step.on_timeout) if step.on_timeout else walk.offer()
    following = step.on_timeout if answer.outcome == "timeout" else ""
    following = following or step.on_failure
    if following:
        return walk.go(following)
    return walk.end("failed", "failed", hand_off="action-failed")


# --- answers --------------------------------------------------------------------------------------


def _answered(walk: _Walk, step: Ask, text: str, choice: str, other_question: bool) -> FlowTurn:
    state, context = walk.state, walk.context
    if step.type == "text" and not choice:
        # Anything answers an open question; what is clearly something else goes first.
        corrected = _correction(walk, text) if words.corrects(text) else None
        if corrected is not None:
            return corrected
        if other_question:
            return _other(walk, step)
    said = choice or text
    value = extract(step, said, language=context.language, today=context.today)
    if value is not None:
        slots = {**state.slots, step.slot: value}
        walk.state = replace(state, slots=slots, given=(*state.given, step.slot), misses=0)
        if step.type != "text" and not choice:
            walk.state = _take_ahead(walk.definition, walk.state, text, context, but=step.slot)
        return walk.go(step.id)
    corrected = _correction(walk, text)
    other_question = other_question or words.asks(text)
    if corrected is not None and (words.corrects(text) or not other_question):
        return corrected
    return _other(walk, step) if other_question else _missed(walk, step)


def _confirmed(walk: _Walk, step: Call, text: str, choice: str, other_question: bool) -> FlowTurn:
    answer = {CONFIRM: True, DECLINE: False}.get(choice)
    if answer is None:
        answer = yes_or_no(text)
    if answer is not True and not choice:
        corrected = _correction(walk, text)
        if corrected is not None:
            return corrected
    if answer is True:
        return walk.call(step)
    if answer is False:
        if step.on_declined:
            walk.state = replace(walk.state, misses=0)
            return walk.go(step.on_declined)
        return walk.end("cancelled", "declined")
    return _other(walk, step) if other_question or words.asks(text) else _missed(walk, step)


def _offered(walk: _Walk, text: str, choice: str) -> FlowTurn:
    """After a change of which nobody knows whether it was made, people were offered."""
    if choice == PEOPLE or (not choice and (yes_or_no(text) or words.wants_people(text))):
        return walk.end("handed-off", "people-now", hand_off="action-unknown")
    if choice == LEAVE or yes_or_no(text) is False or words.wants_to_cancel(text):
        return walk.end("failed", "left-alone")
    return FlowTurn(replace(walk.state, phase="ended", outcome="failed"), left=True)


def _other(walk: _Walk, step: Ask | Call) -> FlowTurn:
    """Another question in the middle: answered first, then asked again; the second in a row ends the flow."""
    if walk.state.misses >= 1:
        return FlowTurn(replace(walk.state, phase="ended", outcome="left"), left=True)
    walk.state = replace(walk.state, misses=walk.state.misses + 1)
    return replace(walk.ask(step), answer_first=True)


def _missed(walk: _Walk, step: Ask | Call) -> FlowTurn:
    state = walk.state
    limit = step.max_misses if isinstance(step, Ask) else 2
    if state.misses >= limit:
        if isinstance(step, Ask) and step.on_miss:
            walk.state = replace(state, misses=0)
            return walk.go(step.on_miss)
        return walk.end("handed-off", "too-many", hand_off="not-understood")
    walk.state = replace(state, misses=state.misses + 1)
    if isinstance(step, Ask) and step.invalid is not None:
        walk.bodies.append(walk.render(step.invalid))
        return replace(walk.ask(step), body=walk.body_without_last())
    walk.say("invalid")
    return walk.ask(step)


def _correction(walk: _Walk, text: str) -> FlowTurn | None:
    """An earlier answer said anew ("no, I meant A-1235"): the flow goes on from the question it belongs to."""
    state, context = walk.state, walk.context
    for slot in reversed(state.settled):
        step = walk.definition.ask_of(slot)
        if step is None or step.type not in AHEAD_TYPES:
            continue
        found = extract_ahead(
            replace(step, ahead=True), text, language=context.language, today=context.today
        )
        if found is None or found[0] == state.slots.get(slot):
            continue
        place = state.settled.index(slot)
        # Later answers stand; they are not asked again.
        again = state.settled[place:]
        walk.state = replace(
            state,
            slots={**state.slots, slot: found[0]},
            given=tuple(dict.fromkeys((*state.given, *again))),
            settled=state.settled[:place],
            misses=0,
        )
        walk.say("corrected")
        return walk.go(step.id)
    return None


def _take_ahead(
    definition: Definition, state: FlowState, text: str, context: Context, but: str = ""
) -> FlowState:
    """Fill slots that have no value yet from a text in which they were not asked for.

    Where two of a kind are open (from, to), neither is taken: which one was meant is not known.
    """
    open_steps: dict[str, Ask] = {}
    for step in definition.asks():
        if step.slot not in state.slots and step.slot != but:
            open_steps.setdefault(step.slot, step)
    kinds = [(step.type, step.pattern) for step in open_steps.values()]
    current = definition.ask_of(but)
    if current is not None:
        kinds.append((current.type, current.pattern))
    rest = text
    slots = dict(state.slots)
    given = list(state.given)
    for kind in AHEAD_TYPES:
        for step in open_steps.values():
            alone = kind == "choice" or kinds.count((step.type, step.pattern)) == 1
            if step.type != kind or not alone:
                continue
            found = extract_ahead(step, rest, language=context.language, today=context.today)
            if found is not None:
                slots[step.slot], rest = found
                given.append(step.slot)
    return replace(state, slots=slots, given=tuple(given))


# --- walking --------------------------------------------------------------------------------------


class _Walk:
    """Steps taken until something is asked, called or over."""

    def __init__(self, definition: Definition, state: FlowState, context: Context) -> None:
        self.definition = definition
        self.state = state
        self.context = context
        self.bodies: list[str] = []
        self.passed: list[str] = []
        self.language = (
            context.language
            if context.language in definition.languages
            else definition.languages[0]
        )

    def go(self, to: str = "") -> FlowTurn:
        """On from a step (default: where the state stands)."""
        name = to or self.state.step
        while True:
            step = self.definition.steps[name]
            self.state = replace(self.state, step=name)
            self.passed.append(name)
            match step:
                case Say():
                    self.bodies.append(self.render(step.text))
                    name = step.next
                case Branch():
                    name = self._branch(step)
                case Ask() if step.slot in self.state.given:
                    name = self._settle(step)
                case Ask():
                    self.state = replace(self.state, misses=0)
                    return self.ask(step)
                case Call() if step.confirm is not None:
                    self.state = replace(self.state, misses=0)
                    return self.ask(step)
                case Call():
                    return self.call(step)
                case HandOff():
                    self._last(step.text, "people-now")
                    return self.end("handed-off", hand_off=step.reason)
                case Done():
                    self._last(step.text, "settled")
                    return self.end("done")

    def ask(self, step: Ask | Call) -> FlowTurn:
        """Put the question of a step, or ask for its confirmation."""
        if isinstance(step, Ask):
            self.state = replace(self.state, phase="asked")
            self.bodies.append(self.render(step.text))
            choices = [(option.label[self.language], option.value) for option in step.options]
            if step.type == "boolean":
                choices = [(self._word("yes"), CONFIRM), (self._word("no"), DECLINE)]
        else:
            self.state = replace(self.state, phase="confirming")
            self.bodies.append(self.render(step.confirm or {}))
            choices = [(self._word("yes"), CONFIRM), (self._word("no"), DECLINE)]
        return self._turn(choices=choices)

    def call(self, step: Call) -> FlowTurn:
        """Ask for a call."""
        number = self.state.calls + 1
        self.state = replace(self.state, phase="calling", calls=number, misses=0)
        arguments = {}
        for name, value in step.arguments.items():
            resolved = values.argument(value, self._read)
            if resolved is not None:
                arguments[name] = resolved
        return self._turn(action=ActionRequest(step.id, step.action, arguments, number))

    def offer(self) -> FlowTurn:
        """Offer people."""
        self.state = replace(self.state, phase="offered")
        self.say("offer")
        return self._turn(choices=[(self._word("people"), PEOPLE), (self._word("no"), LEAVE)])

    def end(self, outcome: Outcome, word: str = "", *, hand_off: str = "") -> FlowTurn:
        """Over."""
        if word:
            self.say(word)
        self.state = replace(self.state, phase="ended", outcome=outcome)
        return self._turn(hand_off=hand_off)

    def say(self, word: str) -> None:
        """One of the flow's own sentences."""
        self.bodies.append(self._word(word))

    def render(self, text: Mapping[str, str]) -> str:
        """A text of the definition with its values."""
        sentence = text.get(self.language) or next(iter(text.values()), "")
        return values.render(sentence, self._shown)

    def body_without_last(self) -> str:
        """What was said but for the last sentence."""
        return "\n\n".join(self.bodies[:-1])

    def _last(self, text: Mapping[str, str] | None, word: str) -> None:
        """The last words; a flow that has said nothing says one of its own sentences."""
        if text is not None:
            self.bodies.append(self.render(text))
        elif not self.bodies:
            self.say(word)

    def _turn(
        self,
        *,
        choices: list[tuple[str, str]] | None = None,
        action: ActionRequest | None = None,
        hand_off: str = "",
    ) -> FlowTurn:
        return FlowTurn(
            state=self.state,
            body="\n\n".join(self.bodies),
            choices=tuple({"label": label, "value": value} for label, value in choices or ()),
            action=action,
            hand_off=hand_off,
            steps=tuple(self.passed),
        )

    def _settle(self, step: Ask) -> str:
        """Use the value that is there; where it leads."""
        given = tuple(slot for slot in self.state.given if slot != step.slot)
        others = tuple(slot for slot in self.state.settled if slot != step.slot)
        self.state = replace(self.state, given=given, settled=(*others, step.slot))
        value = self.state.slots[step.slot]
        own = next((option.next for option in step.options if option.value == value), "")
        return own or step.next

    def _branch(self, step: Branch) -> str:
        for conditions, following in step.cases:
            if all(values.holds(condition, self._read) for condition in conditions):
                return following
        return step.otherwise

    def _word(self, name: str) -> str:
        return words.say(name, self.language)

    def _read(self, path: str) -> Any:
        head, _, tail = path.partition(".")
        if head == "visitor":
            return self.context.visitor.get(tail)
        if head in self.state.slots:
            value = self.state.slots[head]
            return value.get(tail or "value") if isinstance(value, dict) else value
        found = self.state.results.get(head, {})
        return found.get(tail)

    def _shown(self, path: str) -> str:
        """A value as it is written for people: the label of an option, a date in words, an amount with its currency."""
        step = self.definition.ask_of(path)
        value = self.state.slots.get(path) if step is not None else self._read(path)
        for option in step.options if step is not None else ():
            if option.value == value:
                return option.label[self.language]
        return values.shown(value, self.language)
