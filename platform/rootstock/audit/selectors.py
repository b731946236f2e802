"""Reading the log."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from rootstock.audit.models import AuditEntry

__all__ = ["audit_actions", "audit_actors", "audit_entries"]


def audit_entries(
    *,
    actor: str = "",
    action: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Entries of the organisation, newest first.

    Args:
        actor: the id of an actor; all when empty.
        action: an action, or the start of one up to a point (`accounts` finds `accounts.api_key.create`).
        since: inclusive.
        until: exclusive.
    """
    entries = AuditEntry.objects.order_by("-id")
    if actor:
        entries = entries.filter(actor_id=actor)
    if action:
        exact = entries.filter(action=action)
        entries = exact | entries.filter(action__startswith=f"{action}.")
    if since is not None:
        entries = entries.filter(created_at__gte=since)
    if until is not None:
        entries = entries.filter(created_at__lt=until)
    return entries


def audit_actions() -> list[str]:
    """Every action that occurs, for the filter."""
    return list(AuditEntry.objects.order_by("action").values_list("action", flat=True).distinct())


def audit_actors() -> list[tuple[str, str]]:
    """(id, newest label) of everybody who occurs, by label."""
    rows = (
        AuditEntry.objects.order_by("actor_id", "-id")
        .distinct("actor_id")
        .values_list("actor_id", "actor_label")
    )
    return sorted(rows, key=lambda row: row[1].casefold())
