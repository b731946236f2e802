"""Values read out of what customers write, in English and Chinese."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.customer_service.services.flows.definition import SLOT_TYPES, Ask, Option
from apps.customer_service.services.flows.numerals import number_of
from apps.customer_service.services.flows.slots import extract, extract_ahead, yes_or_no
from apps.customer_service.services.flows.words import (
    asks,
    corrects,
    wants_people,
    wants_to_cancel,
)

MONDAY = date(2026, 11, 23)
OPTIONS = (
    Option("broken", {"en": "It is broken", "zh": "坏了"}, ("defective",)),
    Option("late", {"en": "Late", "zh": "太晚"}, ("too late",)),
    Option("later", {"en": "Ask me later", "zh": "以后再说"}),
)


def ask(kind: str, **options: Any) -> Ask:
    return Ask("step", "slot", kind, {}, "", **options)  # type: ignore[arg-type]


def read(step: Ask, text: str) -> Any:
    return extract(step, text, language="en", today=MONDAY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", "2026-11-23"),
        ("it was yesterday evening", "2026-11-22"),
        ("the day before yesterday", "2026-11-21"),
        ("last Friday", "2026-11-20"),
        ("Friday", "2026-11-20"),
        ("last Monday", "2026-11-16"),
        ("this Wednesday", "2026-11-25"),
        ("next Friday", "2026-11-27"),
        ("3 days ago", "2026-11-20"),
        ("a week ago", "2026-11-16"),
        ("two weeks ago", "2026-11-09"),
        ("a month ago", "2026-10-23"),
        ("in 3 days", "2026-11-26"),
        ("2026-11-20", "2026-11-20"),
        ("on 2026/11/3", "2026-11-03"),
        ("25/12/2025", "2025-12-25"),
        ("12/25/2025", "2025-12-25"),
        ("5/5/2026", "2026-05-05"),
        ("Nov 20", "2026-11-20"),
        ("20 November", "2026-11-20"),
        ("November 24th", "2025-11-24"),
        ("the 20th of November 2025", "2025-11-20"),
        ("the 20th", "2026-11-20"),
        ("今天", "2026-11-23"),
        ("昨天下午", "2026-11-22"),
        ("前天", "2026-11-21"),
        ("大前天", "2026-11-20"),
        ("上周五", "2026-11-20"),
        ("上星期五收到的", "2026-11-20"),
        ("上個禮拜五", "2026-11-20"),
        ("上上周日", "2026-11-15"),
        ("周三", "2026-11-18"),
        ("这周三", "2026-11-25"),
        ("下周三", "2026-12-02"),
        ("3天前", "2026-11-20"),
        ("三天前", "2026-11-20"),
        ("两周前", "2026-11-09"),
        ("一个月前", "2026-10-23"),
        ("十一月二十号", "2026-11-20"),
        ("11月20日", "2026-11-20"),
        ("２０２６年１１月２０日", "2026-11-20"),
        ("二〇二五年三月五日", "2025-03-05"),
        ("去年11月3日", "2025-11-03"),
        ("上个月15号", "2026-10-15"),
        ("20号", "2026-11-20"),
        # What could be two days, or is none, is asked again.
        ("03/04/2026", None),
        ("30 February", None),
        ("2026-13-40", None),
        ("sometime", None),
        ("I sat in the sun", None),
    ],
)
def test_dates(text: str, expected: str | None) -> None:
    assert read(ask("date"), text) == expected


def test_dates_on_one_side_of_today() -> None:
    """What was received lies in the past, what is to be delivered does not."""
    assert read(ask("date", when="past"), "tomorrow") is None
    assert read(ask("date", when="future"), "yesterday") is None
    assert read(ask("date", when="future"), "Friday") == "2026-11-27"
    assert read(ask("date", when="future"), "周三") == "2026-11-25"


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("$20", "20.00", "USD"),
        ("I paid 20 dollars", "20.00", "USD"),
        ("US$ 5.5", "5.50", "USD"),
        ("€1,234.56", "1234.56", "EUR"),
        ("2k usd", "2000.00", "USD"),
        ("twenty-five pounds", "25.00", "GBP"),
        ("¥200", "200.00", "CNY"),
        ("￥200", "200.00", "CNY"),
        ("两百块", "200.00", "CNY"),
        ("二百五十块", "250.00", "CNY"),
        ("一百二十块五毛", "120.50", "CNY"),
        ("3块5", "3.50", "CNY"),
        ("1.5万元", "15000.00", "CNY"),
        ("HK$300", "300.00", "HKD"),
        ("200", "200.00", "USD"),
        ("三百二十", "320.00", "USD"),
        ("2 of them for $15", "15.00", "USD"),
    ],
)
def test_amounts(text: str, value: str, currency: str) -> None:
    assert read(ask("amount"), text) == {"value": value, "currency": currency}


def test_amounts_beyond_the_bounds_are_none() -> None:
    step = ask("amount", minimum=1, maximum=500)
    assert read(step, "$600") is None
    assert read(step, "0 dollars") is None
    assert read(step, "$500") == {"value": "500.00", "currency": "USD"}


def test_a_bare_number_is_an_amount_only_when_asked_for() -> None:
    assert extract_ahead(ask("amount"), "order 1234", language="en", today=MONDAY) is None
    assert extract_ahead(ask("amount"), "the $12 one", language="en", today=MONDAY) == (
        {"value": "12.00", "currency": "USD"},
        "the  one",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一万二千", 12000), ("三百二十", 320), ("两百五", 250), ("两百零五", 205), ("二〇二六", 2026), ("十", 10),
        ("十五", 15), ("三万五", 35000), ("一亿零五万", 100_050_000), ("三点五", "3.5"), ("1.5万", 15000),
        ("一百零三", 103),
        ("one hundred and five", 105), ("three thousand", 3000), ("twenty-five", 25), ("12,345", 12345),
    ],
)  # fmt: skip
def test_numbers(text: str, expected: int | str) -> None:
    assert number_of(text) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "一一十", "万", "hello", "1.2.3"])
def test_no_numbers(text: str) -> None:
    assert number_of(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where is my order A-1234?", "A-1234"),
        ("a-1234", "A-1234"),
        ("A1234", "A-1234"),
        ("a 1234 please", "A-1234"),
        ("我的订单Ａ－１２３４呢", "A-1234"),
        ("订单号是A-1234谢谢", "A-1234"),
        ("A-12345", None),
        ("XA-1234", None),
        ("1234", None),
    ],
)
def test_codes(text: str, expected: str | None) -> None:
    assert read(ask("code", pattern="[A-Z]-[0-9]{4}"), text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call me on 138 1234 5678", "13812345678"),
        ("+86 13812345678", "+8613812345678"),
        ("(555) 123-4567", "5551234567"),
        ("幺三八一二三四五六七八", "13812345678"),
        ("010-62345678", "01062345678"),
        ("我的电话是13812345678", "13812345678"),
        ("1234", None),
    ],
)
def test_phones(text: str, expected: str | None) -> None:
    assert read(ask("phone"), text) == expected


def test_e_mail() -> None:
    assert read(ask("email"), "it's Li.Wei@Example.COM, thanks") == "Li.Wei@example.com"
    assert read(ask("email"), "邮箱是li@example.cn") == "li@example.cn"
    assert read(ask("email"), "li at example") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("broken", "broken"),
        ("Well, it is broken!", "broken"),
        ("坏了呀", "broken"),
        ("the second one", "late"),
        ("第二个", "late"),
        ("2", "late"),
        ("last", "later"),
        ("it was too late", "late"),
        ("broken and late", None),
        ("neither", None),
        ("7", None),
    ],
)
def test_choices(text: str, expected: str | None) -> None:
    assert read(ask("choice", options=OPTIONS), text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", True), ("Yes please", True), ("ok", True), ("好的", True), ("是的", True), ("没错", True),
        ("no problem", True),
        ("no", False), ("No thanks", False), ("不", False), ("不用了", False), ("不对", False),
        ("yesterday", None), ("not sure", None), ("不知道", None), ("maybe", None), ("好像不是", None),
        ("对不起", None),
    ],
)  # fmt: skip
def test_yes_or_no(text: str, expected: bool | None) -> None:
    assert yes_or_no(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "never mind",
        "Oh, never mind, thanks",
        "cancel",
        "forget it",
        "算了",
        "取消",
        "算了吧",
        "不用了,谢谢",
        "不办了",
    ],
)
def test_words_that_end_a_flow(text: str) -> None:
    assert wants_to_cancel(text)


@pytest.mark.parametrize(
    "text", ["cancel my order", "取消订单", "I cannot cancel it online", "stopwatch"]
)
def test_words_that_do_not(text: str) -> None:
    assert not wants_to_cancel(text)


@pytest.mark.parametrize(
    "text",
    [
        "I want to talk to a person",
        "agent please",
        "转人工",
        "人工客服",
        "找个人来处理",
        "speak with a human",
    ],
)
def test_asking_for_people(text: str) -> None:
    assert wants_people(text)


@pytest.mark.parametrize(
    "text", ["what does a travel agent cost", "the person at the door took it", "个人信息"]
)
def test_not_asking_for_people(text: str) -> None:
    assert not wants_people(text)


def test_corrections_and_questions() -> None:
    assert corrects("no, I meant A-1235")
    assert corrects("不对,是A-1235")
    assert not corrects("nothing arrived")
    assert asks("How long does a refund take?")
    assert asks("退款要多久")
    assert not asks("A-1234?")


@given(
    st.sampled_from(SLOT_TYPES),
    st.text(max_size=80)
    | st.text(
        alphabet="0123456789.,/-年月日号周上下个前后天一二三百千万亿零点块元$¥€ ago", max_size=40
    ),
)
def test_nothing_that_is_written_raises(kind: str, text: str) -> None:
    """Whatever comes: a value that is within its form, or none."""
    step = ask(kind, pattern="[A-Z]-[0-9]{4}", options=OPTIONS)
    value = read(step, text)
    if kind == "date" and value is not None:
        date.fromisoformat(value)
    if kind == "choice" and value is not None:
        assert value in {option.value for option in OPTIONS}
    extract_ahead(step, text, language="zh", today=MONDAY)
