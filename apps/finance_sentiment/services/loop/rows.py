"""What people say of documents as rows of data sets: one source a question.

A row has the answer that most people give; where as many say otherwise it has none, and waits. The text is the one that
the models read. `story` keeps the tellings of one story in one part of a snapshot.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment.inference import SUBJECT, Reading, text_reading
from apps.finance_sentiment.models import Document, DocumentLabel, Question
from apps.finance_sentiment.selectors.labels import consensus
from apps.finance_sentiment.selectors.loop import LABEL_SOURCES, LESSON_TASKS
from rootstock.modelhub.sources import RowSource, SourceRow, settled
from rootstock.tenancy.permissions import Permission

_CHUNK: Final = 500
Content = dict[str, Any]


def sentiment_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Documents with a sentiment that people gave, in the order in which it changed."""
    return _rows(Question.SENTIMENT, task, cursor)


def topic_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Documents with topics that people gave; of a task with one label a row, the main one."""
    return _rows(Question.TOPIC, task, cursor)


def entity_rows(task: str, cursor: str) -> Iterator[SourceRow]:
    """Documents with the mentions whose sentiment people gave."""
    return _rows(Question.ENTITY, task, cursor)


def _rows(question: str, task: str, cursor: str) -> Iterator[SourceRow]:
    while True:
        labels = DocumentLabel.objects.filter(question=question, updated_at__lt=settled())
        if cursor:
            at, _space, last = cursor.partition(" ")
            since = datetime.fromisoformat(at)
            labels = labels.filter(
                Q(updated_at__gt=since) | Q(updated_at=since, pk__gt=uuid.UUID(last))
            )
        changed: dict[uuid.UUID, str] = {}
        for label in labels.order_by("updated_at", "id")[:_CHUNK]:
            cursor = f"{label.updated_at.isoformat()} {label.pk}"
            # A document changed twice is told once, when it changed last.
            changed.pop(label.document_id, None)
            changed[label.document_id] = cursor
        if not changed:
            return
        yield from _documents(question, task, changed)


def _documents(question: str, task: str, changed: dict[uuid.UUID, str]) -> Iterator[SourceRow]:
    documents = Document.objects.in_bulk(list(changed))
    given: defaultdict[uuid.UUID, list[DocumentLabel]] = defaultdict(list)
    standing = DocumentLabel.objects.filter(
        document__in=changed, question=question, withdrawn_at=None
    )
    for label in standing.order_by("id"):
        given[label.document_id].append(label)
    for document_id, cursor in changed.items():
        document = documents[document_id]
        # A label of what the document said before it was edited is none of what it says now.
        labels = [each for each in given[document_id] if each.revision == document.revision]
        reading = text_reading(document.title, document.body, document.language_detected)
        yield SourceRow(
            content=_CONTENTS[question](task, reading, labels),
            cursor=cursor,
            metadata={
                "outlet": document.source,
                "language": document.language_detected,
                "story": str(document.story_id or document.pk),
                "people": len({(each.actor_kind, each.actor_id) for each in labels}),
                "published": document.published_at.date().isoformat(),
            },
            subject=(SUBJECT, document.pk),
        )


def _sentiment(task: str, reading: Reading, labels: Sequence[DocumentLabel]) -> Content:
    agreed = consensus(each.values for each in labels)
    return {"text": reading.text} | ({"label": agreed[0]} if agreed else {})


def _topics(task: str, reading: Reading, labels: Sequence[DocumentLabel]) -> Content:
    if task == "multi-label-classification":
        agreed = consensus(sorted(each.values) for each in labels)
        return {"text": reading.text} | ({"labels": list(agreed)} if agreed is not None else {})
    agreed = consensus(each.values[:1] for each in labels)
    return {"text": reading.text} | ({"label": agreed[0]} if agreed else {})


def _spans(task: str, reading: Reading, labels: Sequence[DocumentLabel]) -> Content:
    places: defaultdict[tuple[int, int], list[DocumentLabel]] = defaultdict(list)
    for label in labels:
        places[label.start, label.end].append(label)
    spans, values = [], []
    for place in sorted(places):
        agreed, read = consensus(each.values for each in places[place]), reading.read(place)
        if agreed and read:
            spans.append(list(read))
            values.append(agreed[0])
    return {"text": reading.text, "spans": spans, "labels": values}


_CONTENTS: Final[dict[str, Callable[[str, Reading, Sequence[DocumentLabel]], Content]]] = {
    Question.SENTIMENT: _sentiment,
    Question.TOPIC: _topics,
    Question.ENTITY: _spans,
}
SOURCES: Final = {
    Question.SENTIMENT: RowSource(
        key=LABEL_SOURCES[Question.SENTIMENT],
        label=_("Public opinion: sentiment that people gave"),
        description=_("Documents with the sentiment that most people give them."),
        tasks=frozenset(LESSON_TASKS[Question.SENTIMENT]),
        permission=Permission.FINANCE_READ,
        rows=sentiment_rows,
    ),
    Question.TOPIC: RowSource(
        key=LABEL_SOURCES[Question.TOPIC],
        label=_("Public opinion: topics that people gave"),
        description=_("Documents with the topics that most people give them."),
        tasks=frozenset(LESSON_TASKS[Question.TOPIC]),
        permission=Permission.FINANCE_READ,
        rows=topic_rows,
    ),
    Question.ENTITY: RowSource(
        key=LABEL_SOURCES[Question.ENTITY],
        label=_("Public opinion: sentiment towards entities that people gave"),
        description=_("Documents with the mentions whose sentiment most people agree on."),
        tasks=frozenset(LESSON_TASKS[Question.ENTITY]),
        permission=Permission.FINANCE_READ,
        rows=entity_rows,
    ),
}
