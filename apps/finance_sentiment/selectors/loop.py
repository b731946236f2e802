"""How far the loop is: what people said since, what is being learned, what the gate said, what is deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from apps.finance_sentiment.models import (
    Document,
    DocumentLabel,
    LoopCycle,
    LoopHead,
    LoopSettings,
    Question,
    Sentiment,
)
from apps.finance_sentiment.selectors.labels import MODELS
from rootstock.jobs.models import Job
from rootstock.modelhub.models import (
    Dataset,
    DatasetExample,
    DatasetSource,
    Deployment,
    GateReport,
    ModelVersion,
)
from rootstock.modelhub.selectors import deployment_get, gate_report_current, version_list

# Tasks whose models answer a question; the first is that of a new data set.
LESSON_TASKS: Final[dict[Question, tuple[str, ...]]] = {
    Question.SENTIMENT: ("text-classification",),
    Question.TOPIC: ("multi-label-classification", "text-classification"),
    Question.ENTITY: ("span-classification",),
}
LABEL_SOURCES: Final = {question: f"finance.labels.{question}" for question in LESSON_TASKS}
TEXT_SOURCE: Final = "finance.documents"
# The figure by which a version is shown.
_FIGURES: Final = ("macro_f1", "micro_f1", "accuracy")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One question: labels of people, those that no cycle has used, the data set, and what answers.

    `figure` is the newest version's on its test part, `deployed_figure` the deployed one's.
    """

    question: str
    model: str
    labels: int
    new_labels: int
    dataset: Dataset | None
    rows: int
    version: ModelVersion | None
    deployment: Deployment | None
    report: GateReport | None
    figure: float | None
    deployed_figure: float | None

    @property
    def is_newest(self) -> bool:
        """Whether the newest version is the one that answers."""
        deployed = self.deployment.version_id if self.deployment else None
        return self.version is not None and self.version.pk == deployed


@dataclass(frozen=True, slots=True)
class LoopState:
    """The loop as a whole. `step` is what is to be done: "label", "start", "wait", "decide"."""

    settings: LoopSettings
    lessons: list[Lesson]
    cycle: LoopCycle | None
    labels: int
    new_labels: int
    documents: int

    @property
    def running(self) -> bool:
        """Whether a cycle is under way."""
        return self.cycle is not None and not self.cycle.ended

    @property
    def step(self) -> str:
        """What comes next."""
        if self.cycle is not None and self.cycle.state == LoopCycle.State.WAITING:
            return "decide"
        if self.running:
            return "wait"
        return "start" if self.new_labels else "label"


def settings_get() -> LoopSettings:
    """The organisation's settings, or the defaults, not stored."""
    return LoopSettings.objects.first() or LoopSettings()


def loop_get() -> LoopState:
    """How far the loop is."""
    cycle = cycles_find().first()
    lessons = [_lesson(question) for question in LESSON_TASKS]
    return LoopState(
        settings=settings_get(),
        lessons=lessons,
        cycle=cycle,
        labels=sum(each.labels for each in lessons),
        new_labels=labels_new(),
        documents=Document.objects.filter(status=Document.Status.SCORED)[:100_000].count(),
    )


def labels_of(question: str | None = None) -> int:
    """Labels that stand, of one question or of all."""
    labels = DocumentLabel.objects.filter(withdrawn_at=None)
    return (labels if question is None else labels.filter(question=question)).count()


def labels_new(question: str | None = None) -> int:
    """Labels that came or changed after the last cycle that collected them."""
    last = (
        LoopCycle.objects.exclude(state__in=[LoopCycle.State.FAILED, LoopCycle.State.CANCELLED])
        .order_by("-number")
        .values_list("created_at", flat=True)
        .first()
    )
    labels = DocumentLabel.objects.filter(withdrawn_at=None)
    if question is not None:
        labels = labels.filter(question=question)
    return labels.filter(updated_at__gt=last).count() if last else labels.count()


def cycles_find() -> Any:
    """Cycles, the newest first."""
    return LoopCycle.objects.select_related("job", "adapt_run", "encoder").order_by("-number")


def heads_of(cycle: LoopCycle) -> list[LoopHead]:
    """The models of a cycle in the order of the questions."""
    heads = cycle.heads.select_related("snapshot__dataset", "run__job", "version", "report", "job")
    return list(heads.order_by("id"))


def cycle_jobs(cycle: LoopCycle) -> list[Job]:
    """What workers did or do for a cycle, in the order in which it began."""
    jobs = {cycle.job_id: cycle.job}
    if cycle.adapt_run is not None:
        jobs[cycle.adapt_run.job_id] = cycle.adapt_run.job
    heads = heads_of(cycle)
    for head in heads:
        if head.run is not None:
            jobs[head.run.job_id] = head.run.job
    for head in heads:
        jobs[head.job_id] = head.job
    return [job for job in jobs.values() if job is not None]


def lesson_dataset(question: str) -> Dataset | None:
    """Where the labels of a question go: the data set that has some, else the one that the deployed version learned
    from, so that they correct and extend it."""
    tasks = LESSON_TASKS[Question(question)]
    filled = DatasetSource.objects.filter(
        key=LABEL_SOURCES[Question(question)], dataset__task__in=tasks
    )
    found = filled.select_related("dataset").order_by("-pulled_at", "-pk").first()
    if found is not None:
        return found.dataset
    deployment = deployment_get(MODELS[Question(question)])
    if deployment is None or deployment.version.snapshot is None:
        return None
    snapshot = deployment.version.snapshot
    if snapshot.dataset.task not in tasks:
        return None
    if question == Question.TOPIC or set(Sentiment.values) <= set(deployment.version.labels):
        return snapshot.dataset
    return None


def text_dataset() -> Dataset | None:
    """The data set of collected text."""
    filled = DatasetSource.objects.filter(
        key=TEXT_SOURCE, dataset__task="masked-language-model"
    ).select_related("dataset")
    found = filled.order_by("-pulled_at", "-pk").first()
    return found.dataset if found is not None else None


def _lesson(question: Question) -> Lesson:
    model = MODELS[question]
    dataset = lesson_dataset(question)
    version = version_list().filter(name=model).order_by("-number").first()
    deployment = deployment_get(model)
    return Lesson(
        question=question,
        model=model,
        labels=labels_of(question),
        new_labels=labels_new(question),
        dataset=dataset,
        rows=DatasetExample.objects.filter(dataset=dataset, labelled=True).count()
        if dataset
        else 0,
        version=version,
        deployment=deployment,
        report=gate_report_current(version, model) if version is not None else None,
        figure=version_figure(version),
        deployed_figure=version_figure(deployment.version if deployment else None),
    )


def version_figure(version: ModelVersion | None) -> float | None:
    """The headline of a version on the test part, else on the validation part."""
    for part in ("test", "validation"):
        report = (version.metrics.get(part) or {}) if version is not None else {}
        for name in _FIGURES:
            if report.get(name) is not None:
                return float(report[name])
    return None
