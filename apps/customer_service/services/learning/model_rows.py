"""What customers wrote as rows of data sets: the models of intent and emotion are taught by it.

A label is what a person has said: the intent of a prepared answer, or what an import told of a message. What a model
said comes along as metadata, and how unsure it was orders the annotation queue. Texts are masked of personal data, as
they are when the models are asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.customer_service.inference.text import language_of, masked
from apps.customer_service.models import Answer, Conversation, Message
from apps.customer_service.services.answering.pipeline import SUBJECT
from apps.customer_service.services.answers import asked
from apps.customer_service.services.learning.pairs import is_question
from rootstock.common.ids import uuid7_floor
from rootstock.modelhub.sources import RowSource, SourceRow, settled
from rootstock.tenancy.permissions import Permission

_CHUNK = 1000
_LONGEST = 2000


def answer_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Ways to ask for each prepared answer of the draft, in the order in which the answers were last changed."""
    rows = Answer.objects.filter(removed_at=None, updated_at__lt=settled())
    if cursor:
        at, _space, last = cursor.partition(" ")
        since = datetime.fromisoformat(at)
        rows = rows.filter(Q(updated_at__gt=since) | Q(updated_at=since, pk__gt=uuid.UUID(last)))
    done = cursor
    for answer in rows.order_by("updated_at", "id").iterator(chunk_size=_CHUNK):
        questions = asked(answer.title, answer.questions)
        for number, text in enumerate(questions, start=1):
            if number == len(questions):
                # A pull that breaks off before its last question takes the answer once more.
                done = f"{answer.updated_at.isoformat()} {answer.pk}"
            yield SourceRow(
                content={"text": text, "label": answer.intent},
                cursor=done,
                metadata={"language": language_of(text), "from": "answer"},
            )


def question_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """What customers asked that can be understood by itself, as it came in."""
    for message in _messages(cursor):
        if not is_question(message.body, message.language):
            continue
        label = message.trace.get("given", {}).get("intent", "")
        yield _row(
            message, label, said=message.trace.get("intent", ""), uncertainty=_doubt(message)
        )


def feeling_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """All that customers wrote, as it came in."""
    for message in _messages(cursor):
        label = message.trace.get("given", {}).get("emotion", "")
        shares = message.trace.get("emotions") or {}
        uncertainty = 1.0 - max(map(float, shares.values())) if shares else None
        said = message.trace.get("emotion", "")
        yield _row(message, label, said=said, uncertainty=uncertainty)


def _messages(cursor: str) -> Iterator[Any]:
    """Messages of customers in the order in which they were stored."""
    rows = Message.objects.filter(
        author=Message.Author.VISITOR, state=Message.State.DONE, pk__lt=uuid7_floor(settled())
    ).exclude(conversation__origin=Conversation.Origin.SIMULATOR)
    if cursor:
        rows = rows.filter(pk__gt=uuid.UUID(cursor))
    return rows.exclude(body="").order_by("pk").iterator(chunk_size=_CHUNK)


def _row(message: Message, label: str, *, said: str, uncertainty: float | None) -> SourceRow:
    text = masked(message.body[:_LONGEST])[0]
    return SourceRow(
        content={"text": text, "label": label} if label else {"text": text},
        cursor=str(message.pk),
        metadata={
            "language": message.language or language_of(text),
            "from": "dialogue",
            "model": said,
        },
        uncertainty=None if label else uncertainty,
        subject=(SUBJECT, message.pk),
    )


def _doubt(message: Message) -> float | None:
    probability = message.trace.get("probability")
    return None if probability is None else 1.0 - float(probability)


_TASKS = frozenset({"text-classification", "multi-label-classification", "masked-language-model"})
ANSWERS = RowSource(
    key="service.answers",
    label=_("Customer service: ways to ask for the prepared answers"),
    description=_("Each question of a prepared answer, with its intent as the label."),
    tasks=_TASKS,
    permission=Permission.SERVICE_READ,
    rows=answer_rows,
)
QUESTIONS = RowSource(
    key="service.questions",
    label=_("Customer service: what customers asked"),
    description=_(
        "Questions from conversations and imported dialogues; with the intent where an import told it, else to be "
        "labelled by people."
    ),
    tasks=_TASKS,
    permission=Permission.SERVICE_READ,
    rows=question_rows,
)
FEELINGS = RowSource(
    key="service.feelings",
    label=_("Customer service: how customers feel"),
    description=_(
        "What customers wrote; with anger, sadness, joy or neutral where an import told it, else to be labelled by "
        "people."
    ),
    tasks=_TASKS,
    permission=Permission.SERVICE_READ,
    rows=feeling_rows,
)
