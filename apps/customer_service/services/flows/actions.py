"""Business actions: making, changing and removing them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from apps.customer_service.models import BusinessAction
from apps.customer_service.selectors.flows import flows_calling
from apps.customer_service.services.flows.fields import FIELD_TYPES
from apps.customer_service.services.refusals import taken
from rootstock.audit.services import audit_record
from rootstock.common.actors import Actor
from rootstock.common.http import AddressRefused, check_url
from rootstock.common.problems import Problem, invalid
from rootstock.webhooks.signing import secret_create

__all__ = ["action_create", "action_delete", "action_rotate_secret", "action_update"]

MOST_ACTIONS = 100
MOST_FIELDS = 30
OVERLAP = timedelta(hours=24)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def action_create(
    *,
    name: str,
    actor: Actor,
    url: str = "",
    description: str = "",
    timeout_seconds: int = 5,
    changes_something: bool = True,
    parameters: Mapping[str, Any] | None = None,
    results: Mapping[str, Any] | None = None,
) -> BusinessAction:
    """Add an action with a new secret. Without an address it can be used in a flow but not yet called.

    Raises:
        Problem: 422 with the place of what is wrong; 409, the name is taken.
    """
    if not _NAME.fullmatch(name):
        raise invalid("/name", _("A name of small letters, digits and _, beginning with a letter."))
    if BusinessAction.objects.filter(name=name).exists():
        raise taken("/name", _("There is an action of this name."))
    if BusinessAction.objects.count() >= MOST_ACTIONS:
        raise invalid("/name", _("There are at most %(most)s actions.") % {"most": MOST_ACTIONS})
    action = BusinessAction(
        name=name,
        description=description,
        url=_checked_url(url),
        secret=secret_create(),
        timeout_seconds=timeout_seconds,
        changes_something=changes_something,
        parameters=_checked_fields(parameters or {}, "/parameters"),
        results=_checked_fields(results or {}, "/results"),
    )
    action.save(force_insert=True)
    _record(actor, "created", action, {"url": url})
    return action


def action_update(
    *, action: BusinessAction, actor: Actor, values: Mapping[str, Any]
) -> BusinessAction:
    """Change an action; its name stays, because flows call it by that.

    Raises:
        Problem: 422 with the place of what is wrong.
    """
    checks: dict[str, Any] = {
        "url": _checked_url,
        "parameters": lambda value: _checked_fields(value, "/parameters"),
        "results": lambda value: _checked_fields(value, "/results"),
    }
    changes: dict[str, Any] = {}
    for name in (
        "description", "url", "timeout_seconds", "changes_something", "parameters", "results",
    ):  # fmt: skip
        if name not in values:
            continue
        value = checks.get(name, lambda same: same)(values[name])
        if value != getattr(action, name):
            changes[name] = [getattr(action, name), value]
            setattr(action, name, value)
    action.save()
    if changes:
        _record(actor, "changed", action, changes)
    return action


def action_rotate_secret(*, action: BusinessAction, actor: Actor) -> BusinessAction:
    """A new secret. For 24 hours calls are signed with the former one as well."""
    action.old_secret = action.secret
    action.old_secret_until = timezone.now() + OVERLAP
    action.secret = secret_create()
    action.save()
    _record(actor, "secret_rotated", action, {})
    return action


def action_delete(*, action: BusinessAction, actor: Actor) -> None:
    """Remove an action with the log of its calls.

    Raises:
        Problem: 409, a flow that visitors get calls it.
    """
    using = [flow.name for flow in flows_calling(action.name)]
    if using:
        raise Problem(
            409,
            "in-use",
            _("It is called by: %(flows)s. Change these flows first.")
            % {"flows": ", ".join(using)},
        )
    _record(actor, "deleted", action, {"url": action.url})
    action.delete()


def _checked_url(url: str) -> str:
    if not url:
        return ""
    try:
        return str(check_url(url))
    except AddressRefused as error:
        raise invalid("/url", str(error)) from error


def _checked_fields(raw: Any, at: str) -> dict[str, dict[str, Any]]:
    """{"order_number": {"type": "string", "description": "…", "required": true}}, nothing else in it."""
    if not isinstance(raw, Mapping) or len(raw) > MOST_FIELDS:
        raise invalid(
            at, _("An object of at most %(most)s fields, by name.") % {"most": MOST_FIELDS}
        )
    fields: dict[str, dict[str, Any]] = {}
    for name, kind in raw.items():
        here = f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}"
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise invalid(
                here, _("A name of small letters, digits and _, beginning with a letter.")
            )
        if not isinstance(kind, Mapping) or kind.get("type") not in FIELD_TYPES:
            raise invalid(f"{here}/type", _("One of: %(all)s.") % {"all": ", ".join(FIELD_TYPES)})
        description = kind.get("description", "")
        if not isinstance(description, str) or len(description) > 300:
            raise invalid(f"{here}/description", _("A text of at most 300 characters."))
        if not isinstance(kind.get("required", True), bool):
            raise invalid(f"{here}/required", _("true or false."))
        fields[name] = {
            "type": kind["type"],
            "description": description,
            "required": kind.get("required", True),
        }
    return fields


def _record(actor: Actor, verb: str, action: BusinessAction, changes: dict[str, Any]) -> None:
    audit_record(
        actor=actor,
        action=f"service.action.{verb}",
        target=f"action {action.name}",
        target_id=str(action.pk),
        changes=changes,
    )
