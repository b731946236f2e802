"""What a version must pass before it answers for a deployment: a list of small checks.

A module of this package holds one check; `registry.CHECKS` is the list. `judge` asks them; `gate_needs` says which
reports they look at, so that missing ones can be measured before (`rootstock.modelhub.evaluations`). A verdict that
`can_be_forced` may be overruled by a person who gives a reason; the others never.
"""

from rootstock.modelhub.gate.base import (
    Candidate,
    Check,
    Figures,
    Finding,
    Limits,
    Need,
    Outcome,
    Verdict,
    asked,
    asked_again,
    detail_again,
    measured_split,
    words,
)
from rootstock.modelhub.gate.judging import gate_needs, judge
from rootstock.modelhub.gate.policy import effective_policy, policy_check
from rootstock.modelhub.gate.registry import CHECKS, check_get, register
from rootstock.modelhub.policies import Limit, Policy

__all__ = [
    "CHECKS",
    "Candidate",
    "Check",
    "Figures",
    "Finding",
    "Limit",
    "Limits",
    "Need",
    "Outcome",
    "Policy",
    "Verdict",
    "asked",
    "asked_again",
    "check_get",
    "detail_again",
    "effective_policy",
    "gate_needs",
    "judge",
    "measured_split",
    "policy_check",
    "register",
    "words",
]
