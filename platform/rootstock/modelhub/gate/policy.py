"""Which checks a deployment asks for, and within which limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.gate import registry
from rootstock.modelhub.gate.base import Check

# {"quality": {"enabled": True, "limits": {"allowed_loss_points": 1.0}}, …}, every check and limit in it
Policy = dict[str, dict[str, Any]]


def effective_policy(stored: Mapping[str, Any] | None) -> Policy:
    """The policy with the defaults of all checks that are installed now."""
    stored = stored or {}
    policy: Policy = {}
    for check in registry.CHECKS:
        given = stored.get(check.key, {})
        limits = given.get("limits", {})
        policy[check.key] = {
            "enabled": check.required or bool(given.get("enabled", True)),
            "limits": {limit.key: limits.get(limit.key, limit.default) for limit in check.limits},
        }
    return policy


def policy_check(values: Mapping[str, Any]) -> Policy:
    """What a person has set, checked; only what differs from the defaults is kept.

    Raises:
        ModelhubError: an unknown check or limit, a number out of its range, a required check switched off.
    """
    kept: Policy = {}
    for key, given in values.items():
        check = registry.check_get(key)
        if check is None:
            raise _refused(key, "", _("There is no such check."))
        if not isinstance(given, Mapping) or set(given) - {"enabled", "limits"}:
            raise _refused(key, "", _("A check has “enabled” and “limits”, nothing else."))
        enabled = given.get("enabled", True)
        if not isinstance(enabled, bool):
            raise _refused(key, "/enabled", _("This is neither true nor false."))
        if check.required and not enabled:
            raise _refused(
                key, "/enabled", _("This check protects serving and cannot be switched off.")
            )
        limits = _limits(check, given.get("limits", {}))
        if not enabled or limits:
            kept[key] = {"enabled": enabled, "limits": limits}
    return kept


def _limits(check: Check, given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise _refused(check.key, "/limits", _("Limits are numbers by name."))
    known = {limit.key: limit for limit in check.limits}
    kept: dict[str, float] = {}
    for key, value in given.items():
        if key not in known:
            raise _refused(check.key, f"/limits/{key}", _("This check has no such limit."))
        limit = known[key]
        fine = (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
        if not fine or not limit.minimum <= value <= limit.maximum:
            problem = _("Give a number from %(low)s to %(high)s.") % {
                "low": f"{limit.minimum:.10g}",
                "high": f"{limit.maximum:.10g}",
            }
            raise _refused(check.key, f"/limits/{key}", problem)
        if value != limit.default:
            kept[key] = float(value)
    return kept


def _refused(check: str, place: str, problem: str) -> ModelhubError:
    pointer = f"/checks/{check[:40]}{place[:60]}"
    return ModelhubError("invalid", problem, errors=[{"pointer": pointer, "detail": problem}])
