"""Finding pairs of question and best answer in the dialogues of an organisation, to be reviewed by a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.db.models import F, Prefetch
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.inference.text import normal
from apps.customer_service.models import Answer, Conversation, Message, MinedPair, Suggestion
from apps.customer_service.services.learning.merging import Group, groups_of
from apps.customer_service.services.learning.pairs import Dialogue, Pair, Said, pairs_of
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.models import TERMINAL, Job
from rootstock.jobs.runner import JobContext
from rootstock.jobs.services import job_create

MINE_JOB: Final = "service.mine"
# Of the newest dialogues so many are read: what was said before them is old, and memory is bounded.
MOST_DIALOGUES: Final = 20_000
_CHUNK: Final = 100
_STEP: Final = 200
_MARKS: Final = " ?？!！.。"


def mining_start(*, actor: Actor) -> Job:
    """Look for pairs in a job.

    Raises:
        Problem: 409, there is no dialogue that is over, or they are being read already.
    """
    if mining_job() is not None:
        raise Problem(409, "mining", _("The dialogues are being read already."))
    if not _dialogues().exists():
        raise Problem(
            409, "no-dialogues", _("There is no dialogue yet that is over. Import some first.")
        )
    return job_create(MINE_JOB, title=_("Find answers in dialogues"), params={}, actor=actor)


def mining_job() -> Job | None:
    """The job that reads the dialogues at the moment."""
    return Job.objects.filter(kind=MINE_JOB).exclude(state__in=TERMINAL).order_by("-pk").first()


def execute_mining(context: JobContext) -> dict[str, Any]:
    """Read the dialogues, merge what says the same, and propose what nobody has decided on yet."""
    pairs: list[Pair] = []
    with context.scope():
        newest = list(_dialogues().order_by("-pk").values_list("pk", flat=True)[:MOST_DIALOGUES])
    for start in range(0, len(newest), _CHUNK):
        with context.scope():
            for dialogue in _read(newest[start : start + _CHUNK]):
                pairs += pairs_of(dialogue)
        context.progress(
            fraction=0.7 * (start + _CHUNK) / max(len(newest), _CHUNK),
            phase=gettext_noop("reading"),
            message=f"{min(start + _CHUNK, len(newest)):,} / {len(newest):,}",
        )
    context.progress(fraction=0.7, phase=gettext_noop("merging"), message=f"{len(pairs):,}")
    groups = groups_of(pairs, context.check)
    context.progress(fraction=0.9, phase=gettext_noop("storing"), message=f"{len(groups):,}")
    with context.scope():
        proposed = pairs_propose(groups)
    return {"dialogues": len(newest), "pairs": len(pairs), "proposed": proposed}


def pairs_propose(groups: Sequence[Group]) -> int:
    """Make the proposals what the groups say; returns how many there are to decide on.

    What somebody decided on stays decided, what somebody changed stays as they wrote it, and what no dialogue says any
    more goes. Questions that a prepared answer has already are not proposed.
    """
    known = {
        pair.digest: pair for pair in MinedPair.objects.select_for_update().order_by("score", "pk")
    }
    asked = _questions_known()
    kept = set()
    new = []
    for group in groups:
        if all(_plain(text) in asked for text in (group.question, *group.variants)):
            continue
        before = [known[digest] for digest in group.digests if digest in known]
        if any(pair.state != MinedPair.State.PROPOSED for pair in before):
            continue
        row = next((pair for pair in before if pair.edited), before[-1] if before else None)
        if row is None:
            row = MinedPair(digest=group.best.digest)
            new.append(row)
        _fill(row, group)
        kept.add(row.pk)
    MinedPair.objects.filter(state=MinedPair.State.PROPOSED, edited=False).exclude(
        pk__in=kept
    ).delete()
    MinedPair.objects.bulk_create(new, batch_size=_STEP)
    changed = [pair for pair in known.values() if pair.pk in kept]
    MinedPair.objects.bulk_update(changed, _FILLED, batch_size=_STEP)
    return len(kept)


_FILLED: Final = (
    *("question", "reply", "language", "score", "reasons", "conversation", "intent", "digest"),
    *("support", "variants"),
)


def _fill(row: MinedPair, group: Group) -> None:
    best = group.best
    if not row.edited:
        row.question, row.reply, row.language = group.question, best.reply, best.language
        row.intent = group.intent
        row.digest = best.digest
    row.score, row.support = group.score, group.support
    row.reasons = list(best.reasons)
    row.variants = group.variants
    row.conversation_id = best.dialogue


def _questions_known() -> set[str]:
    """What the prepared answers of the draft are asked by."""
    rows = Answer.objects.filter(removed_at=None).values_list("title", "questions")
    return {_plain(text) for title, questions in rows for text in (title, *questions)}


def _plain(text: str) -> str:
    return normal(text).strip(_MARKS)


def _dialogues() -> Any:
    """Those that are over, and were neither tried out here nor rated badly."""
    return Conversation.objects.filter(status=Conversation.Status.RESOLVED).exclude(
        origin=Conversation.Origin.SIMULATOR
    )


def _read(ids: Iterable[Any]) -> Iterator[Dialogue]:
    messages = (
        Message.objects.filter(state=Message.State.DONE)
        .annotate(outcome=F("suggestion__outcome"))
        .order_by("sequence")
    )
    rows = Conversation.objects.filter(pk__in=list(ids)).select_related("visitor")
    for row in rows.prefetch_related(Prefetch("messages", messages)).order_by("-pk"):
        imported = row.origin == Conversation.Origin.IMPORT
        names = (row.visitor.name, row.visitor.email)
        yield Dialogue(
            id=row.pk,
            messages=[
                Said(
                    author=each.author,
                    text=each.body,
                    thumb=each.thumb,
                    edited=_is_edited(each),
                )
                for each in row.messages.all()
            ],
            language=row.language,
            intent=_intent_given(row.messages.all()),
            resolved=row.resolved_at is not None,
            rating=row.csat,
            imported=imported,
            names=tuple(name for name in names if len(name) > 1),
        )


def _intent_given(messages: Iterable[Message]) -> str:
    """What people said was asked for; what a model says is no more than a guess."""
    given = (each.trace.get("given", {}).get("intent", "") for each in messages)
    return next((str(intent) for intent in given if intent), "")


def _is_edited(message: Any) -> bool:
    given = message.trace.get("given", {})
    return bool(given.get("edited")) or message.outcome == Suggestion.Outcome.EDITED
