"""Dates as people write them: 2026-11-20, 20 November, last Friday, 上周五, 3天前, 十一月二十号.

`today` is the day in the organisation's time zone. What can mean two days (03/04/2026) is no date: it is asked again.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Literal

from apps.customer_service.services.flows.numerals import NUMBER, number_of

__all__ = ["When", "find_date"]

# On which side of today an incomplete date is looked for.
When = Literal["past", "future", "any"]
Match = re.Match[str]

_WEEKDAYS = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
_WEEKDAYS_ZH = {"一": 0, "二": 1, "三": 2, "四": 3, "五": 4, "六": 5, "日": 6, "天": 6} | {
    str(number): number - 1 for number in range(1, 8)
}
_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_NAMED = {
    "today": 0, "yesterday": -1, "tomorrow": 1, "day before yesterday": -2, "day after tomorrow": 2,
    "今天": 0, "今日": 0, "昨天": -1, "昨日": -1, "昨晚": -1, "前天": -2, "大前天": -3, "明天": 1, "明日": 1,
    "后天": 2, "大后天": 3,
}  # fmt: skip
_UNIT = {
    "day": "day", "week": "week", "month": "month", "year": "year",
    "天": "day", "日": "day", "周": "week", "星期": "week", "礼拜": "week", "个月": "month", "年": "year",
}  # fmt: skip
# "sat" and "sun" are words of their own.
_DAY_EN = r"mon(?:day)?|tue(?:s|sday)?|wed(?:nesday)?|thu(?:rs|rsday)?|fri(?:day)?|saturday|sunday"
_MONTH_EN = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_ZH_NUMBER = r"\d{1,4}|[零〇一二两三四五六七八九十]{1,5}"
_NAMES = "|".join(sorted(_NAMED, key=len, reverse=True))


def find_date(text: str, *, today: date, when: When = "past") -> tuple[date, str] | None:
    """The first date of a normalised text, and the text without it; None if there is none that is sure.

    Args:
        text: as `numerals.normalised` gives it.
        when: where "Friday", "20 November" or 20号 lie when nothing else says it; "any" is the nearest.
    """
    lowered = text.lower()
    for pattern, read in _FORMS:
        for match in pattern.finditer(lowered):
            try:
                found = read(match, today, when)
            except (ValueError, OverflowError):
                continue  # 30 February
            if found is not None:
                return found, text[: match.start()] + " " + text[match.end() :]
    return None


def _iso(match: Match, today: date, when: When) -> date | None:
    return date(int(match[1]), int(match[2]), int(match[3]))


def _figures(match: Match, today: date, when: When) -> date | None:
    first, second, year = int(match[1]), int(match[2]), int(match[3])
    year += 2000 if year < 100 else 0
    if first > 12:
        return date(year, second, first)
    if second > 12 or first == second:
        return date(year, first, second)
    return None


def _english(match: Match, today: date, when: When) -> date | None:
    month = _MONTHS[match["month"][:3]]
    day = int(match["day"])
    if match["year"]:
        return date(int(match["year"]), month, day)
    return _nearest(
        (_date(year, month, day) for year in range(today.year - 8, today.year + 9)), today, when
    )


def _chinese(match: Match, today: date, when: When) -> date | None:
    month, day = _number(match["month"]), _number(match["day"])
    if match["year"]:
        said = match["year"]
        near = {"去年": -1, "今年": 0, "明年": 1, "前年": -2}
        year = today.year + near[said] if said in near else _number(said.rstrip("年"))
        return date(year + 2000 if year < 100 else year, month, day)
    return _nearest(
        (_date(year, month, day) for year in range(today.year - 8, today.year + 9)), today, when
    )


def _day_of_month(match: Match, today: date, when: When) -> date | None:
    day = _number(match["day"])
    side = match["side"] or ""
    shift = {"上": -1, "这": 0, "本": 0, "下": 1}.get(side[:1])
    if shift is not None:
        first = _months(today.replace(day=1), shift)
        return first.replace(day=day)
    first = today.replace(day=1)
    days = (_date(*_year_month(first, step), day) for step in range(-12, 13))
    return _nearest(days, today, when)


def _weekday_en(match: Match, today: date, when: When) -> date | None:
    weekday = _WEEKDAYS[match["day"][:3]]
    side = match["side"] or ""
    back = (today.weekday() - weekday) % 7
    ahead = (weekday - today.weekday()) % 7
    if side in {"last", "past", "previous"}:
        return today - timedelta(days=back or 7)
    if side == "next":
        return today + timedelta(days=ahead or 7)
    if side == "this":
        return today - timedelta(days=today.weekday() - weekday)
    return _nearest((today - timedelta(days=back), today + timedelta(days=ahead)), today, when)


def _weekday_zh(match: Match, today: date, when: When) -> date | None:
    weekday = _WEEKDAYS_ZH[match["day"]]
    monday = today - timedelta(days=today.weekday())
    side = match["side"] or ""
    weeks = {"上": -1, "上个": -1, "上上": -2, "上上个": -2, "下": 1, "下个": 1, "下下": 2}.get(
        side, 0
    )
    found = monday + timedelta(days=weekday, weeks=weeks)
    if side:
        return found
    return _nearest((found - timedelta(weeks=1), found, found + timedelta(weeks=1)), today, when)


def _distance(match: Match, today: date, when: When) -> date | None:
    count = number_of(match["count"])
    if count is None or count != int(count) or count > 1000:
        return None
    number = int(count) * (-1 if match["back"] else 1)
    unit = _UNIT[match["unit"]]
    if unit == "day":
        return today + timedelta(days=number)
    if unit == "week":
        return today + timedelta(weeks=number)
    return _months(today, number * (12 if unit == "year" else 1))


def _named(match: Match, today: date, when: When) -> date | None:
    return today + timedelta(days=_NAMED[match["name"]])


def _number(text: str) -> int:
    value = number_of(text)
    if value is None:
        raise ValueError(text)
    return int(value)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _year_month(first: date, months: int) -> tuple[int, int]:
    total = first.year * 12 + first.month - 1 + months
    return total // 12, total % 12 + 1


def _months(day: date, months: int) -> date:
    """The same day so many months on, or the last of a shorter month."""
    year, month = _year_month(day, months)
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def _nearest(
    days: Iterator[date | None] | tuple[date, ...], today: date, when: When
) -> date | None:
    fit = [
        day
        for day in days
        if day is not None
        and (when != "past" or day <= today)
        and (when != "future" or day >= today)
    ]
    return min(fit, key=lambda day: abs((day - today).days), default=None)


_FORMS: list[tuple[re.Pattern[str], Callable[[Match, date, When], date | None]]] = [
    (re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)"), _iso),
    (re.compile(r"(?<!\d)(\d{1,2})[-/.](\d{1,2})[-/.](\d{4}|\d{2})(?!\d)"), _figures),
    (
        re.compile(
            rf"(?:(?P<year>(?:\d{{4}}|\d{{2}}|[零〇一二三四五六七八九]{{4}})年|去年|今年|明年|前年)(?:的)?)?\s*"
            rf"(?P<month>{_ZH_NUMBER})\s*月(?:份)?\s*(?P<day>{_ZH_NUMBER})\s*[日号]?"
        ),
        _chinese,
    ),
    (
        re.compile(
            rf"\b(?P<month>{_MONTH_EN})\.?\s+(?:the\s+)?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b"
            r"(?:,?\s+(?P<year>\d{4})\b)?"
        ),
        _english,
    ),
    (
        re.compile(
            rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH_EN})\b\.?"
            r"(?:,?\s+(?P<year>\d{4})\b)?"
        ),
        _english,
    ),
    (
        re.compile(
            rf"(?P<count>{NUMBER})\s*(?:个(?!月))?\s*(?P<unit>天|日|周|星期|礼拜|个月|年)(?:之|以)?(?:(?P<back>前)|后)"
        ),
        _distance,
    ),
    (
        re.compile(
            rf"(?P<count>{NUMBER})(?:\s+of)?\s+(?P<unit>day|week|month|year)s?\s+"
            r"(?:(?P<back>ago|back|earlier)|from now|later)\b"
        ),
        _distance,
    ),
    (
        re.compile(rf"\bin\s+(?P<back>)(?P<count>{NUMBER})\s+(?P<unit>day|week|month|year)s?\b"),
        _distance,
    ),
    (re.compile(rf"(?P<name>{_NAMES})"), _named),
    (
        re.compile(
            r"(?P<side>上上个|上上|上个|上|下下|下个|下|这个|这|本)?\s*(?:周|星期|礼拜)(?P<day>[一二三四五六日天1-7])"
            r"(?![\d个天周])"
        ),
        _weekday_zh,
    ),
    (
        re.compile(rf"\b(?:(?P<side>last|past|previous|this|next)\s+)?(?P<day>{_DAY_EN})\b"),
        _weekday_en,
    ),
    (
        re.compile(
            r"(?P<side>(?:上|这|本|下)个?月)?的?\s*(?P<day>\d{1,2}|[一二三四五六七八九十]{1,3})\s*[号日](?!码)"
        ),
        _day_of_month,
    ),
    (re.compile(r"\bthe\s+(?P<side>)(?P<day>\d{1,2})(?:st|nd|rd|th)\b"), _day_of_month),
]
