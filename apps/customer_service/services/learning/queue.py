"""What people make of clusters of unanswered questions: an answer, nothing, one of two, two of one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import Http404
from django.utils.translation import gettext as _

from apps.customer_service.inference.text import LANGUAGES
from apps.customer_service.models import Answer, UnansweredCluster, UnansweredQuestion
from apps.customer_service.services.answers import MOST_QUESTIONS, answer_save
from apps.customer_service.services.learning.unanswered import (
    clusters_count,
    clusters_hold,
    clusters_tell,
)
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem, invalid

State = UnansweredCluster.State
# Ways to ask that a new answer is given at most; the rest say the same.
_MOST_NEW: Final = 50


def cluster_answer(
    *,
    cluster: UnansweredCluster,
    actor: Actor,
    body: str = "",
    language: str = "",
    title: str = "",
    answer: Answer | None = None,
) -> Answer:
    """Make a prepared answer of a cluster, with its questions as the ways to ask for it; the next release has it.

    With `answer`, or where the cluster has one already, the questions are added to that one, and `body` in `language`
    (default: the cluster's) takes the place of what it says there.

    Raises:
        Problem: 422 names the value that cannot be.
    """
    cluster = _held(cluster)
    language = language or (cluster.language if cluster.language in LANGUAGES else LANGUAGES[-1])
    answer = answer or _answer_of(cluster)
    body = body.strip()
    if answer is None and not body:
        raise invalid("/body", _("Write the answer."))
    asked = _asked(cluster)
    values: dict[str, Any] = {}
    if answer is None:
        values = {"title": title.strip() or cluster.title, "bodies": {language: body}}
        values["questions"] = [text for text in asked if text != values["title"]][:_MOST_NEW]
    else:
        known = {answer.title, *answer.questions}
        new = [text for text in asked if text not in known]
        values["questions"] = [*answer.questions, *new[:_MOST_NEW]][:MOST_QUESTIONS]
        if body:
            values["bodies"] = {**answer.bodies, language: body}
        if title.strip():
            values["title"] = title.strip()
    answer = answer_save(values=values, actor=actor, answer=answer, origin=Answer.Origin.UNANSWERED)
    cluster.answer, cluster.state = answer, State.ANSWERED
    cluster.save(update_fields=["answer", "state", "updated_at"])
    _record(actor, "answer", cluster, {"answer": str(answer.pk), "questions": len(asked)})
    clusters_tell()
    return answer


def cluster_ignore(
    *, cluster: UnansweredCluster, actor: Actor, ignored: bool = True
) -> UnansweredCluster:
    """Ask for no answer to it: what is alike comes here without showing. Or ask for one again."""
    cluster = _held(cluster)
    cluster.state = State.IGNORED if ignored else State.OPEN
    cluster.kept = True
    cluster.save(update_fields=["state", "kept", "updated_at"])
    _record(actor, "ignore" if ignored else "reopen", cluster)
    clusters_tell()
    return cluster


def clusters_merge(
    *, cluster: UnansweredCluster, others: Sequence[uuid.UUID], actor: Actor
) -> UnansweredCluster:
    """Put the questions of the other clusters into this one; the others go.

    Raises:
        Problem: 422, one of them is not there, or is this one.
    """
    clusters_hold()
    rows = {
        row.pk: row
        for row in UnansweredCluster.objects.select_for_update()
        .filter(pk__in=[cluster.pk, *others])
        .order_by("pk")
    }
    wanted = [rows[each] for each in dict.fromkeys(others) if each in rows and each != cluster.pk]
    if cluster.pk not in rows:
        raise Http404("no such cluster")
    if not wanted or len(wanted) != len(set(others)):
        raise invalid("/others", _("Choose other clusters that are still there."))
    cluster = rows[cluster.pk]
    UnansweredQuestion.objects.filter(cluster__in=wanted).update(cluster=cluster)
    cluster.answer = cluster.answer or next((each.answer for each in wanted if each.answer), None)
    # The vectors of more questions: read again with the next ones.
    cluster.kept, cluster.centroid, cluster.model_digest = True, [], ""
    cluster.save()
    UnansweredCluster.objects.filter(pk__in=[each.pk for each in wanted]).delete()
    clusters_count([cluster.pk])
    _record(actor, "merge", cluster, {"others": [each.title for each in wanted]})
    clusters_tell()
    return UnansweredCluster.objects.get(pk=cluster.pk)


def cluster_split(
    *, cluster: UnansweredCluster, questions: Sequence[uuid.UUID], actor: Actor
) -> UnansweredCluster:
    """Put some questions of a cluster into a new one; returns that.

    Raises:
        Problem: 422, they are not all of this cluster, or would leave nothing in it.
    """
    cluster = _held(cluster)
    rows = UnansweredQuestion.objects.filter(cluster=cluster)
    chosen = list(rows.filter(pk__in=questions).order_by("-pk"))
    if not chosen or len(chosen) != len(set(questions)):
        raise invalid("/questions", _("Choose questions of this cluster."))
    if len(chosen) == rows.count():
        raise invalid("/questions", _("Leave at least one question in the cluster."))
    new = UnansweredCluster.objects.create(
        title=chosen[0].text[:300], language=chosen[0].language, kept=True
    )
    UnansweredQuestion.objects.filter(pk__in=[each.pk for each in chosen]).update(cluster=new)
    if cluster.title in {each.text[:300] for each in chosen}:
        left = rows.order_by("-pk").values_list("text", flat=True).first()
        cluster.title = (left or cluster.title)[:300]
    cluster.kept, cluster.centroid, cluster.model_digest = True, [], ""
    cluster.save()
    clusters_count([cluster.pk, new.pk])
    _record(actor, "split", cluster, {"into": new.title, "questions": len(chosen)})
    clusters_tell()
    return UnansweredCluster.objects.get(pk=new.pk)


def _held(cluster: UnansweredCluster) -> UnansweredCluster:
    """The cluster with its row locked, while nothing is gathered.

    Raises:
        Problem: 409, it has been joined with another meanwhile.
    """
    clusters_hold()
    held = UnansweredCluster.objects.select_for_update().filter(pk=cluster.pk).first()
    if held is None:
        raise Problem(409, "gone", _("It has been joined with another one meanwhile."))
    return held


def _answer_of(cluster: UnansweredCluster) -> Answer | None:
    answer = cluster.answer
    return answer if answer is not None and answer.removed_at is None else None


def _asked(cluster: UnansweredCluster) -> list[str]:
    """The different ways in which it was asked, the newest first; personal data in them is masked already."""
    texts = cluster.questions.order_by("-pk").values_list("text", flat=True)[: 4 * _MOST_NEW]
    return list(dict.fromkeys(" ".join(text.split())[:1000] for text in texts))


def _record(
    actor: Actor, verb: str, cluster: UnansweredCluster, changes: Mapping[str, Any] | None = None
) -> None:
    audit_record(
        actor=actor,
        action=f"service.unanswered.{verb}",
        target=cluster.title[:200],
        target_id=str(cluster.pk),
        changes=dict(changes or {}),
    )
