"""Which reports tell of the same event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.threads import (
    WINDOW,
    PairModel,
    Report,
    ThreadConfig,
    entity_key,
    find_names,
    fit_pairs,
    linkage,
    name_rarity,
    place_report,
    read_report,
    report_text,
    shipped_model,
)

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def vector(*cosines: float) -> np.ndarray:
    """Norm 1; the first numbers are as given, the last makes up the rest."""
    rest = max(0.0, 1.0 - sum(value * value for value in cosines))
    return np.array([*cosines, rest**0.5], np.float32)


def report(title: str, hours: float = 0.0, likeness: float = 1.0, **more: Any) -> Report:
    return read_report(
        title=title,
        published_at=NOON + timedelta(hours=hours),
        vector=vector(likeness),
        **more,
    )


def test_names_are_the_same_in_both_languages() -> None:
    english = find_names("Apple sues OpenAI alleging trade secret theft")
    chinese = find_names("苹果起诉OpenAI窃取商业机密")
    assert {"apple", "openai", "lawsuit"} <= english & chinese


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("Goldman says sell", "gold"),
        ("Let us sit down", "us"),
        ("Chipotle opens a shop", "chips"),
        ("A shell company bought land", "shell"),
        ("他在平台上班", "taiwan"),
        ("法院开庭", "france"),
    ],
)
def test_a_name_inside_another_word_is_none(text: str, absent: str) -> None:
    assert absent not in find_names(text)


def test_one_chinese_form_can_name_two() -> None:
    assert {"us", "iran"} <= find_names("美伊谈判")


@given(st.text(max_size=200))
def test_names_of_any_text_can_be_looked_for(text: str) -> None:
    assert find_names(text) == find_names(text)


def test_a_chinese_and_an_english_report_of_one_event_are_probably_the_same() -> None:
    english = report("Trump raises US tariffs on South Korea imports to 25%", likeness=0.6)
    chinese = report("特朗普称提高对韩国多种商品关税税率至25%", hours=1, likeness=1.0)
    other = report("Starbucks closes shops in Canada", hours=1, likeness=0.3)
    model = shipped_model()
    assert model.probability(english, chinese) > ThreadConfig().together
    assert model.probability(other, chinese) < 0.2


def test_the_same_words_days_later_are_less_probably_the_same() -> None:
    model = shipped_model()
    chances = [
        model.probability(report("Oil slips on supply"), report("Oil slips on supply", hours=hours))
        for hours in (0, 12, 24, 48, 72)
    ]
    assert chances == sorted(chances, reverse=True)
    assert chances[0] > 0.5 > chances[-1]


def test_editions_of_a_series_are_no_story() -> None:
    first = report("7月3日财经晚报", source="东方财富")
    second = report("7月4日财经晚报", hours=24, likeness=0.97, source="东方财富")
    assert shipped_model().probability(first, second) < ThreadConfig().together


def test_probability_does_not_depend_on_the_order() -> None:
    first, second = report("Apple sues OpenAI"), report("苹果起诉OpenAI", hours=3, likeness=0.5)
    model = shipped_model()
    assert model.probability(first, second) == pytest.approx(model.probability(second, first))


def test_entities_of_an_application_count_as_names() -> None:
    plain = report("Northlight cuts outlook"), report("北光下调展望", likeness=0.4)
    linked = (
        report("Northlight cuts outlook", entities=["northlight"]),
        report("北光下调展望", likeness=0.4, entities=["northlight"]),
    )
    model = shipped_model()
    assert model.probability(*linked) > model.probability(*plain)


def test_an_entity_that_the_table_has_counts_once() -> None:
    assert report("Apple sues", entities=[entity_key("Apple")]).names == find_names("Apple sues")
    assert entity_key("Northlight") == entity_key("NORTHLIGHT") not in find_names("Northlight")


def test_a_report_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        read_report(title="x", published_at=datetime(2026, 1, 1), vector=vector(1.0))  # noqa: DTZ001


def test_of_a_long_body_the_beginning_is_read() -> None:
    assert len(report_text("Title", "word " * 1000)) == 400


def test_a_newcomer_joins_the_likelier_thread() -> None:
    newcomer = report("Apple sues OpenAI over secrets", hours=1)
    threads = {
        "apple": [report("苹果起诉OpenAI", likeness=0.7)],
        "oil": [report("Oil slips on supply", likeness=0.3)],
    }
    assert place_report(newcomer, threads).thread == "apple"


def test_what_fits_nowhere_begins_a_thread() -> None:
    placed = place_report(report("A new thing"), {"oil": [report("Oil slips", likeness=0.1)]})
    assert placed.thread is None
    assert place_report(report("A new thing"), {}).thread is None


def test_a_thread_that_is_over_takes_nothing() -> None:
    old = report("Apple sues OpenAI")
    late = read_report(
        title="Apple sues OpenAI",
        published_at=NOON + WINDOW + timedelta(minutes=1),
        vector=vector(1.0),
    )
    assert place_report(late, {"apple": [old]}, config=ThreadConfig(together=0.01)).thread is None


def test_what_belongs_to_two_threads_merges_them() -> None:
    threads = {
        "en": [report("Apple sues OpenAI", likeness=0.9)],
        "zh": [report("苹果起诉OpenAI窃取商业机密", likeness=0.8)],
        "oil": [report("Oil slips", likeness=0.1)],
    }
    placed = place_report(report("Apple sues OpenAI, alleging theft"), threads)
    assert {placed.thread, *placed.merged} == {"en", "zh"}


def test_a_chain_of_small_steps_does_not_become_one_thread() -> None:
    chain = [report("Oil slips on supply", hours=hours, likeness=0.9) for hours in (0, 20, 40, 60)]
    newcomer = report("Oil slips on supply", hours=70, likeness=0.9)
    model = shipped_model()
    assert linkage([newcomer], chain) < model.probability(newcomer, chain[-1])


@pytest.mark.parametrize("values", [{"together": 0.0}, {"together": 1.0}, {"compared": 0}])
def test_settings_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ThreadConfig(**values)


def test_a_model_is_fitted_saved_and_read() -> None:
    same = [(report("A b c", likeness=0.9), report("A b c", hours=hour), True) for hour in range(5)]
    apart = [
        (report("A b c", likeness=0.1), report("X y z", hours=40 + hour), False)
        for hour in range(5)
    ]
    model = fit_pairs([*same, *apart], rarity={"apple": 3.0}, unknown_rarity=5.0)
    assert model.probability(*same[0][:2]) > 0.5 > model.probability(*apart[0][:2])
    again = PairModel.from_json(model.to_json())
    assert again.probability(*same[0][:2]) == pytest.approx(
        model.probability(*same[0][:2]), abs=1e-3
    )


def test_pairs_of_one_label_teach_nothing() -> None:
    with pytest.raises(ValueError, match="both labels"):
        fit_pairs([(report("A"), report("B"), True)], rarity={}, unknown_rarity=1.0)


def test_a_damaged_model_says_so() -> None:
    with pytest.raises(ValueError, match="no pair model"):
        PairModel.from_json({"weights": {}})


def test_rarity_of_names() -> None:
    rarity, unknown = name_rarity([frozenset({"us"})] * 90 + [frozenset({"ternus"})] * 10)
    assert rarity["us"] < rarity["ternus"] < unknown
    with pytest.raises(ValueError, match="there is none"):
        name_rarity([])
