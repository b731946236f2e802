"""The figures of base models: what counts as found, how weights are chosen, which models are measured."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

from bench import base
from bench.__main__ import main
from bench.base_tasks import fine_tuning, frozen, guessing, speed, texts
from bench.base_tasks.encoders import Encoder, by_name, encoders
from bench.base_tasks.figures import mean_row
from bench.base_tasks.fine_tuning import averages
from bench.base_tasks.retrieval import bm25_scores, hybrid_ranks, ranks
from bench.training.data import Split
from ml_core.models import BaseModelError, bases
from ml_core.text import detect_language
from rootstock.launch.bootstrap import ROOT

WORDS = [
    "转账",
    "信用卡",
    "挂失",
    "利率",
    "查询",
    "手续费",
    "the",
    "card",
    "is",
    "lost",
    "rate",
    "of",
    "fee",
]
CHARACTERS = sorted({character for word in WORDS for character in word if ord(character) > 999})


def silent(text: str) -> None:
    """No progress."""


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTSTOCK_VAR", str(tmp_path / "var"))
    monkeypatch.delenv("ROOTSTOCK_BASES", raising=False)
    monkeypatch.setattr(bases, "_MINI_DIRECTORY", tmp_path / "no-mini")


@pytest.fixture(scope="module")
def guesser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model of random weights, as small as can be."""
    path = tmp_path_factory.mktemp("bases") / "small"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS]
    words += [word for word in WORDS if word.isascii()]
    tokenizer = Tokenizer(
        models.WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    ).save_pretrained(path)  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(path)
    return path


@pytest.fixture
def small(guesser: Path) -> Encoder:
    return Encoder("small", str(guesser), "digest-of-small")


# What counts as found


def test_a_tie_counts_against_the_right_entry() -> None:
    scores = np.array([[0.0, 0.0, 0.0], [0.2, 0.9, 0.1], [0.5, 0.7, 0.7]])
    relevant = np.eye(3, dtype=bool)
    assert ranks(scores, relevant).tolist() == [3, 1, 2]


def test_any_entry_that_has_the_question_is_right() -> None:
    relevant = np.array([[True, False, True]])
    assert ranks(np.array([[0.1, 0.5, 0.9]]), relevant).tolist() == [1]
    assert ranks(np.array([[0.9, 0.9, 0.1]]), relevant).tolist() == [2]


def test_words_find_the_entry_that_has_them_and_none_finds_nothing() -> None:
    scores = bm25_scores(["信用卡挂失", "天气"], ["转账手续费说明", "信用卡挂失办法", "利率查询"])
    assert scores[0].argmax() == 1
    assert ranks(scores, np.array([[False, True, False], [True, False, False]])).tolist() == [1, 3]


def test_the_weight_of_a_hybrid_is_not_chosen_by_the_questions_it_is_judged_with() -> None:
    """Vectors alone find the many questions of one entry, words alone all others: what is right for that entry must
    not be known when its own questions are judged."""
    entry = np.array([*range(20), *[7] * 100])
    relevant = np.eye(20, dtype=bool)[entry]
    right = np.where(relevant, 1.0, 0.0)
    many = (entry == 7)[:, None]
    words, vectors = np.where(many, -right, right), np.where(many, right, -right)
    places, weights = hybrid_ranks(words, vectors, relevant)
    assert (places[entry == 7] > 1).all()
    assert sorted(weight > 0.5 for weight in weights) == [False] * 4 + [True]


def test_questions_of_one_entry_are_drawn_together() -> None:
    values = np.repeat([1.0, 0.0, 1.0, 0.0], 25)
    apart = mean_row("set", "hits", values)
    together = mean_row("set", "hits", values, np.repeat(np.arange(4), 25))
    assert apart["value"] == together["value"] == 0.5
    assert together["high"] - together["low"] > 2 * (apart["high"] - apart["low"])


# Frozen encoders


