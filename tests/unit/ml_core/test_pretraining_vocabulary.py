from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ml_core.data.errors import DataError
from ml_core.models.bases import BaseModelError, load_encoder
from ml_core.models.language_model import load_masked_model
from ml_core.pretraining.corpus import CorpusConfig, prepare_corpus
from ml_core.pretraining.vocabulary import extend_vocabulary, join_twins, train_vocabulary
from ml_core.training import ConfigError

TEXTS = [
    "银行在周二宣布降低存款利率，分析人士认为这会让更多居民把钱投入股票市场。",
    "银行的钱在市场里，居民的钱也在市场里；钱很多，市场很大，银行说“好”。",
    "The bank lowered its deposit rate on Tuesday, and more money went into the market.",
]
CEDICT = """銀 银 [yin2] /silver/
錢 钱 [qian2] /surname Qian/
錢 钱 [qian2] /coin/money/
市 市 [shi4] /market/city/
的 的 [de5] /(possessive particle)/of/
"""
EMBEDDINGS = "embeddings.word_embeddings.weight"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("corpus")
    rows = directory / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    config = {"out": directory / "out", "sources": [{"path": str(rows)}], "validation": 0}
    return prepare_corpus(CorpusConfig.from_mapping(config)).out


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    path = tmp_path / "cedict.gz"
    path.write_bytes(gzip.compress(CEDICT.encode()))
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tiny masked language model that knows English words and one Chinese character."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "silver",
        "coin",
        "mar",
        "##ket",
        "of",
        "the",
        ",",
        "银",
    ]
    tokenizer = Tokenizer(
        models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), words, strict=False))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{name}_token": token for name, token in names.items()}
    )
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    torch.manual_seed(3)
    directory = tmp_path / "base"
    BertForMaskedLM(config).save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


def test_added_characters_are_the_most_frequent_ones_and_read_alone(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    out = extend_vocabulary(base, corpus, tmp_path / "out", characters=3)
    encoder, tokenizer = load_encoder(out)
    # 钱, 市 and 场 occur most; 银 is there already. Marks come on top.
    assert set(tokenizer.tokenize("钱市场银，。；“”")) == set("钱市场银，。；“”")
    assert tokenizer.tokenize("行silver，market") == ["[UNK]", "silver", "，", "mar", "##ket"]
    assert len(tokenizer) == encoder.config.vocab_size == 13 + 3 + 5
    figures = json.loads((out / "vocabulary.json").read_text())
    assert figures["added_characters"] == 3
    assert 0 < figures["covered_before"] < figures["covered"] < 1
    assert encoder(**tokenizer("钱，市场", return_tensors="pt")).last_hidden_state.isfinite().all()


def test_the_rows_of_the_base_stay_and_new_ones_begin_at_their_definition(
    corpus: Path, base: Path, definitions: Path, tmp_path: Path
) -> None:
    out = extend_vocabulary(
        base, corpus, tmp_path / "out", characters=10, definitions=definitions, marks=False
    )
    before, after = load_file(base / "model.safetensors"), load_file(out / "model.safetensors")
    assert list(before) == list(after)
    for name, tensor in before.items():
        assert torch.equal(after[name][: len(tensor)], tensor), name
        assert len(after[name]) == len(tensor) + 10 * (
            "word_embeddings" in name or name == "cls.predictions.bias"
        )
    _, tokenizer = load_encoder(out)
    rows = {name.split(".", 1)[-1]: tensor for name, tensor in after.items()}[EMBEDDINGS]
    ids = tokenizer.get_vocab()
    assert torch.allclose(rows[ids["钱"]], rows[ids["coin"]])
    assert torch.allclose(rows[ids["市"]], rows[[ids["mar"], ids["##ket"]]].mean(0))
    # Without a definition: drawn around the mean, each its own.
    assert not torch.equal(rows[ids["场"]], rows[ids["民"]])
    assert json.loads((out / "vocabulary.json").read_text())["defined"] == 3  # 钱 市 的
    # A head over the vocabulary has grown with it.
    model, tokenizer = load_masked_model(out)
    tokens = tokenizer("钱[MASK]", return_tensors="pt")
    logits = model(
        tokens["input_ids"],
        tokens["attention_mask"],
        tokens["input_ids"] == tokenizer.mask_token_id,
    )
    assert logits.shape == (1, 23)


def test_the_same_corpus_gives_the_same_bytes(
    corpus: Path, base: Path, definitions: Path, tmp_path: Path
) -> None:
    first, second = (
        extend_vocabulary(base, corpus, tmp_path / name, definitions=definitions) for name in "ab"
    )
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_traditional_forms_come_with_their_characters_and_read_as_they_do(
    base: Path, tmp_path: Path
) -> None:
    texts = ["银行开门，办钱后的事。干杯，乾隆。著名。"] * 3 + ["著名。"]
    with gzip.open(tmp_path / "train-00000.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": each}, ensure_ascii=False) + "\n" for each in texts)
    table = tmp_path / "cedict.txt"
    table.write_text(
        "錢 钱 [qian2] /coin/\n開門 开门 [kai1 men2] /to open/\n後 后 [hou4] /back/\n后 后 [hou4] /queen/\n"
        "乾 干 [gan1] /dry/\n乾隆 乾隆 [Qian2 long2] /Qianlong Emperor/\n乾杯 干杯 [gan1 bei1] /cheers/\n"
        "著 着 [zhe5] /aspect particle/\n著名 著名 [zhu4 ming2] /famous/\n",
        "utf-8",
    )
    out = extend_vocabulary(
        base, tmp_path, tmp_path / "out", characters=30, definitions=table, twins=True
    )
    pairs = json.loads((out / "twins.json").read_text("utf-8"))
    # 乾 and 著 are written in Simplified text too, with meanings of their own.
    assert pairs == {"錢": "钱", "開": "开", "門": "门", "後": "后"}
    encoder, tokenizer = load_encoder(out)
    ids = tokenizer.get_vocab()
    rows = encoder.get_input_embeddings().weight
    with torch.no_grad():
        rows[[ids[each] for each in "钱开门后"]] += 1
    assert join_twins(encoder, tokenizer, out / "twins.json") == 4
    before, after = (
        encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state
        for text in ("开门后钱", "開門後錢")
    )
    assert torch.equal(before, after)
    (tmp_path / "other.json").write_text('{"龍": "龙"}', "utf-8")
    with pytest.raises(BaseModelError, match="the vocabulary has no '龍'"):
        join_twins(encoder, tokenizer, tmp_path / "other.json")
    with pytest.raises(ConfigError, match="twins: needs definitions"):
        extend_vocabulary(base, tmp_path, tmp_path / "none", twins=True)


