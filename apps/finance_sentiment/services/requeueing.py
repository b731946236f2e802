"""Documents that had no model, or none that reads them, are scored once there is one."""

from __future__ import annotations

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from apps.finance_sentiment.inference import SENTIMENT, TOPIC, targets_resolve
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.services.intake import scoring_request
from rootstock.modelhub.models import Deployment
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.scope import current_organisation_id

REQUEUE_TOPIC = "finance.requeue"


def documents_readable() -> QuerySet[Document]:
    """Unscored documents that the deployed sentiment model can read."""
    target = targets_resolve().get(SENTIMENT)
    if target is None:
        return Document.objects.none()
    unread = Q(
        unscored_reason=Document.Reason.LANGUAGE, language_detected__in=list(target.languages)
    )
    return Document.objects.filter(
        Q(unscored_reason=Document.Reason.NO_MODEL) | unread, status=Document.Status.UNSCORED
    )


def documents_requeue() -> int:
    """Score what can be scored now and could not be before; returns how many documents wait for it.

    That is what had no sentiment for want of a model that reads it, or no topics, and what scoring gave up.
    """
    targets = targets_resolve()
    wanted = Q(pk__in=documents_readable().values("pk")) | Q(status=Document.Status.FAILED)
    if SENTIMENT in targets and TOPIC in targets:
        wanted |= Q(
            status=Document.Status.SCORED,
            topics=[],
            language_detected__in=list(targets[TOPIC].languages),
        )
    count = Document.objects.filter(wanted).update(
        status=Document.Status.PENDING,
        unscored_reason="",
        attempts=0,
        claimed_until=None,
        revision=F("revision") + 1,
        updated_at=timezone.now(),
    )
    if count:
        scoring_request()
    return count


def requeue_request(deployment: Deployment) -> None:
    """Have a worker do that after another version was deployed for one of the monitor's questions."""
    if deployment.name in (SENTIMENT, TOPIC):
        organisation_id = str(current_organisation_id())
        outbox_write(
            REQUEUE_TOPIC, {"organisation_id": organisation_id}, coalesce_key=REQUEUE_TOPIC
        )
