"""What people say of documents, beside what the models said, and how far they agree."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q, QuerySet

from apps.finance_sentiment.inference import ENTITY_SENTIMENT, SENTIMENT, TOPIC
from apps.finance_sentiment.models import Document, DocumentLabel, Mention, Question, Topic
from apps.finance_sentiment.selectors.entities import document_mentions
from apps.finance_sentiment.taxonomy import topics_built_in
from apps.finance_sentiment.topics import topic_label
from rootstock.common.actors import Actor
from rootstock.modelhub.agreement import krippendorff_alpha, masi, nominal, raw_agreement
from rootstock.modelhub.selectors import deployment_get

# The deployment that answers each question; versions are named by it.
MODELS: Final = {
    Question.SENTIMENT: SENTIMENT,
    Question.TOPIC: TOPIC,
    Question.ENTITY: ENTITY_SENTIMENT,
}
# Labels that the figures of agreement are made from, the newest.
_MOST_COMPARED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said: values, the probability of the first, and which version."""

    values: tuple[str, ...] = ()
    probability: float | None = None
    version: str = ""
    version_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class LabelQuery:
    """Which labels; what is None does not matter."""

    question: str | None = None
    document: uuid.UUID | None = None
    agrees: bool | None = None
    version: str | None = None
    actor_id: str | None = None
    withdrawn: bool = False


def labels_find(query: LabelQuery) -> QuerySet[DocumentLabel]:
    """The labels that fit, the newest first."""
    wanted = Q()
    if not query.withdrawn:
        wanted &= Q(withdrawn_at=None)
    if query.question is not None:
        wanted &= Q(question=query.question)
    if query.document is not None:
        wanted &= Q(document_id=query.document)
    if query.agrees is not None:
        wanted &= Q(agrees=query.agrees)
    if query.version is not None:
        wanted &= Q(version=query.version)
    if query.actor_id is not None:
        wanted &= Q(actor_id=query.actor_id)
    return DocumentLabel.objects.filter(wanted).select_related("document", "entity").order_by("-id")


def topic_choices() -> list[tuple[str, str]]:
    """Topics that a person can give, as (label, name): those in use and those that the deployed model knows."""
    kept = dict(Topic.objects.values_list("slug", "enabled"))
    slugs = set(kept or (term.slug for term in topics_built_in()))
    deployment = deployment_get(TOPIC)
    if deployment is not None:
        slugs |= set(deployment.version.labels)
    slugs -= {slug for slug, enabled in kept.items() if not enabled}
    return sorted(((slug, topic_label(slug)) for slug in slugs), key=lambda pair: pair[1])


def document_said(document: Document, question: str) -> Said:
    """What the model said of a whole document."""
    if document.status != Document.Status.SCORED:
        return Said()
    version, version_id = _version(document, MODELS[Question(question)])
    if question == Question.SENTIMENT:
        probabilities = document.sentiment_probabilities or {}
        return Said(
            (document.sentiment,), probabilities.get(document.sentiment), version, version_id
        )
    probabilities = document.topic_probabilities or {}
    first = document.topics[0] if document.topics else ""
    return Said(tuple(document.topics), probabilities.get(first), version, version_id)


def mention_said(document: Document, mention: Mention) -> Said:
    """What the models said of one mention; where no model reads entities, that of the document."""
    if not mention.sentiment:
        return Said()
    by_entity = mention.basis == Mention.Basis.ENTITY_MODEL
    name = ENTITY_SENTIMENT if by_entity else SENTIMENT
    return Said((mention.sentiment,), mention.probability, *_version(document, name))


def consensus(labels: Iterable[Sequence[str]]) -> tuple[str, ...] | None:
    """What most people say; None when nobody says anything or two answers have as many."""
    counts = Counter(tuple(values) for values in labels)
    best = counts.most_common(2)
    if not best or (len(best) == 2 and best[0][1] == best[1][1]):
        return None
    return best[0][0]


def document_labels(document: Document, actor: Actor) -> dict[str, Any]:
    """Everything that was said of a document, as the keyboard's panel shows it."""
    given: defaultdict[tuple[str, int, int], list[DocumentLabel]] = defaultdict(list)
    for label in document.labels.filter(withdrawn_at=None).order_by("id"):
        given[label.question, label.start, label.end].append(label)
    mentions = [
        {
            "start": mention.start,
            "end": mention.end,
            "surface": mention.surface,
            "entity": mention.entity_id,
            "name": mention.entity.name if mention.entity else "",
            **_state(
                mention_said(document, mention),
                given[Question.ENTITY, mention.start, mention.end],
                actor,
            ),
        }
        for mention in document_mentions(document)
    ]
    return {
        "document": document.pk,
        "title": document.title,
        "revision": document.revision,
        "status": document.status,
        "sentiment": _state(
            document_said(document, Question.SENTIMENT), given[Question.SENTIMENT, 0, 0], actor
        ),
        "topics": _state(
            document_said(document, Question.TOPIC), given[Question.TOPIC, 0, 0], actor
        ),
        "mentions": mentions,
    }


@dataclass(frozen=True, slots=True)
class AgreementFigures:
    """How far people agree on one question over what two or more have read, and how often the model agrees with them.

    `model` is of labels, not of documents at large: most were chosen because a model was in doubt.
    """

    question: str
    labels: int
    people: int
    shared: int
    raw: float | None
    alpha: float | None
    model: float | None


def label_agreement() -> list[AgreementFigures]:
    """The figures of each question."""
    return [_agreement(question) for question in Question.values]


def _agreement(question: str) -> AgreementFigures:
    rows = list(
        DocumentLabel.objects.filter(question=question, withdrawn_at=None)
        .order_by("-id")
        .values_list("document_id", "start", "end", "actor_kind", "actor_id", "values", "agrees")[
            :_MOST_COMPARED
        ]
    )
    said: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for document, start, end, _kind, _actor, values, _agrees in rows:
        value = frozenset(values) if question == Question.TOPIC else tuple(values)
        said[document, start, end].append(value)
    units = [values for values in said.values() if len(values) > 1]
    known = [agrees for *_rest, agrees in rows if agrees is not None]
    distance = masi if question == Question.TOPIC else nominal
    return AgreementFigures(
        question=question,
        labels=len(rows),
        people=len({(kind, actor) for _d, _s, _e, kind, actor, _v, _a in rows}),
        shared=len(units),
        raw=raw_agreement(units),
        alpha=krippendorff_alpha(units, distance=distance),
        model=sum(known) / len(known) if known else None,
    )


def _state(said: Said, labels: Sequence[DocumentLabel], actor: Actor) -> dict[str, Any]:
    mine = next((label for label in labels if _is_by(label, actor)), None)
    agreed = consensus(label.values for label in labels)
    different = len({tuple(label.values) for label in labels}) > 1
    return {
        "said": list(said.values),
        "probability": said.probability,
        "version": said.version,
        "mine": list(mine.values) if mine else None,
        "consensus": list(agreed) if agreed is not None else None,
        "disagreed": different,
        "labels": [
            {
                "by": label.actor_label,
                "mine": _is_by(label, actor),
                "values": list(label.values),
                "agrees": label.agrees,
                "at": label.created_at,
            }
            for label in labels
        ],
    }


def _is_by(label: DocumentLabel, actor: Actor) -> bool:
    return (label.actor_kind, label.actor_id) == (actor.kind, actor.id[:64])


def _version(document: Document, deployment: str) -> tuple[str, uuid.UUID | None]:
    for used in document.models_used:
        if used["deployment"] == deployment:
            return used["version"], uuid.UUID(str(used["version_id"]))
    return "", None
