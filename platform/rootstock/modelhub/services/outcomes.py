"""Labels that arrive later: what was right for something that a version had answered."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import (
    DatasetExample,
    Deployment,
    ModelVersion,
    Outcome,
    Prediction,
    Task,
)
from rootstock.modelhub.services.predictions import Subject


@dataclass(frozen=True)
class LateLabel:
    """What turned out to be right for a subject of the prediction log."""

    subject: Subject
    label: str


def outcomes_add(*, deployment: Deployment, labels: Iterable[LateLabel]) -> int:
    """Compare labels with what the versions of a deployment said; returns how many answers were compared.

    A label given again replaces the one before. Subjects that nobody was asked about are passed over.

    Raises:
        ModelhubError: the deployed version has no such label; then none is taken.
    """
    given = list(labels)
    errors = [
        {
            "pointer": f"/labels/{place}/label",
            "detail": _("The deployed version has no such label."),
        }
        for place, each in enumerate(given)
        if each.label not in deployment.version.labels
    ]
    if errors:
        raise ModelhubError(
            "invalid",
            _("%(count)d value(s) are not valid.") % {"count": len(errors)},
            errors=errors,
        )
    return sum(_compare(each.subject, each.label, deployment_id=deployment.pk) for each in given)


def outcome_of_example(*, example: DatasetExample) -> int:
    """A person has labelled an example that came from an application: compare with what was said of its subject.

    Which deployment the label belongs to is told by the labels of its versions. An example without a label any more
    takes its comparisons back.
    """
    if example.subject_id is None or example.dataset.task != Task.TEXT_CLASSIFICATION:
        return 0
    subject = Subject(example.subject_type, example.subject_id)
    if not example.label:
        Outcome.objects.filter(subject_type=subject.type, subject_id=subject.id).delete()
        return 0
    return _compare(subject, example.label)


def _compare(subject: Subject, label: str, *, deployment_id: uuid.UUID | None = None) -> int:
    """Compare with the newest answer of each version that knows the label."""
    answers = Prediction.objects.filter(subject_type=subject.type, subject_id=subject.id)
    if deployment_id is not None:
        answers = answers.filter(deployment_id=deployment_id)
    newest = {(each.deployment_id, each.version_id): each for each in answers.order_by("id")}
    able = {
        version.pk
        for version in ModelVersion.objects.filter(
            pk__in={version_id for _deployment, version_id in newest},
            task=Task.TEXT_CLASSIFICATION,
        ).only("labels")
        if label in version.labels
    }
    made = [
        Outcome(
            deployment_id=each.deployment_id,
            version_id=each.version_id,
            shadow=each.shadow,
            subject_type=subject.type,
            subject_id=subject.id,
            answered=each.label,
            actual=label,
            answered_at=each.created_at,
        )
        for each in newest.values()
        if each.version_id in able
    ]
    Outcome.objects.bulk_create(
        made,
        update_conflicts=True,
        update_fields=["answered", "actual", "answered_at", "shadow", "updated_at"],
        unique_fields=["organisation", "deployment_id", "version_id", "subject_type", "subject_id"],
    )
    return len(made)
