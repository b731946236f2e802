"""Reading the value of a slot out of what somebody wrote, in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any

import re2

from apps.customer_service.services.flows.dates import find_date
from apps.customer_service.services.flows.definition import Ask, Option
from apps.customer_service.services.flows.numerals import NUMBER, normalised, number_of

__all__ = ["AHEAD_TYPES", "extract", "extract_ahead", "option_of", "pattern_compile", "yes_or_no"]

LONGEST_TEXT = 1000
# What is sure enough to be taken without having been asked for, in the order in which it is looked for.
AHEAD_TYPES = ("email", "code", "phone", "date", "amount", "choice")

_EMAIL = re.compile(
    r"[A-Za-z0-9_.+%-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
)
_PHONE = re.compile(
    r"(?<![A-Za-z0-9_-])(?:\+\d{1,3}[\s-]?(?:\(\d{1,4}\)[\s-]?)?\d(?:[\s-]?\d){5,13}"
    r"|1[3-9]\d(?:[\s-]?\d{4}){2}|\(?\d{3}\)?[\s.-]?\d{3}[\s.-]?\d{4}|0\d{2,3}[\s-]?\d{7,8})(?![A-Za-z0-9_-])"
)
_SPOKEN = str.maketrans("零〇幺一二三四五六七八九", "001123456789")
_SPOKEN_PHONE = re.compile(r"[零〇幺一二三四五六七八九]{7,13}")

_CURRENCY = {
    "us$": "USD", "usd": "USD", "dollars": "USD", "dollar": "USD", "bucks": "USD", "美元": "USD", "美金": "USD",
    "$": "USD", "€": "EUR", "eur": "EUR", "euros": "EUR", "euro": "EUR", "欧元": "EUR", "£": "GBP", "gbp": "GBP",
    "pounds": "GBP", "pound": "GBP", "英镑": "GBP", "hk$": "HKD", "hkd": "HKD", "港币": "HKD", "港元": "HKD",
    "rmb": "CNY", "cny": "CNY", "yuan": "CNY", "人民币": "CNY", "元": "CNY", "块钱": "CNY", "块": "CNY",
    "jpy": "JPY", "yen": "JPY", "日元": "JPY", "¥": "¥", "￥": "¥",
}  # fmt: skip
_BEFORE = r"us\$|hk\$|\$|€|£|¥|￥|(?:usd|eur|gbp|hkd|rmb|cny|jpy|人民币)"
_AFTER = "|".join(
    re.escape(word) + (r"\b" if word.isascii() and word.isalpha() else "")
    for word in sorted(_CURRENCY, key=len, reverse=True)
)
_AMOUNT = re.compile(
    rf"(?:(?P<before>{_BEFORE})\s*)?(?P<number>{NUMBER})"
    rf"(?:\s*(?P<after>{_AFTER})(?:\s*(?P<tenths>[一二三四五六七八九\d])(?:毛|角|(?![\d一-龥])))?)?"
)
_NUMBER = re.compile(NUMBER)

_YES = re.compile(
    r"(?:no problem|not a problem|yes|yep|yeah|yup|sure|ok(?:ay)?|correct|right|please do|go ahead|confirm(?:ed)?|"
    r"of course|exactly|fine|do it|y|true|是的?(?!不是)|对(?!不)的?|好(?!像)的?|嗯+|可以(?!吗)|行(?!李)|没错|确认|确定|"
    r"同意|要的?|有的?|当然|没问题|正确)(?![a-z])"
)
_NO = re.compile(
    r"(?:no|nope|nah|not|don'?t|do not|wrong|incorrect|n|false|"
    r"不是?|不用|不要|不对|不行|否|没有?|别|错了?|取消)(?![a-z])"
)
_UNSURE = re.compile(
    r"(?:i )?(?:not sure|don'?t know|do not know|no idea|not certain)|不知道|不确定|不清楚|不太清楚|不记得"
)
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}


def extract(step: Ask, text: str, *, language: str, today: date) -> Any:
    """The value that a text gives to the slot of an open question; None if none that is sure and within the bounds.

    An amount is {"value": "20.00", "currency": "USD"}, a date an ISO string, a number an int or float, the rest text
    or a truth value.
    """
    found = _READERS[step.type](step, text.strip(), language, today, True)
    return None if found is None else found[0]


def extract_ahead(step: Ask, text: str, *, language: str, today: date) -> tuple[Any, str] | None:
    """The value and the rest of a text in which it was not asked for; only of kinds that are sure."""
    if step.type not in AHEAD_TYPES or not step.ahead:
        return None
    return _READERS[step.type](step, text, language, today, False)


def yes_or_no(text: str) -> bool | None:
    """Whether it begins with a yes or a no; None with neither."""
    plain = normalised(text).lower().lstrip("'\"“”,. ")
    if _UNSURE.match(plain):
        return None
    if _YES.match(plain):
        return True
    return False if _NO.match(plain) else None


def option_of(step: Ask, text: str) -> Option | None:
    """The option that is meant by its value, label, synonym or place; None if none or several."""
    plain = _plain(text)
    for option in step.options:
        if plain in {_plain(word) for word in _words(option)}:
            return option
    place = _place(plain)
    if place is not None and -1 <= place <= len(step.options) and place != 0:
        return step.options[place if place < 0 else place - 1]
    return _contained(step, plain)


@lru_cache(maxsize=256)
def pattern_compile(pattern: str) -> Any:
    """The pattern of a code, in time that is linear in the text whatever somebody wrote (RE2).

    Raises:
        ValueError: it is no such pattern; says why.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"(?:^|[^0-9A-Za-z])({pattern})(?:[^0-9A-Za-z]|$)", options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error


