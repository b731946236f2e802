"""Releases: the draft becomes what visitors are answered from, and may go back to what it was. Append-only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.core.files.storage import default_storage
from django.db import connection
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.customer_service.models import (
    Answer,
    Document,
    EvaluationQuestion,
    EvaluationRun,
    Passage,
    Release,
)
from apps.customer_service.services.answers import asked, draft_answers, questions_write_many
from apps.customer_service.services.passage_items import (
    collections_get,
    documents_flag,
    draft_documents,
    passage_keys,
)
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.tenancy.scope import current_organisation_id
from rootstock.vectors.services import items_delete
from rootstock.webhooks.services import webhook_emit

PUBLISHED = "service.release.published"
# Versions that are in none of the newest releases are deleted after so long.
KEPT_RELEASES = 10
KEPT_DAYS = 30
_STEP = 500


@dataclass(frozen=True)
class State:
    """What can be said: ids of documents; of answers {"title", "bodies", "questions"} by id."""

    documents: list[str] = field(default_factory=list)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """The same for the same state, SHA-256."""
        told = json.dumps([sorted(self.documents), self.answers], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(told.encode()).hexdigest()


def draft_state() -> State:
    """What a release now would have."""
    answers = {str(answer.pk): _as_drafted(answer) for answer in draft_answers()}
    return State(sorted(str(document.pk) for document in draft_documents()), answers)


def live_state() -> State:
    """What visitors are answered from."""
    newest = release_newest()
    return State(newest.documents, newest.answers) if newest is not None else State()


def release_newest() -> Release | None:
    """The release in force."""
    return Release.objects.order_by("-number").first()


def release_changes(before: State, after: State) -> dict[str, list[list[str]]]:
    """{"documents": [added, removed], "answers": [added, changed, removed]}, ids."""
    old, new = before.answers, after.answers
    return {
        "documents": [
            sorted(set(after.documents) - set(before.documents)),
            sorted(set(before.documents) - set(after.documents)),
        ],
        "answers": [
            sorted(new.keys() - old.keys()),
            sorted(key for key in new.keys() & old.keys() if new[key] != old[key]),
            sorted(old.keys() - new.keys()),
        ],
    }


def has_changes(changes: dict[str, list[list[str]]]) -> bool:
    """Whether anything is different."""
    return any(ids for kinds in changes.values() for ids in kinds)


def release_publish(
    *,
    actor: Actor,
    evaluation: EvaluationRun | None = None,
    forced: bool = False,
    comment: str = "",
) -> Release:
    """Answer visitors from the draft from now on, all of it at once.

    Where there are questions to evaluate by, the draft must have passed an evaluation: `evaluation`, else the newest of
    this very draft. `forced` publishes all the same, and says so in the release and the audit log.

    Raises:
        Problem: 409, nothing has changed, the draft has not been evaluated, or it got worse.
    """
    _hold()
    before, after = live_state(), draft_state()
    changes = release_changes(before, after)
    if not has_changes(changes):
        raise Problem(409, "nothing-to-publish", _("Visitors are answered from just this already."))
    run = evaluation or evaluation_of(after)
    if not forced:
        _check_evaluation(run, after)
    return _release(
        actor,
        before,
        after,
        evaluation=run if run is not None and run.draft == after.fingerprint else None,
        forced=forced,
        comment=comment,
    )


def release_roll_back(*, number: int, actor: Actor, comment: str = "") -> Release:
    """Answer visitors from what an earlier release had. The draft stays as it is.

    What has been removed since, or whose versions are no longer kept, does not come back.

    Raises:
        Http404: there is no such release. Problem: 409, it is what visitors are answered from.
    """
    _hold()
    earlier = Release.objects.filter(number=number).first()
    if earlier is None:
        raise Http404("no such release")
    there = Document.objects.filter(
        pk__in=earlier.documents, state=Document.State.READY, source__removed_at=None
    )
    known = {str(pk) for pk in Answer.objects.values_list("pk", flat=True)}
    after = State(
        sorted(str(pk) for pk in there.values_list("pk", flat=True)),
        {key: value for key, value in earlier.answers.items() if key in known},
    )
    before = live_state()
    if not has_changes(release_changes(before, after)):
        raise Problem(409, "nothing-to-publish", _("Visitors are answered from just this already."))
    comment = comment or _("Back to release %(number)s") % {"number": number}
    return _release(
        actor, before, after, evaluation=earlier.evaluation, forced=False, comment=comment
    )


def evaluation_of(state: State) -> EvaluationRun | None:
    """The newest finished evaluation of just this state."""
    runs = EvaluationRun.objects.filter(state="done", draft=state.fingerprint)
    return runs.order_by("-pk").first()


def _check_evaluation(run: EvaluationRun | None, after: State) -> None:
    if not EvaluationQuestion.objects.exists():
        return
    if run is None or run.state != "done" or run.draft != after.fingerprint:
        raise Problem(
            409,
            "not-evaluated",
            _(
                "The draft has changed since it was last evaluated. Evaluate it first, or force the release."
            ),
        )
    if run.passed is False:
        raise Problem(
            409,
            "got-worse",
            _(
                "The evaluation says that the draft is worse than what visitors have. Mend it, or force the release."
            ),
            errors=[{"pointer": "/evaluation", "detail": remark} for remark in run.remarks],
        )


def _release(
    actor: Actor,
    before: State,
    after: State,
    *,
    evaluation: EvaluationRun | None,
    forced: bool,
    comment: str,
) -> Release:
    changes = release_changes(before, after)
    newest = release_newest()
    release = Release(
        number=newest.number + 1 if newest is not None else 1,
        documents=after.documents,
        answers=after.answers,
        evaluation=evaluation,
        forced=forced,
        comment=comment[:2000],
        actor_label=actor.label[:200],
        changes=changes,
    )
    release.save(force_insert=True)
    _documents_apply(changes["documents"])
    _answers_apply(after, changes["answers"])
    counts = {name: [len(ids) for ids in kinds] for name, kinds in changes.items()}
    audit_record(
        actor=actor,
        action="service.release.publish",
        target=f"{_('Release')} {release.number}",
        target_id=str(release.pk),
        changes={**counts, "forced": forced, "comment": release.comment},
    )
    webhook_emit(PUBLISHED, {"number": release.number, "forced": forced, "changes": counts})
    return release


def _documents_apply(changed: list[list[str]]) -> None:
    added, removed = changed
    # What has expired is not brought back by a release; it is when its source says so.
    usable = Document.objects.filter(pk__in=added, source__expired=False, source__removed_at=None)
    documents_flag([str(pk) for pk in usable.values_list("pk", flat=True)], live=True)
    documents_flag(removed, live=False)


def _answers_apply(after: State, changed: list[list[str]]) -> None:
    added, other, removed = changed
    rows = []
    for answer in (
        Answer.objects.select_for_update().filter(pk__in=[*added, *other, *removed]).order_by("pk")
    ):
        told = after.answers.get(str(answer.pk))
        answer.live = told is not None
        answer.live_bodies = told["bodies"] if told else {}
        answer.live_questions = told["questions"] if told else []
        rows.append((answer, asked(told["title"], told["questions"]) if told else []))
    Answer.objects.bulk_update(
        [answer for answer, _questions in rows],
        ["live", "live_bodies", "live_questions"],
        batch_size=_STEP,
    )
    for start in range(0, len(rows), _STEP):
        questions_write_many(rows[start : start + _STEP], live=True)


def _as_drafted(answer: Answer) -> dict[str, Any]:
    return {"title": answer.title, "bodies": answer.bodies, "questions": answer.questions}


def _hold() -> None:
    """One release at a time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtext('service-release'), hashtext(%s))",
            [str(current_organisation_id())],
        )


def versions_tidy(*, most: int = 100) -> int:
    """Delete versions that nobody can go back to any more, with their files; returns how many."""
    kept: set[str] = {str(document.pk) for document in draft_documents()}
    for documents in Release.objects.order_by("-number").values_list("documents", flat=True)[
        :KEPT_RELEASES
    ]:
        kept.update(documents)
    old = Document.objects.filter(
        state=Document.State.READY, read_at__lt=timezone.now() - timedelta(days=KEPT_DAYS)
    ).exclude(pk__in=kept)
    unused = list(old.order_by("pk")[:most])
    if unused:
        items_delete(collection=collections_get().passages, keys=passage_keys(_ids(unused)))
    for document in unused:
        Passage.objects.filter(document=document).delete()
        document.delete()
        if document.path:
            default_storage.delete(document.path)
    return len(unused)


def _ids(documents: Iterable[Document]) -> list[str]:
    return [str(document.pk) for document in documents]
