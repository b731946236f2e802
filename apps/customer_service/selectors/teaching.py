"""How far each model of the customer service is: what waits to be learned, what is trained, what answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Count, Q

from rootstock.jobs.models import Job
from rootstock.modelhub.models import (
    AnnotationQueue,
    Dataset,
    DatasetExample,
    DatasetSource,
    Deployment,
    DeploymentChange,
    GateReport,
    ModelVersion,
    TrainingRun,
)
from rootstock.modelhub.selectors import (
    deployment_get,
    gate_job,
    gate_report_current,
    run_list,
    version_list,
)
from rootstock.modelhub.sources import RowSource

if TYPE_CHECKING:
    from apps.customer_service.services.learning.recipes import Recipe

# So many waiting rows of a source are counted; more is "more".
MOST_COUNTED: Final = 500
TASK: Final = "text-classification"


@dataclass(frozen=True)
class Waiting:
    """Rows of a source that the data set does not have yet, at most MOST_COUNTED, and how many it has had."""

    source: RowSource
    count: int
    added: int

    @property
    def name(self) -> str:
        """What the source is called here, without whose it is."""
        return re.split(r": ?|：", str(self.source.label), maxsplit=1)[-1].capitalize()


@dataclass(frozen=True)
class Lesson:
    """How far one model is. `step` is what to do next: one of the steps, "training", "checking", "refused" when the
    gate says no, or "" when nothing is to be done. `new_labels`: labelled rows that no run has seen.
    `taken_back`: the newest version was deployed and somebody went back to the one before."""

    recipe: Recipe
    dataset: Dataset | None
    sources: list[Waiting]
    labelled: int
    unlabelled: int
    labels: int
    new_labels: int
    queue: AnnotationQueue | None
    run: TrainingRun | None
    version: ModelVersion | None
    report: GateReport | None
    checking: Job | None
    deployment: Deployment | None
    taken_back: bool

    @property
    def waiting(self) -> int:
        """Rows of all sources that wait to be collected."""
        return sum(each.count for each in self.sources)

    @property
    def is_newest(self) -> bool:
        """Whether the newest version is the one that answers."""
        deployed = self.deployment.version_id if self.deployment else None
        return self.version is not None and self.version.pk == deployed

    @property
    def figure(self) -> float | None:
        """Macro F1 of the newest version on the test part, else on the validation part."""
        metrics = self.version.metrics if self.version else {}
        for part in ("test", "validation"):
            value = (metrics.get(part) or {}).get("macro_f1")
            if value is not None:
                return float(value)
        return None

    @property
    def can_collect(self) -> bool:
        """Whether there is something to take over, or no data set yet."""
        return self.dataset is None or self.waiting > 0

    @property
    def can_train(self) -> bool:
        """Whether there is something to learn and nothing is learning."""
        return self.labels > 1 and (self.run is None or self.run.ended)

    @property
    def can_check(self) -> bool:
        """Whether the newest version can be held against the deployed one."""
        return self.version is not None and not self.is_newest and self.checking is None

    @property
    def can_deploy(self) -> bool:
        """Whether the newest version may answer."""
        return self.can_check and self.report is not None and self.report.passed

    @property
    def step(self) -> str:
        """What to do next."""
        if self.run is not None and not self.run.ended:
            return "training"
        return self._of_version or self._of_rows

    @property
    def _of_version(self) -> str:
        """What is to be done about a version that does not answer yet."""
        if self.version is None or self.is_newest or self.taken_back:
            return ""
        if self.checking is not None:
            return "checking"
        if self.report is None:
            return "check"
        return "deploy" if self.report.passed else "refused"

    @property
    def _of_rows(self) -> str:
        """What is to be done about rows that no version has learned from."""
        if self.dataset is None or self.waiting:
            return "collect"
        if self.new_labels and self.labels > 1:
            return "train"
        return "label" if self.unlabelled else ""


def lesson_get(recipe: Recipe) -> Lesson:
    """How far the model of a recipe is."""
    dataset, run, version = lesson_dataset(recipe), lesson_run(recipe), lesson_version(recipe)
    counts = {"all": 0, "with_label": 0, "labels": 0}
    if dataset is not None:
        has_label = Q(labelled=True)
        counts = DatasetExample.objects.filter(dataset=dataset).aggregate(
            all=Count("pk"),
            with_label=Count("pk", filter=has_label),
            labels=Count("label", filter=has_label, distinct=True),
        )
    labelled = counts["with_label"]
    seen = run.snapshot.example_count if run is not None and dataset == run.snapshot.dataset else 0
    return Lesson(
        recipe=recipe,
        dataset=dataset,
        sources=[_waiting(source, dataset) for source in recipe.sources],
        labelled=labelled,
        unlabelled=counts["all"] - labelled,
        labels=counts["labels"],
        new_labels=max(0, labelled - seen),
        queue=lesson_queue(dataset) if dataset is not None else None,
        run=run,
        version=version,
        report=gate_report_current(version, recipe.model) if version is not None else None,
        checking=gate_job(version, recipe.model) if version is not None else None,
        deployment=deployment_get(recipe.model),
        taken_back=version is not None and _taken_back(recipe, version),
    )


def lesson_dataset(recipe: Recipe) -> Dataset | None:
    """The data set that is filled from the recipe's first source; of several the one that was filled last."""
    filled = DatasetSource.objects.filter(key=recipe.sources[0].key, dataset__task=TASK)
    found = filled.select_related("dataset").order_by("-pulled_at", "-pk").first()
    return found.dataset if found is not None else None


