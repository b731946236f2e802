"""What people decide about threads: the model leaves it as it is."""

from __future__ import annotations

from django.utils.translation import gettext as _

from apps.finance_sentiment.models import Story, Thread, ThreadStory
from apps.finance_sentiment.services.threads import threads_join, threads_lock, threads_refresh
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor


class ThreadRefused(ValueError):
    """Why a thread cannot be changed like this; in words for people."""


def thread_merge(*, thread: Thread, other: Thread, actor: Actor) -> Thread:
    """Take the stories of `other` into `thread`; `other` is gone afterwards.

    Raises:
        ThreadRefused: both are the same.
    """
    if thread.pk == other.pk:
        raise ThreadRefused(_("A thread cannot be merged with itself."))
    threads_lock()
    moved = ThreadStory.objects.filter(thread=other)
    changes = {"merged": str(other.pk), "stories": moved.count()}
    moved.update(placed_by=ThreadStory.PlacedBy.PERSON, probability=None)
    threads_join(thread_id=thread.pk, other_id=other.pk)
    threads_refresh(thread_ids=[thread.pk])
    _record(actor, "merge", thread, changes)
    thread.refresh_from_db()
    return thread


def story_split(*, thread: Thread, story: Story, actor: Actor) -> Thread:
    """Take a story out into a thread of its own, which is returned; nothing joins the two again but a person.

    Raises:
        ThreadRefused: the story is not in the thread, or is its only one.
    """
    threads_lock()
    place = ThreadStory.objects.filter(thread=thread, story=story).first()
    if place is None:
        raise ThreadRefused(_("The story is not in this thread."))
    if not ThreadStory.objects.filter(thread=thread).exclude(pk=place.pk).exists():
        raise ThreadRefused(_("It is the only story of this thread."))
    own = Thread.objects.create(
        title=story.title, first_seen_at=story.first_seen_at, last_seen_at=story.last_seen_at
    )
    place.thread = own
    place.probability = None
    place.placed_by = ThreadStory.PlacedBy.PERSON
    place.save(update_fields=["thread", "probability", "placed_by", "updated_at"])
    threads_refresh(thread_ids=[thread.pk, own.pk])
    _record(actor, "split", thread, {"story": str(story.pk), "thread": str(own.pk)})
    own.refresh_from_db()
    return own


def _record(actor: Actor, verb: str, thread: Thread, changes: dict[str, object]) -> None:
    audit_record(
        actor=actor,
        action=f"finance.thread.{verb}",
        target="finance_sentiment.Thread",
        target_id=str(thread.pk),
        changes=changes,
    )
