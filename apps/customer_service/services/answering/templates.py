"""Prepared answers: given as they are when the question is surely one of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.customer_service.inference.composing import sentences
from apps.customer_service.models import Answer
from apps.customer_service.selectors.answering import QUESTIONS, answer_of_intent, answers_found
from apps.customer_service.services.answering.matching import Neighbour, Weights, match
from apps.customer_service.services.answering.searching import find, told
from apps.customer_service.services.answering.steps import State
from rootstock.tenancy.scope import organisation_scope

if TYPE_CHECKING:
    from rootstock.vectors.hybrid import HybridHit

MOST_QUESTIONS = 8


@dataclass(frozen=True)
class _Candidate:
    """A prepared answer with its texts by language, and how sure it is that it is asked for. `by`: who says so."""

    row: Answer
    texts: dict[str, str]
    sure: float
    by: str


def give_template(state: State, result: dict[str, Any]) -> bool:
    """The prepared answer whose question matches best, or that of the intent model, if either is sure enough."""
    found = [each for each in (_by_question(state, result), _by_intent(state)) if each is not None]
    if not found:
        return False
    best = max(found, key=lambda each: each.sure)
    result.update(
        answer=str(best.row.pk), intent=best.row.intent, match=round(best.sure, 4), by=best.by
    )
    body = best.texts.get(state.language) or next(iter(best.texts.values()))
    if best.sure < state.assistant.template_threshold or body in state.question.avoid:
        return False
    state.reply.kind = "template"
    state.reply.intent = state.reply.intent or best.row.intent
    for piece in pieces(body):
        state.tell(piece)
    return True


def _by_question(state: State, result: dict[str, Any]) -> _Candidate | None:
    """The answer one of whose questions is nearest."""
    hits = find(state, QUESTIONS, result, k=MOST_QUESTIONS)
    if not hits:
        return None
    with organisation_scope(state.organisation_id):
        answers = answers_found(
            [_answer_id(hit) for hit in hits],
            audiences=state.question.audiences,
            draft=state.question.draft,
        )
    hits = [hit for hit in hits if _answer_id(hit) in answers]
    result["candidates"] = [told(hit) for hit in hits[:3]]
    if not hits:
        return None
    sure = match(
        state.standalone,
        [
            Neighbour(_answer_id(hit), hit.reference, hit.text, hit.score, hit.cosine)
            for hit in hits
        ],
        intent=state.understanding.intent,
        probability=state.understanding.probability,
        weights=Weights.from_json(state.assistant.retrieval_report.get("match", {})),
    )
    return _Candidate(*answers[_answer_id(hits[0])], sure, "question")


def _by_intent(state: State) -> _Candidate | None:
    """The answer to the intent that the intent model tells; it is asked of the message alone, so not of follow-ups."""
    said = state.understanding
    if not said.intent or said.in_scope is False or state.standalone != state.text:
        return None
    with organisation_scope(state.organisation_id):
        found = answer_of_intent(
            said.intent, audiences=state.question.audiences, draft=state.question.draft
        )
    return _Candidate(*found, said.probability, "intent model") if found is not None else None


def pieces(body: str) -> list[str]:
    """A text in pieces that end with a sentence; joined they are the text."""
    cut: list[str] = []
    done = 0
    for sentence in sentences(body):
        end = body.index(sentence, done) + len(sentence)
        while end < len(body) and body[end].isspace():
            end += 1
        cut.append(body[done:end])
        done = end
    if body[done:]:
        cut.append(body[done:])
    return cut


def _answer_id(hit: HybridHit) -> str:
    return str(hit.attributes.get("answer") or hit.key.partition(":")[0])
