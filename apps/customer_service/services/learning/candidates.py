"""What people did with answers, as rows to learn from: their verdict is the label.

An intent: the prepared answer that a customer found helpful, that an agent sent as it was, or that settled a
conversation by itself was the right one to the question. What an agent changed or a customer was not helped by has no
label, and is the first that people are asked about. A reply: what an agent made of a suggestion, and what mining
proposed and somebody accepted, as a question and its answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from apps.customer_service.inference.text import language_of, masked
from apps.customer_service.models import Answer, Conversation, Message, MinedPair, Suggestion
from apps.customer_service.services.answering.pipeline import SUBJECT
from rootstock.modelhub.sources import RowSource, SourceRow, settled
from rootstock.tenancy.permissions import Permission

# What rows of an accepted pair are known by; those of a question have its message's.
PAIR_SUBJECT = "service.pair"

_CHUNK = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 2000
# What people found wrong is looked at before all that a model is unsure of.
_WRONG = 1.0
Outcome = Suggestion.Outcome
# A row's content without its cursor: text, label ("" for none), what told it, the message.
Told = tuple[str, str, str, Message]


def outcome_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Questions with the intent that the outcome says, or without one where it says that the answer was wrong."""
    parts = _Cursor(cursor)
    intents = dict(Answer.objects.values_list("pk", "intent"))
    for name, rows, told in _streams(intents):
        for row in parts.behind(name, rows):
            found = told(row)
            if found is None:
                continue
            text, label, why, message = found
            yield SourceRow(
                content={"text": text, "label": label} if label else {"text": text},
                cursor=parts.now,
                metadata={"language": language_of(text), "from": why},
                uncertainty=None if label else _WRONG,
                subject=(SUBJECT, message.pk),
            )


def reply_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Questions with the answers that people gave or accepted."""
    parts = _Cursor(cursor)
    sent = Suggestion.objects.filter(outcome__in=[Outcome.ACCEPTED, Outcome.EDITED])
    for row in parts.behind("s", sent.select_related("question")):
        text = masked(row.question.body)[0]
        answer = masked(row.sent_body)[0]
        yield _reply(text, answer, str(row.outcome), parts.now, (SUBJECT, row.question_id))
    pairs = MinedPair.objects.filter(state=MinedPair.State.ACCEPTED)
    for row in parts.behind("p", pairs):
        yield _reply(row.question, row.reply, "mined", parts.now, (PAIR_SUBJECT, row.pk))


class _Cursor:
    """Where each of several streams goes on, in one short text: "name=microseconds.id;…", both in hexadecimal."""

    def __init__(self, text: str) -> None:
        self._settled = settled()
        self._parts = dict(each.split("=", 1) for each in text.split(";") if "=" in each)

    @property
    def now(self) -> str:
        """What the next pull begins with."""
        return ";".join(f"{name}={value}" for name, value in self._parts.items())

    def behind(self, name: str, rows: QuerySet[Any]) -> Iterator[Any]:
        """The rows that changed since, in the order in which they did; `now` then is behind the yielded one."""
        rows = rows.filter(updated_at__lt=self._settled)
        if name in self._parts:
            since, _dot, last = self._parts[name].partition(".")
            at = _EPOCH + timedelta(microseconds=int(since, 16))
            rows = rows.filter(Q(updated_at__gt=at) | Q(updated_at=at, pk__gt=uuid.UUID(last)))
        for row in rows.order_by("updated_at", "pk").iterator(chunk_size=_CHUNK):
            since = (row.updated_at - _EPOCH) // timedelta(microseconds=1)
            self._parts[name] = f"{since:x}.{row.pk.hex}"
            yield row


def _streams(
    intents: dict[uuid.UUID, str],
) -> list[tuple[str, QuerySet[Any], Callable[[Any], Told | None]]]:
    suggestions = Suggestion.objects.filter(outcome__in=[Outcome.ACCEPTED, Outcome.EDITED])
    replies = Message.objects.filter(author=Message.Author.ASSISTANT, in_reply_to__isnull=False)
    replies = replies.exclude(conversation__origin=Conversation.Origin.SIMULATOR)
    settled_alone = Conversation.objects.filter(
        status=Conversation.Status.RESOLVED, contained=True
    ).exclude(origin__in=[Conversation.Origin.SIMULATOR, Conversation.Origin.IMPORT])

    def of_suggestion(row: Suggestion) -> Told | None:
        label = _intent(row.trace, intents) if row.outcome == Outcome.ACCEPTED else ""
        if row.outcome == Outcome.ACCEPTED and not label:
            return None
        return _text(row.question, row.trace), label, str(row.outcome), row.question

    def of_thumb(row: Message) -> Told | None:
        asked = row.in_reply_to
        if asked is None:
            return None
        label = _intent(row.trace, intents) if row.thumb == 1 else ""
        if row.thumb == 1 and not label:
            return None
        return _text(asked, row.trace), label, "helped" if row.thumb == 1 else "thumb-down", asked

    def of_conversation(row: Conversation) -> Told | None:
        last = (
            row.messages.filter(author=Message.Author.ASSISTANT, kind="template")
            .exclude(thumb=-1)
            .exclude(in_reply_to=None)
            .select_related("in_reply_to")
            .order_by("-sequence")
            .first()
        )
        if last is None or last.in_reply_to is None or (row.csat or 5) <= 2:
            return None
        label = _intent(last.trace, intents)
        if not label:
            return None
        return _text(last.in_reply_to, last.trace), label, "resolved", last.in_reply_to

    return [
        ("s", suggestions.select_related("question"), of_suggestion),
        ("t", replies.exclude(thumb=None).select_related("in_reply_to"), of_thumb),
        ("r", settled_alone, of_conversation),
    ]


def _intent(trace: dict[str, Any], intents: dict[uuid.UUID, str]) -> str:
    """The intent of the prepared answer that a reply gave, as it is called now; "" where it gave none."""
    given: dict[str, Any] = next(
        (step for step in reversed(trace.get("steps", [])) if step.get("step") == "template"), {}
    )
    try:
        key = uuid.UUID(str(given.get("answer", "")))
    except ValueError:
        return ""
    later = {step.get("step") for step in trace.get("steps", [])}
    # Where more was retrieved, the prepared answer was not what was said.
    return "" if "retrieve" in later else intents.get(key, "")


def _text(message: Message, trace: dict[str, Any]) -> str:
    """The question as it can be understood by itself, without personal data."""
    return masked(str(trace.get("question") or message.body)[:_LONGEST])[0]


def _reply(
    question: str, reply: str, why: str, cursor: str, subject: tuple[str, uuid.UUID]
) -> SourceRow:
    return SourceRow(
        content={"prompt": question, "response": reply},
        cursor=cursor,
        metadata={"language": language_of(question), "from": why},
        subject=subject,
    )


OUTCOMES = RowSource(
    key="service.outcomes",
    label=_("Customer service: what helped and what did not"),
    description=_(
        "Questions with the intent of the answer that helped; those whose answer did not help come first, to be "
        "labelled by people."
    ),
    tasks=frozenset({"text-classification"}),
    permission=Permission.SERVICE_READ,
    rows=outcome_rows,
)
REPLIES = RowSource(
    key="service.replies",
    label=_("Customer service: answers of people"),
    description=_(
        "Questions with what an agent answered or made of a suggestion, and accepted pairs from dialogues: for a "
        "model that writes answers."
    ),
    tasks=frozenset({"text-generation"}),
    permission=Permission.SERVICE_READ,
    rows=reply_rows,
)
