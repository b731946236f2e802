from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_core.text import (
    content_hash,
    estimated_jaccard,
    lsh_bands,
    minhash_signature,
    near_duplicate,
    normalise,
    segment,
)

REPOSITORY = Path(__file__).resolve().parents[3]


@given(st.text())
def test_normalise_is_idempotent_and_leaves_no_control_characters(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert not any(ord(character) < 32 for character in once)
    once.encode("utf-8")


def test_normalise_folds_width_space_and_invisible_characters() -> None:
    assert normalise("  Ａ股\u3000大涨\t３．５％\u200b\n") == "A股 大涨 3.5%"
    assert normalise("pro\u00adfit\x00 \ufeffup") == "profit up"
    assert normalise("lone \ud800surrogate") == "lone surrogate"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Profit RISES, again!", "profit rises again"),
        ("央行降息，市场上涨。", "央行降息 市场上涨"),
        ("revenue of 1,200 million", "Revenue of 1200 million"),
        ("loss of \u22123%", "Loss of -3 %"),
        ("range 10-12", "range 10 12 -"),
    ],
)
def test_same_content_despite_case_and_punctuation(first: str, second: str) -> None:
    assert content_hash(first) == content_hash(second)
    assert len(content_hash(first)) == 32


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("profit +5%", "profit -5%"),
        ("up 1.5%", "up 15%"),
        ("🚀", "💥"),
        ("上涨", "下跌"),
    ],
)
def test_sign_and_decimal_point_are_content(first: str, second: str) -> None:
    assert content_hash(first) != content_hash(second)


@given(st.text(max_size=200))
def test_bands_fit_a_bigint_and_signature_is_similar_to_itself(text: str) -> None:
    signature = minhash_signature(text)
    bands = lsh_bands(signature)
    assert signature.shape == (64,)
    assert signature.dtype == np.uint32
    assert all(-(2**63) <= band < 2**63 for band in bands)
    assert len(bands) in (0, 16)
    assert estimated_jaccard(signature, signature) == (1.0 if bands else 0.0)
    stored = signature.astype("<u4").tobytes()
    assert lsh_bands(stored) == bands
    assert estimated_jaccard(stored, signature) == estimated_jaccard(signature, signature)


def test_estimate_is_close_to_the_exact_similarity() -> None:
    # 4-grams of one padded letter run: the first has 40, the second shares 20 of its 40.
    alphabet = [chr(0x4E00 + index) for index in range(120)]
    first, second = "".join(alphabet[:61]), "".join(alphabet[20:81])
    exact = 40 / 80
    estimate = estimated_jaccard(
        minhash_signature(first, permutations=1024), minhash_signature(second, permutations=1024)
    )
    assert estimate == pytest.approx(exact, abs=0.06)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be cut into 7 equal bands"):
        lsh_bands(minhash_signature("oil falls"), bands=7)
    with pytest.raises(ValueError, match="64 and 32"):
        estimated_jaccard(minhash_signature("a"), minhash_signature("a", permutations=32))
    with pytest.raises(ValueError, match="at least 1"):
        minhash_signature("a", permutations=0)


def test_the_same_in_another_process() -> None:
    text = "央行 cuts rates by 0.25%"
    code = (
        "from ml_core.text import *; "
        f"print(lsh_bands(minhash_signature({text!r})), content_hash({text!r}).hex())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={"PYTHONHASHSEED": "17", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == (
        f"{lsh_bands(minhash_signature(text))} {content_hash(text).hex()}"
    )


@pytest.mark.parametrize(
    ("story", "copy"),
    [
        ("Harrow Lane Bank halts withdrawals", "UPDATE 1-Harrow Lane Bank halts withdrawals"),
        ("Regulator fines Orrin over late filing", "Regulator fines Orrin over filing: source"),
        ("盛屿银行暂停三只基金赎回 客户排队咨询", "快讯：盛屿银行暂停三只基金赎回"),
        ("Orrin profit jumps 11.24 % on strong orders", "Orrin profit jumps 11 % on strong orders"),
    ],
)  # fmt: skip
def test_edited_copies_are_found(story: str, copy: str) -> None:
    assert near_duplicate(story, copy)
    assert set(lsh_bands(minhash_signature(story))) & set(lsh_bands(minhash_signature(copy)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Morning brief for investors, 7 July", "Morning brief for investors, 8 July"),
        ("7月7日证券报纸头版内容摘要", "7月9日证券报纸头版内容摘要"),
        ("Orrin profit up 12% in third quarter", "Orrin profit up 21% in third quarter"),
        ("Oil falls as stocks rise", "Regulator opens inquiry into audit firm"),
        ("", ""),
        ("🚀", "🚀"),
    ],
)
def test_different_stories_stay_apart(first: str, second: str) -> None:
    assert not near_duplicate(first, second)


def test_words_in_both_languages() -> None:
    assert {"准备金", "准备金率", "央行"} <= set(segment("央行下调存款准备金率。", "zh"))
    assert segment("Don't sell: U.S. year-end profit up 3.5%", "en") == [
        "don't", "sell", "u.s", "year-end", "profit", "up", "3.5",
    ]  # fmt: skip
    assert segment("…!", "zh") == []
