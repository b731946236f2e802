"""Evaluating the draft: questions whose right source is known are asked of it, and held against the run before."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.inference.measuring import interval_of, lost, scores_of
from apps.customer_service.models import Document, EvaluationQuestion, EvaluationRun, Source
from apps.customer_service.selectors.answering import (
    PASSAGES,
    QUESTIONS,
    assistant_get,
    collection_ids,
)
from apps.customer_service.services.answering import Question, answer
from apps.customer_service.services.releases import draft_state, release_newest
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.models import TERMINAL, Job
from rootstock.jobs.runner import JobCancelled, JobContext, JobTakenOver, WorkerStopping
from rootstock.jobs.services import job_create
from rootstock.vectors.hybrid import search
from rootstock.vectors.selectors import collection_get, overview

EVALUATE_JOB = "service.evaluate"
# Points that a figure may fall by and the draft still pass.
ALLOWANCE = 0.02
CANDIDATES = 10
_WAIT_SECONDS = 300.0
_SAVED_EVERY = 10
# What is compared with the run before, and what people call it.
COMPARED = {
    "recall_at_5": gettext_noop("right source among the first five"),
    "mrr_at_10": gettext_noop("mean reciprocal rank"),
    "right": gettext_noop("answered as it should be"),
}


@dataclass(slots=True)
class Row:
    """What became of a question. `rank`: of the first right source, 0 for none; None where none is expected."""

    question: str
    text: str
    rank: int | None
    found: str
    kind: str
    right: bool
    seconds: float


def evaluation_start(*, actor: Actor) -> EvaluationRun:
    """Ask all questions of the draft as it is now, in a job.

    Raises:
        Problem: 409, there are no questions, or they are being asked already.
    """
    if not EvaluationQuestion.objects.exists():
        raise Problem(
            409,
            "no-questions",
            _("Add questions first: what customers ask, and which source answers it."),
        )
    if evaluation_job() is not None:
        raise Problem(409, "evaluating", _("An evaluation is under way."))
    run = EvaluationRun(
        draft=draft_state().fingerprint, actor_label=actor.label[:200], baseline=_baseline()
    )
    run.save(force_insert=True)
    job_create(
        EVALUATE_JOB, title=_("Evaluate the draft"), params={"run": str(run.pk)}, actor=actor
    )
    audit_record(
        actor=actor, action="service.evaluation.start", target=str(run), target_id=str(run.pk)
    )
    return run


def evaluation_job() -> Job | None:
    """The job that asks the questions at the moment."""
    jobs = Job.objects.filter(kind=EVALUATE_JOB).exclude(state__in=TERMINAL)
    return jobs.order_by("-pk").first()


def _baseline() -> EvaluationRun | None:
    """What visitors have now, as it was evaluated; before the first release, the newest run."""
    newest = release_newest()
    if newest is not None and newest.evaluation is not None:
        return newest.evaluation
    return EvaluationRun.objects.filter(state="done").order_by("-pk").first()


def execute_evaluation(context: JobContext) -> dict[str, Any]:
    """Ask the questions of the job's run that have not been asked yet, then judge."""
    run_id = uuid.UUID(context.params["run"])
    try:
        vectors_wait(context)
        rows = _ask_all(context, run_id)
        with context.scope():
            run = EvaluationRun.objects.select_for_update().get(pk=run_id)
            evaluation_finish(run, rows)
    except (JobTakenOver, WorkerStopping):
        raise
    except Exception as error:
        stopped = isinstance(error, JobCancelled)
        with context.scope():
            EvaluationRun.objects.filter(pk=run_id).update(
                state="failed",
                findings=[[gettext_noop("It was cancelled."), {}]]
                if stopped
                else [[str(error), {}]],
            )
        raise
    return {"passed": run.passed, **run.figures}


