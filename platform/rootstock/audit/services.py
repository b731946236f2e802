"""Writing the log."""

from __future__ import annotations

from typing import Any

from rootstock.audit.models import AuditEntry
from rootstock.common.actors import Actor
from rootstock.common.middleware import current_client_ip, current_request_id

__all__ = ["audit_record"]


def audit_record(
    *,
    actor: Actor,
    action: str,
    target: str,
    target_id: str,
    changes: dict[str, Any] | None = None,
) -> None:
    """Add an entry to the log, in the transaction of the change that it tells of.

    Args:
        actor: who did it.
        action: `<area>.<thing>.<verb>`, such as `accounts.api_key.revoke`.
        target: what it was done to, as a person would name it.
        target_id: its id.
        changes: what is worth keeping, `{"role": ["viewer", "manager"]}` for a change; never a secret.

    Raises:
        NoOrganisation: outside any organisation's scope.
    """
    AuditEntry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id[:64],
        actor_label=actor.label[:200],
        action=action,
        target=target[:200],
        target_id=str(target_id)[:64],
        changes=changes or {},
        request_id=current_request_id().removeprefix("-"),
        ip=current_client_ip(),
    )
