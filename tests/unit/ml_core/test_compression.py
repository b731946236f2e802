"""Smaller models: pruned, distilled, with fewer tokens, in chains that go on where they stopped."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matching_rows import write_jsonl
from ml_core_helpers import COMMON, make_rows, run_cli
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from ml_core.compression import (
    CompressionConfig,
    StepResult,
    TooMuchLost,
    compress,
    parse_steps,
    quantise,
    search_compression,
    steps,
)
from ml_core.compression.distil import _translated
from ml_core.compression.prune import _gates, keep_heads, keep_neurons
from ml_core.compression.search import halve
from ml_core.compression.vocabulary import shrink_vocabulary
from ml_core.models import Predictor
from ml_core.models.bases import load_encoder
from ml_core.models.classifier import load_classifier, pad_batch
from ml_core.models.embedding import EmbeddingPredictor
from ml_core.models.onnx_encoder import OnnxEncoder
from ml_core.models.pruned import conform, encoder_layers, layer_sizes
from ml_core.models.tokenise import TextEncoder
from ml_core.registry import Artifact
from ml_core.registry.artifact import INT8_WEIGHTS, TOKENIZER, WEIGHTS
from ml_core.serving.backends import EncoderBatch, host, load_backend
from ml_core.serving.backends.artifacts import split_artifact
from ml_core.training import ConfigError, TrainConfig, TrainingCancelled, train


@pytest.fixture(autouse=True)
def _measured_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml_core.compression.measure._SECONDS", 0.01)


CPU = torch.device("cpu")
TEXTS = [
    "the company beats record profit",
    "shares falls lawsuit weak of the group today",
    "annual report",
]


def options(artifact: Artifact, train_csv: Path, out: Path, **given: Any) -> CompressionConfig:
    values = {"model": artifact.path, "data": train_csv, "out": out, "device": "cpu", "seed": 1}
    return CompressionConfig.from_mapping(values | given)


def tiny_encoder() -> Any:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
    )
    encoder = BertModel(config).eval()
    encoder.pooler = None
    return encoder


def test_a_pruned_encoder_says_what_the_whole_one_says_with_those_units_silent() -> None:
    encoder = tiny_encoder()
    ids, mask = torch.randint(1, 60, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    mask[0, 5:] = 0
    heads = [torch.tensor([0, 2]), torch.tensor([1])]
    neurons = [torch.arange(0, 64, 2), torch.arange(16)]
    small = copy.deepcopy(encoder)
    for layer, kept_heads, kept_neurons in zip(encoder_layers(small), heads, neurons, strict=True):
        keep_heads(layer, kept_heads)
        keep_neurons(layer, kept_neurons)
    small = conform(small)
    with _gates(encoder) as gates, torch.enable_grad():
        encoder(input_ids=ids, attention_mask=mask)
    assert len(gates) == 4
    # The same by hand: what a silent unit would have given is 0.
    silent = []
    for layer, kept_heads, kept_neurons in zip(
        encoder_layers(encoder), heads, neurons, strict=True
    ):
        keep = torch.zeros(4).index_fill(0, kept_heads, 1.0).repeat_interleave(8)
        through = torch.zeros(64).index_fill(0, kept_neurons, 1.0)
        for module, gate in ((layer.attention.output.dense, keep), (layer.output.dense, through)):
            silent.append(module.register_forward_pre_hook(lambda _, x, gate=gate: (x[0] * gate,)))
    with torch.no_grad():
        expected = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        found = small(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.allclose(expected, found, atol=1e-6)
    assert layer_sizes(small) == ([2, 1], [32, 16])


def test_an_encoder_of_equal_layers_is_the_family_s_own_class() -> None:
    encoder = tiny_encoder()
    for layer in encoder_layers(encoder):
        keep_neurons(layer, torch.arange(32))
    small = conform(encoder)
    assert type(small) is BertModel
    assert small.config.intermediate_size == 32


def test_a_pruned_model_is_saved_and_read_like_any_other(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    found = compress(
        options(artifact, train_csv, tmp_path / "small", steps="heads:0.5,neurons:0.5")
    )
    small = Artifact.open(tmp_path / "small")
    config = json.loads((small.path / "config.json").read_text())
    assert config["model_type"] == "pruned-bert"
    assert sum(config["layer_heads"]) == 4
    assert small.manifest.parent == artifact.digest
    assert (small.manifest.task, small.manifest.labels) == (
        "text-classification",
        artifact.manifest.labels,
    )
    assert small.manifest.options["compression"]["steps"][1]["step"] == "neurons:0.5"
    assert "## Compression" in small.card
    assert found.steps[2].figures.parameters < found.steps[1].figures.parameters
    # What was judged is what is read again, as a classifier and as a base to train on from.
    again = load_classifier(small)
    assert layer_sizes(again.encoder)[0] == config["layer_heads"]
    encoder, tokenizer = load_encoder(small.path)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        own = again.encoder(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        base = encoder.eval()(batch["input_ids"], batch["attention_mask"]).last_hidden_state
    assert torch.allclose(own, base, atol=1e-6)
    assert len(Predictor.load(small, device="cpu").predict(TEXTS)) == 3


def test_layers_go_where_they_are_missed_least(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    compress(options(artifact, train_csv, tmp_path / "small", steps="layers:1"))
    config = json.loads((tmp_path / "small" / "config.json").read_text())
    assert (config["model_type"], config["num_hidden_layers"]) == ("bert", 1)


def test_distillation_wins_back_what_pruning_lost(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    cut = "layers:1,heads:0.25,neurons:0.25"
    pruned = compress(options(artifact, train_csv, tmp_path / "pruned", steps=cut))
    given = {"steps": f"{cut},distil:4", "learning_rate": 3e-3}
    distilled = compress(options(artifact, train_csv, tmp_path / "distilled", **given))
    assert distilled.steps[-1].figures.parameters == pruned.steps[-1].figures.parameters
    assert distilled.loss <= pruned.loss
    texts = [text for text, _ in make_rows(60, seed=5)]
    teacher, without, taught = (
        Predictor.load(each, device="cpu").probabilities(texts)
        for each in (artifact, pruned.artifact, distilled.artifact)
    )
    assert abs(taught - teacher).mean() < abs(without - teacher).mean()


def test_texts_without_labels_are_learned_with_the_model_s_own_answers(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS), encoding="utf-8")
    found = compress(
        options(artifact, train_csv, tmp_path / "small", steps="distil:1", unlabelled=texts)
    )
    rows = found.artifact.manifest.config["train_examples"]
    assert rows == compress(
        options(artifact, train_csv, tmp_path / "other", steps="distil:1")
    ).artifact.manifest.config["train_examples"] + len(TEXTS)


def test_half_precision_is_judged_as_it_will_be_read(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    found = compress(options(artifact, train_csv, tmp_path / "small", steps="fp16"))
    weights = load_file(found.artifact.path / WEIGHTS)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert load_classifier(found.artifact).classifier.weight.dtype == torch.float32
    assert found.steps[-1].figures.bytes < 0.7 * found.steps[0].figures.bytes


def test_a_smaller_vocabulary_says_the_same_of_the_rows_it_was_made_for(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    found = compress(options(artifact, train_csv, tmp_path / "small", steps="vocabulary:20"))
    vocabulary = json.loads((found.artifact.path / TOKENIZER).read_text())["model"]["vocab"]
    assert set(COMMON) <= set(vocabulary)
    before, after = (
        Predictor.load(each, device="cpu").probabilities(TEXTS)
        for each in (artifact, found.artifact)
    )
    assert np.allclose(before, after, atol=1e-6)


def test_the_teacher_reads_the_tokens_of_a_student_with_fewer(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    source = artifact.path / TOKENIZER
    tokenizer = json.loads(source.read_text())
    ids = Tokenizer.from_file(str(source)).encode(TEXTS[0]).ids
    smaller = shrink_vocabulary(tokenizer, Counter(ids), 0)
    new = torch.tensor(Tokenizer.from_str(json.dumps(smaller.tokenizer)).encode(TEXTS[0]).ids)
    batch = {"texts": [{"input_ids": new, "labels": new}]}
    translated = _translated(batch, torch.tensor(smaller.kept))
    assert translated["texts"][0]["input_ids"].tolist() == ids
    assert translated["texts"][0]["labels"].tolist() == new.tolist()


def test_int8_answers_wherever_the_artefact_is_read(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    given = {"steps": "heads:0.5,neurons:0.5,distil:1,fp16,int8"}
    found = compress(options(artifact, train_csv, tmp_path / "small", **given))
    small = found.artifact
    assert INT8_WEIGHTS in small.manifest.files
    model = load_classifier(small)
    assert isinstance(model.encoder, OnnxEncoder)
    answers = Predictor.load(small, device="cpu").probabilities(TEXTS)
    # The float weights are there for training on, and say nearly the same.
    model.encoder = load_encoder(small.path)[0].eval()
    encode = TextEncoder.from_file(small.path / TOKENIZER, max_length=64)
    ids, mask = pad_batch(encode(TEXTS), pad_id=0, device=CPU)
    with torch.no_grad():
        expected = model(ids, mask).softmax(-1).numpy()
    assert np.abs(answers - expected).max() < 0.05
    assert not np.array_equal(answers, expected)
    # One text alone is answered as among others.
    alone = np.concatenate([Predictor.load(small, device="cpu").probabilities([t]) for t in TEXTS])
    assert np.allclose(alone, answers, atol=1e-5)
    # Serving's int8 is the artefact's own.
    parts = split_artifact(small)
    assert parts is not None
    backend = load_backend(parts.source, kind="onnx-int8", cache=tmp_path / "cache")
    pooled = backend.pooled(EncoderBatch(encode(TEXTS)))
    logits = pooled @ parts.head["weight"].T + parts.head["bias"]
    assert np.allclose(_softmax(logits), answers, atol=1e-4)
    with pytest.raises(ConfigError, match="int8 already"):
        compress(options(small, train_csv, tmp_path / "again", steps="layers:1"))


def test_a_cpu_that_would_overflow_answers_with_the_float_weights(
    artifact: Artifact, train_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "cpu", lambda: ("new", frozenset({"sse2", "avx512_vnni"})))
    found = compress(options(artifact, train_csv, tmp_path / "small", steps="int8"))
    monkeypatch.setattr(host, "cpu", lambda: ("old", frozenset({"sse2"})))
    assert isinstance(load_classifier(found.artifact).encoder, BertModel)


def test_more_than_may_be_lost_is_an_error_and_leaves_nothing(
    artifact: Artifact, train_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"max_loss": 0.01, "importance_rows": 1}
    monkeypatch.setattr(steps, "keep_layers", _ruin)
    with pytest.raises(TooMuchLost, match=r"macro_f1 falls by .*layers:1"):
        compress(options(artifact, train_csv, tmp_path / "small", steps="layers:1", **given))
    assert not (tmp_path / "small").exists()


def _softmax(logits: np.ndarray) -> np.ndarray:
    found = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(found / found.sum(1, keepdims=True))


def _ruin(task: Any, *_: Any) -> None:
    torch.nn.init.zeros_(task.model.classifier.weight)


def test_a_chain_that_was_stopped_goes_on_after_its_last_whole_step(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    made: list[str] = []
    config = options(
        artifact,
        train_csv,
        tmp_path / "small",
        steps="layers:1,distil:2,fp16",
        checkpoints=tmp_path / "kept",
    )

    def note(name: str, number: int, count: int, result: StepResult | None) -> None:
        if result is not None:
            made.append(name)

    with pytest.raises(TrainingCancelled):
        compress(config, on_step=note, should_stop=lambda: "layers:1" in made)
    (whole,) = (tmp_path / "kept").glob("01-*/model.safetensors")
    written = whole.stat().st_mtime_ns

    def look(name: str, number: int, count: int, result: StepResult | None) -> None:
        if name == "distil:2" and result is None:
            assert whole.stat().st_mtime_ns == written

    found = compress(config, on_step=look)
    assert [each.step for each in found.steps] == ["original", "layers:1", "distil:2", "fp16"]
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ("", "missing"),
        ("layer:3", "no step"),
        ("heads:2", "part that is kept"),
        ("layers", "number of layers"),
        ("int8,layers:3", "must be the last"),
        ("fp16,distil", "after fp16"),
        ("fp16:2", "takes no number"),
        ("vocabulary:0", "whole number above 0"),
    ],
)
def test_steps_that_cannot_be_taken_are_refused(steps: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_steps(tuple(steps.split(",")) if steps else ())


def word_pieces() -> dict[str, Any]:
    """A WordPiece tokenizer.json in which some characters are only inside longer tokens."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[unused0]", "a", "b", "##a", "##b", "##c", "ab"]
    words += ["abc", "##bca", "xy", "##zz", "中", "文", "##bx", "bank", "##ing"]
    tokenizer = Tokenizer(models.WordPiece({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    found: dict[str, Any] = json.loads(tokenizer.to_str())
    return found


def unigram_pieces() -> dict[str, Any]:
    pieces = [
        ("<s>", 0.0),
        ("<pad>", 0.0),
        ("</s>", 0.0),
        ("<unk>", 0.0),
        ("▁", -2.0),
        ("a", -3.0),
        ("b", -3.0),
    ]
    pieces += [("ab", -3.5), ("▁ab", -3.6), ("bc", -4.0), ("▁a", -4.0), ("abab", -4.5)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    found: dict[str, Any] = json.loads(tokenizer.to_str())
    return found


@pytest.mark.parametrize("source", [word_pieces(), unigram_pieces()], ids=["wordpiece", "unigram"])
@settings(max_examples=300, deadline=None)
@given(
    text=st.text("abcxyz中文 bank!é", max_size=20),
    used=st.text("abcxyz bank", max_size=12),
    size=st.integers(0, 20),
)
def test_every_text_that_was_read_is_read_with_fewer_tokens(
    source: dict[str, Any], text: str, used: str, size: int
) -> None:
    before = Tokenizer.from_str(json.dumps(source))
    counts = Counter(before.encode(used).ids)
    smaller = shrink_vocabulary(source, counts, size)
    after = Tokenizer.from_str(json.dumps(smaller.tokenizer))
    assert after.get_vocab_size() == len(smaller) <= before.get_vocab_size() + 10
    unknown = "[UNK]" if source["model"]["type"] == "WordPiece" else "<unk>"
    if unknown not in before.encode(text).tokens:
        assert unknown not in after.encode(text).tokens
    # Texts whose tokens are all kept are cut as before; a character that could not be read may be now.
    if unknown not in before.encode(used).tokens:
        assert after.encode(used).tokens == before.encode(used).tokens


def test_an_encoder_of_another_architecture_is_refused(tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    from ml_core.compression.prune import check_architecture

    model = DistilBertModel(
        DistilBertConfig(dim=32, n_layers=1, n_heads=2, hidden_dim=32, vocab_size=30)
    )
    with pytest.raises(ConfigError, match="DistilBertModel"):
        check_architecture(model)


@pytest.mark.parametrize(
    ("points", "kept"),
    [
        # Slow and bad goes, the front stays.
        ([(10.0, 0.9), (5.0, 0.8), (12.0, 0.7), (11.0, 0.85)], [0, 1]),
        # Of a front that is cut, the better ones.
        ([(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)], [1, 2]),
        ([(1.0, 0.5)], [0]),
    ],
)
def test_halving_keeps_what_nothing_beats_in_both(
    points: list[tuple[float, float]], kept: list[int]
) -> None:
    assert halve(points) == kept


def test_a_search_keeps_the_fastest_within_the_loss_and_lists_all(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    config = options(
        artifact,
        train_csv,
        tmp_path / "best",
        search=True,
        max_loss=1.0,
        epochs=2,
        learning_rate=3e-3,
    )
    cuts = [parse_steps(("neurons:0.5",)), parse_steps(("layers:1", "neurons:0.25"))]
    found = search_compression(config, candidates=cuts)
    table = found.artifact.manifest.options["compression"]["search"]
    assert [each["state"] for each in table].count("best") == 1
    assert {each["epochs"] for each in table} == {1, 2}
    assert {tuple(each["steps"]) for each in table} == {tuple(map(str, each)) for each in cuts}
    within = [each for each in table if each["state"] in {"best", "within"}]
    best = next(each for each in table if each["state"] == "best")
    assert best["milliseconds"] == min(each["milliseconds"] for each in within)


def test_the_command_line_takes_a_chain_from_yaml(
    artifact: Artifact, train_csv: Path, tmp_path: Path
) -> None:
    config = tmp_path / "chain.yaml"
    config.write_text(f"data: {train_csv}\nsteps: [neurons:0.5, fp16]\n", encoding="utf-8")
    progress = tmp_path / "progress.jsonl"
    done = run_cli(
        "compress", artifact.path, "--config", config, "--out", tmp_path / "small",
        "--set", "device=cpu", "--progress-file", progress,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    assert [each["step"] for each in printed["steps"]] == ["neurons:0.5", "fp16"]
    assert printed["times_smaller"] > 1
    told = [json.loads(line) for line in progress.read_text().splitlines()]
    assert {each["name"] for each in told if each["count"] == 3} == {
        "original",
        "neurons:0.5",
        "fp16",
    }
    bad = run_cli(
        "compress", artifact.path, "--data", train_csv, "--out", tmp_path / "x", "--steps", "z"
    )
    assert (bad.returncode, "no step" in bad.stderr) == (2, True)


def test_an_embedder_is_made_smaller_and_distilled_by_its_states(
    tiny_base: Path, tmp_path: Path
) -> None:
    rows = [
        {"anchor": text, "positive": f"{text} today", "score": 1.0} for text, _ in make_rows(60)
    ]
    data = write_jsonl(tmp_path / "pairs.jsonl", rows)
    values = {"task": "text-embedding", "train": data, "base": str(tiny_base), "max_length": 32}
    trained = {"epochs": 1, "device": "cpu", "out": tmp_path / "model", "languages": ["en"]}
    whole = train(TrainConfig.from_mapping(values | trained))
    found = compress(
        options(whole, data, tmp_path / "small", steps="vocabulary:20,neurons:0.5,distil:1,int8")
    )
    before, after = (
        EmbeddingPredictor.load(each, device="cpu").embed(TEXTS) for each in (whole, found.artifact)
    )
    assert (before * after).sum(1).min() > 0.9
