"""Which rules are on, and within which limits; the same shape as the gate's policy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.monitoring.rules import RULES, Rule, rule_get

# {"errors": {"enabled": True, "limits": {"share": 5.0, …}}, …}, every rule and limit in it
Policy = dict[str, dict[str, Any]]


def effective_policy(stored: Mapping[str, Any] | None) -> Policy:
    """The policy with every default filled in."""
    stored = stored or {}
    return {
        rule.key: {
            "enabled": bool(stored.get(rule.key, {}).get("enabled", True)),
            "limits": {
                limit.key: stored.get(rule.key, {}).get("limits", {}).get(limit.key, limit.default)
                for limit in rule.limits
            },
        }
        for rule in RULES
    }


def policy_check(values: Mapping[str, Any]) -> Policy:
    """What a person has set, checked; only what differs from the defaults is kept.

    Raises:
        ModelhubError: an unknown rule or limit, or a number out of its range.
    """
    kept: Policy = {}
    for key, given in values.items():
        rule = rule_get(key)
        if rule is None:
            raise _refused(key, "", _("There is no such rule."))
        if not isinstance(given, Mapping) or set(given) - {"enabled", "limits"}:
            raise _refused(key, "", _("A rule has “enabled” and “limits”, nothing else."))
        enabled = given.get("enabled", True)
        if not isinstance(enabled, bool):
            raise _refused(key, "/enabled", _("This is neither true nor false."))
        limits = _limits(rule, given.get("limits", {}))
        if not enabled or limits:
            kept[key] = {"enabled": enabled, "limits": limits}
    return kept


def _limits(rule: Rule, given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise _refused(rule.key, "/limits", _("Limits are numbers by name."))
    known = {limit.key: limit for limit in rule.limits}
    kept: dict[str, float] = {}
    for key, value in given.items():
        if key not in known:
            raise _refused(rule.key, f"/limits/{key}", _("This rule has no such limit."))
        limit = known[key]
        fine = (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
        if not fine or not limit.minimum <= value <= limit.maximum:
            problem = _("Give a number from %(low)s to %(high)s.") % {
                "low": f"{limit.minimum:.10g}",
                "high": f"{limit.maximum:.10g}",
            }
            raise _refused(rule.key, f"/limits/{key}", problem)
        if value != limit.default:
            kept[key] = float(value)
    return kept


def _refused(rule: str, place: str, problem: str) -> ModelhubError:
    pointer = f"/rules/{rule[:40]}{place[:60]}"
    return ModelhubError("invalid", problem, errors=[{"pointer": pointer, "detail": problem}])
