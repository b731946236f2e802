"""Running flows in conversations: the engine's turns, kept in `FlowRun`, with the calls between them.

A turn is committed before its call begins and after it ended, together with the visitor's message that it belongs to.
So a worker may be killed at any point: the one that tries again finds the reply that was made, or the call that is
still to be made (under the same key), and says the same.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.customer_service.models import BusinessAction, Conversation, Flow, FlowRun, FlowVersion
from apps.customer_service.services.flows import engine
from apps.customer_service.services.flows.calls import action_call, returned_of
from apps.customer_service.services.flows.definition import definition_parse
from apps.customer_service.services.flows.numerals import normalised
from rootstock.common.actors import Actor
from rootstock.tenancy.scope import organisation_scope

__all__ = ["FlowReply", "Understood", "context_of", "flow_advance", "flow_begin", "flow_leave"]

_KEPT = ("phase", "outcome", "results", "given", "settled", "calls")
_STATES: dict[str, str] = {
    "running": FlowRun.State.RUNNING,
    "done": FlowRun.State.DONE,
    "cancelled": FlowRun.State.CANCELLED,
    "left": FlowRun.State.LEFT,
    "handed-off": FlowRun.State.HANDED_OFF,
    "failed": FlowRun.State.FAILED,
}


class Understood(Protocol):
    """What the assistant understood of a message: its intent with a calibrated probability."""

    @property
    def intent(self) -> str: ...

    @property
    def probability(self) -> float: ...

    @property
    def in_scope(self) -> bool | None: ...


@dataclass(frozen=True)
class FlowReply:
    """What a message in a flow is answered with.

    `answer_first`: the message was another question; answer it, then say `body`, which asks again. `left`: the flow is
    over and has nothing to say; answer the message as any other. `hand_off`: the reason for people, or empty.
    """

    body: str
    choices: list[dict[str, str]] = field(default_factory=list)
    hand_off: str = ""
    left: bool = False
    answer_first: bool = False
    trace: dict[str, Any] = field(default_factory=dict)


def flow_begin(understanding: Understood | None, text: str) -> FlowVersion | None:
    """The flow that a message begins, inside a scope: by its words, or by an intent that is sure enough."""
    rows = Flow.objects.filter(enabled=True, live__isnull=False).select_related("live")
    flows = list(rows.order_by("name"))
    plain = normalised(text).lower()
    by_words = [
        (len(phrase), flow) for flow in flows for phrase in flow.phrases if _holds(plain, phrase)
    ]
    if by_words:
        return max(by_words, key=lambda found: found[0])[1].live
    if understanding is None or not understanding.intent or understanding.in_scope is False:
        return None
    for flow in flows:
        if understanding.intent in flow.intents and understanding.probability >= flow.threshold:
            return flow.live
    return None


def flow_advance(
    organisation_id: uuid.UUID,
    *,
    conversation_id: uuid.UUID,
    message_id: uuid.UUID,
    text: str,
    choice: str = "",
    language: str = "",
    understanding: Understood | None = None,
) -> FlowReply | None:
    """Take a visitor's message through the flow that its conversation is in, or that it begins; None without either.

    Outside any scope: a call of a business action waits for its answer.

    Args:
        message_id: of the visitor's message: taken once, however often this is called with it.
        choice: the value of the button that was pressed.
    """
    while True:
        with organisation_scope(organisation_id):
            begin = flow_begin(understanding, text)
            run = _locked(conversation_id, message_id, begin, language)
            if run is None:
                return None
            # A call that a worker left behind is ended first, whichever message it belongs to.
            if run.memory["phase"] != "calling":
                if run.taken != message_id:
                    other = _is_other(run, begin, understanding)
                    run = _take(run, _Said(message_id, text, choice, begin, other))
                if run.memory["phase"] != "calling":
                    return FlowReply(**run.reply)
            wanted, run_id = run.memory["call"], uuid.UUID(str(run.pk))
            context = _sent_beside(run)
        answer = _called(organisation_id, run_id, wanted, context)
        with organisation_scope(organisation_id):
            run = _rows().get(pk=run_id)
            if (
                run.memory["phase"] == "calling"
                and run.memory["call"]["number"] == wanted["number"]
            ):
                definition = definition_parse(run.version.definition)
                turn = engine.returned(definition, _state(run), answer, context=context_of(run))
                _keep(run, turn)


def _called(
    organisation_id: uuid.UUID,
    run_id: uuid.UUID,
    wanted: Mapping[str, Any],
    context: Mapping[str, Any],
) -> engine.Returned:
    try:
        call = action_call(
            organisation_id,
            action=wanted["action"],
            key=f"{run_id.hex}-{wanted['number']}",
            arguments=wanted["arguments"],
            run_id=run_id,
            context=context,
        )
    except BusinessAction.DoesNotExist:
        # A run goes on with its version, which may call what the live one no longer does.
        return engine.Returned("failed", problem="This action was removed.")
    return returned_of(call)


def flow_leave(conversation: Conversation, before: str, actor: Actor) -> None:
    """End the run of a conversation that people have, or that is over. Hook of `on_status_changed`."""
    if conversation.status == Conversation.Status.ASSISTANT:
        return
    FlowRun.objects.filter(conversation=conversation, state=FlowRun.State.RUNNING).update(
        state=FlowRun.State.LEFT, updated_at=timezone.now()
    )


def context_of(run: FlowRun) -> engine.Context:
    """What the engine is told of the conversation of a run."""
    visitor = run.conversation.visitor
    # What a browser says of itself is not who somebody is: without a signed identity there is no id.
    known = {
        "name": visitor.name,
        "email": visitor.email,
        "id": visitor.external_id if visitor.verified else "",
        "verified": visitor.verified,
    }
    today = timezone.now().astimezone(ZoneInfo(run.organisation.time_zone)).date()
    return engine.Context(run.memory.get("language", "en"), today, known)


def _rows() -> QuerySet[FlowRun]:
    rows = FlowRun.objects.select_for_update(of=("self",))
    return rows.select_related("version__flow", "conversation__visitor")


def _locked(
    conversation_id: uuid.UUID, message_id: uuid.UUID, begin: FlowVersion | None, language: str
) -> FlowRun | None:
    """The run in which the conversation is, or that took this message and ended; made if one is to begin."""
    rows = _rows().filter(conversation_id=conversation_id)
    mine = Q(state=FlowRun.State.RUNNING) | Q(taken=message_id)
    # A run that took this message goes before one that it may have begun since.
    found = sorted(rows.filter(mine), key=lambda run: run.taken != message_id)
    if found:
        if language:
            found[0].memory["language"] = _language(language)
        return found[0]
    return None if begin is None else _new(conversation_id, begin, _language(language))


def _new(conversation_id: uuid.UUID, version: FlowVersion, language: str) -> FlowRun:
    return FlowRun.objects.create(
        conversation_id=conversation_id,
        version=version,
        step=version.definition["start"],
        memory={"phase": "new", "language": language},
    )


def _is_other(run: FlowRun, begin: FlowVersion | None, understanding: Understood | None) -> bool:
    """Whether a message in a flow asks for something that is not this flow's."""
    if begin is not None:
        return begin.flow_id != run.version.flow_id
    flow = run.version.flow
    return (
        understanding is not None
        and understanding.intent != ""
        and understanding.intent not in flow.intents
        and understanding.in_scope is not False
        and understanding.probability >= flow.threshold
    )


