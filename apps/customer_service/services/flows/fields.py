"""Parameters and results of a business action: what kinds there are, and whether values fit them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

__all__ = ["FIELD_TYPES", "example", "values_check"]

FIELD_TYPES = ("string", "integer", "number", "boolean", "date")
LONGEST_STRING = 2000


def values_check(
    fields: Mapping[str, Mapping[str, Any]], raw: Any, *, exact: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """(the values that fit, what is wrong). A number may come as text ("20.00"), as slots hold amounts.

    Args:
        fields: {"order_number": {"type": "string", "required": true}, …}
        exact: a value that is not among the fields is wrong; else it is left out.
    """
    if not isinstance(raw, Mapping):
        return {}, ["not a JSON object"]
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for name, kind in fields.items():
        value = raw.get(name)
        if value is None or value == "":
            if kind.get("required", True):
                wrong.append(f"{name}: missing")
            continue
        fitted = _FIT[kind["type"]](value)
        if fitted is None:
            wrong.append(f"{name}: not a {kind['type']}")
        else:
            values[name] = fitted
    if exact:
        wrong += [f"{name}: there is no such parameter" for name in raw if name not in fields]
    return values, wrong


def example(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values that fit, to try something with."""
    made = {"string": "…", "integer": 1, "number": 1.5, "boolean": True, "date": "2026-01-31"}
    return {name: kind.get("example", made[kind["type"]]) for name, kind in fields.items()}


def _string(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).replace("\x00", "")
    return text if len(text) <= LONGEST_STRING else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) else None


def _number(value: Any) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and not re.fullmatch(r"-?\d{1,15}(\.\d{1,10})?", value.strip()):
        return None
    number = float(value)
    if not math.isfinite(number) or abs(number) > 1e15:
        return None
    return int(number) if number == int(number) and not isinstance(value, float) else number


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _date(value: Any) -> str | None:
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        return None


_FIT: dict[str, Any] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
}