def evaluation_finish(run: EvaluationRun, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store the figures of a run and whether it passed."""
    run.rows = list(rows)
    run.figures = figures_of(rows)
    run.findings = _worse(run)
    run.passed = not run.findings
    run.state = "done"
    run.save()


def figures_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures and their intervals; those of which there is no question are left out."""
    values = _values(rows)
    figures: dict[str, Any] = {"questions": len(rows), "interval": {}}
    for name, scores in values.items():
        if scores:
            figures[name] = fmean(scores.values())
            figures["interval"][name] = list(interval_of(list(scores.values())))
    figures["seconds"] = fmean(row["seconds"] for row in rows) if rows else 0.0
    return figures


def _values(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Of each figure, its value for each question by id."""
    sourced = [row for row in rows if row["rank"] is not None]
    ranked = scores_of([row["rank"] for row in sourced]) if sourced else {}
    values: dict[str, dict[str, float]] = {
        name.replace("@", "_at_"): {
            row["question"]: score for row, score in zip(sourced, scores, strict=True)
        }
        for name, scores in ranked.items()
    }
    values["right"] = {row["question"]: float(row["right"]) for row in rows}
    refusable = {"refused", "refused-not"}
    values["refused_right"] = {
        row["question"]: float(row["right"]) for row in rows if row["kind"] in refusable
    }
    values["answered"] = {
        row["question"]: float(row["kind"] != "none")
        for row in rows
        if row["kind"] not in refusable
    }
    return values


def _worse(run: EvaluationRun) -> list[list[Any]]:
    """What got worse than in the run before by more than is allowed, on the questions of both."""
    if run.baseline is None:
        return []
    before, now = _values(run.baseline.rows), _values(run.rows)
    findings: list[list[Any]] = []
    for name, label in COMPARED.items():
        shared = sorted(before.get(name, {}).keys() & now.get(name, {}).keys())
        if not shared:
            continue
        fallen, low, high = lost(
            [before[name][key] for key in shared], [now[name][key] for key in shared]
        )
        if fallen > ALLOWANCE + 1e-9:
            findings.append(
                [
                    gettext_noop(
                        "“%(figure)s” fell by %(fallen)s points (%(low)s to %(high)s) on %(count)s questions; "
                        "%(allowance)s are allowed."
                    ),
                    {
                        "figure": label,
                        "fallen": _points(fallen),
                        "low": _points(low),
                        "high": _points(high),
                        "count": len(shared),
                        "allowance": f"{100 * ALLOWANCE:.0f}",
                    },
                ]
            )
    return findings


def vectors_wait(context: JobContext) -> None:
    """Until every text of the draft has its vector: asked before, new knowledge would look worse than it is."""
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        with context.scope():
            rows = [overview(collection_get(each)) for each in collection_ids().values()]
        if not any(row.active is not None and row.waiting for row in rows):
            return
        context.progress(0.0, phase=gettext_noop("wait for vectors"))
        time.sleep(1.0)


def _points(share: float) -> str:
    """A difference in points, without a sign before nothing."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


def _ask_all(context: JobContext, run_id: uuid.UUID) -> list[dict[str, Any]]:
    with context.scope():
        run = EvaluationRun.objects.get(pk=run_id)
        questions = list(EvaluationQuestion.objects.order_by("pk"))
        audiences = sorted(
            {name for row in Source.objects.values_list("audiences", flat=True) for name in row}
        )
    rows: list[dict[str, Any]] = list(run.rows)
    done = {row["question"] for row in rows}
    left = [question for question in questions if str(question.pk) not in done]
    for number, question in enumerate(left, 1):
        context.progress(
            (len(questions) - len(left) + number - 1) / len(questions),
            phase=gettext_noop("ask"),
            message=question.question[:200],
        )
        rows.append(asdict(_ask(context, question, audiences or ["public"])))
        if number % _SAVED_EVERY == 0:
            with context.scope():
                EvaluationRun.objects.filter(pk=run_id).update(rows=rows)
    return rows


def _ask(context: JobContext, question: EvaluationQuestion, audiences: Sequence[str]) -> Row:
    started = time.monotonic()
    rank, found = _rank(context, question)
    said = answer(
        context.organisation_id,
        Question(question.question, language=question.language, audiences=audiences, draft=True),
    )
    kind: str = said.kind if said.helped else "none"
    right = said.helped
    if question.unanswerable:
        kind, right = ("refused-not", False) if said.helped else ("refused", True)
    elif right and question.must_contain:
        right = all(word.casefold() in said.body.casefold() for word in question.must_contain)
    return Row(
        question=str(question.pk),
        text=question.question[:300],
        rank=rank,
        found=found,
        kind=kind,
        right=right,
        seconds=round(time.monotonic() - started, 4),
    )


def _rank(context: JobContext, question: EvaluationQuestion) -> tuple[int | None, str]:
    """Place of the first right source among documents and among prepared answers, and what it is."""
    if question.unanswerable or not (question.document_keys or question.intents):
        return None, ""
    with context.scope():
        collections, assistant = collection_ids(), assistant_get()
    best, found = 0, ""
    for name, wanted in ((PASSAGES, question.document_keys), (QUESTIONS, question.intents)):
        if not wanted or name not in collections:
            continue
        hits = search(
            context.organisation_id,
            collections[name],
            question.question,
            k=3 * CANDIDATES,
            filters={"draft": True},
            weight=assistant.vector_weight,
            reranker=assistant.reranker if name == PASSAGES else "",
            language=question.language,
        ).hits
        with context.scope():
            sources = _sources_of(
                name, [hit.attributes for hit in hits], [hit.reference for hit in hits]
            )
        for place, source in enumerate(dict.fromkeys(sources), 1):
            if source in wanted and place <= CANDIDATES and (best == 0 or place < best):
                best, found = place, source
    return best, found


def _sources_of(
    collection: str, attributes: Sequence[Mapping[str, Any]], references: Sequence[str]
) -> list[str]:
    """What each hit is from: the key of a document, or the intent of an answer."""
    if collection == QUESTIONS:
        return list(references)
    ids = {each["document"] for each in attributes}
    keys: defaultdict[str, str] = defaultdict(str)
    keys.update(
        {str(pk): key for pk, key in Document.objects.filter(pk__in=ids).values_list("pk", "key")}
    )
    return [keys[each["document"]] for each in attributes]
