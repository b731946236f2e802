"""Asking the checks, one after the other."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext_noop

from rootstock.modelhub.gate import registry
from rootstock.modelhub.gate.base import (
    Candidate,
    Check,
    Figures,
    Finding,
    Need,
    Outcome,
    Verdict,
)
from rootstock.modelhub.policies import Policy


def gate_needs(candidate: Candidate, policy: Policy) -> list[Need]:
    """The reports that the checks of a policy look at, each once."""
    wanted: dict[object, Need] = {}
    for check in _enabled(policy):
        for need in check.needs(candidate):
            wanted.setdefault(need.key, need)
    return list(wanted.values())


def judge(
    candidate: Candidate,
    policy: Policy,
    figures: Figures,
    *,
    required_only: bool = False,
    on_check: Callable[[Check], None] | None = None,
) -> list[Verdict]:
    """The verdict of every check of the policy, in their order; with `required_only` of those that protect serving.

    Reads no row of the database; may take as long as loading the model does. `on_check` is called before each.
    """
    verdicts: dict[str, Verdict] = {}
    for check in _enabled(policy):
        if required_only and not check.required:
            continue
        if on_check is not None:
            on_check(check)
        limits = policy[check.key]["limits"]
        blocked = [key for key in check.after if key in verdicts and not verdicts[key].passed]
        finding = _blocked(blocked[0]) if blocked else check.judge(candidate, limits, figures)
        verdicts[check.key] = Verdict(
            check=check.key,
            outcome=finding.outcome,
            asks=check.asks,
            limits=limits,
            message=finding.message,
            params=finding.params,
            evidence=finding.evidence,
            can_be_forced=check.can_be_forced
            if finding.can_be_forced is None
            else finding.can_be_forced,
        )
    return list(verdicts.values())


def _enabled(policy: Policy) -> list[Check]:
    return [check for check in registry.CHECKS if policy.get(check.key, {}).get("enabled")]


def _blocked(key: str) -> Finding:
    check = registry.check_get(key)
    message = gettext_noop("Not looked at: “%(check)s” did not pass.")
    return Finding(Outcome.NOT_MEASURED, message, {"check": check.title if check else key})
