"""Values of a flow: put into texts and arguments, and compared."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from apps.customer_service.services.flows import words
from apps.customer_service.services.flows.definition import PATH, Condition

__all__ = ["argument", "holds", "render", "shown"]

LONGEST_SHOWN = 500
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def render(sentence: str, read: Callable[[str], str]) -> str:
    """A text with the values of its paths in the place of `{path}`."""
    return re.sub(rf"\{{({PATH})\}}", lambda match: read(match[1]), sentence)


def argument(raw: Any, read: Callable[[str], Any]) -> Any:
    """What "$path" refers to (None if it has no value); anything else as it is, "$$5" as "$5"."""
    if isinstance(raw, str) and raw.startswith("$$"):
        return raw[1:]
    if isinstance(raw, str) and raw.startswith("$"):
        return read(raw[1:])
    return raw


def shown(value: Any, language: str) -> str:
    """A value as people write it: a date in words, an amount with its currency; a dash for nothing.

    Line breaks and the brackets of a link are taken out: a value is never markup.
    """
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return words.say("yes" if value else "no", language)
    if isinstance(value, dict):
        return f"{value.get('value')} {value.get('currency')}"
    text = re.sub(r"\s+", " ", str(value)).replace("](", "] (")[:LONGEST_SHOWN]
    return _day(text, language) or text


def _day(text: str, language: str) -> str:
    """20 November 2026 or 2026年11月20日 for an ISO date; empty for anything else."""
    if not _DAY.fullmatch(text):
        return ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def holds(condition: Condition, read: Callable[[str], Any]) -> bool:
    """Whether a condition is true now."""
    value = read(condition.value)
    there = value is not None and value != ""
    if condition.operator == "missing":
        return not there
    if condition.operator in _COMPARED:
        left, right = _decimal(value), _decimal(condition.to)
        return left is not None and right is not None and _COMPARED[condition.operator](left, right)
    return there and _LIKE[condition.operator](value, condition.to)


def _same(left: Any, right: Any) -> bool:
    """Numbers as numbers ("20.00" is 20), truth values as such, texts whatever their case."""
    if isinstance(left, bool) or isinstance(right, bool):
        return str(left).lower() == str(right).lower()
    numbers = _decimal(left), _decimal(right)
    if numbers[0] is not None and numbers[1] is not None:
        return numbers[0] == numbers[1]
    return str(left).strip().casefold() == str(right).strip().casefold()


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


_LIKE: dict[str, Callable[[Any, Any], bool]] = {
    "exists": lambda _value, _to: True,
    "equals": _same,
    "not-equals": lambda value, to: not _same(value, to),
    "in": lambda value, to: any(_same(value, item) for item in to),
}
_COMPARED: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "less": operator.lt,
    "less-or-equal": operator.le,
    "greater": operator.gt,
    "greater-or-equal": operator.ge,
}
