"""Which checks a deployment asks for, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rootstock.modelhub import policies
from rootstock.modelhub.gate import registry
from rootstock.modelhub.policies import Policy


def effective_policy(stored: Mapping[str, Any] | None) -> Policy:
    """The policy with the defaults of all checks that are installed now."""
    return policies.effective_policy(registry.CHECKS, stored)


def policy_check(values: Mapping[str, Any]) -> Policy:
    """What a person has set, checked; see `policies.policy_check`. Raises ModelhubError."""
    return policies.policy_check(registry.CHECKS, values, place="checks")
