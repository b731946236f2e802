"""Talking to a draft: the engine's turns without a conversation. The page keeps the state and sends it back."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from django.utils.translation import gettext as _

from apps.customer_service.models import BusinessAction
from apps.customer_service.services.flows import engine
from apps.customer_service.services.flows.calls import action_test, returned_of
from apps.customer_service.services.flows.definition import Ask, Call, Definition, definition_parse
from apps.customer_service.services.flows.engine import Context, FlowState, FlowTurn, Returned
from apps.customer_service.services.flows.fields import example
from rootstock.common.problems import invalid

__all__ = ["Said", "example_results", "simulation_run", "simulation_turn", "state_read"]


@dataclass(frozen=True)
class Said:
    """What the tester does: says something, presses a button, or decides what a call brings."""

    text: str = ""
    choice: str = ""
    returned: Returned | None = None


def simulation_turn(
    definition: Definition, state: FlowState | None, said: Said, context: Context
) -> FlowTurn:
    """One turn; without a state the first.

    Raises:
        Problem: 422, the state does not wait for what was given.
    """
    if state is None:
        return engine.begin(definition, said.text, context=context)
    if state.phase == "ended":
        raise invalid("/state", _("This run is over. Begin another one."))
    if (state.phase == "calling") != (said.returned is not None):
        raise invalid("/returned", _("Needed while a call is awaited, and only then."))
    if said.returned is not None:
        return engine.returned(definition, state, said.returned, context=context)
    return engine.flow_turn(definition, state, text=said.text, choice=said.choice, context=context)


def simulation_run(
    organisation_id: uuid.UUID,
    definition: Definition,
    turn: FlowTurn,
    context: Context,
    *,
    told: Callable[[dict[str, Any]], None],
) -> list[FlowTurn]:
    """Make the calls that a turn wants, and the turns after them. Outside any scope.

    The company's system is told that it is a test; `told` hears of each call.
    """
    turns = [turn]
    while turns[-1].action is not None:
        wanted = turns[-1].action
        call = action_test(
            organisation_id,
            action=wanted.action,
            arguments=wanted.arguments,
            language=context.language,
        )
        told(
            {
                "id": str(call.pk),
                "action": wanted.action,
                "state": str(call.state),
                "milliseconds": call.milliseconds,
                "problem": call.problem,
                "results": call.received.get("results", {}),
            }
        )
        turns.append(
            engine.returned(definition, turns[-1].state, returned_of(call), context=context)
        )
    return turns


def example_results(name: str) -> dict[str, Any]:
    """Results that fit an action, for a call that is not made."""
    action = BusinessAction.objects.filter(name=name).first()
    return {} if action is None else example(action.results)


def state_read(raw: Any, definition: Mapping[str, Any]) -> FlowState:
    """A state that a page sends back.

    Raises:
        Problem: 422, it is not one of this definition: the draft was changed meanwhile.
    """
    parsed = definition_parse(definition)
    steps, slots = parsed.steps, {step.slot for step in parsed.asks()}
    try:
        state = FlowState.from_json(raw)
        whole = (
            state.step in steps
            and state.phase in get_args(engine.Phase)
            and state.outcome in get_args(engine.Outcome)
            and isinstance(state.misses, int)
            and isinstance(state.calls, int)
            and set(state.slots) <= slots
            and {*state.given, *state.settled} <= set(state.slots)
            and all(isinstance(result, dict) for result in state.results.values())
            and isinstance(steps[state.step], _WAITS[state.phase])
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise invalid("/state", _("This is not the state of a run.")) from error
    if not whole:
        raise invalid("/state", _("The flow was changed meanwhile. Begin again."))
    return state


_WAITS: dict[str, Any] = {
    "asked": Ask,
    "confirming": Call,
    "calling": Call,
    "offered": Call,
    "ended": object,
}
