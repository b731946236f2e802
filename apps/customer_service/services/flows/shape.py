"""The form of a definition: which fields a step has, of what kind, and how much of everything there may be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.customer_service.services.flows.definition import (
    LANGUAGES,
    OPERATORS,
    PATH,
    SLOT_TYPES,
    VERSION,
)
from apps.customer_service.services.flows.slots import pattern_compile

__all__ = ["Fault", "shape_faults"]

MOST_STEPS = 100
LONGEST_TEXT = 2000
MOST_OPTIONS = 20
_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CURRENCY = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True)
class Fault:
    """What is wrong, and where: an RFC 6901 pointer into the definition."""

    pointer: str
    detail: str


Found = Iterator[Fault]
Check = Callable[[Any, str, tuple[str, ...]], Found]


def shape_faults(raw: Any) -> list[Fault]:
    """What is wrong with the form of a definition; nothing means that it can be parsed."""
    if not isinstance(raw, dict):
        return [Fault("", _("A flow is a JSON object."))]
    found = list(_unknown(raw, {"version", "languages", "start", "steps"}, ""))
    if raw.get("version") != VERSION:
        found.append(Fault("/version", _("It must be %(version)s.") % {"version": VERSION}))
    languages = raw.get("languages", list(LANGUAGES))
    if not (
        isinstance(languages, list)
        and languages
        and len(set(map(str, languages))) == len(languages)
        and all(language in LANGUAGES for language in languages)
    ):
        found.append(
            Fault("/languages", _("One or more of: %(all)s.") % {"all": ", ".join(LANGUAGES)})
        )
        languages = list(LANGUAGES)
    found += _id(raw.get("start"), "/start", ())
    steps = raw.get("steps")
    if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS:
        found.append(Fault("/steps", _("A list of 1 to %(most)s steps.") % {"most": MOST_STEPS}))
        return found
    seen: set[str] = set()
    for index, step in enumerate(steps):
        found += _step(step, f"/steps/{index}", tuple(languages), seen)
    return found


def _step(raw: Any, at: str, languages: tuple[str, ...], seen: set[str]) -> Found:
    if not isinstance(raw, dict):
        yield Fault(at, _("A step is a JSON object."))
        return
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in _FIELDS:
        yield Fault(f"{at}/kind", _("One of: %(all)s.") % {"all": ", ".join(_FIELDS)})
        return
    fields = {"id": (_id, True)} | _FIELDS[kind]
    yield from _unknown(raw, {*fields, "kind"}, at)
    for name, (check, needed) in fields.items():
        if name in raw:
            yield from check(raw[name], f"{at}/{name}", languages)
        elif needed:
            yield Fault(f"{at}/{name}", _("This is needed."))
    own = raw.get("id")
    if isinstance(own, str):
        if own in seen:
            yield Fault(f"{at}/id", _("Two steps are called “%(id)s”.") % {"id": own})
        seen.add(own)
    if kind in {"ask", "choose"}:
        yield from _question(raw, at, kind)


def _question(raw: dict[str, Any], at: str, kind: str) -> Found:
    """What the type of a slot needs."""
    slot_type = "choice" if kind == "choose" else raw.get("type")
    if slot_type == "code" and "pattern" not in raw:
        yield Fault(f"{at}/pattern", _("A code needs a pattern, such as [A-Z]-[0-9]{4}."))
    if slot_type == "choice" and not raw.get("options"):
        yield Fault(f"{at}/options", _("A choice needs options."))
    if slot_type != "choice" and "options" in raw:
        yield Fault(f"{at}/options", _("Only a choice has options."))
    options = raw.get("options")
    options = options if isinstance(options, list) else []
    if "next" not in raw and not (
        options and all(isinstance(option, dict) and "next" in option for option in options)
    ):
        yield Fault(f"{at}/next", _("This is needed."))
    values = [option.get("value") for option in options if isinstance(option, dict)]
    for index, value in enumerate(values):
        if value in values[:index]:
            yield Fault(f"{at}/options/{index}/value", _("This value was given before."))


# --- checks of single fields ----------------------------------------------------------------------


def _unknown(raw: dict[str, Any], known: set[str], at: str) -> Found:
    for name in raw:
        if name not in known:
            part = str(name).replace("~", "~0").replace("/", "~1")
            yield Fault(f"{at}/{part}", _("There is no such field."))


def _id(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        yield Fault(at, _("A name of small letters, digits, - and _, beginning with a letter."))


def _name(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        yield Fault(at, _("A name of small letters, digits and _, beginning with a letter."))


def _text(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, dict):
        yield Fault(at, _("A text in each language."))
        return
    yield from _unknown(value, set(LANGUAGES), at)
    for language in {**dict.fromkeys(languages), **value}:
        if language not in LANGUAGES:
            continue
        sentence = value.get(language)
        if not isinstance(sentence, str) or not sentence.strip():
            yield Fault(f"{at}/{language}", _("The text in this language is missing."))
        elif len(sentence) > LONGEST_TEXT:
            yield Fault(
                f"{at}/{language}", _("At most %(most)s characters.") % {"most": LONGEST_TEXT}
            )


def _one_of(*allowed: str) -> Check:
    def check(value: Any, at: str, languages: tuple[str, ...]) -> Found:
        if not isinstance(value, str) or value not in allowed:
            yield Fault(at, _("One of: %(all)s.") % {"all": ", ".join(allowed)})

    return check


def _number(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    # "not … <=" refuses NaN as well.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 1e12:
        yield Fault(at, _("A number."))


def _misses(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10:
        yield Fault(at, _("A whole number from 0 to 10."))


def _boolean(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, bool):
        yield Fault(at, _("true or false."))


def _short(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, str) or not value.strip() or len(value) > 100:
        yield Fault(at, _("A text of 1 to 100 characters."))


def _pattern(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        yield Fault(at, _("A regular expression of 1 to 200 characters."))
        return
    try:
        pattern_compile(value)
    except ValueError as error:
        yield Fault(at, _("Not a regular expression: %(reason)s") % {"reason": error})


def _currency(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        yield Fault(at, _("A currency of three letters, such as USD or CNY."))


def _path(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, str) or not re.fullmatch(PATH, value):
        yield Fault(at, _("A slot, or a result such as order.status."))


def _options(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_OPTIONS:
        yield Fault(at, _("A list of 1 to %(most)s options.") % {"most": MOST_OPTIONS})
        return
    for index, option in enumerate(value):
        here = f"{at}/{index}"
        if not isinstance(option, dict):
            yield Fault(here, _("An option has a value and a label."))
            continue
        yield from _unknown(option, {"value", "label", "words", "next"}, here)
        yield from _short(option.get("value"), f"{here}/value", languages)
        yield from _text(option.get("label"), f"{here}/label", languages)
        if "next" in option:
            yield from _id(option["next"], f"{here}/next", languages)
        words = option.get("words", [])
        if not isinstance(words, list) or len(words) > 50:
            yield Fault(f"{here}/words", _("A list of at most 50 words."))
        else:
            for place, word in enumerate(words):
                yield from _short(word, f"{here}/words/{place}", languages)


def _arguments(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, dict) or len(value) > 50:
        yield Fault(at, _("An object with a value for each parameter."))
        return
    for name, argument in value.items():
        here = f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}"
        if not isinstance(argument, str | int | float | bool):
            yield Fault(here, _("A text, a number, true or false, or $ and the name of a value."))
        elif isinstance(argument, str):
            if len(argument) > 500:
                yield Fault(here, _("At most %(most)s characters.") % {"most": 500})
            elif argument.startswith("$") and not argument.startswith("$$"):
                yield from _path(argument[1:], here, languages)


def _cases(value: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_OPTIONS:
        yield Fault(at, _("A list of 1 to %(most)s cases.") % {"most": MOST_OPTIONS})
        return
    for index, case in enumerate(value):
        here = f"{at}/{index}"
        if not isinstance(case, dict):
            yield Fault(here, _("A case has conditions and a next step."))
            continue
        yield from _unknown(case, {"when", "next"}, here)
        yield from _id(case.get("next"), f"{here}/next", languages)
        when = case.get("when")
        if not isinstance(when, list) or not 1 <= len(when) <= MOST_OPTIONS:
            yield Fault(f"{here}/when", _("A list of conditions, at least one."))
            continue
        for place, condition in enumerate(when):
            yield from _condition(condition, f"{here}/when/{place}", languages)


def _condition(raw: Any, at: str, languages: tuple[str, ...]) -> Found:
    if not isinstance(raw, dict):
        yield Fault(at, _("A condition has a value, “is” and “to”."))
        return
    yield from _unknown(raw, {"value", "is", "to"}, at)
    yield from _path(raw.get("value"), f"{at}/value", languages)
    operator = raw.get("is")
    if operator not in OPERATORS:
        yield Fault(f"{at}/is", _("One of: %(all)s.") % {"all": ", ".join(OPERATORS)})
        return
    to = raw.get("to")
    if operator in {"exists", "missing"}:
        if "to" in raw:
            yield Fault(f"{at}/to", _("“%(is)s” compares with nothing.") % {"is": operator})
    elif operator == "in":
        if not isinstance(to, list) or not to or not all(_scalar(item) for item in to):
            yield Fault(f"{at}/to", _("A list of texts or numbers."))
    elif operator in {"equals", "not-equals"}:
        if not _scalar(to):
            yield Fault(f"{at}/to", _("A text, a number, true or false."))
    else:
        yield from _number(to, f"{at}/to", languages)


def _scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) and len(str(value)) <= 500


_TEXT, _NEXT, _GOTO = (_text, True), (_id, True), (_id, False)
_QUESTION: dict[str, tuple[Check, bool]] = {
    "slot": (_name, True),
    "text": _TEXT,
    "next": _GOTO,
    "invalid": (_text, False),
    "max_misses": (_misses, False),
    "on_miss": _GOTO,
    "ahead": (_boolean, False),
    "options": (_options, False),
}
_FIELDS: dict[str, dict[str, tuple[Check, bool]]] = {
    "say": {"text": _TEXT, "next": _NEXT},
    "ask": {
        **_QUESTION,
        "type": (_one_of(*SLOT_TYPES), True),
        "pattern": (_pattern, False),
        "currency": (_currency, False),
        "minimum": (_number, False),
        "maximum": (_number, False),
        "when": (_one_of("past", "future", "any"), False),
    },
    "choose": _QUESTION,
    "call": {
        "action": (_name, True),
        "arguments": (_arguments, False),
        "into": (_name, False),
        "confirm": (_text, False),
        "next": _NEXT,
        "on_failure": _GOTO,
        "on_timeout": _GOTO,
        "on_declined": _GOTO,
    },
    "branch": {"cases": (_cases, True), "otherwise": _NEXT},
    "hand-off": {"reason": (_short, True), "text": (_text, False)},
    "done": {"text": (_text, False)},
}
