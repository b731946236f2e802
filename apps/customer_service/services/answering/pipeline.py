"""From a question to a reply, step by step."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

from apps.customer_service.inference.text import language_of, masked
from apps.customer_service.inference.understanding import targets_resolve, understand
from apps.customer_service.models import Assistant
from apps.customer_service.selectors.answering import assistant_get, collection_ids
from apps.customer_service.services.answering import phrases
from apps.customer_service.services.answering.composing import compose_answer
from apps.customer_service.services.answering.context import standalone
from apps.customer_service.services.answering.flows_hook import flow_outcome
from apps.customer_service.services.answering.guards import blocked, injections
from apps.customer_service.services.answering.questions import (
    NO_HELP,
    NO_PASSAGE,
    NO_SUPPORT,
    OUT_OF_SCOPE,
    PEOPLE_ASKED,
    Question,
    Reply,
    Turn,
)
from apps.customer_service.services.answering.retrieving import retrieve
from apps.customer_service.services.answering.small_talk import people_asked, small_talk_kind
from apps.customer_service.services.answering.steps import Say, State, Stopped
from apps.customer_service.services.answering.templates import give_template
from apps.customer_service.services.answering.tracing import Trace
from rootstock.common.problems import Problem
from rootstock.gateway.inference import Local, Remote, model_find
from rootstock.modelhub.services import Subject, predictions_log
from rootstock.tenancy.scope import organisation_scope

# What predictions about a message are logged under.
SUBJECT = "service.message"
# Over the visitor's messages, 0 to 1: from here on a customer counts as angry.
ANGRY = 0.4
# Share of the newest message in that.
_ANGER_WEIGHT = 0.5
# Takes the state, puts its result into the trace, and says whether the reply is complete.
Step = Callable[[State, dict[str, Any]], bool]


def answer(organisation_id: uuid.UUID, question: Question, *, say: Say | None = None) -> Reply:
    """The reply to a question. Outside of a scope: models are asked in between.

    `say` is given the body piece by piece as soon as each is sure; when it returns False nothing more is written. What
    the reply asks to be stored (`effects`) is the caller's to do.

    Raises:
        Unavailable: the search does not answer at the moment; soon it may.
    """
    trace = Trace()
    with trace.step("settings"), organisation_scope(organisation_id):
        state = _state(organisation_id, question, say or (lambda piece: True))
    try:
        for name, step in STEPS:
            with trace.step(name) as result:
                done = step(state, result)
            if done:
                break
        offered = state.assistant.offer_people and not state.reply.hand_off
        if offered and state.reply.helped and angry(state):
            # Whatever was found, somebody angry may rather talk to a person.
            state.reply.choices.append(phrases.people_choice(state.language))
        if state.afterwards:
            state.tell(f"\n\n{state.afterwards}" if state.reply.body else state.afterwards)
    except Stopped:
        pass
    state.reply.trace = {"language": state.language, **trace.as_json()}
    return state.reply


def _state(organisation_id: uuid.UUID, question: Question, say: Say) -> State:
    assistant = assistant_get(question.channel)
    return State(
        organisation_id=organisation_id,
        question=question,
        assistant=assistant,
        collections=collection_ids(),
        targets=targets_resolve(),
        generator=_generator(question, assistant),
        say=say,
    )


def _generator(question: Question, assistant: Assistant) -> Local | Remote | None:
    wanted = question.composer or assistant.composer
    if wanted != Assistant.Composer.GENERATOR or not assistant.generator:
        return None
    try:
        return model_find(assistant.generator)
    except Problem:
        return None


def _mask(state: State, result: dict[str, Any]) -> bool:
    kept = state.assistant.unmasked
    state.text, counts = masked(state.question.text, kept=kept)
    state.turns = [
        Turn(author, masked(text, kept=kept)[0]) for author, text in state.question.turns
    ]
    if counts:
        result["masked"] = counts
    return False


def _language(state: State, result: dict[str, Any]) -> bool:
    state.language = language_of(state.question.text, hint=state.question.language)
    state.reply.language = result["language"] = state.language
    return False


def _guard(state: State, result: dict[str, Any]) -> bool:
    """Blocked words end it here; instructions in a message are noted and then read as what they are, a text."""
    if found := injections(state.question.text):
        result["injection"] = found
    if blocked(state.question.text, state.assistant.blocked_words):
        result["blocked"] = True
        state.tell(phrases.phrase("blocked", state.language))
        return True
    if state.assistant.small_talk:
        state.small_talk = small_talk_kind(state.text)
    state.people_asked = state.question.choice == phrases.PEOPLE_CHOICE or people_asked(state.text)
    return False


def _understand(state: State, result: dict[str, Any]) -> bool:
    if state.small_talk or not state.text.strip():
        result["skipped"] = "small talk" if state.small_talk else "nothing to read"
        return False
    state.understanding = understand(state.targets, state.text, state.language)
    state.reply.intent = state.understanding.intent
    state.reply.emotions = state.understanding.emotions
    result.update(state.understanding.as_json())
    if state.question.message is not None and state.understanding.results:
        subject = Subject(SUBJECT, state.question.message, state.text, state.language)
        state.reply.effects.append(partial(_log_predictions, state, subject))
    return False


def _log_predictions(state: State, subject: Subject) -> None:
    """So that the page Monitoring sees what the models are asked, and shadows and canaries are compared."""
    for result in state.understanding.results:
        predictions_log(result=result, subjects=[subject])


def _context(state: State, result: dict[str, Any]) -> bool:
    found = standalone(state.text, state.turns, state.language)
    state.standalone = state.reply.standalone = found.text
    if found.carried:
        result.update(standalone=found.text, carried=list(found.carried))
    return False


def _flow(state: State, result: dict[str, Any]) -> bool:
    """A running flow has the first word; one begins only with something that is asked for."""
    begins = not (state.small_talk or state.people_asked)
    said = state.understanding
    outcome = flow_outcome(
        state.organisation_id,
        state.question,
        language=state.language,
        intent=said.intent if begins else "",
        probability=said.probability if begins else 0.0,
        in_scope=said.in_scope if begins else False,
    )
    if outcome is None:
        return False
    result.update(outcome.trace)
    state.reply.choices = list(outcome.choices)
    if outcome.answer_first:
        state.afterwards = outcome.body
        return False
    state.reply.kind = "flow"
    state.reply.hand_off = outcome.hand_off or None
    state.tell(outcome.body)
    return True


def _small_talk(state: State, result: dict[str, Any]) -> bool:
    if state.people_asked:
        result["people"] = True
        state.reply.hand_off = PEOPLE_ASKED
        state.tell(phrases.phrase("hand-off", state.language))
        return True
    if not state.text.strip():
        state.tell(phrases.phrase("empty", state.language))
        return True
    if state.small_talk is None:
        return False
    result["kind"] = state.small_talk
    state.reply.kind = "small-talk"
    state.tell(phrases.phrase(state.small_talk, state.language))
    return True


def _offer(state: State, result: dict[str, Any]) -> bool:
    """Nothing was found: say so, and offer people; after some misses in a row, and sooner to the angry, bring them."""
    reason = NO_SUPPORT if state.hits else NO_PASSAGE
    if state.understanding.in_scope is False:
        reason = OUT_OF_SCOPE
    state.reply.unanswered = result["reason"] = reason
    said = ["sorry"] if state.understanding.emotion in ("anger", "sadness") else []
    said.append("nothing-else" if state.question.avoid else "unknown")
    if state.afterwards:
        # The flow goes on: its own question follows.
        state.tell(phrases.sentences(said, state.language))
        return True
    if not state.assistant.offer_people:
        state.tell(phrases.sentences(said, state.language))
        return True
    patience = state.assistant.offer_people_after - (1 if angry(state) else 0)
    if state.question.message is not None and state.question.unhelped + 1 >= max(1, patience):
        state.reply.hand_off = result["hand_off"] = NO_HELP
        state.tell(phrases.sentences([*said, "hand-off"], state.language))
        return True
    state.reply.choices = [*state.reply.choices, phrases.people_choice(state.language)]
    state.tell(phrases.sentences([*said, "rephrase"], state.language))
    return True


def angry(state: State) -> bool:
    """Whether the customer is angry by now, over the conversation."""
    return anger_after(state.question.anger, state.understanding.emotions) >= ANGRY


def anger_after(before: float, emotions: dict[str, float]) -> float:
    """The exponentially weighted share of anger with one message more; as it was where no model told."""
    if not emotions:
        return before
    return (1 - _ANGER_WEIGHT) * before + _ANGER_WEIGHT * emotions.get("anger", 0.0)


STEPS: tuple[tuple[str, Step], ...] = (
    ("mask", _mask),
    ("language", _language),
    ("guard", _guard),
    ("understand", _understand),
    ("context", _context),
    ("flow", _flow),
    ("small-talk", _small_talk),
    ("template", give_template),
    ("retrieve", retrieve),
    ("compose", compose_answer),
    ("offer", _offer),
)
