"""Documents are cut along their structure: nothing lost, nothing too long, headings and headers carried."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.retrieval import Block, size, split

WORDS = st.text(alphabet=st.sampled_from("退款三天到账ab c.。！？，|-\n1"), max_size=120)
BLOCKS = st.lists(
    st.builds(
        Block,
        st.sampled_from(["heading", "prose", "list", "table", "code", "question"]),
        WORDS,
        st.integers(0, 4),
        st.one_of(st.none(), st.integers(1, 9)),
    ),
    max_size=8,
)


def letters(text: str) -> str:
    return "".join(character for character in text if character.isalnum())


@given(BLOCKS, st.integers(8, 60), st.integers(0, 2))
def test_no_chunk_is_above_the_limit_and_nothing_is_lost(blocks, limit, overlap):
    chunks = split(blocks, max_terms=limit, overlap_sentences=overlap)
    for chunk in chunks:
        assert chunk.text.strip()
        assert chunk.terms == size(chunk.text) <= limit
    everything = letters("".join("".join(chunk.headings) + chunk.text for chunk in chunks))
    for block in blocks:
        if block.kind not in ("heading", "question"):
            for character in set(letters(block.text)):
                assert character in everything
    if overlap == 0 and all(block.kind in ("prose", "list", "code") for block in blocks):
        assert everything == letters("".join(block.text for block in blocks))


def test_paragraphs_under_one_heading_share_a_passage_while_they_fit():
    chunks = split(
        [
            Block("heading", "Returns", 1, 1),
            Block("prose", "Within seven days.", page=1),
            Block("list", "- whole\n- unused", page=2),
            Block("heading", "Refunds", 2),
            Block("prose", "Five days."),
            Block("heading", "Delivery", 1),
            Block("prose", "Two days."),
        ]
    )
    assert [chunk.headings for chunk in chunks] == [
        ("Returns",),
        ("Returns", "Refunds"),
        ("Delivery",),
    ]
    assert chunks[0].text == "Within seven days.\n- whole\n- unused"
    assert (chunks[0].page, chunks[1].page) == (1, None)
    assert chunks[1].searched == "Returns\nRefunds\nFive days."


def test_long_prose_is_cut_between_sentences_and_goes_on_with_the_last_one():
    said = [f"这是第{n}句话说明退货规则。" for n in range(12)]
    chunks = split([Block("prose", "".join(said))], max_terms=40)
    assert len(chunks) > 2
    for before, after in pairwise(chunks):
        last = before.text.split("。")[-2] + "。"
        assert after.text.startswith(last)
    assert all(chunk.text.endswith("。") for chunk in chunks)


def test_a_table_that_fits_stays_whole_and_a_longer_one_repeats_its_header():
    rows = ["地区 | 运费", "---|---", *(f"省{n} | {n} 元" for n in range(40))]
    assert len(split([Block("table", "\n".join(rows[:8]))], max_terms=60)) == 1
    chunks = split([Block("table", "\n".join(rows))], max_terms=60)
    assert len(chunks) > 1
    assert all(chunk.text.splitlines()[0] == "地区 | 运费" for chunk in chunks)
    kept = [line for chunk in chunks for line in chunk.text.splitlines()[1:]]
    assert kept == rows[2:]


def test_an_answer_stands_under_its_question():
    (chunk,) = split(
        [Block("heading", "Help", 1), Block("question", "How long?\nFive days.\nOr six.")]
    )
    assert chunk.headings == ("Help", "How long?")
    assert (chunk.text, chunk.kind) == ("Five days.\nOr six.", "question")


def test_lines_that_the_page_broke_are_joined():
    (chunk,) = split([Block("prose", "退款三到五天到\n账，节假日\n顺延。\nIn five\ndays.")])
    assert chunk.text == "退款三到五天到账，节假日顺延。 In five days."


@pytest.mark.parametrize("options", [{"max_terms": 3}, {"overlap_sentences": -1}])
def test_impossible_limits_are_refused(options):
    with pytest.raises(ValueError, match="="):
        split([], **options)
