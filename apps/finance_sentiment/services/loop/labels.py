"""What people say of documents: given, replaced, taken back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import (
    Document,
    DocumentLabel,
    LabelCandidate,
    LabelReason,
    Mention,
    Question,
    Sentiment,
)
from apps.finance_sentiment.selectors.labels import (
    Said,
    document_said,
    mention_said,
    topic_choices,
)
from rootstock.common.actors import Actor
from rootstock.modelhub.models import ModelVersion
from rootstock.modelhub.services.events import authored
from rootstock.realtime.services import event_append

MOST_TOPICS: Final = 5
# Asked before all that was drawn: somebody has looked, and says that it is wrong.
_FIRST: Final = -1e12
_LONGEST_SECONDS: Final = 86_400.0


class LabelRefused(ValueError):
    """What is wrong with a label, in words for people, and the field at fault."""

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.field = field


def label_give(
    *,
    document: Document,
    question: str,
    values: Sequence[str],
    actor: Actor,
    start: int = 0,
    end: int = 0,
    seconds: float | None = None,
    blind: bool = False,
) -> DocumentLabel:
    """Keep what a person says of a document, or of the mention at `start` to `end`; it replaces what they said before.

    `values` is one sentiment, or topics with the main one first. The model's answer of this moment is kept beside it.

    Raises:
        LabelRefused: it is no answer to the question, or there is no such mention.
    """
    locked: Document = Document.objects.select_for_update(of=("self",)).get(pk=document.pk)
    mention = _mention(locked, start, end) if question == Question.ENTITY else None
    if mention is None and (start or end):
        raise LabelRefused(_("Only a mention has a place in the text."), "start")
    chosen = _checked(question, values)
    said = mention_said(locked, mention) if mention else document_said(locked, question)
    before: DocumentLabel | None = (
        _active(locked, actor).filter(question=question, start=start, end=end).first()
    )
    if before is not None:
        if before.values == chosen and before.revision == locked.revision:
            return before
        before.withdrawn_at = timezone.now()
        before.save(update_fields=["withdrawn_at", "updated_at"])
    label = DocumentLabel.objects.create(
        document=locked,
        revision=locked.revision,
        question=question,
        start=start,
        end=end,
        surface=mention.surface if mention else "",
        entity_id=mention.entity_id if mention else None,
        values=chosen,
        blind=blind,
        seconds=None if seconds is None else min(max(0.0, seconds), _LONGEST_SECONDS),
        replaces=before,
        **_said(said, question, chosen),
        **authored(actor),
    )
    _settle(locked, label)
    return label


def label_undo(*, actor: Actor) -> DocumentLabel:
    """Take back what this person said last; what they had said before of the same comes back.

    Raises:
        LabelRefused: they have said nothing that still stands.
    """
    last = (
        DocumentLabel.objects.select_for_update(of=("self",))
        .select_related("document")
        .filter(actor_kind=actor.kind, actor_id=actor.id[:64], withdrawn_at=None)
        .order_by("-id")
        .first()
    )
    if last is None:
        raise LabelRefused(_("There is nothing to take back."))
    last.withdrawn_at = timezone.now()
    last.save(update_fields=["withdrawn_at", "updated_at"])
    if last.replaces_id is not None:
        former = DocumentLabel.objects.filter(pk=last.replaces_id).first()
        if former is not None:
            former.withdrawn_at = None
            former.save(update_fields=["withdrawn_at", "updated_at"])
    _settle(last.document, last)
    return last


def document_doubt(*, document: Document, actor: Actor) -> LabelCandidate:
    """A person thinks that something is wrong without saying what is right: others are asked first about it."""
    candidate, made = LabelCandidate.objects.get_or_create(
        document=document,
        reason=LabelReason.DOUBTED,
        defaults={"score": 1.0, "rank": _FIRST},
    )
    if not made:
        candidate.score, candidate.rank, candidate.done_at = 1.0, _FIRST, None
        candidate.people = _people(document) + 1
        candidate.save()
    # The one who doubts has nothing more to say.
    if actor.id[:64] not in candidate.skipped_by:
        candidate.skipped_by.append(actor.id[:64])
        candidate.save(update_fields=["skipped_by", "updated_at"])
    return candidate


def candidates_settle(document: Document) -> None:
    """Close the candidates of a document that enough people have spoken about; open those that lost a label."""
    people = _people(document)
    now = timezone.now()
    asked = LabelCandidate.objects.filter(document=document)
    asked.filter(people__lte=people, done_at=None).update(done_at=now, updated_at=now)
    asked.filter(people__gt=people, done_at__isnull=False).update(done_at=None, updated_at=now)


def _settle(document: Document, label: DocumentLabel) -> None:
    """What follows from a label that came or went; the event last."""
    standing = DocumentLabel.objects.filter(
        document=document, question=label.question, start=label.start, end=label.end
    ).filter(withdrawn_at=None)
    answers = [tuple(values) for values in standing.values_list("values", flat=True)]
    if len(set(answers)) > 1 and len(answers) % 2 == 0:
        # Two against two, one against one: one more is asked.
        LabelCandidate.objects.update_or_create(
            document=document,
            reason=LabelReason.DOUBTED,
            defaults={
                "score": 1.0,
                "rank": _FIRST,
                "people": _people(document) + 1,
                "done_at": None,
            },
        )
    candidates_settle(document)
    event_append(
        "finance.live",
        "document.labelled",
        {
            "document": str(document.pk),
            "question": label.question,
            "start": label.start,
            "end": label.end,
            "values": list(label.values),
            "withdrawn": label.withdrawn_at is not None,
            "by": label.actor_label,
        },
    )


def _people(document: Document) -> int:
    given = DocumentLabel.objects.filter(document=document, withdrawn_at=None)
    return given.order_by().values("actor_kind", "actor_id").distinct().count()


def _active(document: Document, actor: Actor) -> Any:
    return document.labels.filter(actor_kind=actor.kind, actor_id=actor.id[:64], withdrawn_at=None)


def _mention(document: Document, start: int, end: int) -> Mention:
    found = (
        document.mentions.filter(start=start, end=end)
        .exclude(state=Mention.State.DISMISSED)
        .first()
    )
    if found is None:
        raise LabelRefused(_("The document has no mention at this place."), "start")
    return found


def _checked(question: str, values: Sequence[str]) -> list[str]:
    if question not in Question.values:
        raise LabelRefused(_("“%(name)s” is not asked.") % {"name": question[:40]}, "question")
    if question != Question.TOPIC:
        if len(values) != 1 or values[0] not in Sentiment.values:
            raise LabelRefused(_("Say one of: negative, neutral, positive."), "values")
        return [values[0]]
    chosen = list(dict.fromkeys(values))
    if len(chosen) > MOST_TOPICS:
        raise LabelRefused(_("At most %(most)d topics.") % {"most": MOST_TOPICS}, "values")
    known = {slug for slug, _name in topic_choices()}
    for slug in chosen:
        if slug not in known:
            raise LabelRefused(_("There is no topic “%(topic)s”.") % {"topic": slug[:60]}, "values")
    return chosen


def _said(said: Said, question: str, chosen: Sequence[str]) -> dict[str, Any]:
    """The columns of what the model had said."""
    agrees: bool | None = None
    if said.values or said.version:
        same = set(said.values) == set(chosen) if question == Question.TOPIC else None
        agrees = same if same is not None else list(said.values) == list(chosen)
    version: uuid.UUID | None = said.version_id
    if version is not None and not ModelVersion.objects.filter(pk=version).exists():
        version = None
    return {
        "said": list(said.values),
        "said_probability": said.probability,
        "version": said.version,
        "version_ref_id": version,
        "agrees": agrees,
    }