def lesson_queue(dataset: Dataset) -> AnnotationQueue | None:
    """The open queue of a data set in which people are asked."""
    return AnnotationQueue.objects.filter(dataset=dataset, closed_at=None).order_by("pk").first()


def lesson_run(recipe: Recipe) -> TrainingRun | None:
    """The newest run."""
    return run_list(name=recipe.model).first()


def lesson_version(recipe: Recipe) -> ModelVersion | None:
    """The newest version."""
    return version_list().filter(name=recipe.model).order_by("-number").first()


def lesson_json(lesson: Lesson) -> dict[str, Any]:
    """For REST."""
    return {
        "model": lesson.recipe.model,
        "step": lesson.step,
        "dataset": lesson.dataset.pk if lesson.dataset else None,
        "sources": [
            {"key": each.source.key, "waiting": each.count, "added": each.added}
            for each in lesson.sources
        ],
        "waiting": lesson.waiting,
        "labelled": lesson.labelled,
        "unlabelled": lesson.unlabelled,
        "labels": lesson.labels,
        "new_labels": lesson.new_labels,
        "queue": lesson.queue.pk if lesson.queue else None,
        "run": lesson.run.pk if lesson.run else None,
        "run_state": lesson.run.current_state if lesson.run else "",
        "version": lesson.version.pk if lesson.version else None,
        "version_label": lesson.version.label if lesson.version else "",
        "macro_f1": lesson.figure,
        "gate_passed": lesson.report.passed if lesson.report else None,
        "deployed": lesson.deployment.version.label if lesson.deployment else "",
    }


def _taken_back(recipe: Recipe, version: ModelVersion) -> bool:
    return DeploymentChange.objects.filter(
        deployment__name=recipe.model,
        kind=DeploymentChange.Kind.ROLLED_BACK,
        from_version=version,
    ).exists()


def _waiting(source: RowSource, dataset: Dataset | None) -> Waiting:
    state = (
        DatasetSource.objects.filter(dataset=dataset, key=source.key).first() if dataset else None
    )
    rows = source.rows(TASK, state.cursor if state else "")
    count = sum(1 for _row in islice(rows, MOST_COUNTED))
    return Waiting(source, count, state.added if state else 0)
