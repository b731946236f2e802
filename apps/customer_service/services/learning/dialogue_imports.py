"""Past dialogues become conversations: sorted on disk, stored in batches, found again by the company's own number."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.customer_service.inference.text import language_of, masked
from apps.customer_service.inference.words import words_of
from apps.customer_service.models import (
    Conversation,
    Message,
    MessageWords,
    UnansweredQuestion,
    Visitor,
)
from apps.customer_service.services import hooks
from apps.customer_service.services.answering.pipeline import anger_after
from apps.customer_service.services.learning.dialogue_files import MOST_TURNS, BadRow, DialogueLine
from apps.customer_service.services.learning.dialogue_spool import Spool
from apps.customer_service.services.learning.pairs import is_question
from rootstock.tenancy.scope import current_organisation_id, organisation_scope

BATCH: Final = 50
BAD_ROWS_KEPT: Final = 100
# Reason of an unanswered question.
UNRESOLVED: Final = "unresolved"


@dataclass(slots=True)
class ImportReport:
    """What became of the rows. `bad_rows` holds the first hundred; `bad` counts all."""

    created: int = 0
    grown: int = 0
    unchanged: int = 0
    messages: int = 0
    bad: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)

    def refuse(self, row: BadRow) -> None:
        """Count a row that cannot be used."""
        self.bad += 1
        if len(self.bad_rows) < BAD_ROWS_KEPT:
            self.bad_rows.append(row)

    @property
    def good(self) -> int:
        """Conversations that are there now."""
        return self.created + self.grown + self.unchanged

    def as_json(self) -> dict[str, Any]:
        """For the result of a job and REST."""
        return {
            "created": self.created,
            "grown": self.grown,
            "unchanged": self.unchanged,
            "messages": self.messages,
            "bad": self.bad,
            "bad_rows": [
                {"line": row.line, "column": row.column, "reason": row.reason}
                for row in self.bad_rows
            ],
        }


def dialogues_import(
    *,
    organisation_id: uuid.UUID,
    rows: Iterable[DialogueLine | BadRow],
    on_batch: Callable[[int, int], None] | None = None,
) -> ImportReport:
    """Store every good row. Outside of a scope: each batch of conversations is a transaction.

    Rows may stand in any order: they are sorted by conversation and time in a file of their own, so memory does not
    grow with the import. A conversation that is there already gets the messages that it does not have: the same file
    again changes nothing, and an import that broke off is simply made again. `on_batch` is told how many conversations
    have been taken in, and how many there are.
    """
    report = ImportReport()
    done = 0
    with Spool() as spool:
        spool.fill(_good(rows, report))
        dialogues = spool.dialogues(most=MOST_TURNS)
        while batch := list(islice(dialogues, BATCH)):
            with organisation_scope(organisation_id):
                _store(batch, report)
            done += len(batch)
            if on_batch:
                on_batch(done, spool.count)
        for line in spool.surplus:
            reason = _("The conversation has more than %(limit)d messages.")
            report.refuse(BadRow(line, reason % {"limit": MOST_TURNS}, "conversation"))
    return report


def dialogues_store(dialogues: list[list[DialogueLine]]) -> ImportReport:
    """Store a few dialogues, each with its lines in order, inside the caller's transaction."""
    report = ImportReport()
    _store(dialogues, report)
    return report


def _good(rows: Iterable[DialogueLine | BadRow], report: ImportReport) -> Iterator[DialogueLine]:
    for row in rows:
        if isinstance(row, BadRow):
            report.refuse(row)
        else:
            yield row


def _store(batch: list[list[DialogueLine]], report: ImportReport) -> None:
    """A batch of dialogues, inside a scope."""
    _hold()
    keys = [lines[0].conversation for lines in batch]
    known = {
        row.external_id: row
        for row in Conversation.objects.select_for_update()
        .filter(external_id__in=keys)
        .order_by("pk")
    }
    customers = _customers(batch)
    for lines in batch:
        conversation = known.get(lines[0].conversation)
        if conversation is None:
            conversation = _new(lines, customers)
            known[conversation.external_id] = conversation
            report.created += 1
            report.messages += _grow(conversation, lines)
            continue
        added = _grow(conversation, lines)
        report.messages += added
        if added:
            report.grown += 1
        else:
            report.unchanged += 1


def _hold() -> None:
    """One batch at a time: two imports of one conversation do not both make it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext('service-dialogues'), hashtext(%s))",
            [str(current_organisation_id())],
        )


def _customers(batch: list[list[DialogueLine]]) -> dict[str, Visitor]:
    """Those who are named, by the company's id of them; made where they are new."""
    names = sorted({line.customer for lines in batch for line in lines if line.customer})
    Visitor.objects.bulk_create(
        [Visitor(external_id=name, verified=True) for name in names], ignore_conflicts=True
    )
    return {row.external_id: row for row in Visitor.objects.filter(external_id__in=names)}


