"""The base that ships with the program: what it promises to those who start from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ml_core.models.bases import load_encoder, resolve_base
from ml_core.models.embedding import EmbeddingPredictor
from ml_core.models.tokenise import readable_languages

PAIRS = [
    ("请问信用卡丢了怎么办？", "What should I do if I lost my credit card?"),
    ("他每天早上六点起床。", "He gets up at six every morning."),
    ("一只狗在草地上奔跑。", "A dog is running on the grass."),
    ("今天的天气非常好。", "The weather is very nice today."),
    ("请勤洗手并保持社交距离。", "Please wash your hands often and keep a social distance."),
    ("这本书多少钱？", "How much is this book?"),
]
TRADITIONAL = [
    ("請問信用卡丟了怎麼辦？", "请问信用卡丢了怎么办？"),
    ("銀行帳戶無法轉帳。", "银行帐户无法转帐。"),
    ("後天開會，會議室在臺北。", "后天开会，会议室在台北。"),
]


@pytest.fixture(scope="module")
def directory() -> Path:
    found = resolve_base("rootstock-mini")
    assert isinstance(found, Path)
    return found


@pytest.fixture(scope="module")
def mini() -> EmbeddingPredictor:
    return EmbeddingPredictor.from_base("rootstock-mini", device="cpu")


def test_it_is_small_and_comes_with_its_card(directory: Path) -> None:
    encoder, tokenizer = load_encoder("rootstock-mini")
    assert encoder.num_parameters() <= 25_000_000
    assert (directory / "model.safetensors").stat().st_size <= 50_000_000
    assert encoder.config.max_position_embeddings == 512
    assert encoder.config.hidden_size == 384
    assert len(tokenizer) == encoder.config.vocab_size
    card = (directory / "MODEL_CARD.md").read_text(encoding="utf-8")
    for section in ("How it was made", "Data", "Figures", "Limits"):
        assert f"## {section}" in card
    for licence in ("CC BY 2.0 FR", "CC BY-SA 4.0", "MIT"):
        assert licence in card


def test_it_reads_both_languages_and_both_scripts(mini: EmbeddingPredictor) -> None:
    _, tokenizer = load_encoder("rootstock-mini")
    assert readable_languages(tokenizer.backend_tokenizer, tokenizer.unk_token_id) == ("en", "zh")
    for traditional, simplified in TRADITIONAL:
        first, second = mini.embed([traditional, simplified])
        assert np.allclose(first, second, atol=1e-6), traditional


def test_a_sentence_finds_its_translation(mini: EmbeddingPredictor) -> None:
    chinese, english = (mini.embed([pair[side] for pair in PAIRS]) for side in (0, 1))
    assert ((chinese @ english.T).argmax(1) == np.arange(len(PAIRS))).all()
    assert ((english @ chinese.T).argmax(1) == np.arange(len(PAIRS))).all()


def test_its_tokenizer_stays_the_same_when_it_is_written_again(tmp_path: Path) -> None:
    """A training writes the tokenizer of its base into the artefact."""
    from transformers import AutoTokenizer

    _, tokenizer = load_encoder("rootstock-mini")
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for traditional, simplified in TRADITIONAL:
        for text in (traditional, simplified):
            assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert len(again) == len(tokenizer)
