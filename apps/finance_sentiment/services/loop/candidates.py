"""Which documents people are asked about: those where a model is probably wrong, and some drawn by lot."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.utils import timezone

from apps.finance_sentiment.models import (
    Document,
    DocumentLabel,
    LabelCandidate,
    LabelReason,
    Mention,
    Sentiment,
)
from rootstock.common.actors import Actor

# The newest scored documents are looked at; a day of news is less.
MOST_READ: Final = 20_000
# How many of a draw each reason gets. What is drawn at random measures; the others teach most.
SHARES: Final[Mapping[str, float]] = {
    LabelReason.RANDOM: 0.3,
    LabelReason.MARGIN: 0.3,
    LabelReason.DISAGREEMENT: 0.2,
    LabelReason.NOVEL: 0.2,
}
# Of those drawn at random every so many-th is read by two people.
_SECOND_LOOK: Final = 5
# Below this two answers are nearly the same, and this is nearly news.
_LEAST_SCORE: Final = 0.3


@dataclass(frozen=True, slots=True)
class _Row:
    """What is known of a document without its text."""

    pk: uuid.UUID
    story: uuid.UUID | None
    sentiment: str
    sentiments: Mapping[str, float]
    topics: Mapping[str, float]
    novelty: float | None


def candidates_draw(*, count: int, seed: int | None = None) -> dict[str, int]:
    """Choose about `count` documents for people; how many for each reason.

    Of a story one document is enough, but for those drawn at random: they are a simple random sample of all that was
    scored, whatever else is known of them, and each keeps the chance that it had.
    """
    rows = _rows()
    if not rows or count < 1:
        return {}
    taken = _taken(rows)
    labelled = set(
        DocumentLabel.objects.filter(document_id__gte=rows[-1].pk, withdrawn_at=None).values_list(
            "document_id", flat=True
        )
    )
    stories: set[uuid.UUID] = set()
    made: list[LabelCandidate] = []
    for reason, share in SHARES.items():
        wanted = max(1, round(count * share))
        frame = [row for row in rows if row.pk not in taken[reason]]
        if reason == LabelReason.RANDOM:
            made += _at_random(frame, wanted, seed)
            continue
        scored = _scores(reason, [row for row in frame if row.pk not in labelled])
        for row, score in sorted(scored, key=lambda pair: (-pair[1], pair[0].pk)):
            if wanted == 0:
                break
            if row.story is not None and row.story in stories:
                continue
            stories.update({row.story} - {None})  # type: ignore[arg-type]
            made.append(LabelCandidate(document_id=row.pk, reason=reason, score=round(score, 4)))
            wanted -= 1
    _rank(made)
    LabelCandidate.objects.bulk_create(made, ignore_conflicts=True)
    return {
        reason: sum(each.reason == reason for each in made)
        for reason in SHARES
        if any(each.reason == reason for each in made)
    }


def candidate_skip(*, document: Document, actor: Actor) -> None:
    """This person has nothing to say about a document and is not asked again; others are."""
    for candidate in LabelCandidate.objects.filter(document=document):
        if actor.id[:64] not in candidate.skipped_by:
            candidate.skipped_by.append(actor.id[:64])
            candidate.save(update_fields=["skipped_by", "updated_at"])


def _rows() -> list[_Row]:
    """The newest first."""
    scored = Document.objects.filter(status=Document.Status.SCORED).order_by("-id")
    columns = (
        "pk", "story_id", "sentiment", "sentiment_probabilities", "topic_probabilities", "novelty",
    )  # fmt: skip
    return [
        _Row(pk, story, sentiment, sentiments or {}, topics or {}, novelty)
        for pk, story, sentiment, sentiments, topics, novelty in scored.values_list(*columns)[
            :MOST_READ
        ]
    ]


def _taken(rows: list[_Row]) -> dict[str, set[uuid.UUID]]:
    """By reason the documents that were chosen for it before."""
    taken: dict[str, set[uuid.UUID]] = {reason: set() for reason in LabelReason.values}
    before = LabelCandidate.objects.filter(document_id__gte=rows[-1].pk)
    for reason, document in before.values_list("reason", "document_id"):
        taken[reason].add(document)
    return taken


def _at_random(frame: list[_Row], wanted: int, seed: int | None) -> list[LabelCandidate]:
    wanted = min(wanted, len(frame))
    # A lot is no secret, and a seed makes it repeatable.
    drawn = random.Random(seed).sample(frame, wanted)
    return [
        LabelCandidate(
            document_id=row.pk,
            reason=LabelReason.RANDOM,
            probability=wanted / len(frame),
            people=2 if place % _SECOND_LOOK == _SECOND_LOOK - 1 else 1,
        )
        for place, row in enumerate(drawn)
    ]


def _scores(reason: str, rows: list[_Row]) -> list[tuple[_Row, float]]:
    scored = _SCORES[reason](rows)
    return [(row, score) for row, score in scored if score >= _LEAST_SCORE]


def _margins(rows: list[_Row]) -> Iterable[tuple[_Row, float]]:
    """One minus how far the first answer is from the second."""
    for row in rows:
        best = sorted(row.sentiments.values(), reverse=True)[:2]
        if len(best) == 2:
            yield row, 1.0 - (best[0] - best[1])


def _disagreements(rows: list[_Row]) -> Iterable[tuple[_Row, float]]:
    """Where what is said of those who are named is not what is said of the whole, or one story is read in two ways."""
    by_document = {row.pk: row for row in rows}
    scores: dict[uuid.UUID, float] = {}
    stories: dict[uuid.UUID, set[str]] = {}
    for row in rows:
        if row.story is not None:
            stories.setdefault(row.story, set()).add(row.sentiment)
    for row in rows:
        said = stories.get(row.story, set()) if row.story is not None else set()
        if {Sentiment.NEGATIVE, Sentiment.POSITIVE} <= said:
            scores[row.pk] = 0.6
    read = Mention.objects.filter(basis=Mention.Basis.ENTITY_MODEL).exclude(sentiment="")
    if rows:
        read = read.filter(document_id__gte=rows[-1].pk)
    for document, sentiment, probability in read.values_list(
        "document_id", "sentiment", "probability"
    ):
        whole = by_document.get(document)
        if whole is None or sentiment == whole.sentiment:
            continue
        sure = float(whole.sentiments.get(whole.sentiment, 0.0)) * (probability or 0.0)
        weight = 0.5 if Sentiment.NEUTRAL in (sentiment, whole.sentiment) else 1.0
        scores[document] = max(scores.get(document, 0.0), sure * weight)
    return [(by_document[document], score) for document, score in scores.items()]


def _novelties(rows: list[_Row]) -> Iterable[tuple[_Row, float]]:
    """What is like nothing of the day before, and most so where no topic fits it either."""
    for row in rows:
        if row.novelty is not None:
            fits = max(map(float, row.topics.values())) if row.topics else 0.5
            yield row, row.novelty * (1.0 - fits)


_SCORES: Final[Mapping[str, Callable[[list[_Row]], Iterable[tuple[_Row, float]]]]] = {
    LabelReason.MARGIN: _margins,
    LabelReason.DISAGREEMENT: _disagreements,
    LabelReason.NOVEL: _novelties,
}


def _rank(made: list[LabelCandidate]) -> None:
    """Reasons take turns, each with its best first; a newer draw comes before an older one."""
    base = -timezone.now().timestamp()
    counts: dict[str, int] = {}
    totals: dict[str, int] = {}
    for candidate in made:
        totals[candidate.reason] = totals.get(candidate.reason, 0) + 1
    for candidate in made:
        place = counts[candidate.reason] = counts.get(candidate.reason, 0) + 1
        candidate.rank = base + place / totals[candidate.reason]
