"""What workers and beat run of the outbox."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from rootstock.common.partitions import maintain_partitions
from rootstock.outbox import dispatch
from rootstock.outbox.services import RUN_TASK
from rootstock.tenancy.rls import call_lookup


# Acknowledged when it starts, not when it ends: PostgreSQL knows what is still to be done, and a late
# acknowledgement on a connection that was lost meanwhile has been seen to end the worker.
@shared_task(name=RUN_TASK, acks_late=False)
def run(message_id: str, organisation_id: str) -> None:
    """Do one message."""
    dispatch.run(message_id, organisation_id)


@shared_task(name="rootstock.outbox.sweep", acks_late=False)
def sweep() -> None:
    """Send everything that is due and that no worker has."""
    dispatch.sweep()


@shared_task(name="rootstock.outbox.expire_keys", acks_late=False)
def expire_keys() -> None:
    """Forget idempotency keys older than two days."""
    call_lookup("idempotency_expire")


@shared_task(name="rootstock.common.maintain_partitions", acks_late=False)
def partitions() -> None:
    """Make the coming partitions, drop what is older than its retention."""
    maintain_partitions()


@worker_ready.connect
def catch_up(**_: Any) -> None:
    """An installation that was switched off for months needs its partitions before the next full hour."""
    maintain_partitions()
