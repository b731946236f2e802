from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.augmentation import TAGGED_METHODS, AugmentationError, augment_tagged


def row(tokens: str, tags: str) -> tuple[list[str], list[str]]:
    """Words of a spaced text, characters of a Chinese one."""
    return tokens.split() if " " in tokens else list(tokens), tags.split()


ROWS = [
    row(
        "He works at Goldman Sachs in New York since 1998 .",
        "O O O B-ORG I-ORG O B-LOC I-LOC O O O",
    ),
    row("Apple opened a shop near Berlin", "B-ORG O O O O B-LOC"),
    row("昨日贵州茅台在上海开会", "O O B-ORG I-ORG I-ORG I-ORG O B-LOC I-LOC O O"),
]
MENTIONS = {
    "ORG": {("Goldman", "Sachs"), ("Apple",), tuple("贵州茅台")},
    "LOC": {("New", "York"), ("Berlin",), tuple("上海")},
}


class Echo:
    def lookup(self, word: str) -> tuple[str, ...]:
        return ("banana", "two words")


def mentions(tokens: list[str], tags: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    found: list[tuple[str, tuple[str, ...]]] = []
    for token, tag in zip(tokens, tags, strict=True):
        if tag.startswith("B-"):
            found.append((tag[2:], (token,)))
        elif tag.startswith("I-"):
            kind, words = found[-1]
            assert kind == tag[2:]
            found[-1] = (kind, (*words, token))
    return found


@pytest.mark.parametrize("method", TAGGED_METHODS)
def test_tags_stay_aligned(method: str) -> None:
    new = augment_tagged(ROWS, methods=[method], per_example=5, rate=0.6, synonyms=Echo())
    assert new
    assert new == augment_tagged(ROWS, methods=[method], per_example=5, rate=0.6, synonyms=Echo())
    originals = [(list(tokens), list(tags)) for tokens, tags in ROWS]
    for tokens, tags in new:
        assert len(tokens) == len(tags)
        assert (tokens, tags) not in originals
        for kind, words in mentions(tokens, tags):
            assert words in MENTIONS[kind]


def test_a_mention_gives_way_to_one_of_its_type() -> None:
    new = augment_tagged(ROWS, methods=["mention"], per_example=8, rate=0.8)
    kinds = {tuple(kind for kind, _ in mentions(tokens, tags)) for tokens, tags in new}
    assert kinds == {("ORG", "LOC")}
    # What is outside of mentions is as it was.
    outside = {
        tuple(token for token, tag in zip(tokens, tags, strict=True) if tag == "O")
        for tokens, tags in new
    }
    assert outside <= {
        tuple(token for token, tag in zip(tokens, tags, strict=True) if tag == "O")
        for tokens, tags in ROWS
    }


@pytest.mark.parametrize("method", ["token", "synonym", "shuffle"])
def test_other_methods_leave_mentions_and_numbers_alone(method: str) -> None:
    new = augment_tagged(ROWS[:1], methods=[method], per_example=6, rate=1.0, synonyms=Echo())
    for tokens, tags in new:
        assert tags == ROWS[0][1]
        assert mentions(tokens, tags) == mentions(*ROWS[0])
        assert tokens[9] == "1998"
        assert tokens[10] == "."


def test_shuffling_keeps_the_tokens() -> None:
    for tokens, _ in augment_tagged(ROWS[1:2], methods=["shuffle"], per_example=3, rate=1.0):
        assert Counter(tokens) == Counter(ROWS[1][0])
        assert tokens[0] == "Apple"


def test_protected_tokens_and_mentions_stay() -> None:
    new = augment_tagged(
        ROWS[:2], methods=["mention", "token"], per_example=8, rate=1.0,
        protect=["Goldman Sachs", "works"],
    )  # fmt: skip
    first = [tokens for tokens, _ in new if tokens[0] == "He" or "1998" in tokens]
    assert first
    assert all({"Goldman", "Sachs", "works"} <= set(tokens) for tokens in first)


def test_faults_name_their_row() -> None:
    with pytest.raises(AugmentationError, match="row 2: 1 tokens but 2 tags"):
        augment_tagged([ROWS[0], (["a"], ["O", "O"])])
    with pytest.raises(AugmentationError, match=r"row 1: tag 'PER' is not O"):
        augment_tagged([(["a"], ["PER"])])
    with pytest.raises(AugmentationError, match="'swap' is unknown; use token, synonym"):
        augment_tagged(ROWS, methods=["swap"])
    with pytest.raises(AugmentationError, match="need a source of synonyms"):
        augment_tagged(ROWS, methods=["synonym"])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.text(min_size=1, max_size=5), st.sampled_from(["O", "B-A", "I-A", "B-B", "I-B"])
            ),
            max_size=8,
        ),
        max_size=4,
    )
)
def test_any_tag_sequence_stays_aligned(rows: list[list[tuple[str, str]]]) -> None:
    given_rows = [([token for token, _ in row], [tag for _, tag in row]) for row in rows]
    for tokens, tags in augment_tagged(
        given_rows, methods=TAGGED_METHODS, rate=0.9, per_example=2, synonyms=Echo()
    ):
        assert len(tokens) == len(tags)
        assert set(tags) <= {"O", "B-A", "I-A", "B-B", "I-B"}
