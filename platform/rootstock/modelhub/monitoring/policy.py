"""Which alarm rules and guardrails are on, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rootstock.modelhub import policies
from rootstock.modelhub.monitoring.rules import RULES
from rootstock.modelhub.policies import Policy


def effective_policy(stored: Mapping[str, Any] | None) -> Policy:
    """The policy with every default filled in."""
    return policies.effective_policy(RULES, stored)


def policy_check(values: Mapping[str, Any]) -> Policy:
    """What a person has set, checked; see `policies.policy_check`. Raises ModelhubError."""
    return policies.policy_check(RULES, values, place="rules")
