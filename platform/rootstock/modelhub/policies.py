"""Which of several questions are asked, and within which limits: of the gate's checks and of monitoring's rules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils.translation import gettext as _

from rootstock.modelhub.errors import ModelhubError

# {"quality": {"enabled": True, "limits": {"allowed_loss_points": 1.0}}, …}, every question and limit in it
Policy = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Limit:
    """A number of a question that an organisation may set for each of its deployments."""

    key: str
    title: str
    default: float
    minimum: float
    maximum: float
    unit: str = ""


class Question(Protocol):
    """A check or a rule; one that is ``required`` cannot be switched off."""

    @property
    def key(self) -> str: ...
    @property
    def limits(self) -> Sequence[Limit]: ...
    @property
    def required(self) -> bool: ...


def effective_policy(questions: Iterable[Question], stored: Mapping[str, Any] | None) -> Policy:
    """What is stored, with the defaults of all questions that there are now."""
    stored = stored or {}
    policy: Policy = {}
    for question in questions:
        given = stored.get(question.key, {})
        limits = given.get("limits", {})
        policy[question.key] = {
            "enabled": question.required or bool(given.get("enabled", True)),
            "limits": {
                limit.key: limits.get(limit.key, limit.default) for limit in question.limits
            },
        }
    return policy


def policy_check(questions: Iterable[Question], values: Mapping[str, Any], *, place: str) -> Policy:
    """What a person has set, checked; only what differs from the defaults is kept. ``place`` is where the values are
    in the caller's request, for the pointers of errors.

    Raises:
        ModelhubError: an unknown question or limit, a number out of its range, a required question switched off.
    """
    known = {question.key: question for question in questions}
    kept: Policy = {}
    for key, given in values.items():
        pointer = f"/{place}/{key[:40]}"
        question = known.get(key)
        if question is None:
            raise _refused(pointer, _("There is nothing of this name."))
        if not isinstance(given, Mapping) or set(given) - {"enabled", "limits"}:
            raise _refused(pointer, _("Give “enabled” and “limits”, nothing else."))
        enabled = given.get("enabled", True)
        if not isinstance(enabled, bool):
            raise _refused(f"{pointer}/enabled", _("This is neither true nor false."))
        if question.required and not enabled:
            problem = _("This check protects serving and cannot be switched off.")
            raise _refused(f"{pointer}/enabled", problem)
        limits = _limits(question, given.get("limits", {}), f"{pointer}/limits")
        if not enabled or limits:
            kept[key] = {"enabled": enabled, "limits": limits}
    return kept


def _limits(question: Question, given: Any, pointer: str) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise _refused(pointer, _("Limits are numbers by name."))
    known = {limit.key: limit for limit in question.limits}
    kept: dict[str, float] = {}
    for key, value in given.items():
        own = f"{pointer}/{key[:60]}"
        if key not in known:
            raise _refused(own, _("There is no such limit."))
        limit = known[key]
        fine = (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
        if not fine or not limit.minimum <= value <= limit.maximum:
            problem = _("Give a number from %(low)s to %(high)s.") % {
                "low": f"{limit.minimum:.10g}",
                "high": f"{limit.maximum:.10g}",
            }
            raise _refused(own, problem)
        if value != limit.default:
            kept[key] = float(value)
    return kept


def _refused(pointer: str, problem: str) -> ModelhubError:
    return ModelhubError("invalid", problem, errors=[{"pointer": pointer, "detail": problem}])
