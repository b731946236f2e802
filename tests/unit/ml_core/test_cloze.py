"""Classification by a prompt: what the template and its words do, what is learned, and what is saved."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ml_core_helpers import COMMON, WORDS, make_rows, rewrite_manifest, torchrun, write_csv
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AlbertConfig,
    AutoModel,
    AutoModelForMaskedLM,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    FNetConfig,
    ModernBertConfig,
    MPNetConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

from ml_core.__main__ import main
from ml_core.models import BaseModelError, Predictor
from ml_core.models.classifier import load_classifier
from ml_core.models.cloze import ClozeClassifier, prediction_layers
from ml_core.models.prompts import Cloze, ClozeEncoder, PromptError, read_verbalisers
from ml_core.registry import Artifact, ArtifactError
from ml_core.tasks import evaluate_artifact
from ml_core.tasks.text_classification import TextClassificationPredictor
from ml_core.training import ConfigError, Progress, TrainConfig, TrainingCancelled, train

Options = dict[str, Any]
TEMPLATE = "{text} It was {mask}."
VERBALISERS = {"positive": "good", "negative": "bad", "neutral": ["usual", "plain"]}
CHINESE = "公司利润增长亏损报告市场这是很好坏的消息一般普通。"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SMALL: Options = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}


def words() -> list[str]:
    given = ["it", "was", ".", "good", "bad", "usual", "plain", "un", "##usual", "##ly", *CHINESE]
    return [*SPECIAL, *COMMON, *(word for own in WORDS.values() for word in own), *given]


def word_tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words()))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{f"{name}_token": token for name, token in names.items()}
    )


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """RoBERTa's way: bytes, a space is part of the word behind it, and the mask takes the one before it."""
    from tokenizers import AddedToken, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    lines = [f"{text} It was good. It was bad." for text, _ in make_rows(200)]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", eos_token="</s>",
        sep_token="</s>", pad_token="<pad>", unk_token="<unk>",
        mask_token=AddedToken("<mask>", lstrip=True, special=True),
    )  # fmt: skip


def save_base(path: Path, tokenizer: Any, config: Any, *, prefer: Sequence[str] = ()) -> Path:
    """A masked language model with random weights, whose head perhaps prefers some words."""
    torch.manual_seed(0)
    model: Any = AutoModelForMaskedLM.from_config(config)
    with torch.no_grad():
        for word in prefer:
            model.get_output_embeddings().bias[tokenizer.convert_tokens_to_ids(word)] = 5.0
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def short_rows(count: int, *, seed: int) -> list[tuple[str, str]]:
    """(text, label) rows of a few words of the label."""
    generator = random.Random(seed)
    labels = sorted(WORDS)
    return [
        (" ".join(generator.choices(WORDS[label], k=generator.randint(2, 5))), label)
        for label in (labels[number % 3] for number in range(count))
    ]


@pytest.fixture(scope="module")
def verbalisers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.yaml"
    path.write_text(json.dumps(VERBALISERS), "utf-8")
    return path


