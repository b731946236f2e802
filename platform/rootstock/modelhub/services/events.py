"""What every change of the model hub leaves behind: an audit row and an event on stream `models`."""

from __future__ import annotations

from typing import Any

from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.realtime.services import event_append

STREAM = "models"


def record(
    *,
    actor: Actor,
    action: str,
    target: str,
    target_id: Any,
    changes: dict[str, Any] | None = None,
    event: dict[str, Any] | None = None,
) -> None:
    """Write the audit row and the event of one change; the last thing in its transaction.

    `target` is the name a person would use. The event's type is `action` without the area ("models.version.register" is
    sent as "version.register"), its payload `event` and the id.
    """
    audit_record(
        actor=actor, action=action, target=target, target_id=str(target_id), changes=changes
    )
    payload = {"id": str(target_id)} | (event or {})
    event_append(stream=STREAM, type=action.removeprefix("models."), payload=payload)


def authored(actor: Actor) -> dict[str, str]:
    """The author's columns of an `AuthoredModel`."""
    return {
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_label": actor.label[:200],
    }
