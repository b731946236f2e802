"""Words of texts and questions: what makes two texts meet."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.retrieval import content_terms, sentences, terms

TEXTS = st.text(
    alphabet=st.one_of(
        st.sampled_from("轉帳转账手續费信用卡的了吗。？！，abcdeRS0123 .,-/'’\n"), st.characters()
    ),
    max_size=80,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("轉帳手續費", "转账手续费"),
        ("帐户", "賬戶"),
        ("Ａ４纸", "a4纸"),
        ("Refunds", "refund"),
        ("re-activated cards", "re-activate card"),
        ("1,000 dollars", "1000 dollars"),
        ("customer's", "customers"),
        ("policies", "policy"),
    ],
)
def test_other_ways_to_write_it_meet(one, other):
    assert set(terms(one)) & set(terms(other))
    if "-" not in one:
        assert set(terms(one)) == set(terms(other))


def test_a_code_is_kept_whole_and_found_by_its_parts():
    assert {"a-1203", "1203"} <= set(terms("Error A-1203."))
    assert set(terms("iPhone 15")) <= set(terms("iPhone15Pro"))
    assert terms("3.5") == ["3.5"]


def test_words_inside_words_and_characters_are_found():
    found = set(terms("信用卡"))
    assert {"信用", "信用卡", "信", "用", "卡"} <= found


def test_words_that_name_nothing_are_asked_only_when_there_are_no_others():
    assert content_terms("请问 什么 是 maxkb") == ["maxkb"]
    assert content_terms("What is the refund?") == ["refund"]
    assert content_terms("what is the") == ["what", "is", "the"]


@given(TEXTS)
def test_terms_are_the_same_however_it_is_written(text):
    found = terms(text)
    assert all(found)
    assert terms(text.upper().lower()) == terms(text.upper().lower() + " ")
    assert set(content_terms(text)) <= set(found)


@given(TEXTS)
def test_sentences_lose_nothing_but_white_space(text):
    found = sentences(text)
    assert all(each == each.strip() and each for each in found)
    assert "".join("".join(found).split()) == "".join(text.split())


def test_sentences_end_where_they_end():
    assert sentences(
        "你好。我要“退货！”可以吗？Yes. Dr. Who paid 3.5 dollars, e.g. in cash. OK"
    ) == [
        "你好。",
        "我要“退货！”",
        "可以吗？",
        "Yes.",
        "Dr. Who paid 3.5 dollars, e.g. in cash.",
        "OK",
    ]
    assert sentences("see https://a.example/?q=1!x now\nnext") == [
        "see https://a.example/?q=1!x now",
        "next",
    ]


def test_importing_costs_nothing():
    code = "import sys, ml_core.retrieval as r; r.terms; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