@pytest.fixture(scope="module")
def random_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model that has read nothing."""
    tokenizer = word_tokenizer()
    config = BertConfig(vocab_size=len(tokenizer), initializer_range=0.15, **SMALL)
    return save_base(tmp_path_factory.mktemp("bases") / "masked", tokenizer, config)


@pytest.fixture(scope="module")
def reader(random_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A masked language model that has read what people say of such texts."""
    generator = random.Random(5)
    says = {label: [word] if isinstance(word, str) else word for label, word in VERBALISERS.items()}
    lines = [
        f"{text} it was {generator.choice(says[label])} ."
        for text, label in short_rows(1200, seed=3)
    ]
    directory = tmp_path_factory.mktemp("reader")
    (directory / "texts.txt").write_text("\n".join(lines) + "\n", "utf-8")
    return train(
        TrainConfig(
            task="masked-language-model", base=str(random_base), train=directory / "texts.txt",
            out=directory / "mlm", max_length=16, epochs=8, batch_size=16, masking=0.3,
            learning_rate=5e-3, languages=("en",), device="cpu",
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def options(
    reader: Artifact, verbalisers: Path, tmp_path_factory: pytest.TempPathFactory
) -> Options:
    directory = tmp_path_factory.mktemp("rows")
    return {
        "train": write_csv(directory / "train.csv", short_rows(30, seed=7)),
        "validation": write_csv(directory / "dev.csv", short_rows(90, seed=8)),
        "base": str(reader.path),
        "prompt_template": TEMPLATE,
        "verbalisers": verbalisers,
        "max_length": 32,
        "batch_size": 8,
        "learning_rate": 2e-3,
        "epochs": 2,
        "languages": ("en",),
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def asked(options: Options, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A trained cloze classifier."""
    return train(TrainConfig(**options, out=tmp_path_factory.mktemp("models") / "cloze"))


def said(**words: str | list[str]) -> Callable[[Path], Path]:
    """A file of verbalisers, once its directory is known."""

    def write(directory: Path) -> Path:
        path = directory / "said.yaml"
        path.write_text(json.dumps(words, ensure_ascii=False), "utf-8")
        return path

    return write


# What it does


def test_it_answers_without_an_example(options: Options, tmp_path: Path) -> None:
    """The labels follow the words given for them, and nothing else."""
    none = options | {"epochs": 0}
    for prior in ("none", "content-free", "texts"):
        found = train(TrainConfig(**none, prompt_prior=prior, out=tmp_path / prior))
        assert found.manifest.metrics["accuracy"] > 0.8, prior
    turned = said(positive="bad", negative="good", neutral="plain")(tmp_path)
    swapped = train(TrainConfig(**none | {"verbalisers": turned}, out=tmp_path / "swapped"))
    assert swapped.manifest.metrics["accuracy"] < 0.5
    assert Predictor.load(swapped).predict(["rises gains"])[0].label == "negative"


def test_it_learns_words_that_say_nothing(options: Options, tmp_path: Path) -> None:
    words = said(positive="bank", negative="group", neutral="market")(tmp_path)
    given = options | {"verbalisers": words, "epochs": 0}
    before = train(TrainConfig(**given, out=tmp_path / "before")).manifest.metrics["accuracy"]
    after = train(TrainConfig(**given | {"epochs": 4}, out=tmp_path / "after"))
    assert before < 0.6
    assert after.manifest.metrics["accuracy"] > max(0.8, before + 0.3)


def test_a_prior_takes_off_what_the_head_prefers(
    options: Options, verbalisers: Path, tmp_path: Path
) -> None:
    tokenizer = word_tokenizer()
    config = BertConfig(vocab_size=len(tokenizer), **SMALL)
    base = save_base(tmp_path / "base", tokenizer, config, prefer=["good"])
    none = options | {"base": str(base), "epochs": 0, "calibration": "none"}
    plain = Predictor.load(train(TrainConfig(**none, out=tmp_path / "plain")))
    assert {each.label for each in plain.predict(["loses", "meets", "rises"])} == {"positive"}
    fair = train(TrainConfig(**none, prompt_prior="content-free", out=tmp_path / "fair"))
    np.testing.assert_allclose(Predictor.load(fair).probabilities([""]), 1 / 3, atol=1e-5)
    rows = [text for text, _ in short_rows(30, seed=7)]
    mean = train(TrainConfig(**none, prompt_prior="texts", out=tmp_path / "mean"))
    logits = np.log(Predictor.load(mean).probabilities(rows))
    shifts = (logits - logits.mean(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(shifts, 0, atol=1e-4)


def test_scores_are_mean_log_probabilities_at_the_masks(random_base: Path) -> None:
    """Several words of a label, several tokens of a word; beside the whole model's own scores."""
    tokenizer = word_tokenizer()
    words = {"a": ("good", "usual"), "b": ("unusually",), "c": ("bad",)}
    cloze = Cloze.build(TEMPLATE, words, tokenizer)
    assert cloze.masks == 3
    assert [len(ids) for ids in cloze.tokens["b"]] == [3]
    encode = ClozeEncoder(tokenizer.backend_tokenizer, cloze, max_length=32)
    language_model = AutoModelForMaskedLM.from_pretrained(random_base).eval()
    model = ClozeClassifier(language_model, cloze.mask_id, [cloze.tokens[each] for each in "abc"])
    [ids] = encode(["the bank rises"])
    given = torch.tensor([ids])
    with torch.no_grad():
        logits = model.eval()(given, torch.ones_like(given))[0]
        masks = [place for place, token in enumerate(ids) if token == cloze.mask_id]
        likely = language_model(given).logits[0, masks].log_softmax(-1)
    first = tokenizer.convert_tokens_to_ids
    several = [first(token) for token in ("un", "##usual", "##ly")]
    wanted = torch.stack([
        (likely[0, first("good")] + likely[0, first("usual")]) / 2,
        sum(likely[place, token] for place, token in enumerate(several)) / 3,
        likely[0, first("bad")],
    ])  # fmt: skip
    torch.testing.assert_close(logits, wanted)


TOKENS: Options = {
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2,
}  # fmt: skip
ARCHITECTURES: dict[str, Any] = {
    "bert": BertConfig(vocab_size=100, **SMALL),
    "roberta": RobertaConfig(vocab_size=100, **SMALL),
    "xlm-roberta": XLMRobertaConfig(vocab_size=100, **SMALL),
    "mpnet": MPNetConfig(vocab_size=100, **SMALL),
    "deberta": DebertaV2Config(vocab_size=100, **SMALL),
    "albert": AlbertConfig(vocab_size=100, embedding_size=16, **SMALL),
    "electra": ElectraConfig(vocab_size=100, embedding_size=16, **SMALL),
    "modernbert": ModernBertConfig(vocab_size=100, **SMALL, **TOKENS),
    "distilbert": DistilBertConfig(vocab_size=100, dim=32, n_layers=2, n_heads=4, hidden_dim=64),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_head_is_the_bases_own(name: str) -> None:
    torch.manual_seed(0)
    language_model: Any = AutoModelForMaskedLM.from_config(ARCHITECTURES[name]).eval()
    model = ClozeClassifier(language_model, 7, [[[11]], [[12]], [[13]]]).eval()
    ids = torch.randint(20, 100, (2, 9), generator=torch.Generator().manual_seed(1))
    ids[0, 3] = ids[1, 5] = 7
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0
    with torch.no_grad():
        found = model(ids, mask)
        scores = language_model(input_ids=ids, attention_mask=mask).logits[[0, 1], [3, 5]]
    torch.testing.assert_close(found, scores.log_softmax(-1)[:, 11:14])
    # A copy (the teacher of a distillation) guesses with layers of its own.
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for each in model.parameters():
            each.zero_()
        torch.testing.assert_close(twin(ids, mask), found)
    # Nothing of it is new but a label's prior.
    own = sum(each.numel() for each in model.parameters())
    assert own == sum(each.numel() for each in language_model.parameters()) + 3


def test_an_architecture_that_nobody_knows_is_named() -> None:
    odd = AutoModelForMaskedLM.from_config(FNetConfig(vocab_size=100, hidden_size=32))
    odd.more = torch.nn.Linear(1, 1)
    with pytest.raises(PromptError, match="layers of FNetForMaskedLM that guess words"):
        prediction_layers(odd)


# What the template does to a text


def shown(
    tokenizer: Any, template: str, texts: Sequence[str], most: int, **words: str
) -> list[str]:
    given = {label: (word,) for label, word in (words or {"a": "good", "b": "bad"}).items()}
    cloze = Cloze.build(template, given, tokenizer)
    encode = ClozeEncoder(tokenizer.backend_tokenizer, cloze, max_length=most)
    found = encode(texts)
    assert all(len(ids) <= most for ids in found)
    assert all(ids.count(cloze.mask_id) == cloze.masks for ids in found)
    ids, places = encode.compact(texts)
    assert [ids[i:j].tolist() for i, j in pairwise(places)] == found
    return [tokenizer.decode(ids) for ids in found]


def test_only_the_text_is_cut() -> None:
    tokenizer = word_tokenizer()
    long = "bank " * 5000
    assert shown(tokenizer, TEMPLATE, ["the bank", long, ""], 12) == [
        "[CLS] the bank it was [MASK] . [SEP]",
        "[CLS] bank bank bank bank bank bank it was [MASK] . [SEP]",
        "[CLS] it was [MASK] . [SEP]",
    ]
    assert shown(tokenizer, "{mask} market: {text}", [long], 8) == [
        "[CLS] [MASK] market [UNK] bank bank bank [SEP]"
    ]
    # The mask that counts is the template's; one in the text would be read instead of it.
    assert shown(tokenizer, TEMPLATE, ["[MASK] the [MASK] bank"], 12) == [
        "[CLS] the bank it was [MASK] . [SEP]"
    ]
    assert shown(tokenizer, "{text}{mask}", ["the bank [MASK] "], 12) == [
        "[CLS] the bank [MASK] [SEP]"
    ]


def test_chinese() -> None:
    tokenizer = word_tokenizer()
    template = "{text}这是{mask}的消息。"
    words = {"positive": "很好", "negative": "坏", "neutral": "一般"}
    assert shown(tokenizer, template, ["公司利润增长", "亏损" * 500], 16, **words) == [
        "[CLS] 公 司 利 润 增 长 这 是 [MASK] [MASK] 的 消 息 。 [SEP]",
        "[CLS] 亏 损 亏 损 亏 这 是 [MASK] [MASK] 的 消 息 。 [SEP]".replace("亏 这", "亏 损 这"),
    ]


def test_words_keep_the_space_that_is_before_the_mask() -> None:
    """Bytes and sentence pieces write a word after a space otherwise than one at the beginning."""
    tokenizer = byte_tokenizer()
    after = Cloze.build("{text} It was {mask}.", {"a": ["good"], "b": ["bad"]}, tokenizer)
    assert tokenizer.decode(after.tokens["a"][0]) == " good"
    first = Cloze.build("{mask} news: {text}", {"a": ["good"], "b": ["bad"]}, tokenizer)
    assert tokenizer.decode(first.tokens["a"][0]) == "good"
    [short, long] = shown(tokenizer, "{text} It was {mask}.", ["the bank ", "bank " * 500], 14)
    assert short == "<s>the bank  It was<mask>.</s>"
    assert long.startswith("<s>bank bank")
    assert long.endswith(" It was<mask>.</s>")


def test_a_piece_that_is_only_a_space_is_no_part_of_a_word() -> None:
    pieces = [("<unk>", 0.0), ("<mask>", 0.0), ("▁", -2.0), ("好", -3.0), ("坏", -3.0)]
    inner = Tokenizer(models.Unigram(pieces, unk_id=0))
    inner.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", mask_token="<mask>"
    )
    cloze = Cloze.build("{text}{mask}", {"a": ["好"], "b": ["坏"]}, tokenizer)
    assert cloze.tokens == {"a": ((3,),), "b": ((4,),)}


# What comes out


def test_the_artefact_answers_as_the_run_did(
    asked: Artifact, options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert asked.manifest.metrics["accuracy"] > 0.9
    assert "It was {mask}" in asked.card
    record = asked.manifest.options["cloze"]
    assert record["template"] == TEMPLATE
    assert record["verbalisers"]["neutral"] == ["usual", "plain"]
    assert asked.manifest.config["verbalisers"] == "words.yaml"
    predictor = Predictor.load(asked.path, device="cpu")
    found = predictor.predict([text for text, _ in short_rows(90, seed=8)])
    right = [
        each.label == label for each, (_, label) in zip(found, short_rows(90, seed=8), strict=True)
    ]
    assert np.mean(right) == pytest.approx(asked.manifest.metrics["accuracy"])
    [row] = TextClassificationPredictor.load(asked, device="cpu").predict_rows(
        [{"text": "gains rises " * 300}]
    )
    assert row["label"] == "positive"
    assert row["in_scope"] in (True, False)
    assert main(["evaluate", str(asked.path), "--data", str(options["validation"])]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["accuracy"] == pytest.approx(asked.manifest.metrics["accuracy"])
    texts = write_csv(tmp_path / "texts.csv", [("falls loses", "negative")])
    assert main(["predict", str(asked.path), "--data", str(texts)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["label"] == "negative"


def test_the_inference_process_answers_for_it(asked: Artifact) -> None:
    import asyncio

    from ml_core.serving.engine import Engine
    from ml_core.serving.protocol import PredictRequest

    texts = [text for text, _ in short_rows(20, seed=9)] + ["bank " * 400, "[MASK]"]

    async def ask() -> Any:
        engine = Engine(allowed_root=asked.path.parent, threads=1, max_queue=100, device="cpu")
        engine.start()
        try:
            return await engine.predict([PredictRequest(asked.path.name, texts)], timeout=60)
        finally:
            await engine.close()

    [result] = asyncio.run(ask())
    expected = Predictor.load(asked, device="cpu").predict(texts)
    assert [each["label"] for each in result.outputs] == [each.label for each in expected]
    for served, own in zip(result.outputs, expected, strict=True):
        assert served["probabilities"] == pytest.approx(own.probabilities, abs=1e-5)


def test_it_is_a_base_again(asked: Artifact, options: Options, tmp_path: Path) -> None:
    """For another prompt, with its head, and for a classifier of the common kind."""
    again = train(
        TrainConfig(**options | {"base": str(asked.path), "epochs": 0}, out=tmp_path / "again")
    )
    assert again.manifest.metrics["accuracy"] > 0.9
    assert again.manifest.parent == asked.digest
    same = AutoModel.from_pretrained(asked.path).embeddings.word_embeddings.weight
    inner = AutoModelForMaskedLM.from_pretrained(asked.path)
    assert inner.cls.predictions.decoder.weight.equal(same)
    assert load_classifier(asked).encoder.embeddings.word_embeddings.weight.equal(same)


def test_going_on_from_a_version(asked: Artifact, options: Options, tmp_path: Path) -> None:
    rows = [
        (text, "plain" if label == "neutral" else label) for text, label in short_rows(30, seed=7)
    ]
    more = write_csv(
        tmp_path / "more.csv", [*rows, ("company today", "other"), ("the company", "other")]
    )
    words = said(positive="good", negative="bad", neutral="usual", plain="plain", other="group")
    given = options | {"train": more, "previous": asked.path, "verbalisers": words(tmp_path)}
    changed = {"validation": None, "validation_fraction": 0.2, "distillation": 1.0, "epochs": 1}
    found = train(TrainConfig(**given | changed, out=tmp_path / "next"))
    assert found.manifest.labels == ("negative", "neutral", "other", "plain", "positive")
    assert Predictor.load(found).predict(["rises gains"])[0].label == "positive"


def test_few_weights_beside_a_base(options: Options, reader: Artifact, tmp_path: Path) -> None:
    for method in ("lora", "prompt", "prefix", "adapter", "head"):
        found = train(TrainConfig(**options, method=method, out=tmp_path / method))
        assert found.manifest.adapter_only
        assert found.size_bytes < reader.size_bytes
        if method != "prompt":  # which needs more steps than these
            assert found.manifest.metrics["accuracy"] > 0.8, method
        report = evaluate_artifact(found, options["validation"], device="cpu")
        assert report.accuracy == pytest.approx(found.manifest.metrics["accuracy"], abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"adversarial": "fgm", "r_drop": 1.0, "weight_averaging": "ema"},
        {"mixup": 0.3, "ensemble": 2, "out_of_scope_score": "combined"},
        {"contrastive_epochs": 1, "layer_decay": 0.9, "label_rows": True},
        {"gradient_accumulation": 2, "activation_checkpointing": True, "label_smoothing": 0.1},
        {"weights": "random", "epochs": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_other_methods_work_with_it(changes: Options, options: Options, tmp_path: Path) -> None:
    found = train(TrainConfig(**options | changes, out=tmp_path / "m"))
    if "weights" not in changes:
        assert found.manifest.metrics["accuracy"] > 0.8
    Predictor.load(found, device="cpu").predict(["rises gains"])


def test_a_run_taken_up_ends_as_an_unbroken_one(options: Options, tmp_path: Path) -> None:
    given = options | {"prompt_prior": "texts", "keep": "last"}
    whole = train(TrainConfig(**given, out=tmp_path / "whole"))
    points = {"checkpoints": tmp_path / "points", "checkpoint_minutes": 0.0}
    broken = TrainConfig(**given, **points, out=tmp_path / "broken")
    seen: list[Progress] = []
    with pytest.raises(TrainingCancelled):
        train(
            broken,
            on_progress=seen.append,
            should_stop=lambda: any(progress.step > 4 for progress in seen),
        )
    assert list((tmp_path / "points").glob("checkpoint-*"))
    again = train(broken)
    assert again.manifest.metrics == whole.manifest.metrics
    assert again.digest == whole.digest


@pytest.mark.slow
def test_two_processes_share_it(options: Options, tmp_path: Path) -> None:
    """Sharded, with the word embeddings that the layer which guesses words is tied to."""
    done = torchrun(options | {"out": tmp_path / "m"}, sharding="full")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] > 0.8
    assert Predictor.load(tmp_path / "m").predict(["rises gains"])[0].label == "positive"


# What is refused


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("It was {mask}.", r"prompt_template: 'It was {mask}\.' lacks {text}"),
        ("{text} It was good.", "lacks {mask}"),
        ("{text} {masks}", "unknown placeholder {masks} at character 8; use {text} and {mask}"),
        ("{text} {mask} {mask}", "has {mask} 2 times"),
        ("", "lacks {text}"),
        ("bank " * 40 + "{text} {mask}", "43 tokens long.* no room for a text in max_length 32"),
    ],
)
def test_a_template_that_cannot_be(
    template: str, problem: str, options: Options, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=problem):
        train(TrainConfig(**options | {"prompt_template": template}, out=tmp_path / "m"))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("positive: good\nnegative: bad\n", r"words.yaml has none for neutral"),
        ("positive: good\nnegative: awful\nneutral: plain\n", "words.yaml: label 'negative': the word 'awful' is not"),
        ("positive: good\nnegative: '[MASK]'\nneutral: plain\n", "the word '.MASK.' is not in the vocabulary"),
        ("positive: good\nnegative: [bad, Good]\nneutral: plain\n", "the same word: 'Good' or 'good'"),
        ("positive: good\nnegative: bad\nneutral: bad\n", "'negative' and 'neutral' have the same word: 'bad'"),
        ("positive: good\nnegative: no\nneutral: plain\n", "label 'negative': expected a word .* not False"),
        ("positive: good\nnegative: []\nneutral: plain\n", "label 'negative': expected a word"),
        ("- good\n", "words.yaml: expected a mapping"),
        ("{", "words.yaml: not valid YAML"),
    ],
)  # fmt: skip
def test_words_that_cannot_be(content: str, problem: str, options: Options, tmp_path: Path) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=problem) as caught:
        train(TrainConfig(**options | {"verbalisers": path}, out=tmp_path / "m"))
    assert str(caught.value).startswith("verbalisers: ")


def test_labels_that_are_no_words(options: Options, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"verbalisers: unset.*label 'negative': the word"):
        train(TrainConfig(**options | {"verbalisers": None}, out=tmp_path / "m"))
    with pytest.raises(PromptError, match="cannot be read"):
        read_verbalisers(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prompt_template": None}, "verbalisers: needs prompt_template"),
        (
            {"prompt_template": None, "verbalisers": None, "prompt_prior": "texts"},
            "prompt_prior: needs prompt_template",
        ),
        ({"head_start": "fitted"}, "head_start: fitted is for a new last layer"),
        (
            {"label_propagation": True, "unlabelled": Path("texts.csv")},
            "label_propagation: fits a new last layer",
        ),
        ({"pretrain_epochs": 1}, "pretrain_epochs: .* train a model of the task masked-language"),
        ({"task": "multi-label-classification"}, "prompt_template: is for text-classification"),
    ],
)
def test_options_that_do_not_go_together(
    changes: Options, problem: str, options: Options, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=problem):
        train(TrainConfig(**options | changes, out=tmp_path / "m"))


def test_a_version_of_the_other_kind(
    asked: Artifact, artifact: Artifact, options: Options, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="trained without prompt_template; unset it"):
        train(TrainConfig(**options, previous=artifact.path, out=tmp_path / "m"))
    plain = options | {"prompt_template": None, "verbalisers": None}
    with pytest.raises(ConfigError, match="trained with prompt_template; set it"):
        train(TrainConfig(**plain, previous=asked.path, out=tmp_path / "m"))


def test_a_base_that_guesses_no_words(
    options: Options,
    random_base: Path,
    tiny_base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bare = tmp_path / "bare"
    AutoModel.from_pretrained(random_base).save_pretrained(bare)
    word_tokenizer().save_pretrained(bare)
    for base in ("packaged", str(bare)):
        with pytest.raises(
            BaseModelError, match=r"no trained layers .* masked-language-model from"
        ):
            train(TrainConfig(**options | {"base": base}, out=tmp_path / "m"))
    train_by_flags = ["train", "--train", str(options["train"]), "--out", str(tmp_path / "m")]
    assert main([*train_by_flags, "--prompt-template", TEMPLATE]) == 2
    problem = capsys.readouterr().err
    assert "packaged: has no trained layers that guess hidden words" in problem
    # One whose tokenizer cannot hide a word.
    model = AutoModelForMaskedLM.from_pretrained(random_base)
    model.save_pretrained(tmp_path / "unhidden")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "unhidden" / file).write_bytes((tiny_base / file).read_bytes())
    with pytest.raises(BaseModelError, match="a token that hides a word"):
        train(TrainConfig(**options | {"base": str(tmp_path / "unhidden")}, out=tmp_path / "m"))


def test_a_broken_record_is_named(asked: Artifact, tmp_path: Path) -> None:
    import shutil

    path = Path(shutil.copytree(asked.path, tmp_path / "copy"))
    record = asked.manifest.options["cloze"]
    for broken in (
        {},
        record | {"template": "{text}"},
        record | {"tokens": {"positive": [[5]]}},
        3,
    ):
        rewrite_manifest(path, options={"cloze": broken})
        with pytest.raises(ArtifactError, match=r"manifest.json: options\.cloze: "):
            Predictor.load(path, device="cpu")
