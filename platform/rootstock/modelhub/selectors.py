"""Everything that reads in the model hub. Row-level security decides whose rows these are."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone

from rootstock.jobs.models import TERMINAL, Job
from rootstock.modelhub import gate
from rootstock.modelhub.models import (
    Dataset,
    DatasetExample,
    Deployment,
    DeploymentChange,
    Evaluation,
    GatePolicy,
    GateReport,
    ModelVersion,
    Prediction,
    Snapshot,
    TrainingPoint,
    TrainingRun,
)


def dataset_list() -> QuerySet[Dataset]:
    """All data sets, newest first."""
    return Dataset.objects.order_by("-id")


def label_distribution(dataset: Dataset) -> dict[str, int]:
    """How many examples have each label, most frequent first; "" counts those without one."""
    rows = (
        DatasetExample.objects.filter(dataset=dataset)
        .values_list("label")
        .annotate(count=Count("id"))
        .order_by("-count", "label")
    )
    return dict(rows)


def example_counts(datasets: list[Dataset]) -> dict[uuid.UUID, dict[str, int]]:
    """For each data set: {"total", "labelled", "labels"} (how many examples, with a label, different labels)."""
    rows = (
        DatasetExample.objects.filter(dataset__in=datasets)
        .order_by()
        .values("dataset_id")
        .annotate(
            total=Count("id"),
            labelled=Count("id", filter=~Q(label="")),
            labels=Count("label", distinct=True, filter=~Q(label="")),
        )
    )
    return {
        row["dataset_id"]: {name: row[name] for name in ("total", "labelled", "labels")}
        for row in rows
    }


def example_list(
    dataset: Dataset, *, search: str = "", label: str | None = None
) -> QuerySet[DatasetExample]:
    """Examples of a data set whose text contains `search` and whose label is `label` ("" for none), newest first."""
    examples = DatasetExample.objects.filter(dataset=dataset)
    if search:
        examples = examples.filter(text__icontains=search)
    if label is not None:
        examples = examples.filter(label=label)
    return examples.order_by("-id")


def snapshot_list(dataset: Dataset | None = None) -> QuerySet[Snapshot]:
    """Snapshots, newest first."""
    snapshots = Snapshot.objects.select_related("dataset").order_by("-id")
    return snapshots.filter(dataset=dataset) if dataset is not None else snapshots


def run_list(
    *, name: str | None = None, state: str | None = None, together: uuid.UUID | None = None
) -> QuerySet[TrainingRun]:
    """Training runs, newest first, without their logs."""
    runs = (
        TrainingRun.objects.select_related("snapshot__dataset", "version", "job", "parent")
        .defer("log", "version__card", "version__metrics", "parent__card", "parent__metrics")
        .order_by("-id")
    )
    if name is not None:
        runs = runs.filter(name=name)
    if together is not None:
        runs = runs.filter(together=together)
    if state is not None:
        # A job that ended without a worker has left its run as it was: see `TrainingRun.current_state`.
        own = Q(state__in=TrainingRun.ENDED) | Q(job__isnull=True) | ~Q(job__state__in=TERMINAL)
        runs = runs.filter(Q(own, state=state) | Q(~own, job__state=state))
    return runs


def best_figures(runs: list[TrainingRun]) -> dict[uuid.UUID, float]:
    """The best main figure on the validation part that each run has reached so far; of a search, of its trials."""
    best: dict[uuid.UUID, float] = {
        run.pk: max(scores)
        for run in runs
        if (scores := [trial["score"] for trial in run.trials if trial["score"] is not None])
    }
    # Runs from before the figure was noted have all been classifiers.
    headlines = {run.pk: run.headline or "macro_f1" for run in runs if not run.is_search}
    points = TrainingPoint.objects.filter(run__in=headlines, metrics__isnull=False)
    for run_id, metrics in points.values_list("run_id", "metrics"):
        value = (metrics or {}).get(headlines[run_id])
        if value is not None:
            best[run_id] = max(value, best.get(run_id, value))
    return best


def run_curve(run: TrainingRun) -> list[dict[str, Any]]:
    """The points of a run's curve, in order."""
    points = run.points.order_by("step", "id").values("step", "epoch", "loss", "metrics")
    return [dict(point) for point in points]


