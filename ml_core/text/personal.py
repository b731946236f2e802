"""Find and mask what identifies a person in an English or Chinese text: e-mail addresses, telephone numbers, identity
numbers, bank cards and accounts, and Chinese postal addresses.

A pattern that carries its own proof must hold it: the check digit of ISO 7064 (GB 11643) for Chinese identity cards,
Luhn's for bank cards, country, length and check digits (ISO 13616) for IBANs, the ranges that are given out for
American social security numbers. Telephone numbers have none; their forms are matched, and a bare run of digits is one
only if it is a mobile number of the mainland or of Taiwan. A Chinese address is a street with a house number, or a
building with a block or room; the names before them that belong to it are taken with it. Names of persons and
addresses elsewhere need a model, not a pattern, and are not looked for.

Every pattern is bounded, so that the time is linear in the text however it was made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

PersonalKind = Literal["EMAIL", "ID_CARD", "IBAN", "BANK_CARD", "PHONE", "ADDRESS"]

# Full-width forms are read as the ordinary ones; one character for one, so that places stay.
_WIDTH = {0xFF01 + step: 0x21 + step for step in range(94)} | {
    0x3000: 0x20, 0xA0: 0x20, 0x2010: 0x2D, 0x2011: 0x2D, 0x2012: 0x2D, 0x2013: 0x2D,
}  # fmt: skip

# Not inside a longer number, nor behind its decimal point or a thousands separator.
_START = r"(?<![0-9A-Za-z])(?<![0-9][.,])"
_END = r"(?![0-9A-Za-z])(?![.,][0-9])"

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9@-])"
)
_CHINESE_ID = re.compile(rf"{_START}[1-9][0-9]{{5}} ?[0-9]{{8}} ?[0-9]{{3}}[0-9Xx]{_END}")
_CHINESE_ID_15 = re.compile(rf"{_START}[1-9][0-9]{{14}}{_END}")
_SOCIAL_SECURITY = re.compile(rf"{_START}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{_END}(?!-)")
_BANK_CARD = re.compile(
    rf"{_START}(?:[2-69][0-9]{{12,18}}"
    r"|[2-69][0-9]{3}(?:[ -][0-9]{4}){2,3}(?:[ -][0-9]{1,4})?"
    rf"|3[0-9]{{3}}[ -][0-9]{{6}}[ -][0-9]{{5}}){_END}"
)
# Characters of an IBAN by country (registry of SWIFT, release 99): those of Europe and its neighbours.
_IBAN_LENGTHS = {
    15: "NO", 16: "BE", 18: "DK|FI|FO|GL|NL", 19: "MK|SI", 20: "AT|BA|EE|KZ|LT|LU|XK", 21: "CH|HR|LI|LV",
    22: "BG|DE|GB|GE|IE|ME|RS", 23: "AE|GI|IL", 24: "AD|CZ|ES|MD|RO|SA|SE|SK|TN|VG", 25: "PT", 26: "IS|TR",
    27: "FR|GR|IT|MC|SM", 28: "AL|AZ|CY|DO|HU|LB|PL", 29: "BH|BR|EG|QA|UA", 31: "MT", 33: "RU",
}  # fmt: skip
_IBAN = re.compile(
    rf"{_START}(?:"
    + "|".join(
        f"(?:{countries})[0-9]{{2}}(?:[ -]?[0-9A-Z]){{{length - 4}}}"
        for length, countries in _IBAN_LENGTHS.items()
    )
    + ")(?![0-9A-Za-z])"
)
_COUNT = "[0-9一二三四五六七八九十百零〇]"
# What tells a house; the names before it are looked for from there to the left. A date ("3号") has no street.
_HOUSE = re.compile(
    r"(?:(?:大道|大街|胡同|(?<![线電电網思套退出])路|街|巷|弄|(?<![渠知频頻通味])道)"
    rf"(?:{_COUNT}段)? ?[甲乙]?{_COUNT}{{1,6}}(?:[-－之]{_COUNT}{{1,4}})?(?:号|號|弄)(?![线線码碼召称])院?"
    r"|(?:小区|小區|花园|花園|公寓|大厦|大廈|新村|广场|廣場|中心|苑|村|里)"
    rf" ?[A-Za-z]?{_COUNT}{{0,4}}(?:号楼|號樓|栋|棟|幢|座|单元|單元|室))"
    rf"(?: ?[A-Za-z]?{_COUNT}{{0,5}}(?:号楼|號樓|号院|號院|号|號|栋|棟|幢|座|单元|單元|层|層|楼|樓|室|房|户)){{0,5}}"
)
# Not of a place's name: pronouns, particles and verbs that stand before an address.
_NO_PLACE = frozenset("至收我你您他她它们們在住是寄送的了址请請给給把吗嗎呢到为為问問家这這那哪")
_PLACE_LENGTH = 24

_PHONES = tuple(
    re.compile(f"{start}(?:{form}){_END}")
    for start, form in (
        # Mobile numbers of the mainland and of Taiwan.
        (_START, r"(?:(?:\+|00)?86[ -]?)?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}"),
        (_START, r"09[0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}"),
        # Lines with an area code: 010-62345678, (0755)26012345 转 801, 02-2345-6789.
        (
            _START,
            r"(?:\(0[0-9]{1,3}\) ?|0[0-9]{1,3}-)[0-9]{3,4}[ -]?[0-9]{4}(?:(?: ?转 ?| ?ext\.? ?|-)[0-9]{1,5})?",
        ),
        # With a country code.
        (
            r"(?<![0-9A-Za-z+])",
            r"\+[1-9][0-9]{0,2}(?:[ -]|\([0-9]{1,4}\)){0,2}[0-9]{2,4}(?:[ -]?[0-9]{2,4}){2,4}",
        ),
        # North America: (415) 555-2671, 415-555-2671, 1 415 555 2671.
        (
            _START,
            r"(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}",
        ),
    )
)

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
# First two digits of a Chinese identity number: the province.
_PROVINCES = frozenset(
    map(
        str,
        (
            *range(11, 16),
            *range(21, 24),
            *range(31, 38),
            *range(41, 47),
            *range(50, 55),
            *range(61, 66),
        ),
    )
) | {"71", "81", "82", "83", "91"}


@dataclass(frozen=True)
class PersonalSpan:
    """Characters ``start`` to ``end`` (exclusive) of a text are a ``kind``."""

    kind: PersonalKind
    start: int
    end: int


def find_personal(text: str) -> list[PersonalSpan]:
    """What identifies a person in ``text``, in order and without overlap.

    Where two kinds claim the same characters, the one with the stronger proof has them: e-mail address, identity
    number, account, bank card, telephone, address.
    """
    if not any(
        character.isdigit() or character in "@\uff20号號弄栋棟幢座室单單" for character in text
    ):
        return []
    # Characters outside ASCII are of no pattern but their own; a lone surrogate is one of them.
    plain = text.translate(_WIDTH)
    taken: list[PersonalSpan] = []
    for kind, pattern, holds in _PATTERNS:
        for match in pattern.finditer(plain):
            start, end = match.span()
            free = all(end <= span.start or start >= span.end for span in taken)
            if free and holds(match.group()):
                taken.append(PersonalSpan(kind, start, end))
    taken += _addresses(plain, taken)
    return sorted(taken, key=lambda span: span.start)


def mask_personal(text: str) -> tuple[str, dict[str, int]]:
    """``text`` with ``<EMAIL>``, ``<ID_CARD>``, ``<IBAN>``, ``<BANK_CARD>``, ``<PHONE>`` or ``<ADDRESS>`` for what
    `find_personal` finds, and how many of each there were. A masked text has nothing left to mask."""
    counts: dict[str, int] = {}
    while spans := find_personal(text):
        parts, done = [], 0
        for span in spans:
            parts += [text[done : span.start], f"<{span.kind}>"]
            done = span.end
            counts[span.kind] = counts.get(span.kind, 0) + 1
        text = "".join([*parts, text[done:]])
    return text, counts


def _addresses(plain: str, taken: list[PersonalSpan]) -> list[PersonalSpan]:
    """Chinese addresses outside of what is taken: a house, and the names of its street, district and city."""
    found: list[PersonalSpan] = []
    for match in _HOUSE.finditer(plain):
        start, end = match.span()
        if any(span.start < end and start < span.end for span in taken):
            continue
        before = [span.end for span in (*taken, *found) if span.end <= start]
        least = max([0, start - _PLACE_LENGTH, *before])
        begin = start
        while begin > least and _of_place(plain[begin - 1]):
            begin -= 1
        if begin < start:
            found.append(PersonalSpan("ADDRESS", begin, end))
    return found


def _of_place(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff" and character not in _NO_PLACE


def _digits(text: str) -> str:
    return "".join(character for character in text if character not in " -")


def _real_date(digits: str) -> bool:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return 1850 <= born.year <= 2100


def _chinese_id(text: str) -> bool:
    number = _digits(text).upper()
    if number[:2] not in _PROVINCES or not _real_date(number[6:14]):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _ID_WEIGHTS, strict=True))
    return _ID_CHECKS[total % 11] == number[17]


def _chinese_id_15(text: str) -> bool:
    """The form of before 1999: no check digit, two digits of the year."""
    return text[:2] in _PROVINCES and _real_date(f"19{text[6:12]}")


def _social_security(text: str) -> bool:
    area, group, serial = text.split("-")
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def _luhn(text: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1)."""
    digits = [int(digit) for digit in _digits(text)]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """Whether the check digits are right (ISO 7064, MOD 97-10)."""
    number = _digits(text)
    return int("".join(str(int(each, 36)) for each in number[4:] + number[:4])) % 97 == 1


def _phone(text: str) -> bool:
    """E.164 allows 15 digits; one digit all along is a form to fill in, no number."""
    digits = "".join(character for character in text if character.isdigit())
    return len(digits) <= 20 and len(set(digits[-7:])) > 1


_PATTERNS: tuple[tuple[PersonalKind, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("EMAIL", _EMAIL, bool),
    ("ID_CARD", _CHINESE_ID, _chinese_id),
    ("ID_CARD", _CHINESE_ID_15, _chinese_id_15),
    ("ID_CARD", _SOCIAL_SECURITY, _social_security),
    ("IBAN", _IBAN, _iban),
    ("BANK_CARD", _BANK_CARD, _luhn),
    *(("PHONE", pattern, _phone) for pattern in _PHONES),
)
