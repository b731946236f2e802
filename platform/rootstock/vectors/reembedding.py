"""The work of the job that has another model read a collection."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db.utils import ProgrammingError
from django.utils.translation import gettext_noop

from rootstock.common.actors import Actor
from rootstock.jobs.models import Job
from rootstock.jobs.runner import JobCancelled, JobContext
from rootstock.vectors.inference import InferenceUnavailable, Source, embed
from rootstock.vectors.models import Space
from rootstock.vectors.selectors import collection_get, collection_list, item_list
from rootstock.vectors.services.spaces import (
    BATCH,
    Filled,
    space_abandon,
    space_cut_over,
    space_open,
    vectors_of,
    vectors_store,
)
from rootstock.vectors.tables import count_missing, texts_missing

_Answer = TypeVar("_Answer")

# A restart of the inference process, or of its machine, must not cost the work of hours.
PATIENCE_SECONDS = 600.0
# Any text: it tells the digest and the number of dimensions before the first real one is read.
_PROBE = "Rootstock"


def execute_reembedding(context: JobContext) -> dict[str, Any]:
    """Fill the space of the job's model and make it the active one.

    Taken up again after a lost worker, it goes on with what is there. Cancelled, it leaves nothing behind.

    Raises:
        ModelUnusable, ModelChanged; InferenceUnavailable after ten minutes without an answer. The vectors made so far
        stay, and the next change to the same model goes on with them.
    """
    collection_id = uuid.UUID(context.params["collection"])
    source = Source(context.params["source"], context.params["label"])
    with context.scope():
        collection = collection_get(collection_id)
        job = Job.objects.get(pk=context.job_id)
    actor = Actor(job.actor_kind, job.actor_id, job.actor_label)  # type: ignore[arg-type]
    context.progress(phase=gettext_noop("prepare"), message=source.label)
    digest, vectors = _patiently(context, lambda: embed(source.path, [_PROBE], batch=True))
    with context.scope():
        space = space_open(
            collection=collection,
            source=source,
            digest=digest,
            dimensions=vectors.shape[1],
            job_id=context.job_id,
        )
    try:
        embedded = _fill(context, space, own=context.params["own"], actor=actor)
    except JobCancelled:
        with context.scope():
            space_abandon(space=space)
        raise
    except (ObjectDoesNotExist, ProgrammingError) as error:
        with context.scope():
            if collection_list().filter(pk=collection_id).exists():
                raise
        raise JobCancelled from error  # the collection was deleted
    return {"collection": str(collection_id), "space": str(space.pk), "embedded": embedded}


def _fill(context: JobContext, space: Space, *, own: str, actor: Actor) -> int:
    """Embed what is missing until the change can be made; returns how many texts were embedded."""
    embedded = 0
    while True:
        with context.scope():
            total, missing = item_list(space.collection).count(), count_missing(space)
        after = None
        while True:
            done = total - missing
            context.progress(
                fraction=done / total if total else 1.0,
                phase=gettext_noop("embed"),
                message=f"{done} / {total}",
            )
            with context.scope():
                texts = texts_missing(space, after=after, limit=BATCH)
            if not texts:
                break
            vectors = _patiently(context, lambda texts=texts: vectors_of(space, texts))  # type: ignore[misc]
            with context.scope():
                vectors_store(space.collection_id, [Filled(space, texts, vectors)])
            after = texts[-1].item_id
            embedded += len(texts)
            missing = max(0, missing - len(texts))
        context.check()
        with context.scope():
            if space_cut_over(space=space, own=own, actor=actor):
                return embedded


def _patiently(context: JobContext, ask: Callable[[], _Answer]) -> _Answer:
    """The answer, asked for again while the inference process is away or busy."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except InferenceUnavailable as error:
            if time.monotonic() > until:
                raise
            context.progress(message=str(error))
            wake = time.monotonic() + error.retry_after
            while time.monotonic() < wake:
                context.check()
                time.sleep(min(0.2, max(0.0, wake - time.monotonic())))
