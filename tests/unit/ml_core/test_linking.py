"""Who a text names: boundaries, Chinese short names, dates, tickers, and doubt."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.linking import (
    Linker,
    Name,
    NameTable,
    TaggedSpan,
    TermIndex,
    estimate_ambiguity,
    fold_name,
    symbol_names,
)


def name(entity: str, text: str, kind: str = "short", **dates: date) -> Name:
    return Name(entity, text, kind, estimate_ambiguity(text, kind), **dates)  # type: ignore[arg-type]


def linker(*names: Name, **context: list[str]) -> Linker:
    return Linker(NameTable(names, context))


def linked(links: Linker, text: str, on: date | None = None) -> list[tuple[str, str]]:
    return [
        (link.surface, link.candidates[0].entity)
        for link in links.link(text, on=on)
        if link.decision == "linked"
    ]


def test_a_name_is_never_found_inside_a_word() -> None:
    links = linker(name("gold", "Gold"), name("goldman", "Goldman Sachs Group Inc", "full"))
    assert linked(links, "Goldman Sachs cuts its forecast") == [("Goldman Sachs", "goldman")]
    assert links.link("Goldmans and golden rules") == []


def test_the_longest_name_wins_and_writing_does_not_matter() -> None:
    links = linker(name("tencent", "騰訊控股"), name("tencent", "腾讯"), name("vanke", "万科A"))
    assert linked(links, "腾讯控股 与萬  科Ａ") == [("腾讯控股", "tencent"), ("萬  科Ａ", "vanke")]


@pytest.mark.parametrize("text", ["平安夜教堂外排起长队", "他平安回家"])
def test_a_chinese_word_of_every_day_is_not_a_company(text: str) -> None:
    assert linked(linker(name("pingan", "平安")), text) == []


def test_the_text_around_a_short_name_speaks_for_a_bearer() -> None:
    links = linker(
        name("pingan", "平安"),
        name("pingan-bank", "平安"),
        pingan=["保险"],
        **{"pingan-bank": ["信贷"]},
    )
    [link] = links.link("平安 保费收入增长,保险业务回暖")
    assert link.candidates[0].entity == "pingan"
    [doubtful] = links.link("平安公告业绩")
    assert doubtful.decision == "review"
    assert {candidate.entity for candidate in doubtful.candidates} == {"pingan", "pingan-bank"}


def test_a_name_counts_only_while_it_was_one() -> None:
    links = linker(
        name("facebook", "Facebook Inc", "former", valid_until=date(2021, 10, 27)),
        name("hairun", "ST海润", "st-rename", valid_from=date(2017, 5, 3)),
    )
    assert linked(links, "Facebook Inc grows", date(2020, 1, 1)) == [("Facebook Inc", "facebook")]
    assert links.link("Facebook Inc grows", on=date(2023, 1, 1)) == []
    assert linked(links, "*ST海润涨停", date(2018, 1, 1)) == [("*ST海润", "hairun")]
    assert links.link("*ST海润涨停", on=date(2017, 1, 1)) == []


def test_tickers_need_their_case_or_a_market() -> None:
    links = linker(
        name("berkshire", "BRK.B", "ticker"),
        name("citi", "C", "ticker"),
        name("target", "TGT", "ticker"),
        name("target", "Target"),
    )
    assert linked(links, "Hold BRK.B, said one") == [("BRK.B", "berkshire")]
    assert links.link("brk.bx and C programmers") == []
    assert linked(links, "NYSE: C falls") == [("C", "citi")]
    assert linked(links, "Target (NYSE: TGT) beats") == [("Target", "target"), ("TGT", "target")]
    assert links.link("Analysts raise their price target") == []


def test_a_code_is_a_listing_where_the_text_says_so() -> None:
    links = linker(*[name("moutai", text, "ticker") for text in symbol_names("600519", "XSHG")])
    assert linked(links, "贵州茅台(600519)") == [("600519", "moutai")]
    assert linked(links, "SH600519 and 600519.SS") == [
        ("SH600519", "moutai"),
        ("600519.SS", "moutai"),
    ]
    assert linked(links, "电话600519") == []


def test_symbols_are_written_in_many_ways() -> None:
    assert {"0700.HK", "00700.HK", "700.HK", "HK00700"} <= set(symbol_names("700", "XHKG"))
    assert {"BRK.B", "BRK-B", "BRK/B"} <= set(symbol_names("BRK.B", "XNYS"))


def test_a_tagger_speaks_for_a_name() -> None:
    links = linker(name("gap", "Gap"))
    [alone] = links.link("Gap opens stores")
    [seen] = links.link("Gap opens stores", tagged=[TaggedSpan(0, 3, "company", 0.9)])
    assert (alone.decision, seen.decision) == ("review", "linked")


def test_terms_are_whole_words_or_beginnings() -> None:
    index = TermIndex({"mergers": ["acqui*", "merger", "收购"], "listings": ["IPO", "上市"]})
    assert list(index.find("公司拟上市后收购")) == ["listings", "mergers"]
    assert index.find("Acme acquires Foo") == {"mergers": ["acqui"]}
    assert index.find("submergers and hippo, reacquired") == {}


@given(st.text(max_size=60), st.text(min_size=1, max_size=8))
def test_what_is_found_is_where_it_is_said_to_be(text: str, wanted: str) -> None:
    table = NameTable([Name("x", wanted)])
    for found in table.find(f"{text} {wanted} {text}"):
        surface = f"{text} {wanted} {text}"[found.start : found.end]
        assert fold_name(surface) == fold_name(wanted)


@given(st.text(max_size=80))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold_name(fold_name(text)) == fold_name(text)
