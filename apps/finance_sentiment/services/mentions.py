"""Writing what documents say of whom, and what people decide about it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from django.db import connection

from apps.finance_sentiment.inference import estimate_ambiguity
from apps.finance_sentiment.models import Alias, Entity, Mention
from apps.finance_sentiment.services.indexing import documents_index
from apps.finance_sentiment.services.references import Reference
from apps.finance_sentiment.services.results import Outcome
from apps.finance_sentiment.services.vocabulary import names_changed
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor


def mentions_store(*, outcomes: Sequence[Outcome]) -> None:
    """Replace the mentions of these documents. What a person decided stays where the words are still there."""
    kept = _decided(outcomes)
    Mention.objects.filter(document_id__in=[each.document.id for each in outcomes]).exclude(
        pk__in=kept
    ).delete()
    entities = {each.entity for outcome in outcomes for each in outcome.references if each.entity}
    present = set(Entity.objects.filter(pk__in=entities).values_list("pk", flat=True))
    Mention.objects.bulk_create(
        [
            _row(outcome, reference)
            for outcome in outcomes
            for reference in outcome.references
            if reference.entity is None or reference.entity in present
        ],
        ignore_conflicts=True,
        batch_size=2000,
    )


def _decided(outcomes: Sequence[Outcome]) -> list[uuid.UUID]:
    texts = {outcome.document.id: outcome.reading.raw for outcome in outcomes}
    return [
        pk
        for pk, document, start, end, surface in Mention.objects.filter(
            document_id__in=list(texts), is_decided=True
        ).values_list("pk", "document_id", "start", "end", "surface")
        if texts[document][start:end] == surface
    ]


def _row(outcome: Outcome, reference: Reference) -> Mention:
    return Mention(
        document_id=outcome.document.id,
        entity_id=reference.entity,
        state=reference.state,
        surface=reference.surface,
        folded=reference.folded,
        kind=reference.kind,
        start=reference.start,
        end=reference.end,
        link_score=reference.score,
        candidates=reference.candidates,
        sentiment=reference.sentiment,
        probability=reference.probability,
        basis=reference.basis,
        published_at=outcome.document.published_at,
    )


# Each earlier document on the same event takes a quarter of what is new away, as in RavenPack's event novelty score;
# the same event is the same story, or the same kind of event at the same entity, in the day before.
_NOVELTY = """
    UPDATE finance_sentiment_document document
    SET novelty = power(0.75, earlier.count)
    FROM unnest(%s::uuid[]) AS wanted (id)
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT id) AS count FROM (
            (
                SELECT other.id FROM finance_sentiment_document other
                JOIN finance_sentiment_document this ON this.id = wanted.id
                WHERE other.story_id = this.story_id
                  AND other.published_at >= this.published_at - interval '1 day'
                  AND (other.published_at, other.id) < (this.published_at, this.id)
                LIMIT 20
            ) UNION ALL (
                SELECT other.id FROM finance_sentiment_document this
                JOIN finance_sentiment_mention ours
                  ON ours.document_id = this.id AND ours.entity_id IS NOT NULL
                JOIN finance_sentiment_mention theirs
                  ON theirs.organisation_id = ours.organisation_id
                 AND theirs.entity_id = ours.entity_id
                 AND theirs.published_at >= this.published_at - interval '1 day'
                 AND theirs.published_at <= this.published_at
                JOIN finance_sentiment_document other
                  ON other.id = theirs.document_id AND other.event = this.event
                WHERE this.id = wanted.id AND this.event <> ''
                  AND (other.published_at, other.id) < (this.published_at, this.id)
                LIMIT 20
            )
        ) found
    ) earlier
    WHERE document.id = wanted.id
"""


def novelty_store(*, document_ids: Sequence[uuid.UUID]) -> None:
    """How new each document is, from 1 down to nearly 0, by what is stored of the day before it."""
    with connection.cursor() as cursor:
        cursor.execute(_NOVELTY, [list(document_ids)])


def mention_decide(
    *, mention: Mention, actor: Actor, entity: Entity | None, everywhere: bool = False
) -> int:
    """A person says who is meant; without an entity the words name nobody. Returns how many mentions that decides.

    `everywhere`: so do the same words in every other document that waits for a decision.
    """
    wanted = Mention.objects.filter(pk=mention.pk)
    if everywhere:
        wanted |= Mention.objects.filter(
            folded=mention.folded, state__in=[Mention.State.REVIEW, Mention.State.UNKNOWN]
        )
    state = Mention.State.LINKED if entity else Mention.State.DISMISSED
    documents = list(wanted.values_list("document_id", flat=True))
    count = wanted.update(
        entity=entity,
        state=state,
        link_score=1.0 if entity else 0.0,
        candidates=[],
        is_decided=True,
    )
    documents_index(document_ids=documents)
    audit_record(
        actor=actor,
        action="finance.mention.decide",
        target="mention",
        target_id=str(mention.pk),
        changes={
            "surface": mention.surface,
            "entity": entity.key if entity else None,
            "count": count,
        },
    )
    return count


def name_learn(*, mention: Mention, entity: Entity) -> Alias:
    """Keep the words of a mention as a name of the entity, so that later texts need no decision."""
    alias, created = Alias.objects.get_or_create(
        entity=entity,
        folded=mention.folded,
        kind=Alias.Kind.SHORT,
        valid_from=None,
        defaults={
            "text": mention.surface,
            "ambiguity": estimate_ambiguity(mention.surface, "short"),
        },
    )
    if created:
        names_changed()
    return alias


def kept_references(
    *, documents: Mapping[uuid.UUID, uuid.UUID]
) -> dict[uuid.UUID, list[Reference]]:
    """For documents that say the same as others letter for letter ({document: the other}): the others' mentions."""
    found: dict[uuid.UUID, list[Reference]] = {}
    by_other: dict[uuid.UUID, list[Reference]] = {}
    for mention in Mention.objects.filter(document_id__in=set(documents.values())):
        by_other.setdefault(mention.document_id, []).append(
            Reference(
                start=mention.start,
                end=mention.end,
                surface=mention.surface,
                kind=mention.kind,
                state=mention.state,
                entity=mention.entity_id,
                score=mention.link_score,
                candidates=mention.candidates,
                sentiment=mention.sentiment,
                probability=mention.probability,
                basis=mention.basis,
            )
        )
    for document, other in documents.items():
        found[document] = by_other.get(other, [])
    return found
