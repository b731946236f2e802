"""Prepared answers: written, changed, taken away, always in the draft; a release makes them what visitors are told."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.customer_service.inference.text import LANGUAGES, language_of
from apps.customer_service.models import Answer
from apps.customer_service.services.passage_items import audience_attributes, collections_get
from apps.customer_service.services.refusals import taken
from apps.customer_service.services.sources import audiences_checked
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import invalid
from rootstock.vectors.models import Item
from rootstock.vectors.services import ItemInput, items_delete, items_upsert

MOST_QUESTIONS = 200
LONGEST_QUESTION = 1000
LONGEST_BODY = 20_000
_BATCH = 500
_INTENT = re.compile(r"[\w.-]{1,120}")
FIELDS = ("title", "intent", "bodies", "questions", "audiences", "expires_at")


def answer_save(
    *,
    values: Mapping[str, Any],
    actor: Actor,
    answer: Answer | None = None,
    origin: str = Answer.Origin.WRITTEN,
) -> Answer:
    """Make a prepared answer, or change one. Visitors are told what the last release has until the next one.

    `values`: any of FIELDS. Without an intent one is made of the title.

    Raises:
        Problem: 422 names the value that cannot be, 409 an intent that another answer has.
    """
    made = answer is None
    answer = Answer(origin=origin) if answer is None else _held(answer)
    for name in FIELDS:
        if name in values:
            setattr(answer, name, values[name])
    _check(answer)
    answer.updated_by = actor.label[:200]
    answer.save(force_insert=made)
    questions_write(answer, live=False)
    if not made and answer.live and "audiences" in values:
        questions_write(answer, live=True)
    _record(actor, "create" if made else "update", answer)
    return answer


def answer_remove(*, answer: Answer, actor: Actor, removed: bool = True) -> None:
    """Take an answer out of the draft, or bring it back; visitors notice with the next release."""
    answer = _held(answer)
    answer.removed_at = timezone.now() if removed else None
    answer.updated_by = actor.label[:200]
    answer.save()
    questions_write(answer, live=False)
    _record(actor, "remove" if removed else "restore", answer)


def draft_answers() -> QuerySet[Answer]:
    """The answers that the next release would have."""
    return Answer.objects.filter(removed_at=None).exclude(bodies={}).order_by("pk")


def asked(title: str, questions: Sequence[str]) -> list[str]:
    """All ways to ask for an answer: its title is one."""
    return list(dict.fromkeys([title, *questions]))


def questions_write(answer: Answer, *, live: bool) -> None:
    """Bring the items of an answer's questions, of the draft or those of visitors, to what the answer says."""
    if live:
        questions = asked(answer.title, answer.live_questions) if answer.live else []
    else:
        there = answer.removed_at is None and answer.bodies
        questions = asked(answer.title, answer.questions) if there else []
    questions_write_many([(answer, questions)], live=live)


def questions_write_many(rows: Sequence[tuple[Answer, Sequence[str]]], *, live: bool) -> None:
    """The same for many answers at once."""
    collection = collections_get().questions
    kind = "live" if live else "draft"
    items = {
        f"{answer.pk}:{number}:{kind}": (answer, question)
        for answer, questions in rows
        for number, question in enumerate(questions)
    }
    former = Item.objects.filter(
        collection=collection,
        attributes__contains={kind: True},
        attributes__answer__in=[str(answer.pk) for answer, _questions in rows],
    )
    surplus = [key for key in former.values_list("key", flat=True) if key not in items]
    items_delete(collection=collection, keys=surplus)
    inputs = [
        ItemInput(
            key,
            question,
            answer.intent[:500],
            {
                "draft": not live,
                "live": live,
                "answer": str(answer.pk),
                "language": language_of(question),
                **audience_attributes(answer.audiences),
            },
        )
        for key, (answer, question) in items.items()
    ]
    for start in range(0, len(inputs), _BATCH):
        items_upsert(collection=collection, items=inputs[start : start + _BATCH])


def _held(answer: Answer) -> Answer:
    return Answer.objects.select_for_update().get(pk=answer.pk)


def _check(answer: Answer) -> None:
    answer.title = " ".join(answer.title.replace("\x00", "").split())[:300]
    if not answer.title:
        raise invalid("/title", _("An answer needs a title."))
    answer.intent = answer.intent.strip() or _made_up_intent(answer)
    if not _INTENT.fullmatch(answer.intent):
        raise invalid("/intent", _("An intent is a name of letters, digits, hyphens and dots."))
    if Answer.objects.filter(intent=answer.intent).exclude(pk=answer.pk).exists():
        raise taken("/intent", _("There is an answer to this intent already."))
    bodies = {name: text.replace("\x00", "").strip() for name, text in answer.bodies.items()}
    answer.bodies = {name: text for name, text in bodies.items() if text}
    if not answer.bodies or not answer.bodies.keys() <= set(LANGUAGES):
        raise invalid("/bodies", _("Write the answer in English or Chinese, or both."))
    if max(map(len, answer.bodies.values())) > LONGEST_BODY:
        raise invalid("/bodies", _("An answer has at most 20,000 characters."))
    cleaned = (" ".join(each.replace("\x00", "").split()) for each in answer.questions)
    answer.questions = list(dict.fromkeys(each for each in cleaned if each))
    if len(answer.questions) > MOST_QUESTIONS or any(
        len(each) > LONGEST_QUESTION for each in answer.questions
    ):
        raise invalid(
            "/questions", _("There are at most 200 questions of at most 1,000 characters.")
        )
    answer.audiences = audiences_checked(answer.audiences)


def _made_up_intent(answer: Answer) -> str:
    name = slugify(answer.title, allow_unicode=True)[:100] or answer.pk.hex[-12:]
    others = Answer.objects.exclude(pk=answer.pk).filter(intent__startswith=name)
    known = set(others.values_list("intent", flat=True))
    number = 2
    wanted = name
    while wanted in known:
        wanted, number = f"{name}-{number}", number + 1
    return wanted


def _record(actor: Actor, verb: str, answer: Answer) -> None:
    audit_record(
        actor=actor,
        action=f"service.answer.{verb}",
        target=answer.title[:200],
        target_id=str(answer.pk),
    )
