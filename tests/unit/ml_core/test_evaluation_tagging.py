"""Entities of tags, and their report, as conlleval counts them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import classification_report

from ml_core.evaluation import bio_tags, build_tagging_report, entity_spans

TAGS = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), max_size=25)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ([], []),
        (["O", "O"], []),
        (["B-PER", "I-PER", "O", "B-LOC"], [("PER", 0, 2), ("LOC", 3, 4)]),
        # IOB1: B only where two of one type touch.
        (["I-PER", "I-PER", "B-PER", "O"], [("PER", 0, 2), ("PER", 2, 3)]),
        (["I-PER", "I-LOC"], [("PER", 0, 1), ("LOC", 1, 2)]),
        # BIOES and BILOU.
        (["B-PER", "I-PER", "E-PER", "S-LOC"], [("PER", 0, 3), ("LOC", 3, 4)]),
        (["B-PER", "L-PER", "U-PER", "U-PER"], [("PER", 0, 2), ("PER", 2, 3), ("PER", 3, 4)]),
        (["E-PER", "I-PER"], [("PER", 0, 1), ("PER", 1, 2)]),
        # A sequence that breaks its scheme.
        (["O", "I-PER", "O"], [("PER", 1, 2)]),
        (["B-PER", "I-LOC", "I-LOC"], [("PER", 0, 1), ("LOC", 1, 3)]),
        # A type with a hyphen, and tags without a type.
        (["B-WORK-OF-ART", "I-WORK-OF-ART"], [("WORK-OF-ART", 0, 2)]),
        (["B", "I", "O"], [("", 0, 2)]),
    ],
)
def test_entities_of_every_scheme(tags: list[str], spans: list[tuple[str, int, int]]) -> None:
    assert entity_spans(tags) == spans


@pytest.mark.parametrize("tag", ["PER", "X-PER", "", "b-PER", "I-", "O-PER"])
def test_something_that_is_not_a_tag_is_refused(tag: str) -> None:
    with pytest.raises(ValueError, match="is not a tag"):
        entity_spans(["O", tag])
    with pytest.raises(ValueError, match="sentence 1: "):
        build_tagging_report([["O"], ["O"]], [["O"], [tag]])


@given(tags=TAGS)
def test_spans_are_in_order_apart_and_cover_every_tagged_token(tags: list[str]) -> None:
    spans = entity_spans(tags)
    ends = [0, *(end for _, _, end in spans)]
    assert all(before <= start < end for before, (_, start, end) in zip(ends, spans, strict=False))
    covered = {at for _, start, end in spans for at in range(start, end)}
    assert covered == {at for at, tag in enumerate(tags) if tag != "O"}
    for kind, start, end in spans:
        assert {tag[2:] for tag in tags[start:end]} == {kind}


@given(tags=TAGS)
def test_bio_from_any_scheme_and_back(tags: list[str]) -> None:
    spans = entity_spans(tags)
    bio = bio_tags(spans, len(tags))
    assert entity_spans(bio) == spans
    assert bio_tags(entity_spans(bio), len(bio)) == bio
    bioes = list(bio)
    for kind, start, end in spans:
        bioes[end - 1] = f"S-{kind}" if end - start == 1 else f"E-{kind}"
    assert entity_spans(bioes) == spans


def test_the_example_of_seqeval() -> None:
    """The one of its README: 0 of 1 MISC and 1 of 1 PER are right."""
    truth = [
        ["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"],
        ["B-PER", "I-PER", "O"],
    ]
    predicted = [
        ["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"],
        ["B-PER", "I-PER", "O"],
    ]
    tokens = [["I", "saw", "the", "Big", "Red", "Barn", "."], ["Ann", "Lee", "."]]
    report = build_tagging_report(truth, predicted, tokens=tokens, lines=[1, 9])
    assert (report.precision, report.recall, report.f1) == (0.5, 0.5, 0.5)
    assert report.per_label["MISC"].f1 == 0
    assert report.per_label["PER"].f1 == 1
    assert report.macro_f1 == 0.5
    assert report.tokens.accuracy == pytest.approx(0.8)
    assert report.sentence_accuracy == 0.5
    (error,) = report.worst_errors
    assert error.missed == ("MISC: Big Red Barn",)
    assert error.invented == ("MISC: the Big Red Barn",)
    assert error.line == 1
    assert report.to_dict()["headline"] == "f1"


@given(pairs=st.lists(st.tuples(*[st.sampled_from(["O", "B-X", "I-X", "B-Y"])] * 2), min_size=1))
def test_the_report_by_tag_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = ([list(column)] for column in zip(*pairs, strict=True))
    tokens = build_tagging_report(truth, predicted).tokens
    expected = classification_report(truth[0], predicted[0], output_dict=True, zero_division=0)
    for tag, scores in tokens.per_tag.items():
        assert scores.f1 == pytest.approx(expected[tag]["f1-score"])
        assert scores.support == expected[tag]["support"]
    for name, key in (("macro", "macro avg"), ("weighted", "weighted avg")):
        assert tokens.averages[name].f1 == pytest.approx(expected[key]["f1-score"])
    without = [tag for tag in tokens.per_tag if tag != "O"]
    if without:
        expected = classification_report(
            truth[0], predicted[0], labels=without, output_dict=True, zero_division=0
        )
        for name in ("macro", "weighted"):
            found = tokens.averages_without_o[name].f1
            assert found == pytest.approx(expected[f"{name} avg"]["f1-score"])


def test_sentences_without_entities_and_other_lengths() -> None:
    report = build_tagging_report([["O", "O"]], [["O", "O"]])
    assert (report.f1, report.entities, report.tokens.accuracy) == (0.0, 0, 1.0)
    assert report.worst_errors == ()
    with pytest.raises(ValueError, match="sentence 1 has 2 tags"):
        build_tagging_report([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(ValueError, match="no examples"):
        build_tagging_report([], [])