def test_vectors_are_computed_once(small: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = small.embed(WORDS)
    assert np.linalg.norm(first, axis=1) == pytest.approx(1)
    monkeypatch.setattr("bench.base_tasks.encoders._predictor", None)
    assert np.array_equal(small.embed(WORDS), first)
    with pytest.raises(TypeError):
        small.embed(WORDS[:2])


def test_a_text_finds_itself_among_all(small: Encoder) -> None:
    found = texts.Faq(WORDS[:4], WORDS[:4], np.eye(4, dtype=bool))
    rows = {row["figure"]: row["value"] for row in frozen.faq(small, silent, found)}
    assert rows["Recall@1"] == rows["Recall@1, with BM25"] == 1
    assert {row["figure"] for row in frozen.word_faq(silent, found)} == {"Recall@1", "MRR@10"}


def test_a_probe_tells_rows_apart_and_is_fitted_once(small: Encoder) -> None:
    rows = [{"text": word, "label": word} for word in ("挂失", "利率") for _ in range(20)]
    asked = []

    def load() -> list[Split]:
        asked.append(1)
        return [Split(rows, rows, rows[:5] + rows[-5:])]

    for _ in range(2):
        assert frozen.probe_hits(small, "own", silent, load).tolist() == [1.0] * 10
    assert len(asked) == 1


def test_english_given_up_is_measured_on_the_same_rows(
    small: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hits = {
        "small": np.array([1.0] * 60 + [0.0] * 40),
        "packaged": np.array([1.0] * 90 + [0.0] * 10),
    }
    monkeypatch.setattr(frozen, "probe_hits", lambda encoder, name, progress: hits[encoder.name])
    rows = frozen.english(small, Encoder("packaged", "packaged", "other"), silent)
    assert [row["value"] for row in rows] == pytest.approx([-0.3, -0.3])
    assert all(row["low"] < -0.3 < row["high"] < 0 for row in rows)


# Guessing and speed


def test_each_token_is_guessed_without_being_seen(guesser: Path) -> None:
    from ml_core.models.cloze import load_cloze_base

    model, tokenizer = load_cloze_base(guesser)
    text = "挂失 card 龘"
    log_likelihood, tokens, characters, unknown = guessing.guessed(model.eval(), tokenizer, [text])[
        0
    ]
    assert (tokens, characters) == (3, 6)
    assert unknown == pytest.approx(1 / 4)
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    expected = 0.0
    for place in (1, 2, 3):
        hidden = ids.clone()
        hidden[0, place] = tokenizer.mask_token_id
        with torch.no_grad():
            scores = model(hidden).logits[0, place].log_softmax(-1)
        expected += float(scores[ids[0, place]])
    assert log_likelihood == pytest.approx(expected, rel=1e-4)


def test_a_model_that_guesses_nothing_has_a_row_without_a_figure(
    monkeypatch: pytest.MonkeyPatch, small: Encoder
) -> None:
    monkeypatch.setattr(
        texts, "news", lambda count: {"zh": ["挂失 card"], "en": ["the card is lost"]}
    )
    found = guessing.pseudo_perplexity(small, silent)
    assert {row["data"] for row in found} == {"news, zh", "news, en"}
    assert all(math.isfinite(row["value"]) for row in found)
    nothing = guessing.pseudo_perplexity(Encoder("packaged", "packaged", "p"), silent)
    assert [row["value"] for row in nothing] == [None, None]


def test_speed_is_of_the_same_sentences_for_all(
    monkeypatch: pytest.MonkeyPatch, small: Encoder
) -> None:
    monkeypatch.setattr(texts, "news", lambda count: {"zh": ["信用卡挂失"] * count})
    rows = speed.speed([small, Encoder("again", small.base, "again")], silent, 64)
    rates = {row["model"]: row["value"] for row in rows if row["figure"] == "characters/s, fp32"}
    beside = {row["model"]: row["value"] for row in rows if "packaged" in row["figure"]}
    assert beside["small"] == 1
    assert beside["again"] == pytest.approx(rates["again"] / rates["small"])


# The section


def fine_tuned(model: str, data: str, shown: str, value: float) -> dict[str, Any]:
    return {
        "model": model, "data": f"{data}, {shown}", "figure": "accuracy", "value": value, "low": value - 0.02,
        "high": value + 0.02, "count": 100, "commit": "c", "seconds": 9,
    }  # fmt: skip


def test_the_mean_of_the_sets_is_surer_than_each() -> None:
    sets = ("ChnSentiCorp", "TNEWS", "FinFE")
    rows = [
        fine_tuned("mini", name, "fine-tuned", value)
        for name, value in zip(sets, (0.9, 0.5, 0.7), strict=True)
    ]
    rows += [fine_tuned("mini", "TNEWS", "from random weights", 0.2)]
    (mean,) = averages(rows)
    assert mean["data"] == "mean of the three, fine-tuned"
    assert mean["value"] == pytest.approx(0.7)
    assert mean["high"] - mean["low"] == pytest.approx(0.04 / math.sqrt(3))
    assert mean["count"] == 300


def test_models_stand_below_each_other_with_the_aims_of_ours() -> None:
    rows = [
        {"model": name, "data": "Tatoeba", "figure": figure, "value": 0.5}
        for name in ("packaged", "ours")
        for figure in ("zh → en", "en → zh")
    ]
    shown = base.summarise(rows)
    assert [(row["model"], row["figure"], row["aim"]) for row in shown] == [
        ("packaged", "zh → en", None),
        ("ours", "zh → en", "≥ .88"),
        ("packaged", "en → zh", None),
        ("ours", "en → zh", "≥ .88"),
    ]


def test_models_of_a_folder_are_measured_beside_the_packaged_one(
    guesser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "_MINI_DIRECTORY", guesser.parent / "not-there")
    assert [each.name for each in encoders()] == ["packaged"]
    monkeypatch.setenv("ROOTSTOCK_BASES", str(guesser.parent))
    assert [each.name for each in encoders()] == ["packaged", "small"]
    monkeypatch.setenv("ROOTSTOCK_BASES", str(guesser))
    assert by_name("small").base == str(guesser)
    lines = {(each["line"], each.get("model")) for each in base.configurations()}
    assert {("english", "small"), ("fine-tuning", "small"), ("faq", "BM25 (jieba)")} <= lines
    assert not {("english", "packaged"), ("fine-tuning", "packaged")} & lines


def test_rootstock_mini_is_measured_as_soon_as_it_is_there(
    guesser: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "_MINI_DIRECTORY", guesser)
    assert [each.name for each in encoders()] == ["packaged", "rootstock-mini"]


def test_another_vocabulary_or_other_weights_are_another_model(
    guesser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(shutil.copytree(guesser, tmp_path / "models" / "ours"))
    monkeypatch.setenv("ROOTSTOCK_BASES", str(place))
    before = by_name("ours").digest
    tokenizer = json.loads((place / "tokenizer.json").read_text(encoding="utf-8"))
    tokenizer["normalizer"]["lowercase"] = False
    (place / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    assert by_name("ours").digest != before


def test_two_models_of_one_name_are_refused(
    guesser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(guesser, tmp_path / "more" / "small")
    monkeypatch.setenv("ROOTSTOCK_BASES", f"{guesser}:{tmp_path / 'more'}")
    with pytest.raises(BaseModelError, match="two models are called small"):
        encoders()


def test_a_directory_without_a_model_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "base", "--models", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    assert "neither a model directory nor a folder of such" in capsys.readouterr().err


@pytest.mark.slow  # four processes that load torch
def test_fine_tuning_goes_through_the_command_line_with_either_weights(
    small: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"text": f"{word} {WORDS[6 + place % 7]}", "label": label}
        for place in range(20)
        for word, label in (("挂失", "lost"), ("利率", "rate"))
    ]
    monkeypatch.setitem(texts.SPLITS, "TNEWS", lambda: Split(rows, rows[:10], rows[:10]))
    monkeypatch.setitem(fine_tuning._LENGTHS, "TNEWS", 16)
    for weights, shown in (("pretrained", "fine-tuned"), ("random", "from random weights")):
        found = fine_tuning.fine_tuned(small, "TNEWS", weights, silent)
        assert [row["figure"] for row in found] == ["accuracy", "macro F1"]
        assert {row["data"] for row in found} == {f"TNEWS, {shown}"}
        assert all(row["low"] <= row["value"] <= row["high"] for row in found)


@pytest.mark.data
@pytest.mark.skipif(
    not (
        Path(os.environ.get("ROOTSTOCK_DATA", ROOT.parent / "shared/data")) / "esun_bank_faq_zh"
    ).is_dir(),
    reason="the data sets are not here",
)
def test_the_sets_are_those_of_the_issue() -> None:
    faq = texts.esun_faq()
    assert (len(faq.questions), len(faq.entries)) == (1592, 617)
    assert faq.relevant.any(1).all()
    assert {name: len(texts.pairs(name).truth) for name in frozen.PAIRS} == {
        "BQ": 10000, "LCQMC": 12500, "STS-B-zh": 1361,
    }  # fmt: skip
    assert [len(side) for side in texts.tatoeba()] == [1000, 1000]
    labels = {"ChnSentiCorp": 2, "TNEWS": 15, "FinFE": 3, "BANKING77": 77}
    for name, count in labels.items():
        split = texts.SPLITS[name]()
        assert {row["label"] for row in split.train} >= {row["label"] for row in split.test}
        assert len({row["label"] for row in split.train}) == count
    news = texts.news(100)
    assert [len(lines) for lines in news.values()] == [100, 100]
    assert all(detect_language(line) == "zh" for line in news["zh"][:20])
