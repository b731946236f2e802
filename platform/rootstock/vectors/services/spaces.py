"""From one model to another: a space is filled beside the active one, checked, and becomes active in one transaction.

Who writes vectors holds the collection's row in share mode, who changes which space is active holds it alone. So at
the moment of the change it is known of each text whether both spaces have it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _

from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create
from rootstock.outbox.services import outbox_write
from rootstock.vectors.inference import (
    InferenceUnavailable,
    ModelUnusable,
    Source,
    embed,
    source_of,
)
from rootstock.vectors.models import Collection, Space
from rootstock.vectors.selectors import (
    REEMBED_JOB,
    collection_list,
    live_spaces,
    overview,
    running_job,
    wanted_source,
)
from rootstock.vectors.services.items import MOST_ITEMS, embed_request
from rootstock.vectors.tables import (
    Matrix,
    Text,
    lost_between,
    table_drop,
    table_make,
    texts_missing,
    texts_missing_of,
    vectors_write,
)

CLEAN_TOPIC = "vectors.clean"
# Texts that the model is asked about in one call.
BATCH = 64


class ModelChanged(Exception):
    """The model answers with other weights than those that made the vectors of the space."""

    def __init__(self, space: Space) -> None:
        super().__init__(
            f"the weights of {space.label} are no longer those that made the vectors of the collection; embed it again"
        )


def collection_change_model(
    *, collection: Collection, actor: Actor, model: str | None = None
) -> Job:
    """Start the job that has another model read the collection; searches go on with the present one until it is done.

    `model`: None for the one that the collection should have (its own, else the organisation's), "" to follow the
    organisation's from now on, else as `inference.source_of` takes it.

    Raises:
        Problem: 422, there is no such model. 409, a change is under way.
    """
    _hold_alone(collection)
    if running_job(collection.pk) is not None:
        raise Problem(
            409,
            "model-changing",
            _("Another model is reading the collection already. Wait for it, or cancel it."),
        )
    own = collection.model if model is None else model
    source = wanted_source(collection) if not own else source_of(own, collection.languages)
    audit_record(
        actor=actor,
        action="vectors.collection.change_model",
        target=collection.name,
        target_id=str(collection.pk),
        changes={"model": source.label},
    )
    return job_create(
        REEMBED_JOB,
        title=_("“%(name)s” is read by %(model)s")
        % {"name": collection.name, "model": source.label},
        params={
            "collection": str(collection.pk),
            "own": own,
            "source": source.path,
            "label": source.label,
        },
        actor=actor,
    )


def collections_follow(*, actor: Actor) -> list[Job]:
    """Start the change of every collection that is read by another model than it should; those under way are left."""
    return [
        collection_change_model(collection=collection, actor=actor)
        for collection in collection_list()
        if overview(collection).outdated
    ]


# --- building ------------------------------------------------------------------------------------


def space_open(
    *, collection: Collection, source: Source, digest: str, dimensions: int, job_id: uuid.UUID
) -> Space:
    """The space of a model, to be filled: what is there of it already is gone on with, as after a lost worker or on the
    way back to a former model. Another half-filled space of the collection is dropped.

    The active space comes back as it is when it has this model.
    """
    _hold_alone(collection)
    space = None
    for known in Space.objects.filter(collection=collection).order_by("id"):
        if (known.digest, known.dimensions) == (digest, dimensions):
            space = known
        elif known.state == Space.State.BUILDING:
            _set_aside(known)
    if space is None:
        space = Space(
            collection=collection,
            label=source.label,
            source=source.path,
            digest=digest,
            dimensions=dimensions,
            job_id=job_id,
        )
        space.save(force_insert=True)
        table_make(space)
        return space
    if space.state == Space.State.RETIRED:
        space.state = Space.State.BUILDING
    space.label, space.source, space.job_id = source.label, source.path, job_id
    space.save()
    return space


def vectors_of(space: Space, texts: Sequence[Text]) -> Matrix:
    """What the model of a space says of texts, (texts, dimensions); call it outside of transactions.

    Raises:
        InferenceUnavailable, ModelUnusable. ModelChanged: it is not the model that it was.
    """
    digest, vectors = embed(space.source, [text.text for text in texts], batch=True)
    if (digest, vectors.shape[1]) != (space.digest, space.dimensions):
        raise ModelChanged(space)
    return vectors


@dataclass(frozen=True)
class Filled:
    """Texts with the vectors that the model of a space gives them."""

    space: Space
    texts: Sequence[Text]
    vectors: Matrix


def texts_embed(batches: Sequence[tuple[Space, Sequence[Text]]]) -> list[Filled]:
    """The vectors of each space's texts, a batch at a time; call it outside of transactions.

    A space that is being built is left out when its model fails: its job goes on with the texts, or says what is wrong.

    Raises:
        InferenceUnavailable, ModelUnusable, ModelChanged: of the active space.
    """
    filled = []
    for space, texts in batches:
        try:
            for start in range(0, len(texts), BATCH):
                part = texts[start : start + BATCH]
                filled.append(Filled(space, part, vectors_of(space, part)))
        except (InferenceUnavailable, ModelUnusable, ModelChanged):
            if space.state != Space.State.BUILDING:
                raise
    return filled


def batches_missing(
    collection_id: uuid.UUID | str, item_ids: Sequence[str]
) -> list[tuple[Space, list[Text]]]:
    """For each live space those of the items whose text it has no vector of.

    They go to a space that is being built as well, or it would never catch up with a collection that is written to all
    the time. Before there is an active one, they are its job's, like all texts that were there before.
    """
    spaces = live_spaces(collection_id)
    if not any(space.state == Space.State.ACTIVE for space in spaces):
        return []
    return [(space, texts_missing_of(space, item_ids)) for space in spaces]


def vectors_store(collection_id: uuid.UUID | str, filled: Sequence[Filled]) -> None:
    """Write vectors into those of the spaces that are still live."""
    _hold_shared(collection_id)
    live = {space.pk for space in live_spaces(collection_id)}
    for each in filled:
        if each.space.pk in live:
            vectors_write(each.space, each.texts, each.vectors)


def missing_store(
    collection_id: uuid.UUID | str, item_ids: Sequence[str], filled: Sequence[Filled]
) -> None:
    """`vectors_store`, and another request where another space has become the active one meanwhile."""
    vectors_store(collection_id, filled)
    for space in live_spaces(collection_id):
        if space.state == Space.State.ACTIVE:
            missing = texts_missing_of(space, item_ids)
            embed_request(collection_id, [text.item_id for text in missing])


# --- the change ----------------------------------------------------------------------------------


def space_cut_over(*, space: Space, own: str, actor: Actor) -> bool:
    """Make a filled space the active one, unless a text that can be found now would be lost; whether it is done.

    The space that was active stays as it is for ROOTSTOCK_SPACE_KEEP_DAYS, so that one can go back to it.
    """
    collection = space.collection
    _hold_alone(collection)
    former = Space.objects.filter(collection=collection, state=Space.State.ACTIVE).first()
    if former is not None and former.pk != space.pk:
        if lost_between(former, space):
            return False
        _retire(former)
    space.state = Space.State.ACTIVE
    space.activated_at = timezone.now()
    space.retired_at = None
    space.save()
    collection.model = own
    collection.save(update_fields=["model", "updated_at"])
    audit_record(
        actor=actor,
        action="vectors.collection.model_changed",
        target=collection.name,
        target_id=str(collection.pk),
        changes={"model": [former.label if former else "", space.label]},
    )
    # Texts that nobody could find before either: their own requests may have found no active space to write to.
    after = None
    while waiting := texts_missing(space, after=after, limit=MOST_ITEMS):
        after = waiting[-1].item_id
        embed_request(collection.pk, [text.item_id for text in waiting])
    return True


def space_abandon(*, space: Space) -> None:
    """Stop building a space: a new one is dropped, one that was active before waits again to be gone back to."""
    if not Collection.objects.select_for_update(no_key=True).filter(pk=space.collection_id):
        return
    space = Space.objects.get(pk=space.pk)
    if space.state == Space.State.BUILDING:
        _set_aside(space)


def space_clean(*, space_id: uuid.UUID | str) -> None:
    """Drop the vectors of a space that has been retired for long enough.

    Raises:
        OperationalError: a search is reading it; try again later.
    """
    space = Space.objects.select_related("collection").filter(pk=space_id).first()
    if space is None:
        return
    _hold_alone(space.collection)
    space.refresh_from_db()
    due = timezone.now() - _kept()
    if space.state == Space.State.RETIRED and space.retired_at and space.retired_at <= due:
        table_drop(space)
        space.delete()


def _set_aside(space: Space) -> None:
    if space.activated_at is not None:
        _retire(space)
    else:
        table_drop(space)
        space.delete()


def _retire(space: Space) -> None:
    space.state = Space.State.RETIRED
    space.retired_at = timezone.now()
    space.save()
    outbox_write(CLEAN_TOPIC, {"space": str(space.pk)}, available_at=space.retired_at + _kept())


def _kept() -> timedelta:
    return timedelta(days=settings.ROOTSTOCK_SPACE_KEEP_DAYS)


def _hold_alone(collection: Collection) -> None:
    """Let nobody write vectors of the collection, or change its spaces, until the transaction ends.

    Texts may be written: their foreign key asks for the row's key only.
    """
    Collection.objects.select_for_update(no_key=True).get(pk=collection.pk)


def _hold_shared(collection_id: uuid.UUID | str) -> None:
    """Let nobody change the spaces of the collection until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM vectors_collection WHERE id = %s FOR SHARE", [collection_id])
