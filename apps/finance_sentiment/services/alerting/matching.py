"""Which alerts a route or a silence means."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from django.utils.translation import gettext as _

from apps.finance_sentiment.models import Alert, SubjectKind
from rootstock.common.problems import Problem, invalid

MOST = 50
LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Matcher:
    """Conditions that must all hold; one that is empty holds for every alert.

    `keys` are patterns of the subject's key in which * stands for anything.
    """

    rules: frozenset[str] = field(default_factory=frozenset)
    kinds: frozenset[str] = field(default_factory=frozenset)
    keys: tuple[str, ...] = ()
    least_score: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it means every alert."""
        return not (self.rules or self.kinds or self.keys or self.least_score is not None)

    def matches(self, alert: Alert) -> bool:
        """Whether it means this one."""
        return (
            (not self.rules or str(alert.rule_id) in self.rules)
            and (not self.kinds or alert.kind in self.kinds)
            and (not self.keys or any(fnmatchcase(alert.key, key) for key in self.keys))
            and (self.least_score is None or alert.peak_score >= self.least_score)
        )

    def as_json(self) -> dict[str, Any]:
        """As rows keep it, without what is empty."""
        return {
            name: value
            for name, value in (
                ("rules", sorted(self.rules)),
                ("kinds", sorted(self.kinds)),
                ("keys", list(self.keys)),
                ("least_score", self.least_score),
            )
            if value not in ([], None)
        }


def matcher_of(stored: Mapping[str, Any]) -> Matcher:
    """A stored one."""
    return Matcher(
        frozenset(stored.get("rules", ())),
        frozenset(stored.get("kinds", ())),
        tuple(stored.get("keys", ())),
        stored.get("least_score"),
    )


def matcher_check(given: Mapping[str, Any], *, pointer: str = "/matcher") -> Matcher:
    """The matcher that somebody wrote.

    Raises:
        Problem: 422 that says which condition cannot be meant.
    """
    unknown = set(given) - {"rules", "kinds", "keys", "least_score"}
    if unknown:
        name = sorted(unknown)[0][:40]
        raise invalid(f"{pointer}/{name}", _("There is no such condition."))
    rules = [
        _rule(value, f"{pointer}/rules/{n}")
        for n, value in enumerate(_list(given, "rules", pointer))
    ]
    kinds = _list(given, "kinds", pointer)
    for number, kind in enumerate(kinds):
        if kind not in SubjectKind.values:
            raise invalid(f"{pointer}/kinds/{number}", _("Not a kind of subject."))
    keys = _list(given, "keys", pointer)
    for number, key in enumerate(keys):
        if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY or "\x00" in key:
            raise invalid(f"{pointer}/keys/{number}", _("A key has 1 to 200 characters."))
    return Matcher(
        frozenset(rules), frozenset(kinds), tuple(dict.fromkeys(keys)), _score(given, pointer)
    )


def _list(given: Mapping[str, Any], name: str, pointer: str) -> list[Any]:
    value = given.get(name) or []
    if not isinstance(value, list) or len(value) > MOST:
        raise _not_a_list(f"{pointer}/{name}")
    return value


def _not_a_list(pointer: str) -> Problem:
    return invalid(pointer, _("A list of at most %(most)d.") % {"most": MOST})


def _rule(value: Any, pointer: str) -> str:
    try:
        return str(uuid.UUID(str(value)))
    except ValueError as error:
        raise invalid(pointer, _("Not the id of a rule.")) from error


def _score(given: Mapping[str, Any], pointer: str) -> float | None:
    value = given.get("least_score")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e6:
        raise invalid(f"{pointer}/least_score", _("A score is a number from 0 to 1,000,000."))
    return float(value)
