"""Answers made of sentences of the sources, and whether sources say what a sentence says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.retrieval import Passage, compose, sentences_of, support

SOURCES = [
    Passage("七天内可以退货。商品须完好。退款三到五天到账。", ("退货",)),
    Passage("江苏运费 5 元。退款一般三到五天到账。"),
    Passage("地区 | 运费\n江苏 | 5 元\n西藏 | 20 元", kind="table"),
]


def said(question: str, **options) -> list[str]:
    return [each.text for each in compose(question, SOURCES, **options).sentences]


def test_the_sentence_that_answers_is_quoted_once_with_its_source():
    answer = compose("退款多久到账？", SOURCES)
    assert [each.text for each in answer.sentences] == ["退款三到五天到账。"]
    assert answer.passages == [1]
    assert answer.support > 0.3


@pytest.mark.parametrize(
    ("text", "standalone", "follow_up", "answer"),
    [
        (
            "The warranty on the stove is two years from the day of purchase. "
            "The warranty on the tent is five years from the day of purchase.",
            "warranty stove on the tent",
            "And on the tent?",
            "The warranty on the tent is five years from the day of purchase.",
        ),
        (
            "市区配送需要两个工作日。山区配送需要五个工作日。",
            "市区配送几天 山区",
            "那山区呢？",
            "山区配送需要五个工作日。",
        ),
    ],
)
def test_a_follow_up_is_answered_and_not_the_question_before_it(
    text, standalone, follow_up, answer
):
    composed = compose(standalone, [Passage(text)], focus=follow_up)
    assert [each.text for each in composed.sentences] == [answer]


def test_a_row_is_said_under_its_header():
    assert "地区 | 运费\n西藏 | 20 元" in said("西藏的運費是多少")
    assert "地区 | 运费\n江苏 | 5 元" not in said("西藏的運費是多少", most=1)


def test_where_the_sources_say_nothing_there_is_no_answer():
    answer = compose("会员生日礼物", SOURCES)
    assert (answer.sentences, answer.support) == ([], 0.0)
    assert compose("退款", []).sentences == []


def test_an_answer_to_a_question_is_taken_whole():
    faq = Passage("Open the app. Tap Invoice.", ("How do I get an invoice?",), "question")
    assert [each.text for each in compose("invoice?", [faq]).sentences] == [faq.text]


def test_models_turn_the_choice():
    passages = [Passage("Parcels take two days. We refund within five days. Call us.")]
    count = len(sentences_of(passages))
    reranks = np.zeros(count)
    reranks[1] = 1.0
    answer = compose("When is my money back?", passages, reranks=reranks, most=1)
    assert [each.text for each in answer.sentences] == ["We refund within five days."]
    with pytest.raises(ValueError, match="2 cosines for 3 sentences"):
        compose("money", passages, cosines=np.zeros(2))


def test_what_means_the_same_is_said_once():
    passages = [Passage("Refunds take five days."), Passage("Money refunded: by Friday.")]
    vectors = np.array([[1.0, 0.0], [1.0, 0.0]])
    scores = np.array([0.9, 0.8])
    assert len(compose("refund money", passages, cosines=scores).sentences) == 2
    assert len(compose("refund money", passages, cosines=scores, vectors=vectors).sentences) == 1


@given(
    st.lists(st.text(alphabet="退款天到账。ab .|\n1", max_size=60), max_size=4), st.integers(1, 5)
)
def test_every_sentence_stands_in_its_source(texts, most):
    passages = [Passage(text) for text in texts]
    answer = compose("退款 a1 到账", passages, most=most)
    assert len(answer.sentences) <= most
    assert 0 <= answer.support <= 1
    for each in answer.sentences:
        assert each.text in passages[each.passage - 1].text


def test_support_is_what_the_best_source_says_as_well():
    source = "退款一般三到五天到账，节假日顺延。"
    assert support("退款三到五天到账", [source, "别的"]) == 1.0
    assert support("会员享受生日礼物", [source]) < 0.3
    assert support("Refunds take five days.", ["A refund takes three to five days."]) > 0.9


def test_a_figure_that_no_source_has_is_not_supported():
    assert support("The fee is 50 dollars.", ["The fee is 20 dollars."]) == 0.0
    assert support("The fee is 20 dollars.", ["The fee is 20 dollars."]) == 1.0
    assert support("Hello, how are you?", ["x"]) == 1.0
