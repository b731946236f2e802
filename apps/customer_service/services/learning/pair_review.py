"""A person's word on pairs found in dialogues: changed, taken over into the draft of the answers, or rejected."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import Http404
from django.utils.translation import gettext as _

from apps.customer_service.inference.text import LANGUAGES
from apps.customer_service.models import Answer, MinedPair
from apps.customer_service.services.answers import MOST_QUESTIONS, answer_save
from apps.customer_service.services.learning.pairs import LONGEST_QUESTION
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

FIELDS: Final = ("question", "reply", "intent", "variants")
MOST_AT_ONCE: Final = 500


@dataclass(slots=True)
class Decided:
    """What became of several pairs: `refused` are (pair, why not)."""

    done: list[MinedPair] = field(default_factory=list)
    refused: list[tuple[MinedPair, str]] = field(default_factory=list)


def pair_edit(*, pair: MinedPair, values: Mapping[str, Any]) -> MinedPair:
    """Change what is proposed; it is decided on later. `values`: any of FIELDS.

    Raises:
        Problem: 409, it is decided on already; 422 names the value that cannot be.
    """
    pair = _held(pair.pk)
    for name in FIELDS:
        if name in values:
            setattr(pair, name, values[name])
    pair.question = " ".join(pair.question.split())
    pair.reply, pair.intent = pair.reply.strip(), pair.intent.strip()
    if not 0 < len(pair.question) <= LONGEST_QUESTION:
        raise invalid("/question", _("A question has 1 to 1,000 characters."))
    if not pair.reply:
        raise invalid("/reply", _("Write the answer."))
    pair.variants = [text for text in (" ".join(each.split()) for each in pair.variants) if text]
    pair.edited = True
    pair.save()
    return pair


def pair_accept(*, pair: MinedPair, actor: Actor) -> MinedPair:
    """Take a pair over into the draft: its questions join the prepared answer of its intent, else it becomes a new one.

    An answer that has a text in the pair's language keeps it; the pair is then other ways to ask for it.

    Raises:
        Problem: 409, it is decided on already; 422, the answer cannot be.
    """
    pair = _held(pair.pk)
    answer = Answer.objects.filter(intent=pair.intent).first() if pair.intent else None
    questions = [pair.question, *pair.variants]
    language = pair.language if pair.language in LANGUAGES else LANGUAGES[-1]
    values: dict[str, Any]
    if answer is None:
        values = {
            "title": pair.question[:300],
            "bodies": {language: pair.reply},
            "questions": questions,
        }
        if pair.intent:
            values["intent"] = pair.intent
    else:
        kept = list(dict.fromkeys([*answer.questions, *questions]))[:MOST_QUESTIONS]
        values = {"questions": kept, "bodies": {language: pair.reply, **answer.bodies}}
    pair.answer = answer_save(values=values, actor=actor, answer=answer, origin=Answer.Origin.MINED)
    pair.intent = pair.answer.intent
    return _decide(pair, MinedPair.State.ACCEPTED, actor)


def pair_reject(*, pair: MinedPair, actor: Actor) -> MinedPair:
    """Propose a pair never again.

    Raises:
        Problem: 409, it is decided on already.
    """
    return _decide(_held(pair.pk), MinedPair.State.REJECTED, actor)


def pairs_decide(*, pairs: Iterable[uuid.UUID], accept: bool, actor: Actor) -> Decided:
    """Take over or reject several; those that cannot be are left and named."""
    decided = Decided()
    act = pair_accept if accept else pair_reject
    for pair in MinedPair.objects.filter(pk__in=list(pairs)[:MOST_AT_ONCE]).order_by("pk"):
        try:
            decided.done.append(act(pair=pair, actor=actor))
        except Problem as problem:
            decided.refused.append((pair, str(problem.detail)))
    return decided


def _held(pk: uuid.UUID) -> MinedPair:
    pair = MinedPair.objects.select_for_update().filter(pk=pk).first()
    if pair is None:
        raise Http404("no such pair")
    if pair.state != MinedPair.State.PROPOSED:
        raise Problem(409, "decided", _("Somebody has decided on it already."))
    return pair


def _decide(pair: MinedPair, state: MinedPair.State, actor: Actor) -> MinedPair:
    pair.state = state
    pair.decided_by = actor.label[:200]
    pair.save()
    audit_record(
        actor=actor,
        action=f"service.pair.{state.value}",
        target=pair.question[:200],
        target_id=str(pair.pk),
    )
    return pair
