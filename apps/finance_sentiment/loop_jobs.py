"""What workers do for the loop: collect labels, look what comes next, keep its clock."""

from __future__ import annotations

from typing import Any

from apps.finance_sentiment.models import LoopCycle
from apps.finance_sentiment.services.loop import cycles, settings
from rootstock.jobs.runner import JobContext, job_kind
from rootstock.outbox.handlers import handler
from rootstock.outbox.services import outbox_write
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


@job_kind(cycles.JOB, resumable=True)
def collect(context: JobContext) -> dict[str, Any]:
    """Collect what people said and freeze it; again from the start when taken over."""

    def tell(fraction: float, phase: str, message: str) -> None:
        context.progress(fraction=fraction, phase=phase, message=message)

    with context.scope():
        cycle = LoopCycle.objects.get(pk=context.params["cycle"])
    count = cycles.cycle_collect(cycle=cycle, scope=context.scope, on_progress=tell)
    return {"cycle": str(cycle.pk), "models": count}


@handler(cycles.TOPIC, max_attempts=20)
def advance(payload: dict[str, Any]) -> None:
    """Begin the next step of a cycle, if the last has ended."""
    cycles.cycle_advance(cycle_id=payload["cycle"])


@handler(settings.TOPIC, max_attempts=3)
def run_due(payload: dict[str, Any]) -> None:
    """Draw candidates and begin cycles that the clock makes due."""
    settings.loop_run_due()


def due_request() -> None:
    """Request what time alone makes due, for every organisation."""
    for row in call_lookup("finance_loops_due"):
        with organisation_scope(row["organisation_id"]):
            outbox_write(settings.TOPIC, {}, coalesce_key=settings.TOPIC)
