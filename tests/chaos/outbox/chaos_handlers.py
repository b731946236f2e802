"""What the workers of the chaos tests do; the worker process imports it by `--include`."""

from __future__ import annotations

import time
from typing import Any

from django.db.models import F

from rootstock.jobs.runner import JobContext, job_kind
from rootstock.outbox.handlers import handler
from rootstock.realtime.models import Stream


def _slow(payload: dict[str, Any]) -> str:
    time.sleep(0.05)
    return "prepared"


@handler("chaos.plain", queue="ingest")
def plain(payload: dict[str, Any]) -> None:
    """The effect is a count, so that a second one would show."""
    Stream.objects.filter(name=payload["name"]).update(sequence=F("sequence") + 1)
    time.sleep(0.03)


@handler("chaos.prepared", prepare=_slow)
def prepared(payload: dict[str, Any], value: str) -> None:
    """The same behind slow outside work."""
    Stream.objects.filter(name=payload["name"]).update(sequence=F("sequence") + 1)


@job_kind("chaos.count", resumable=True)
def count(context: JobContext) -> dict[str, Any]:
    """Thirty steps, each stored; a resumed run goes on after the last one."""
    while True:
        with context.scope():
            head, _ = Stream.objects.get_or_create(name="job.steps")
            if head.sequence >= 30:
                return {"steps": head.sequence, "attempt": context.attempt}
            Stream.objects.filter(pk=head.pk).update(sequence=F("sequence") + 1)
        context.progress(head.sequence / 30, phase="count")
        time.sleep(0.1)