def version_list() -> QuerySet[ModelVersion]:
    """Model versions, newest first, without their cards."""
    return (
        ModelVersion.objects.select_related("snapshot__dataset", "run", "parent")
        .defer("card", "run__log", "parent__card", "parent__metrics")
        .order_by("-id")
    )


def version_ancestors(version: ModelVersion) -> list[ModelVersion]:
    """The versions that it was trained from, its parent first, with their snapshots."""
    found: list[ModelVersion] = []
    parent_id = version.parent_id
    while parent_id is not None and all(each.pk != parent_id for each in found):
        parent = (
            ModelVersion.objects.select_related("snapshot__dataset", "run")
            .defer("card", "run__log")
            .get(pk=parent_id)
        )
        found.append(parent)
        parent_id = parent.parent_id
    return found


def evaluation_list(version: ModelVersion) -> QuerySet[Evaluation]:
    """What was measured of a version after its training, newest first."""
    return (
        Evaluation.objects.filter(version=version)
        .select_related("snapshot__dataset")
        .order_by("-id")
    )


def gate_policy_get(deployment: str) -> GatePolicy | None:
    """The stored policy of a deployment, or None when it has the defaults."""
    return GatePolicy.objects.filter(deployment=deployment).first()


def gate_report_list(version: ModelVersion, deployment: str | None = None) -> QuerySet[GateReport]:
    """What the gate found of a version, newest first."""
    reports = GateReport.objects.filter(version=version).select_related("current").order_by("-id")
    return reports if deployment is None else reports.filter(deployment=deployment)


def gate_report_current(version: ModelVersion, deployment: str) -> GateReport | None:
    """The newest report of a version for a deployment, if it still holds.

    It does while the same version is deployed and the policy in force is the one it was made by.
    """
    report = gate_report_list(version, deployment).first()
    if report is None:
        return None
    deployed = Deployment.objects.filter(name=deployment).values_list("version_id", flat=True)
    stored = gate_policy_get(deployment)
    policy = gate.effective_policy(stored.checks if stored else None)
    if report.current_id != deployed.first() or report.policy != policy:
        return None
    return report


def gate_job(version: ModelVersion, deployment: str | None = None) -> Job | None:
    """The job that makes the checks of a version (for a deployment) at this moment."""
    jobs = Job.objects.filter(kind="modelhub.gate", params__version=str(version.pk))
    if deployment is not None:
        jobs = jobs.filter(params__deployment=deployment)
    return jobs.exclude(state__in=TERMINAL).order_by("-id").first()


def deployment_list() -> QuerySet[Deployment]:
    """Deployments by name, with their current version."""
    return (
        Deployment.objects.select_related("version", "shadow", "canary")
        .defer("version__card", "shadow__card", "canary__card")
        .order_by("name")
    )


def deployment_get(name: str) -> Deployment | None:
    """The deployment of this name with its current version, or None when nothing is deployed under it."""
    # An address may hold any character; PostgreSQL takes no NUL, and no name has one.
    return None if "\0" in name else deployment_list().filter(name=name).first()


def deployment_history(deployment: Deployment) -> QuerySet[DeploymentChange]:
    """What happened to a deployment, newest first."""
    return (
        DeploymentChange.objects.filter(deployment=deployment)
        .select_related("from_version", "to_version")
        .defer("from_version__card", "to_version__card")
        .order_by("-created_at", "-id")
    )


def model_names() -> list[str]:
    """Names of version series and deployments, sorted: what a new run may be called."""
    names = set(ModelVersion.objects.values_list("name", flat=True).distinct())
    return sorted(names | set(Deployment.objects.values_list("name", flat=True)))


