"""Everything that reads in the model hub. Row-level security decides whose rows these are."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Count, QuerySet

from rootstock.modelhub.models import (
    Dataset,
    DatasetExample,
    Deployment,
    DeploymentChange,
    ModelVersion,
    Prediction,
    Snapshot,
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


def example_counts(datasets: list[Dataset]) -> dict[uuid.UUID, int]:
    """How many examples each data set has."""
    rows = (
        DatasetExample.objects.filter(dataset__in=datasets)
        .order_by()
        .values_list("dataset_id")
        .annotate(count=Count("id"))
    )
    return dict(rows)


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


def run_list() -> QuerySet[TrainingRun]:
    """Training runs, newest first, without their logs."""
    return (
        TrainingRun.objects.select_related("snapshot__dataset", "version", "job")
        .defer("log", "version__card", "version__metrics")
        .order_by("-id")
    )


def run_curve(run: TrainingRun) -> list[dict[str, Any]]:
    """The points of a run's curve, in order."""
    return list(run.points.order_by("step", "id").values("step", "epoch", "loss", "metrics"))


def version_list() -> QuerySet[ModelVersion]:
    """Model versions, newest first, without their cards."""
    return (
        ModelVersion.objects.select_related("snapshot__dataset", "run")
        .defer("card", "run__log")
        .order_by("-id")
    )


def deployment_list() -> QuerySet[Deployment]:
    """Deployments by name, with their current version."""
    return Deployment.objects.select_related("version").defer("version__card").order_by("name")


def deployment_get(name: str) -> Deployment | None:
    """The deployment of this name with its current version, or None when nothing is deployed under it."""
    return deployment_list().filter(name=name).first()


def deployment_history(deployment: Deployment) -> QuerySet[DeploymentChange]:
    """What happened to a deployment, newest first."""
    return (
        DeploymentChange.objects.filter(deployment=deployment)
        .select_related("from_version", "to_version")
        .defer("from_version__card", "to_version__card")
        .order_by("-created_at", "-id")
    )


def prediction_list() -> QuerySet[Prediction]:
    """The prediction log, newest first."""
    return Prediction.objects.order_by("-id")
