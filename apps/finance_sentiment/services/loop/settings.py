"""When the loop turns by itself, and what it does then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from apps.finance_sentiment.models import LoopSettings
from apps.finance_sentiment.selectors.loop import labels_new
from apps.finance_sentiment.services.loop.candidates import candidates_draw
from apps.finance_sentiment.services.loop.cycles import base_check, cycle_start
from rootstock.audit.services import audit_record
from rootstock.common.actors import SYSTEM, Actor
from rootstock.common.problems import Problem
from rootstock.tenancy.scope import current_organisation_id

TOPIC: Final = "finance.loop.clock"
_DAY: Final = timedelta(days=1)
_FIELDS: Final = (
    "enabled", "every_days", "least_labels", "daily_candidates", "adapts", "adapt_documents",
    "base", "epochs", "deploys",
)  # fmt: skip


def loop_settings_update(*, values: Mapping[str, Any], actor: Actor) -> LoopSettings:
    """Change the settings; what is not named stays.

    Raises:
        Problem: 422, there is no such base.
    """
    base_check(values.get("base"))
    LoopSettings.objects.bulk_create([LoopSettings()], ignore_conflicts=True)
    row: LoopSettings = LoopSettings.objects.select_for_update().get()
    changes = {
        name: [getattr(row, name), values[name]]
        for name in _FIELDS
        if name in values and values[name] != getattr(row, name)
    }
    for name, (_before, after) in changes.items():
        setattr(row, name, after)
    now = timezone.now()
    if "enabled" in changes or "every_days" in changes:
        row.next_cycle_at = now + row.every_days * _DAY if row.enabled else None
    if row.daily_candidates == 0:
        row.next_draw_at = None
    elif row.next_draw_at is None:
        row.next_draw_at = now
    row.save()
    if changes:
        audit_record(
            actor=actor,
            action="finance.loop.settings",
            target=str(current_organisation_id()),
            target_id=str(row.pk),
            changes=changes,
        )
    return row


def loop_run_due() -> None:
    """Do what the clock makes due: draw candidates, begin a cycle."""
    row = LoopSettings.objects.select_for_update().first()
    now = timezone.now()
    if row is None:
        return
    if row.next_draw_at is not None and row.next_draw_at <= now:
        row.next_draw_at = now + _DAY
        candidates_draw(count=row.daily_candidates)
    if row.enabled and row.next_cycle_at is not None and row.next_cycle_at <= now:
        row.next_cycle_at = now + row.every_days * _DAY
        _begin(row)
    row.save()


def _begin(row: LoopSettings) -> None:
    """A cycle, if enough was said since the last; else the next look is tomorrow."""
    if labels_new() < row.least_labels:
        row.next_cycle_at = timezone.now() + _DAY
        return
    try:
        cycle_start(actor=SYSTEM)
    except Problem:
        row.next_cycle_at = timezone.now() + _DAY  # one is under way, or waits for a person
