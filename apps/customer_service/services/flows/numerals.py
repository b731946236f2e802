"""Numbers as people write them: 1,234.5 · 1.5万 · 三百二十 · 两百五 · twenty-five."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

__all__ = ["NUMBER", "normalised", "number_of"]

# What values are written with, Traditional as Simplified; letters of other words are left alone.
_SIMPLIFIED = str.maketrans(
    "週號個兩萬億禮後幾貳參陸壹點圓塊錢對錯說應該訂單隨這過還沒數轉請問機聯電話",
    "周号个两万亿礼后几二三六一点元块钱对错说应该订单随这过还没数转请问机联电话",
)
_DIGITS = {
    "零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "幺": 1,
}  # fmt: skip
_UNITS = {"十": 10, "百": 100, "千": 1000}
_BIG = {"万": 10_000, "亿": 100_000_000}
_EN = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "couple": 2,
}  # fmt: skip

_ZH = "零〇一二两三四五六七八九十百千万亿"
_EN_WORD = "|".join(sorted(_EN, key=len, reverse=True))
_EN_NUMBER = (
    rf"\b(?:{_EN_WORD}|hundred|thousand)(?:[\s-]+(?:and[\s-]+)?(?:{_EN_WORD}|hundred|thousand))*\b"
)
_FIGURES = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
# One number in normalised, lower-case text.
NUMBER = rf"(?:(?:{_FIGURES})\s*(?:[千万亿]|k\b)?|[{_ZH}]+(?:点[{_ZH}]+)?|{_EN_NUMBER})"

_FIGURE = re.compile(rf"({_FIGURES})\s*([千万亿k]?)")


def normalised(text: str) -> str:
    """Full-width as half-width (NFKC), Traditional as Simplified where values need it, spaces as one."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text).translate(_SIMPLIFIED)).strip()


def number_of(text: str) -> Decimal | None:
    """The value of one number in the form of `NUMBER`; None if it is none."""
    text = text.strip().lower()
    figure = _FIGURE.fullmatch(text)
    if figure:
        factor = {"": 1, "k": 1000, "千": 1000} | _BIG
        return Decimal(figure[1].replace(",", "")) * factor[figure[2]]
    if text and all(letter in _ZH + "点" for letter in text):
        return _chinese(text)
    return _english(text)


def _chinese(text: str) -> Decimal | None:
    whole, _, fraction = text.partition("点")
    if fraction:
        if any(letter not in _DIGITS for letter in fraction):
            return None
        base = _chinese(whole) if whole else Decimal(0)
        digits = "".join(str(_DIGITS[letter]) for letter in fraction)
        return None if base is None else base + Decimal(f"0.{digits}")
    if len(whole) > 1 and all(letter in _DIGITS for letter in whole):
        return Decimal("".join(str(_DIGITS[letter]) for letter in whole))  # 二〇二六
    return _counted(whole)


def _counted(text: str) -> Decimal | None:
    """一万二千三百: digits before units, and 两百五 for 250."""
    total = section = 0
    digit: int | None = None
    unit = 1
    zero = False
    for letter in text:
        if letter in _UNITS:
            unit = _UNITS[letter]
            section += (1 if digit is None else digit) * unit
            digit, zero = None, False
        elif letter in _BIG:
            section += digit or 0
            unit = _BIG[letter]
            if section == 0:
                return None
            total = total + section * unit if unit == 10_000 else (total + section) * unit
            section, digit, zero = 0, None, False
        else:
            if digit not in {None, 0}:
                return None
            digit = _DIGITS[letter]
            zero = zero or digit == 0
    if digit is not None:
        # A last digit without its unit counts in tenths of the unit before: 两百五 is 250, 两百零五 is 205.
        section += digit * (unit // 10 if unit >= 100 and not zero else 1)
    return Decimal(total + section)


def _english(text: str) -> Decimal | None:
    total = current = 0
    words = [word for word in re.split(r"[\s-]+", text) if word and word != "and"]
    if not words:
        return None
    for word in words:
        if word in _EN:
            current += _EN[word]
        elif word == "hundred":
            current = (current or 1) * 100
        elif word == "thousand":
            total, current = total + (current or 1) * 1000, 0
        else:
            return None
    return Decimal(total + current)
