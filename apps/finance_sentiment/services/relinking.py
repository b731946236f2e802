"""Reading stored documents anew after names or topics have changed."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Final

from apps.finance_sentiment.inference import text_reading
from apps.finance_sentiment.models import Document, Mention
from apps.finance_sentiment.services.buckets import buckets_recount
from apps.finance_sentiment.services.claims import Claimed
from apps.finance_sentiment.services.indexing import documents_index
from apps.finance_sentiment.services.mentions import mentions_store
from apps.finance_sentiment.services.references import Reference, references_make
from apps.finance_sentiment.services.results import Outcome
from apps.finance_sentiment.services.stories import stories_lock, stories_refresh
from apps.finance_sentiment.services.understanding import words_read
from apps.finance_sentiment.services.vocabulary import Known, vocabulary_known
from rootstock.common.actors import Actor
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create

KIND: Final = "finance.relink"
CHUNK: Final = 500


def relink_start(*, actor: Actor, title: str) -> Job:
    """Start the job; one that waits already does it too."""
    waiting = Job.objects.filter(kind=KIND, state=Job.State.QUEUED).first()
    return waiting or job_create(KIND, title=title, params={}, actor=actor, queue="ingest")


def documents_relink(*, after: uuid.UUID | None) -> tuple[int, uuid.UUID | None, int]:
    """Link the next documents by the present names. Returns how many, the last, and how many mentions changed.

    What a model said of a place stays where the place is still a mention. Call in one transaction a chunk.
    """
    documents = Document.objects.exclude(status=Document.Status.PENDING).order_by("pk")
    if after is not None:
        documents = documents.filter(pk__gt=after)
    found = list(documents[:CHUNK])
    if not found:
        return 0, None, 0
    known = vocabulary_known()
    stored: dict[uuid.UUID, list[Mention]] = {}
    for mention in Mention.objects.filter(document__in=found):
        stored.setdefault(mention.document_id, []).append(mention)
    linked, retold, changes = [], [], 0
    for document in found:
        before = stored.get(document.pk, [])
        outcome = _relinked(document, before, known)
        count = len(_who(outcome.references) ^ {(each.start, each.entity_id) for each in before})
        changes += count
        if count:
            linked.append(outcome)
        if document.status == Document.Status.SCORED and _reread(document, outcome, known):
            retold.append(document)
    if linked or retold:
        stories_lock()
        mentions_store(outcomes=linked)
        Document.objects.bulk_update(retold, ["topics", "event"])
        moments = stories_refresh(story_ids=[each.story_id for each in retold if each.story_id])
        moments += [each.document.published_at for each in linked]
        buckets_recount(moments=moments + [each.published_at for each in retold])
        documents_index(
            document_ids={each.document.id for each in linked} | {each.pk for each in retold}
        )
    return len(found), found[-1].pk, changes + len(retold)


def _reread(document: Document, outcome: Outcome, known: Known) -> bool:
    """Read the topics and the event by the present words; whether anything changed."""
    outcome.topics, outcome.event = document.topics, document.event
    outcome.topic_probabilities = document.topic_probabilities
    outcome.models_used = document.models_used
    words_read(outcome, known)
    changed = (document.topics, document.event) != (outcome.topics, outcome.event)
    document.topics, document.event = outcome.topics, outcome.event
    return changed


def _who(references: list[Reference]) -> set[tuple[int, uuid.UUID | None]]:
    return {(each.start, each.entity) for each in references}


def _relinked(document: Document, before: list[Mention], known: Known) -> Outcome:
    reading = text_reading(document.title, document.body, document.language_detected)
    scored = document.status == Document.Status.SCORED
    sentiment = document.sentiment if scored else ""
    probabilities = document.sentiment_probabilities or {}
    references = references_make(
        reading=reading,
        links=known.linker.link(reading.text, on=document.published_at.date()),
        tagged=[],
        sentiments={},
        document_sentiment=sentiment,
        document_probability=probabilities.get(sentiment),
        kinds=known.kinds,
    )
    return Outcome(
        Claimed(document.pk, document.revision, "", "", "", 0, document.published_at),
        reading,
        references=_kept(references, before),
    )


def _kept(references: list[Reference], before: list[Mention]) -> list[Reference]:
    """The new references with what models said of their places, and what a tagger found where there is no name."""
    said = {
        (each.start, each.end): each for each in before if each.basis == Mention.Basis.ENTITY_MODEL
    }
    found = []
    for each in references:
        earlier = said.get((each.start, each.end))
        if earlier is not None:
            found.append(
                replace(
                    each,
                    sentiment=earlier.sentiment,
                    probability=earlier.probability,
                    basis=earlier.basis,
                )
            )
        else:
            found.append(each)
    found += [
        Reference(
            start=each.start,
            end=each.end,
            surface=each.surface,
            kind=each.kind,
            state=Mention.State.UNKNOWN,
            sentiment=each.sentiment,
            probability=each.probability,
            basis=each.basis,
        )
        for each in before
        if each.state == Mention.State.UNKNOWN
        and all(each.end <= other.start or other.end <= each.start for other in references)
    ]
    return found
