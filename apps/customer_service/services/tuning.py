"""Choosing how to search and when to answer directly by the organisation's own evaluation questions.

Half of the questions choose the share of meaning against words and the template threshold; what that changes is
measured on the other half, which chose nothing. Somebody looks at it and takes it into use, or does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.customer_service.inference.retrieval import (
    WEIGHT,
    Judged,
    fused,
    gained,
    judged,
    ranking_figures,
    tune_weight,
)
from apps.customer_service.inference.text import masked
from apps.customer_service.inference.understanding import Target, targets_resolve, understand
from apps.customer_service.models import Assistant, Document, EvaluationQuestion
from apps.customer_service.selectors.answering import (
    PASSAGES,
    QUESTIONS,
    assistant_get,
    collection_ids,
)
from apps.customer_service.services.answering.matching import (
    Neighbour,
    Weights,
    match,
    same_words,
)
from apps.customer_service.services.answering.thresholds import Match, direct, tune_threshold
from apps.customer_service.services.assistants import assistant_update
from apps.customer_service.services.evaluation import vectors_wait
from rootstock.common.actors import Actor
from rootstock.common.problems import Problem
from rootstock.jobs.models import Job
from rootstock.jobs.runner import JobContext
from rootstock.jobs.services import job_create
from rootstock.vectors.hybrid import HybridAnswer, HybridHit, search

TUNE_JOB = "service.tune"
# Questions with a known source that are needed: with fewer, what one half chooses is chance.
LEAST_QUESTIONS = 20
# As many of each way as a search takes for candidates, and enough to hold both.
CANDIDATES = 50
_MOST_HITS = 200


@dataclass(frozen=True)
class Pool:
    """What a search in one collection found for a question, and which of it answers. `by_meaning`: whether a model
    compared meanings as well as words."""

    hits: list[HybridHit]
    right: list[bool]
    bound: float
    by_meaning: bool

    def judged(self) -> Judged:
        """For the choice of a weight."""
        cosines = [hit.cosine for hit in self.hits]
        bm25s = [hit.bm25 for hit in self.hits]
        return judged(
            cosines, bm25s, bound=self.bound, right=self.right, by_meaning=self.by_meaning
        )

    def neighbours(self, weight: float) -> list[Neighbour]:
        """The hits in the order of a weight, the best first, as prepared answers."""
        cosines = [hit.cosine or 0.0 for hit in self.hits]
        bm25s = [hit.bm25 for hit in self.hits]
        scores = fused(cosines, bm25s, weight if self.by_meaning else 0.0, bound=self.bound)
        order = sorted(range(len(scores)), key=lambda at: -scores[at])
        return [
            Neighbour(
                answer=str(self.hits[at].attributes.get("answer", "")),
                intent=self.hits[at].reference,
                text=self.hits[at].text,
                score=scores[at],
                cosine=self.hits[at].cosine,
            )
            for at in order
        ]


@dataclass
class Asked:
    """A question with what was found: `pools` by collection, `intent` as the intent model has it."""

    question: EvaluationQuestion
    pools: dict[str, Pool] = field(default_factory=dict)
    intent: str = ""
    probability: float = 0.0

    def judgements(self) -> list[Judged]:
        """Of each collection that should have the answer."""
        return [self.pools[name].judged() for name in _wanted(self.question) if name in self.pools]

    def rank(self, weight: float) -> int:
        """The best place, from 1, of a right source in its collection; 0 for none."""
        ranks = [each.rank(weight) for each in self.judgements()]
        return min((rank for rank in ranks if rank), default=0)

    def match(self, weight: float, weights: Weights) -> Match | None:
        """The prepared answer that matches best; None where the question says nothing of prepared answers, or is
        word for word one of theirs."""
        if QUESTIONS not in self.pools or not (self.question.intents or self.question.unanswerable):
            return None
        found = self.pools[QUESTIONS].neighbours(weight)
        if not found or same_words(self.question.question, found[0].text):
            return None
        sure = match(
            self.question.question,
            found,
            intent=self.intent,
            probability=self.probability,
            weights=weights,
        )
        return Match(sure, found[0].intent in self.question.intents)


def tuning_start(*, actor: Actor) -> Job:
    """Try what the questions choose, in a job.

    Raises:
        Problem: 409, there are too few questions, or it is being tried already.
    """
    if tunable_count() < LEAST_QUESTIONS:
        raise Problem(
            409,
            "too-few-questions",
            _("At least %(least)s evaluation questions with a known source are needed.")
            % {"least": LEAST_QUESTIONS},
        )
    if (running := tuning_job()) is not None and not running.finished:
        raise Problem(409, "tuning", _("It is being tuned already."))
    return job_create(TUNE_JOB, title=_("Tune the assistant"), params={}, actor=actor)


def tuning_job(*, ended: bool = False) -> Job | None:
    """The newest tuning, or with `ended` the newest that has a report."""
    jobs = Job.objects.filter(kind=TUNE_JOB)
    if ended:
        jobs = jobs.filter(state=Job.State.SUCCEEDED)
    return jobs.order_by("-pk").first()


def tunable_count() -> int:
    """How many questions have a known source."""
    return sum(bool(_wanted(question)) for question in EvaluationQuestion.objects.all())


def tuning_use(*, job: Job, actor: Actor) -> Assistant:
    """Search and answer by what a job has chosen, everywhere in the organisation. Channels with settings of their own
    keep their threshold.

    Raises:
        Problem: 409, the job has no report.
    """
    if job.kind != TUNE_JOB or job.state != Job.State.SUCCEEDED:
        raise Problem(409, "no-report", _("This tuning has not come to an end."))
    report: dict[str, Any] = job.result or {}
    assistant_update(
        values={
            "vector_weight": report["weight"]["after"],
            "template_threshold": report["threshold"]["after"],
        },
        actor=actor,
    )
    assistant = assistant_get()
    kept = {"match": assistant.retrieval_report["match"]} if "match" in assistant.retrieval_report else {}  # fmt: skip
    assistant.retrieval_report = {
        **kept,
        **report,
        "job": str(job.pk),
        "used_at": timezone.now().isoformat(),
    }
    assistant.save(update_fields=["retrieval_report", "updated_at"])
    return assistant


def execute_tuning(context: JobContext) -> dict[str, Any]:
    """Ask all questions, choose by one half, measure on the other; the result is the report."""
    vectors_wait(context)
    with context.scope():
        questions = list(EvaluationQuestion.objects.order_by("pk"))
        collections, assistant, targets = collection_ids(), assistant_get(), targets_resolve()
    asked = []
    for number, question in enumerate(questions):
        context.progress(
            number / max(1, len(questions)),
            phase=gettext_noop("ask"),
            message=question.question[:200],
        )
        asked.append(_ask(context, question, collections, targets))
    context.progress(1.0, phase=gettext_noop("choose"))
    return report_of(asked, assistant)


def report_of(asked: Sequence[Asked], assistant: Assistant) -> dict[str, Any]:
    """What one half chooses and the other half says of it.

    {"questions": [that chose, that measured], "weight": {"before", "after"}, "threshold": {"before", "after"},
    "ranking": {"before": {"recall@1", "recall@5", "mrr@10", "mean"}, "after": …, "gain": [difference, low, high]},
    "direct": {"questions", "before": [answered, right], "after": [answered, right]}}
    """
    choosing = [each for each in asked if _half(each.question) == 0]
    measuring = [each for each in asked if _half(each.question) == 1]
    known = [each for each in measuring if each.judgements()]
    judgements = [judgement for each in choosing for judgement in each.judgements()]
    if not judgements or not known:
        raise ValueError(_("No question found anything to choose by."))
    weights = Weights.from_json(assistant.retrieval_report.get("match", {}))
    old = WEIGHT if assistant.vector_weight is None else assistant.vector_weight
    new = tune_weight(judgements)
    threshold = tune_threshold(_matches(choosing, new, weights), assistant.template_threshold)
    before, after = [each.rank(old) for each in known], [each.rank(new) for each in known]
    matches = {"before": _matches(measuring, old, weights), "after": _matches(measuring, new, weights)}  # fmt: skip
    thresholds = {"before": assistant.template_threshold, "after": threshold}
    return {
        "questions": [len(choosing), len(known)],
        "weight": {"before": old, "after": new},
        "threshold": thresholds,
        "ranking": {
            "before": ranking_figures(before),
            "after": ranking_figures(after),
            "gain": list(gained(before, after)),
        },
        "direct": {
            "questions": len(matches["after"]),
            **{name: list(direct(matches[name], thresholds[name])) for name in matches},
        },
    }


def _matches(asked: Sequence[Asked], weight: float, weights: Weights) -> list[Match]:
    found = [each.match(weight, weights) for each in asked]
    return [each for each in found if each is not None]


def _ask(
    context: JobContext,
    question: EvaluationQuestion,
    collections: Mapping[str, Any],
    targets: dict[str, Target],
) -> Asked:
    asked = Asked(question)
    text, _counts = masked(question.question)
    wanted = _wanted(question)
    for name in collections:
        if name not in wanted and not (name == QUESTIONS and question.unanswerable):
            continue
        found = search(
            context.organisation_id,
            collections[name],
            text,
            k=_MOST_HITS,
            filters={"draft": True},
            weight=0.5,
            language=question.language,
        )
        with context.scope():
            asked.pools[name] = _pool(name, found, wanted.get(name, []))
    if QUESTIONS in asked.pools:
        said = understand(targets, text, question.language or "en")
        asked.intent, asked.probability = said.intent, said.probability
    return asked


def _pool(name: str, found: HybridAnswer, wanted: Sequence[str]) -> Pool:
    """The candidates that a search by either way would have."""
    hits = [
        hit
        for hit in found.hits
        if min(hit.rank_vector or _MOST_HITS, hit.rank_words or _MOST_HITS) <= CANDIDATES
    ]
    if name == QUESTIONS:
        sources = [hit.reference for hit in hits]
    else:
        ids = {hit.attributes.get("document") for hit in hits}
        rows = Document.objects.filter(pk__in=[each for each in ids if each]).values_list(
            "pk", "key"
        )
        keys = {str(pk): key for pk, key in rows}
        sources = [keys.get(str(hit.attributes.get("document")), "") for hit in hits]
    right = [source in wanted for source in sources]
    return Pool(hits, right, found.bound, not found.words_only)


def _wanted(question: EvaluationQuestion) -> dict[str, list[str]]:
    """Which sources of which collection answer it."""
    if question.unanswerable:
        return {}
    wanted = {PASSAGES: question.document_keys, QUESTIONS: question.intents}
    return {name: sources for name, sources in wanted.items() if sources}


def _half(question: EvaluationQuestion) -> int:
    """0 chooses, 1 measures; the same for a question each time."""
    return hashlib.sha256(question.pk.bytes).digest()[0] % 2
