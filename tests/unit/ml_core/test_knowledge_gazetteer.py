from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.knowledge import Entry, Gazetteer, GazetteerGuide, RuleError

GAZETTEER = Gazetteer(
    [
        Entry("Goldman Sachs", "ORG"),
        Entry("Goldman", "PER"),
        Entry("New York", "LOC"),
        Entry("贵州茅台", "ORG"),
        Entry("A股 市场", "MARKET"),
    ]
)
TAGS = ["O", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]


def words(text: str) -> list[str]:
    return text.split()


def test_hints_for_words_and_for_characters() -> None:
    assert GAZETTEER.hints(words("He left GOLDMAN Sachs , Goldman said in New York .")) == words(
        "O O B-ORG I-ORG O B-PER O O B-LOC I-LOC O"
    )
    assert GAZETTEER.hints(list("昨日贵州茅台上涨")) == words("O O B-ORG I-ORG I-ORG I-ORG O O")
    assert GAZETTEER.hints(["看", "A", "股", "市场"]) == words("O B-MARKET I-MARKET I-MARKET")


def test_a_name_inside_a_token_is_none() -> None:
    assert GAZETTEER.hints(["Goldmann", "NewYorker"]) == ["O", "O"]
    assert GAZETTEER.hints([]) == []
    assert GAZETTEER.hints(["", "Goldman", ""]) == ["O", "B-PER", "O"]


def test_features_are_the_hints_in_columns() -> None:
    features = GAZETTEER.features(words("in New York"))
    assert features.shape == (3, 2 * len(GAZETTEER.types))
    start = 2 * GAZETTEER.types.index("LOC")
    assert features.sum(1).tolist() == [0, 1, 1]
    assert features[1, start] == features[2, start + 1] == 1


def test_one_surface_of_two_types_is_refused() -> None:
    with pytest.raises(RuleError, match="'Paris' is given as LOC and as PER"):
        Gazetteer([Entry("Paris", "LOC"), Entry("paris", "PER")])


def test_weak_tags_only_for_sentences_with_an_entry() -> None:
    rows = GAZETTEER.tag([words("nothing here"), words("in New York")])
    assert rows == [(1, ["in", "New", "York"], ["O", "B-LOC", "I-LOC"])]


def sentences(count: int, seed: int) -> tuple[list[list[str]], list[list[str]], list[np.ndarray]]:
    """A model that misses every second name. The gazetteer is right about organisations and wrong
    about places, which are a person's here."""
    generator = np.random.default_rng(seed)
    tokens, tags, logits = [], [], []
    for number in range(count):
        tokens.append(words("Mr New York left Goldman Sachs"))
        tags.append(words("O O O O B-ORG I-ORG"))
        scores = generator.normal(scale=0.3, size=(6, len(TAGS)))
        for place, tag in enumerate(tags[-1]):
            missed = tag != "O" and number % 2
            scores[place, TAGS.index("O" if missed else tag)] += 2.0
        logits.append(scores)
    return tokens, tags, logits


def test_right_entries_help_and_wrong_ones_weigh_nothing() -> None:
    guide = GazetteerGuide(GAZETTEER, TAGS).fit(*sentences(60, 0))
    weights = dict(zip(guide.types, guide.weights, strict=True))
    assert weights["ORG"] > 1.5
    assert weights["LOC"] == 0.0
    assert "PER" not in weights
    tokens, tags, logits = sentences(40, 1)
    right = [
        [TAGS[i] for i in guide.adjust(scores, row).argmax(1)] == truth
        for row, truth, scores in zip(tokens, tags, logits, strict=True)
    ]
    assert np.mean(right) > 0.9
    reports = {report.type: report for report in guide.report(tokens, tags, logits)}
    assert (reports["ORG"].precision, reports["ORG"].recall) == (1.0, 1.0)
    assert reports["ORG"].changed > 20
    assert (reports["LOC"].precision, reports["LOC"].recall) == (0.0, None)
    json.dumps(reports["LOC"].to_dict())


def test_a_guide_is_kept_as_json() -> None:
    tokens, tags, logits = sentences(20, 0)
    guide = GazetteerGuide(GAZETTEER, TAGS).fit(tokens, tags, logits)
    again = GazetteerGuide.from_dict(json.loads(json.dumps(guide.to_dict())))
    assert np.array_equal(again.adjust(logits[0], tokens[0]), guide.adjust(logits[0], tokens[0]))


def test_shapes_that_do_not_fit() -> None:
    guide = GazetteerGuide(GAZETTEER, TAGS)
    with pytest.raises(ValueError, match="sentence 1: logits have the shape"):
        guide.adjust(np.zeros((2, 5)), ["a"])


@given(st.lists(st.text("aGoldmn Sch贵州茅台", max_size=8), max_size=10))
def test_there_is_one_valid_hint_for_each_token(tokens: list[str]) -> None:
    hints = GAZETTEER.hints(tokens)
    assert len(hints) == len(tokens)
    before = "O"
    for hint in hints:
        if hint.startswith("I-"):
            assert before in {f"B-{hint[2:]}", hint}
        before = hint