def _new(lines: list[DialogueLine], customers: dict[str, Visitor]) -> Conversation:
    language = _first(line.language for line in lines) or _language(lines)
    customer = _first(line.customer for line in lines)
    visitor = customers[customer] if customer else Visitor.objects.create(language=language)
    conversation = Conversation(
        visitor=visitor,
        origin=Conversation.Origin.IMPORT,
        # Nobody waits for an answer to it any more; `resolved_at` says whether it was settled.
        status=Conversation.Status.RESOLVED,
        external_id=lines[0].conversation,
        language=language,
    )
    conversation.save(force_insert=True)
    return conversation


def _grow(conversation: Conversation, lines: list[DialogueLine]) -> int:
    """Add the lines that the conversation does not have, behind those that it has; how many."""
    keyed = _keyed(lines)
    known = set(
        Message.objects.filter(
            conversation=conversation, client_id__in=[key for key, _line in keyed]
        ).values_list("client_id", flat=True)
    )
    new = [(key, line) for key, line in keyed if key not in known]
    if not new:
        return 0
    messages = [
        Message(
            conversation=conversation,
            sequence=conversation.last_sequence + place,
            author=line.who,
            body=line.text,
            client_id=key,
            language=line.language or conversation.language,
            trace=_given(line),
        )
        for place, (key, line) in enumerate(new, start=1)
    ]
    Message.objects.bulk_create(messages)
    moments = _moments([line for _key, line in new])
    for message, moment in zip(messages, moments, strict=True):
        message.created_at = moment
    Message.objects.bulk_update(messages, ["created_at"])
    MessageWords.objects.bulk_create(
        [
            MessageWords(message=message, terms=terms)
            for message in messages
            if (terms := words_of(message.body))
        ]
    )
    _summarise(conversation, [line for _key, line in new], moments)
    if [line.resolved for _key, line in new if line.resolved is not None][-1:] == [False]:
        _log_unanswered(conversation, messages)
    return len(messages)


def _log_unanswered(conversation: Conversation, messages: list[Message]) -> None:
    """What was asked in a dialogue that settled nothing is a question without an answer."""
    asked = next(
        (
            each
            for each in messages
            if each.author == Message.Author.VISITOR and is_question(each.body, each.language)
        ),
        None,
    )
    if asked is None or UnansweredQuestion.objects.filter(conversation=conversation).exists():
        return
    question = UnansweredQuestion.objects.create(
        message=asked,
        conversation=conversation,
        text=masked(asked.body)[0],
        language=asked.language,
        reason=UNRESOLVED,
    )
    # Asked when it was written, whenever it came here.
    question.created_at = asked.created_at
    question.save(update_fields=["created_at"])
    for hook in hooks.on_unanswered:
        hook(question)


def _given(line: DialogueLine) -> dict[str, Any]:
    """What people have said of a message: apart from what models say of it."""
    given = {"edited": line.edited, "emotion": line.emotion, "intent": line.intent}
    said = {name: value for name, value in given.items() if value}
    return {"given": said} if said else {}


def _moments(lines: list[DialogueLine]) -> list[datetime]:
    """When each was said: at the last time that was told before it, else now."""
    last = next((line.time for line in lines if line.time is not None), timezone.now())
    moments = []
    for line in lines:
        last = line.time or last
        moments.append(last)
    return moments


def _summarise(
    conversation: Conversation, lines: list[DialogueLine], moments: list[datetime]
) -> None:
    """What the row of a conversation says of its messages."""
    first = conversation.last_sequence == 0
    last = conversation.last_sequence + len(lines)
    conversation.last_sequence = conversation.answered_sequence = last
    conversation.visitor_read = conversation.people_read = last
    conversation.last_message_at = max([*moments, conversation.last_message_at or moments[0]])
    conversation.intent = _first(line.intent for line in lines) or conversation.intent
    for line in lines:
        if line.emotion:
            conversation.emotion = line.emotion
            conversation.anger = anger_after(conversation.anger, {line.emotion: 1.0})
    ratings = [line.rating for line in lines if line.rating is not None]
    conversation.csat = ratings[-1] if ratings else conversation.csat
    replies = [at for at, line in enumerate(lines) if line.who == Message.Author.AGENT]
    if replies and conversation.first_reply_at is None:
        conversation.first_reply_at = moments[replies[0]]
    resolved = [line.resolved for line in lines if line.resolved is not None]
    if resolved:
        conversation.resolved_at = conversation.last_message_at if resolved[-1] else None
        conversation.contained = resolved[-1] and conversation.first_reply_at is None
    conversation.save()
    if first:
        Conversation.objects.filter(pk=conversation.pk).update(created_at=moments[0])


def _keyed(lines: list[DialogueLine]) -> list[tuple[str, DialogueLine]]:
    """Each line with the id by which it is known again; two that say the same at the same time are two."""
    seen: Counter[str] = Counter()
    keyed = []
    for line in lines:
        said = f"{line.time.isoformat() if line.time else ''}\n{line.who}\n{line.text}"
        seen[said] += 1
        digest = hashlib.blake2b(f"{said}\n{seen[said]}".encode(), digest_size=20).hexdigest()
        keyed.append((f"import:{digest}", line))
    return keyed


def _language(lines: list[DialogueLine]) -> str:
    said = "\n".join(line.text for line in lines if line.who == Message.Author.VISITOR)
    return language_of(said[:1000]) if said else ""


def _first(values: Iterable[str]) -> str:
    return next((value for value in values if value), "")