def serving_names() -> dict[uuid.UUID, list[str]]:
    """Names of the deployments that each deployed version answers for."""
    names: dict[uuid.UUID, list[str]] = {}
    for version_id, name in Deployment.objects.order_by("name").values_list("version_id", "name"):
        names.setdefault(version_id, []).append(name)
    return names


@dataclass(frozen=True)
class Activity:
    """What a deployment has answered in the last hour."""

    predictions: int
    latency_ms: float | None
    labels: dict[str, int]


def deployment_activity(deployment: Deployment) -> Activity:
    """Predictions of the last hour: how many, how fast (mean), which labels."""
    since = timezone.now() - timedelta(hours=1)
    # Ids are in the order of time, and the index on them is the one that is there.
    first = uuid.UUID(int=int(since.timestamp() * 1000) << 80)
    rows = (
        Prediction.objects.filter(
            deployment_id=deployment.pk, id__gte=first, created_at__gte=since, shadow=False
        )
        .order_by()
        .values_list("label")
        .annotate(count=Count("id"), latency=Sum("latency_ms"))
    )
    labels = {label: count for label, count, _ in rows}
    total = sum(labels.values())
    spent = sum(latency or 0.0 for _, _, latency in rows)
    return Activity(total, spent / total if total else None, labels)


def prediction_list(
    *,
    deployment: str | None = None,
    version: uuid.UUID | None = None,
    subject_type: str | None = None,
    subject_id: uuid.UUID | None = None,
    label: str | None = None,
    shadow: bool = False,
) -> QuerySet[Prediction]:
    """The prediction log, newest first; with `shadow` what shadows said instead. `deployment` is a name."""
    wanted: dict[str, Any] = {
        "version_id": version,
        "subject_type": subject_type,
        "subject_id": subject_id,
        "label": label,
    }
    rows = Prediction.objects.filter(
        shadow=shadow,
        **{column: value for column, value in wanted.items() if value is not None},
    )
    if deployment is not None:
        rows = rows.filter(
            deployment_id__in=Deployment.objects.filter(name=deployment).values("pk")
        )
    return rows.order_by("-id")


@dataclass(frozen=True)
class ShadowComparison:
    """What a shadow said beside what was answered, since it began."""

    asked: int
    agreed: int
    # (answered, said by the shadow, how often), the most frequent first
    pairs: list[tuple[str, str, int]]

    @property
    def agreement(self) -> float | None:
        """Share of the same label, or None while nothing was asked."""
        return self.agreed / self.asked if self.asked else None


def shadow_predictions(deployment: Deployment) -> QuerySet[Prediction]:
    """What the present shadow of a deployment has said since it began, newest first."""
    if deployment.shadow_since is None or deployment.shadow_id is None:
        return Prediction.objects.none()
    # Ids are in the order of time, and the index on them is the one that is there.
    first = uuid.UUID(int=int(deployment.shadow_since.timestamp() * 1000) << 80)
    return Prediction.objects.filter(
        deployment_id=deployment.pk,
        version_id=deployment.shadow_id,
        shadow=True,
        id__gte=first,
        created_at__gte=deployment.shadow_since,
    ).order_by("-id")


def shadow_disagreements(deployment: Deployment) -> QuerySet[Prediction]:
    """Those of its answers whose label is not the one that was given, newest first."""
    return shadow_predictions(deployment).exclude(label=KeyTextTransform("label", "compared"))


def shadow_comparison(deployment: Deployment) -> ShadowComparison:
    """How often the present shadow agrees, and where it does not."""
    rows = (
        shadow_predictions(deployment)
        .order_by()
        .annotate(answered=KeyTextTransform("label", "compared"))
        .values_list("answered", "label")
        .annotate(count=Count("id"))
        .order_by("-count", "answered", "label")
    )
    counted = [(str(answered), label, count) for answered, label, count in rows]
    return ShadowComparison(
        asked=sum(count for *_, count in counted),
        agreed=sum(count for answered, label, count in counted if answered == label),
        pairs=[row for row in counted if row[0] != row[1]][:10],
    )
