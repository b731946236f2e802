"""What a deployment and its canary are watched for: rules with limits, and how each is judged."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext, gettext_noop

from rootstock.modelhub.monitoring.tallies import Tally, distance
from rootstock.modelhub.policies import Limit

Limits = Mapping[str, float]
# One-sided 5 % of the normal distribution.
_SIGNIFICANT = 1.645


@dataclass(frozen=True)
class Labelled:
    """Answers whose right label has arrived: how many there are and how many were right."""

    known: int = 0
    right: int = 0

    @property
    def share(self) -> float | None:
        """Share of right answers."""
        return self.right / self.known if self.known else None


@dataclass(frozen=True)
class Facts:
    """What a rule may look at. `before` is the same version in the week before `now`; `drifts` are the verdicts of the
    windows, the newest first. Of a canary, `other` and `other_labelled` are the deployed version in the same time."""

    now: Tally
    before: Tally = field(default_factory=Tally)
    labelled: Labelled = Labelled()
    drifts: Sequence[bool] = ()
    other: Tally = field(default_factory=Tally)
    other_labelled: Labelled = Labelled()


@dataclass(frozen=True)
class Finding:
    """What a rule found: the value, the limit that it broke or kept, and of how many."""

    broken: bool
    value: float
    limit: float
    count: int

    def to_dict(self) -> dict[str, Any]:
        """As an alarm keeps it."""
        return {"value": round(self.value, 4), "limit": round(self.limit, 4), "count": self.count}


@dataclass(frozen=True)
class Rule:
    """A question that is asked every minute. `minutes` (a limit of that key) is the stretch it looks at.

    `says` is an English sentence with %(value)s, %(limit)s and %(count)s; `unit` is how value and limit are written:
    "%" of a share, "ms", "points" of a difference of shares, "×", "windows".
    """

    key: str
    title: str
    asks: str
    says: str
    unit: str
    limits: tuple[Limit, ...]
    # None while there is too little to say.
    judge: Callable[[Limits, Facts], Finding | None]
    of_canary: bool = False
    # Whether it looks at the week before, which takes longer to add up.
    against_before: bool = False

    @property
    def required(self) -> bool:
        """Whether it cannot be switched off."""
        return False

    def in_words(self, found: Mapping[str, Any]) -> str:
        """The sentence of a finding as `Finding.to_dict` keeps it, in the language of the reader."""
        return gettext(self.says) % self.amounts(found)

    def amounts(self, found: Mapping[str, Any]) -> dict[str, str]:
        """The amounts of a finding with their units, for `says`."""
        return {
            "value": amount(found.get("value", 0.0), self.unit),
            "limit": amount(found.get("limit", 0.0), self.unit),
            "count": f"{found.get('count', 0):,}",
        }


def amount(value: float, unit: str) -> str:
    """A value with its unit: shares as per cent."""
    match unit:
        case "%":
            return f"{100 * value:.1f}\u202f%"
        case "points":
            return f"{100 * value:.1f}"
        case "ms":
            return f"{value:,.0f}\u202fms"
        case "×":
            return f"{value:.2f}\u202f×"
        case _:
            return f"{value:.0f}"


_MINUTES = gettext_noop("Looks at the last")
_AT_LEAST = gettext_noop("Needs at least")
_TEXTS = gettext_noop("texts")
_LABELS = gettext_noop("labels")


def _minutes(default: int) -> Limit:
    return Limit("minutes", _MINUTES, default, 1, 10_080, gettext_noop("minutes"))


def _at_least(default: int, unit: str = _TEXTS) -> Limit:
    return Limit("minimum", _AT_LEAST, default, 1, 1_000_000, unit)


def _errors(limits: Limits, facts: Facts) -> Finding | None:
    share = facts.now.failure_share
    if share is None or facts.now.asked < limits["minimum"]:
        return None
    return _above(share, limits["share"] / 100, facts.now.asked)


def _latency(limits: Limits, facts: Facts) -> Finding | None:
    slow = facts.now.latency(0.95)
    if slow is None or facts.now.answered < limits["minimum"]:
        return None
    return _above(slow, limits["milliseconds"], facts.now.answered)


def _canary_latency(limits: Limits, facts: Facts) -> Finding | None:
    slow, usual = facts.now.latency(0.95), facts.other.latency(0.95)
    if not slow or not usual or min(facts.now.answered, facts.other.answered) < limits["minimum"]:
        return None
    # Twice nothing is nothing: a difference that nobody feels breaks no guardrail.
    felt = slow - usual > limits["milliseconds"]
    times = slow / usual
    return Finding(felt and times > limits["times"], times, limits["times"], facts.now.answered)


def _confidence(limits: Limits, facts: Facts) -> Finding | None:
    return _less_sure(limits, facts.now, facts.before)


def _canary_confidence(limits: Limits, facts: Facts) -> Finding | None:
    return _less_sure(limits, facts.now, facts.other)


def _less_sure(limits: Limits, now: Tally, than: Tally) -> Finding | None:
    if now.confidence is None or than.confidence is None:
        return None
    if min(now.answered, than.answered) < limits["minimum"]:
        return None
    return _above(than.confidence - now.confidence, limits["points"] / 100, now.answered)


def _agreement(limits: Limits, facts: Facts) -> Finding | None:
    share, wanted = facts.labelled.share, limits["share"] / 100
    if share is None or facts.labelled.known < limits["minimum"]:
        return None
    return Finding(share < wanted, share, wanted, facts.labelled.known)


def _canary_agreement(limits: Limits, facts: Facts) -> Finding | None:
    """By more points than allowed, and by more than chance would (two-proportion z-test, one-sided 5 %)."""
    canary, deployed = facts.labelled, facts.other_labelled
    if min(canary.known, deployed.known) < limits["minimum"]:
        return None
    fall = (deployed.share or 0.0) - (canary.share or 0.0)
    pooled = (canary.right + deployed.right) / (canary.known + deployed.known)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / canary.known + 1 / deployed.known))
    limit = limits["points"] / 100
    return Finding(fall > limit and fall > _SIGNIFICANT * spread, fall, limit, canary.known)


def _drift(limits: Limits, facts: Facts) -> Finding | None:
    if not facts.drifts:
        return None
    in_a_row = next(
        (place for place, drifted in enumerate(facts.drifts) if not drifted), len(facts.drifts)
    )
    broken = in_a_row >= limits["windows"]
    return Finding(broken, in_a_row, limits["windows"], len(facts.drifts))


def _canary_labels(limits: Limits, facts: Facts) -> Finding | None:
    if min(facts.now.answered, facts.other.answered) < limits["minimum"]:
        return None
    moved = distance(facts.now.shares("label"), facts.other.shares("label"))
    return _above(moved, limits["share"] / 100, facts.now.answered)


def _above(value: float, limit: float, count: int) -> Finding:
    return Finding(value > limit, value, limit, count)


RULES: tuple[Rule, ...] = (
    Rule(
        "errors",
        gettext_noop("Errors"),
        gettext_noop("Does it answer? The share of the texts that got no answer."),
        gettext_noop("%(value)s of %(count)s texts got no answer; %(limit)s are allowed."),
        "%",
        (
            Limit("share", gettext_noop("At most"), 5, 0, 100, "%"),
            _minutes(15),
            _at_least(20),
        ),
        judge=_errors,
    ),
    Rule(
        "latency",
        gettext_noop("Time of an answer"),
        gettext_noop("Is it fast enough? The time within which 95 of 100 texts had an answer."),
        gettext_noop("95 of 100 texts had an answer within %(value)s; %(limit)s are allowed."),
        "ms",
        (
            Limit("milliseconds", gettext_noop("At most"), 5000, 1, 600_000, "ms"),
            _minutes(15),
            _at_least(50),
        ),
        judge=_latency,
    ),
    Rule(
        "confidence",
        gettext_noop("Confidence"),
        gettext_noop("Is it less sure than in the week before? The mean probability of its answers."),
        gettext_noop("It is %(value)s points less sure than in the week before; %(limit)s are allowed."),
        "points",
        (
            Limit("points", gettext_noop("A fall of at most"), 10, 0.1, 100, gettext_noop("points")),
            _minutes(60),
            _at_least(200),
        ),
        judge=_confidence,
        against_before=True,
    ),
    Rule(
        "agreement",
        gettext_noop("Right answers"),
        gettext_noop("Do labels that people give later agree with it?"),
        gettext_noop("%(value)s of %(count)s answers agree with the labels that came later; %(limit)s are asked for."),
        "%",
        (
            Limit("share", gettext_noop("At least"), 75, 0, 100, "%"),
            _minutes(10_080),
            _at_least(30, _LABELS),
        ),
        judge=_agreement,
    ),
    Rule(
        "drift",
        gettext_noop("Drift"),
        gettext_noop("Have texts or answers moved away from what is usual, in so many windows in a row?"),
        gettext_noop("%(value)s windows in a row have drifted; %(limit)s raise an alarm."),
        "windows",
        (Limit("windows", gettext_noop("Windows in a row"), 2, 1, 20),),
        judge=_drift,
    ),
    Rule(
        "canary-errors",
        gettext_noop("Canary: errors"),
        gettext_noop("Does the canary answer?"),
        gettext_noop("The canary gave no answer to %(value)s of %(count)s texts; %(limit)s are allowed."),
        "%",
        (Limit("share", gettext_noop("At most"), 2, 0, 100, "%"), _at_least(20)),
        judge=_errors,
        of_canary=True,
    ),
    Rule(
        "canary-latency",
        gettext_noop("Canary: time of an answer"),
        gettext_noop("Is the canary about as fast? The time within which 95 of 100 texts had an answer."),
        gettext_noop("The canary takes %(value)s the time of the deployed version; %(limit)s are allowed."),
        "×",
        (
            Limit("times", gettext_noop("At most"), 2, 1, 100, "×"),
            Limit("milliseconds", gettext_noop("Slower by more than"), 50, 0, 600_000, "ms"),
            _at_least(50),
        ),
        judge=_canary_latency,
        of_canary=True,
    ),
    Rule(
        "canary-confidence",
        gettext_noop("Canary: confidence"),
        gettext_noop("Is the canary about as sure?"),
        gettext_noop("The canary is %(value)s points less sure than the deployed version; %(limit)s are allowed."),
        "points",
        (
            Limit("points", gettext_noop("A fall of at most"), 10, 0.1, 100, gettext_noop("points")),
            _at_least(100),
        ),
        judge=_canary_confidence,
        of_canary=True,
    ),
    Rule(
        "canary-agreement",
        gettext_noop("Canary: right answers"),
        gettext_noop("Do later labels agree with it as often? What may be chance does not count."),
        gettext_noop("Later labels (%(count)s) agree with it %(value)s points less often; %(limit)s are allowed."),
        "points",
        (
            Limit("points", gettext_noop("A fall of at most"), 3, 0, 100, gettext_noop("points")),
            _at_least(30, _LABELS),
        ),
        judge=_canary_agreement,
        of_canary=True,
    ),
    Rule(
        "canary-labels",
        gettext_noop("Canary: drift of the answers"),
        gettext_noop("Does it give each label about as often? Its texts are drawn by chance from the same stream."),
        gettext_noop("The label mix of the canary differs by %(value)s of its answers; %(limit)s are allowed."),
        "%",
        (Limit("share", gettext_noop("At most"), 20, 1, 100, "%"), _at_least(200)),
        judge=_canary_labels,
        of_canary=True,
    ),
)  # fmt: skip

_BY_KEY = {rule.key: rule for rule in RULES}


def rule_get(key: str) -> Rule | None:
    """The rule of this name."""
    return _BY_KEY.get(key)