@dataclass(frozen=True)
class _Said:
    """A visitor's message. `begins`: the flow that it would begin; `other`: it asks for something else than its run."""

    message_id: uuid.UUID
    text: str
    choice: str = ""
    begins: FlowVersion | None = None
    other: bool = False


def _take(run: FlowRun, said: _Said) -> FlowRun:
    """The turn of a message, in its run or in that of another flow which it begins."""
    definition = definition_parse(run.version.definition)
    context = context_of(run)
    if run.memory["phase"] == "new":
        turn = engine.begin(definition, said.text, context=context)
    else:
        turn = engine.flow_turn(
            definition,
            _state(run),
            text=said.text,
            choice=said.choice,
            other_question=said.other,
            context=context,
        )
        if said.other and said.begins is not None and (turn.answer_first or turn.left):
            run.state = FlowRun.State.LEFT
            run.save()
            return _take(_new(run.conversation_id, said.begins, context.language), said)
    run.taken = said.message_id
    run.reply = {}
    run.memory = {"language": context.language}
    _keep(run, turn)
    return run


def _state(run: FlowRun) -> engine.FlowState:
    kept = {name: run.memory[name] for name in _KEPT}
    return engine.FlowState.from_json(
        {"step": run.step, "slots": run.slots, "misses": run.misses, **kept}
    )


def _keep(run: FlowRun, turn: engine.FlowTurn) -> None:
    """Write a turn into its run; what was said before a call is said with what comes after it."""
    said = [body for body in (run.memory.get("said", ""), turn.body) if body]
    steps = [*run.memory.get("steps", []), *turn.steps]
    kept = turn.state.as_json()
    run.step, run.slots, run.misses = turn.state.step, turn.state.slots, turn.state.misses
    run.state = _STATES[turn.state.outcome]
    memory = {name: kept[name] for name in _KEPT} | {"language": run.memory.get("language", "en")}
    if turn.action is not None:
        memory |= {"call": asdict(turn.action), "said": "\n\n".join(said), "steps": steps}
    else:
        flow = run.version.flow
        reply = FlowReply(
            body="\n\n".join(said),
            choices=list(turn.choices),
            hand_off=turn.hand_off,
            left=turn.left,
            answer_first=turn.answer_first,
            trace={
                "flow": flow.name,
                "version": run.version.number,
                "run": str(run.pk),
                "steps": steps,
                # The names only: what a visitor said of themselves is not for the trace.
                "slots": list(run.slots),
                "state": str(run.state),
            },
        )
        run.reply = asdict(reply)
    run.memory = memory
    run.save()


def _sent_beside(run: FlowRun) -> dict[str, Any]:
    """Who asks, for the company's system: it decides what an unknown visitor may do."""
    visitor: Mapping[str, Any] = context_of(run).visitor
    return {
        "conversation": str(run.conversation_id),
        "visitor": {"id": visitor["id"], "verified": visitor["verified"]},
        "language": run.memory.get("language", "en"),
        "test": run.conversation.origin == Conversation.Origin.SIMULATOR,
    }


def _holds(plain: str, phrase: str) -> bool:
    phrase = normalised(phrase).lower()
    if phrase.isascii():
        return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", plain) is not None
    return phrase in plain


def _language(language: str) -> str:
    return "zh" if language.startswith("zh") else "en"
