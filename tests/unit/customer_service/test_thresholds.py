"""When a prepared answer is given directly: what questions choose, and what they must not choose."""

from __future__ import annotations

from apps.customer_service.services.answering.matching import (
    Neighbour,
    Weights,
    match,
    same_words,
    word_overlap,
)
from apps.customer_service.services.answering.thresholds import Match, direct, tune_threshold


def _matches(*rows: tuple[float, bool, int]) -> list[Match]:
    return [Match(probability, right) for probability, right, often in rows for _ in range(often)]


def test_a_threshold_lets_the_right_ones_through_and_no_more() -> None:
    matches = _matches((0.72, True, 30), (0.64, False, 10), (0.95, True, 10))
    assert 0.64 < tune_threshold(matches, 0.9) <= 0.72
    assert direct(matches, 0.7) == (40, 40)
    assert direct(matches, 0.6) == (50, 40)


def test_it_rises_where_direct_answers_are_wrong() -> None:
    matches = _matches((0.85, False, 12), (0.95, True, 12))
    assert 0.85 < tune_threshold(matches, 0.8) <= 0.95


def test_chance_and_few_questions_choose_nothing() -> None:
    assert tune_threshold(_matches((0.6, True, 9)), 0.8) == 0.8
    assert tune_threshold(_matches((0.9, True, 30), (0.7, True, 1)), 0.8) == 0.8
    assert tune_threshold(_matches((0.9, True, 30)), 0.8) == 0.8


def _found(text: str, score: float, cosine: float | None, answer: str = "a") -> Neighbour:
    return Neighbour(answer=answer, intent=answer, text=text, score=score, cosine=cosine)


def _sure(asked: str, *found: Neighbour, intent: str = "", probability: float = 0.0) -> float:
    return match(asked, found, intent=intent, probability=probability, weights=Weights())


def test_a_match_is_surer_the_nearer_the_texts_and_the_farther_the_next() -> None:
    asked = "What are the opening hours?"
    near = _found("When are the opening hours?", 0.8, 0.9)
    assert _sure(asked, near) > _sure(asked, _found("When are the opening hours?", 0.8, 0.5))
    rival = _found("What are the visiting hours?", 0.79, 0.89, "b")
    assert _sure(asked, near, rival) < _sure(asked, near)
    same_answer = _found("What are the visiting hours?", 0.79, 0.89)
    assert _sure(asked, near, same_answer) == _sure(asked, near)
    agrees = _sure(asked, near, intent="a", probability=0.9)
    assert agrees > _sure(asked, near) > _sure(asked, near, intent="b", probability=0.9)


def test_the_same_words_are_sure_whatever_the_width() -> None:
    assert same_words("退货？", "退货")
    assert _sure("ＨＯＷ do I return shoes", _found("How do I return shoes?", 0.1, None)) == 1.0


def test_words_alone_are_never_sure() -> None:
    asked = "请问运费怎么计算？"
    near, far = (
        _found("运费怎么计算？", 0.8, None),
        _found("怎么修改收货地址？", 0.3, None),
    )
    assert word_overlap(asked, near.text) > 0.7
    assert _sure(asked, far) < _sure(asked, near) < 0.8
    assert _sure(near.text.strip("？"), near) == 1.0


def test_one_answer_alone_is_not_surer_than_among_many() -> None:
    asked = "Do you ship to Norway?"
    alone = _found("Do you ship to Japan?", 0.7, 0.5)
    assert _sure(asked, alone) < 0.6
