"""Everything that reads of the collections. Row-level security decides whose rows these are."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import Count, QuerySet
from django.http import Http404

from rootstock.common.problems import Problem
from rootstock.jobs.models import TERMINAL, Job
from rootstock.vectors.inference import AUTO, Source, source_of
from rootstock.vectors.models import Collection, EmbeddingSetting, Item, Space
from rootstock.vectors.tables import count_missing

REEMBED_JOB = "vectors.reembed"


def default_model() -> str:
    """The organisation's embedding model, as it is set."""
    setting = EmbeddingSetting.objects.first()
    return setting.model if setting is not None else AUTO


def collection_list() -> QuerySet[Collection]:
    """All collections, newest first."""
    return Collection.objects.order_by("-id")


def collection_get(collection_id: uuid.UUID | str) -> Collection:
    """One collection.

    Raises:
        Http404: there is no such collection.
    """
    collection = Collection.objects.filter(pk=collection_id).first()
    if collection is None:
        raise Http404("no such collection")
    return collection


def item_list(collection: Collection) -> QuerySet[Item]:
    """Items of a collection, newest first."""
    return Item.objects.filter(collection=collection).order_by("-id")


def active_space(collection_id: uuid.UUID | str) -> Space | None:
    """The space that searches ask; None before the first one is ready."""
    return Space.objects.filter(collection_id=collection_id, state=Space.State.ACTIVE).first()


def live_spaces(collection_id: uuid.UUID | str) -> list[Space]:
    """The spaces that each text is to be in: the active one and one that is being built."""
    states = (Space.State.ACTIVE, Space.State.BUILDING)
    return list(Space.objects.filter(collection_id=collection_id, state__in=states).order_by("id"))


def running_job(collection_id: uuid.UUID | str) -> Job | None:
    """The job that changes the collection's model at the moment."""
    return (
        Job.objects.filter(kind=REEMBED_JOB, params__collection=str(collection_id))
        .exclude(state__in=TERMINAL)
        .first()
    )


def last_job(collection_id: uuid.UUID | str) -> Job | None:
    """The newest job that changes or changed the collection's model."""
    return (
        Job.objects.filter(kind=REEMBED_JOB, params__collection=str(collection_id))
        .order_by("-id")
        .first()
    )


@dataclass(frozen=True)
class Overview:
    """How a collection stands.

    `waiting` counts the texts without a vector of the active space; `wanted` is the model it should be read by, with
    `problem` instead when that is not to be had; `former` are the spaces that one can still go back to.
    """

    collection: Collection
    items: int
    active: Space | None
    former: list[Space]
    waiting: int
    job: Job | None
    wanted: Source | None
    problem: str

    @property
    def outdated(self) -> bool:
        """Whether another model reads it than should, and nothing is done about it yet."""
        return (
            self.wanted is not None
            and self.active is not None
            and self.active.source != self.wanted.path
            and (self.job is None or self.job.finished)
        )


def overview(collection: Collection, items: int | None = None) -> Overview:
    """How one collection stands."""
    spaces = list(Space.objects.filter(collection=collection).order_by("-activated_at", "-id"))
    active = next((space for space in spaces if space.state == Space.State.ACTIVE), None)
    try:
        wanted, problem = wanted_source(collection), ""
    except Problem as error:
        wanted, problem = None, str(error.detail)
    items = item_list(collection).count() if items is None else items
    return Overview(
        collection=collection,
        items=items,
        active=active,
        former=[space for space in spaces if space.state == Space.State.RETIRED],
        waiting=items if active is None else count_missing(active),
        job=last_job(collection.pk),
        wanted=wanted,
        problem=problem,
    )


def overviews() -> list[Overview]:
    """How all collections stand, newest first."""
    collections = collection_list().annotate(size=Count("items"))
    return [overview(collection, collection.size) for collection in collections]


def wanted_source(collection: Collection) -> Source:
    """The model that should read a collection: its own, else the organisation's.

    Raises:
        Problem: 422, that model is not here.
    """
    return source_of(collection.model or default_model(), collection.languages)