# --- readers: (step, text, language, today, asked) -> (value, rest of the text) -------------------

Found = tuple[Any, str] | None


def _email(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    plain = normalised(text)
    match = _EMAIL.search(plain)
    if match is None:
        return None
    name, _, domain = match[0].rpartition("@")
    return f"{name}@{domain.lower()}", _without(plain, match)


def _code(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    plain = normalised(text)
    pattern = pattern_compile(step.pattern)
    # "a 1234" and "A1234" are how people write A-1234.
    spaced = r"(?<=[A-Za-z])[\s-]*(?=\d)"
    for written in (plain, re.sub(spaced, "-", plain), re.sub(spaced, "", plain)):
        for text_as in (written, written.upper()):
            match = pattern.search(text_as)
            if match is not None:
                rest = written[: match.start(1)] + " " + written[match.end(1) :]
                return match.group(1), rest
    return None


def _phone(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    plain = _SPOKEN_PHONE.sub(lambda match: match[0].translate(_SPOKEN), normalised(text))
    match = _PHONE.search(plain)
    if match is None:
        return None
    digits = re.sub(r"\D", "", match[0])
    return ("+" if match[0].startswith("+") else "") + digits, _without(plain, match)


def _date(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    found = find_date(
        normalised(text), today=today, when="past" if step.when == "any" else step.when
    )
    if found is None:
        return None
    day, rest = found
    if (step.when == "past" and day > today) or (step.when == "future" and day < today):
        return None
    return day.isoformat(), rest


def _amount(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    plain = normalised(text)
    matches = list(_AMOUNT.finditer(plain.lower()))
    with_currency = [match for match in matches if match["before"] or match["after"]]
    # A bare number is an amount only when one was asked for.
    bare = sorted(matches, key=_in_words) if asked else []
    for match in with_currency or bare:
        number = number_of(match["number"])
        if number is None:
            continue
        if match["tenths"]:
            number += Decimal(number_of(match["tenths"]) or 0) / 10
        if not _within(step, number):
            continue
        currency = _CURRENCY.get(match["before"] or match["after"] or "", step.currency)
        if currency == "¥":
            currency = "JPY" if step.currency == "JPY" else "CNY"
        return {"value": f"{number:.2f}", "currency": currency}, _without(plain, match)
    return None


def _number(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    plain = normalised(text)
    matches = list(_NUMBER.finditer(plain.lower()))
    for match in sorted(matches, key=_in_words):
        number = number_of(match[0])
        if number is not None and _within(step, number):
            value = int(number) if number == int(number) else float(number)
            return value, _without(plain, match)
    return None


def _choice(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    option = option_of(step, text) if asked else _contained(step, _plain(text))
    return None if option is None else (option.value, text)


def _text(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    return (text[:LONGEST_TEXT], "") if text and asked else None


def _boolean(step: Ask, text: str, language: str, today: date, asked: bool) -> Found:
    answer = yes_or_no(text)
    return None if answer is None else (answer, "")


_READERS: dict[str, Callable[[Ask, str, str, date, bool], Found]] = {
    "email": _email,
    "code": _code,
    "phone": _phone,
    "date": _date,
    "amount": _amount,
    "number": _number,
    "choice": _choice,
    "text": _text,
    "boolean": _boolean,
}


def _without(text: str, match: re.Match[str]) -> str:
    return text[: match.start()] + " " + text[match.end() :]


def _in_words(match: re.Match[str]) -> bool:
    """Figures go before words: "I have a box of 20"."""
    return not re.search(r"\d", match[0])


def _within(step: Ask, number: Decimal) -> bool:
    return (step.minimum is None or number >= Decimal(str(step.minimum))) and (
        step.maximum is None or number <= Decimal(str(step.maximum))
    )


def _plain(text: str) -> str:
    return re.sub(r"^[\s\W]+|[\s\W]+$", "", normalised(text).lower())


def _words(option: Option) -> list[str]:
    return [option.value, *option.label.values(), *option.words]


def _place(plain: str) -> int | None:
    """The place that "2", "the second one" or 第二个 names."""
    match = re.fullmatch(r"(?:the )?([a-z]+|\d+)(?: one)?|第(.+?)[个项种]?", plain)
    if match is None:
        return None
    if match[1] in _ORDINALS:
        return _ORDINALS[match[1]]
    number = number_of(match[2] or match[1]) if match[2] or match[1].isdigit() else None
    return int(number) if number is not None and number == int(number) else None


def _contained(step: Ask, plain: str) -> Option | None:
    """The one option of which a word is in the text; "too late" is not "late" as well."""

    def holds(word: str) -> bool:
        if word.isascii():
            return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", plain, re.ASCII) is not None
        return word in plain

    found = {
        index: [word for word in map(_plain, _words(option)) if word and holds(word)]
        for index, option in enumerate(step.options)
    }
    meant = [
        index
        for index, mine in found.items()
        if any(
            not any(
                word in other and word != other for theirs in found.values() for other in theirs
            )
            for word in mine
        )
    ]
    return step.options[meant[0]] if len(meant) == 1 else None