def test_the_packaged_base_reads_chinese_afterwards(corpus: Path, tmp_path: Path) -> None:
    out = extend_vocabulary("packaged", corpus, tmp_path / "out")
    encoder, tokenizer = load_encoder(out)
    _, packaged = load_encoder("packaged")
    assert tokenizer.unk_token_id in packaged(TEXTS[0])["input_ids"]
    assert tokenizer.unk_token_id not in tokenizer(TEXTS[0])["input_ids"]
    assert tokenizer(TEXTS[2])["input_ids"] == packaged(TEXTS[2])["input_ids"]
    assert (out / "1_Pooling" / "config.json").is_file()
    assert encoder.config.vocab_size == len((out / "vocab.txt").read_text("utf-8").splitlines())


def test_what_cannot_be_extended_says_why(corpus: Path, base: Path, tmp_path: Path) -> None:
    extended = extend_vocabulary(base, corpus, tmp_path / "once")
    with pytest.raises(DataError, match="no Chinese character that the base has not"):
        extend_vocabulary(extended, corpus, tmp_path / "twice")
    with pytest.raises(ConfigError, match="characters"):
        extend_vocabulary(base, corpus, tmp_path / "none", characters=0)
    unigram = train_vocabulary(
        corpus,
        tmp_path / "unigram",
        size=120,
        kind="unigram",
        layers=1,
        hidden=16,
        heads=2,
        intermediate=32,
    )
    with pytest.raises(BaseModelError, match="this is Unigram"):
        extend_vocabulary(unigram, corpus, tmp_path / "other")
    (base / "model.safetensors").unlink()
    with pytest.raises(BaseModelError, match="cannot be read as a whole"):
        extend_vocabulary(base, corpus, tmp_path / "empty")


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_a_new_vocabulary_comes_with_a_new_network(corpus: Path, tmp_path: Path, kind: str) -> None:
    sizes = {"layers": 2, "hidden": 32, "heads": 4, "intermediate": 64}
    out = train_vocabulary(corpus, tmp_path / "a", size=150, kind=kind, **sizes)
    encoder, tokenizer = load_encoder(out)
    ids = tokenizer(TEXTS[1])["input_ids"]
    assert ids[0] == tokenizer.cls_token_id and ids[-1] == tokenizer.sep_token_id
    assert ids.count(tokenizer.unk_token_id) <= len(ids) // 4
    assert len(tokenizer) == encoder.config.vocab_size <= 150
    assert encoder.config.max_position_embeddings == 512
    assert encoder.config.num_hidden_layers == 2
    model, _ = load_masked_model(out)
    assert model.encoder.config.hidden_size == 32


def test_a_network_that_cannot_be_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="heads: 5 do not divide"):
        train_vocabulary(corpus, tmp_path / "a", size=150, heads=5)
    with pytest.raises(ConfigError, match="size: must be more"):
        train_vocabulary(corpus, tmp_path / "a", size=5)
