"""The taxonomy of topics: kept by people, and grown from what no topic covers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _

from apps.finance_sentiment.inference.discovery import Group
from apps.finance_sentiment.models import Document, Topic, TopicProposal
from apps.finance_sentiment.services.vocabulary import topics_changed
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.jobs.models import Job
from rootstock.jobs.services import job_create

DISCOVERY: Final = "finance.topics.discover"
# Documents that a discovery reads at most, and topics below which probability do not cover a text.
MOST_DOCUMENTS: Final = 4000
UNSURE: Final = 0.5
_EXAMPLES: Final = 12
_FIELDS: Final = ("name", "name_zh", "description", "terms", "enabled")


class TopicRefused(ValueError):
    """The values of a topic do not fit; `field` says which."""

    def __init__(self, detail: str, field: str = "") -> None:
        super().__init__(detail)
        self.field = field


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A document that no topic covers."""

    id: Any
    text: str
    published_at: Any


def topic_create(
    *, actor: Actor, values: Mapping[str, Any], origin: str = Topic.Origin.PERSON
) -> Topic:
    """Add a topic. Documents that come from now on get it where they have one of its words.

    Raises:
        TopicRefused.
    """
    name = str(values.get("name", "")).strip()
    slug = slugify(str(values.get("slug") or name))[:60]
    if not slug:
        raise TopicRefused(_("A label needs a letter from a to z or a digit: give one."), "slug")
    if Topic.objects.filter(slug=slug).exists():
        raise TopicRefused(_("There is a topic with this label."), "slug")
    topic = Topic(
        slug=slug,
        name=name or slug,
        name_zh=str(values.get("name_zh", "")),
        description=str(values.get("description", "")),
        terms=_terms(values.get("terms", [])),
        enabled=bool(values.get("enabled", True)),
        origin=origin,
    )
    topic.save(force_insert=True)
    topics_changed()
    _record(actor, "finance.topic.create", topic, {"slug": slug})
    return topic


def topic_update(*, topic: Topic, actor: Actor, values: Mapping[str, Any]) -> Topic:
    """Change a topic; its label stays, because models and documents have it.

    Raises:
        TopicRefused.
    """
    given = {name: values[name] for name in _FIELDS if name in values}
    if "terms" in given:
        given["terms"] = _terms(given["terms"])
    changes = {
        name: [getattr(topic, name), value]
        for name, value in given.items()
        if getattr(topic, name) != value
    }
    if changes:
        for name, (_before, value) in changes.items():
            setattr(topic, name, value)
        topic.save()
        topics_changed()
        _record(actor, "finance.topic.update", topic, changes)
    return topic


def topic_remove(*, topic: Topic, actor: Actor) -> None:
    """Take a topic out of the taxonomy. A label of a model is given on by it: retire that instead.

    Raises:
        TopicRefused: it is built in.
    """
    if topic.origin == Topic.Origin.BUILT_IN:
        raise TopicRefused(_("A built-in topic is retired, not removed."))
    _record(actor, "finance.topic.remove", topic, {"slug": topic.slug})
    topic.delete()
    topics_changed()


def discovery_start(*, actor: Actor, days: int) -> Job:
    """Start looking for topics among the documents of the last days; a search that waits or runs already is it."""
    running = Job.objects.filter(
        kind=DISCOVERY, state__in=[Job.State.QUEUED, Job.State.RUNNING]
    ).first()
    return running or job_create(
        DISCOVERY, title=_("Look for new topics"), params={"days": days}, actor=actor
    )


def uncovered_documents(*, days: int) -> list[Uncovered]:
    """The latest documents without a topic, or whose model was unsure of it; one of each story."""
    since = timezone.now() - timedelta(days=days)
    documents = (
        Document.objects.filter(status=Document.Status.SCORED, published_at__gte=since)
        .order_by("-published_at")
        .values_list("pk", "title", "published_at", "story_id", "topics", "topic_probabilities")
    )
    found: list[Uncovered] = []
    stories: set[Any] = set()
    for pk, title, published_at, story, topics, probabilities in documents.iterator(2000):
        sure = max((probabilities or {}).values(), default=1.0 if topics else 0.0)
        words = set(topics) - set(probabilities or ())
        if story in stories or words or sure >= UNSURE:
            continue
        stories.add(story)
        found.append(Uncovered(pk, title, published_at))
        if len(found) == MOST_DOCUMENTS:
            break
    return found


def proposals_store(*, documents: Sequence[Uncovered], groups: Sequence[Group], model: str) -> int:
    """Replace the open proposals by what was found. What a person dismissed is not proposed again."""
    TopicProposal.objects.filter(state=TopicProposal.State.OPEN).delete()
    dismissed = [
        set(terms)
        for terms in TopicProposal.objects.filter(state=TopicProposal.State.DISMISSED).values_list(
            "terms", flat=True
        )
    ]
    rows = []
    for group in groups:
        terms = [term[:60] for term in group.terms]
        if not terms or any(_same(set(terms), known) for known in dismissed):
            continue
        times = [documents[member].published_at for member in group.members]
        rows.append(
            TopicProposal(
                terms=terms,
                documents=[documents[member].id for member in group.members[:_EXAMPLES]],
                size=len(group.members),
                cohesion=group.cohesion,
                first_published_at=min(times),
                last_published_at=max(times),
                model=model[:200],
            )
        )
    TopicProposal.objects.bulk_create(rows)
    return len(rows)


def proposal_promote(*, proposal: TopicProposal, actor: Actor, values: Mapping[str, Any]) -> Topic:
    """Make a proposal a topic of the taxonomy.

    Raises:
        TopicRefused: it was decided before, or the values do not fit.
    """
    _open(proposal)
    given = {"name": ", ".join(proposal.terms[:2]), "terms": proposal.terms[:4], **values}
    topic = topic_create(actor=actor, values=given, origin=Topic.Origin.DISCOVERED)
    proposal.state, proposal.topic = TopicProposal.State.PROMOTED, topic
    proposal.save(update_fields=["state", "topic", "updated_at"])
    return topic


def proposal_dismiss(*, proposal: TopicProposal, actor: Actor) -> None:
    """Say that this is no topic; groups with most of its words are not proposed again.

    Raises:
        TopicRefused: it was decided before.
    """
    _open(proposal)
    proposal.state = TopicProposal.State.DISMISSED
    proposal.save(update_fields=["state", "updated_at"])
    audit_record(
        actor=actor,
        action="finance.topic.dismiss",
        target="topic proposal",
        target_id=str(proposal.pk),
        changes={"terms": proposal.terms},
    )


def _open(proposal: TopicProposal) -> None:
    if proposal.state != TopicProposal.State.OPEN:
        raise TopicRefused(_("This proposal was decided before."))


def _same(terms: set[str], known: set[str]) -> bool:
    return len(terms & known) * 2 >= min(len(terms), len(known))


def _terms(given: Any) -> list[str]:
    """Words and phrases without repetition; a text has one on each line."""
    words = given.splitlines() if isinstance(given, str) else given
    found = dict.fromkeys(" ".join(str(word).split()) for word in words)
    found.pop("", None)
    for word in found:
        if len(word) > 60:
            raise TopicRefused(_("A word or phrase has at most 60 characters."), "terms")
    if len(found) > 200:
        raise TopicRefused(_("At most 200 words and phrases are taken."), "terms")
    return list(found)


def _record(actor: Actor, action: str, topic: Topic, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor, action=action, target="topic", target_id=str(topic.pk), changes=changes
    )
