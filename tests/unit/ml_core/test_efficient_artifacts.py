"""Artefacts of few trained weights: small, the same after loading, and never on another base."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from ml_core_helpers import run_cli
from safetensors.torch import load_file, save_file

from ml_core.evaluation import evaluate
from ml_core.models import BaseModelError, Predictor, resolve_base
from ml_core.models.bases import load_encoder
from ml_core.models.classifier import TextClassifier, load_classifier
from ml_core.models.efficient.attachment import METHODS, Attachment, attach, note
from ml_core.models.found_bases import base_digest
from ml_core.models.weights_io import save_weights
from ml_core.registry import Artifact, ArtifactError
from ml_core.training import ConfigError, TrainConfig, TrainingCancelled, train
from ml_core.training.methods.efficient import Efficient

Options = dict[str, Any]
TEXTS = ["shares gains today", "the bank loses a lawsuit", "annual report"]


def config(options: Options, **changes: Any) -> TrainConfig:
    return TrainConfig(**(options | {"epochs": 2, "learning_rate": None} | changes))


@pytest.fixture(scope="module")
def own_base(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    """A copy of the base that tests may move and change."""
    return Path(shutil.copytree(tiny_base, tmp_path_factory.mktemp("bases") / "tiny-bert"))


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory, tiny_options: Options, own_base: Path
) -> dict[str, Artifact]:
    """An artefact of each method."""
    folder = tmp_path_factory.mktemp("efficient")
    return {
        method: train(config(tiny_options, base=str(own_base), method=method, out=folder / method))
        for method in METHODS
    }


@pytest.mark.parametrize("method", METHODS)
def test_loaded_it_says_what_it_said_in_training(
    trained: dict[str, Artifact], method: str, own_base: Path
) -> None:
    artifact = trained[method]
    manifest = artifact.manifest
    assert (manifest.method, manifest.adapter_only) == (method, True)
    assert manifest.base_digest == base_digest(own_base)
    stored = load_file(artifact.path / "model.safetensors")
    base = load_file(own_base / "model.safetensors")
    assert not any(name.removeprefix("bert.") in base for name in stored)
    # The validation part is split off the training file, so its score can be had again only from the same rows.
    first, again = (Predictor.load(artifact, device="cpu").probabilities(TEXTS) for _ in range(2))
    assert (first == again).all()
    assert first.std() > 0


@pytest.mark.parametrize("method", METHODS)
def test_the_logits_come_back(tiny_base: Path, tmp_path: Path, method: str) -> None:
    from ml_core.models.classifier import save_classifier
    from ml_core.registry.artifact import Manifest, write_artifact

    torch.manual_seed(3)
    encoder, tokenizer = load_encoder(tiny_base)
    model = TextClassifier(encoder, 3)
    record = record_of(method)
    attach(model, encoder, record)
    fill(model)
    digest = base_digest(tiny_base)
    note(model, Attachment(method, record, True, digest))
    model.eval()
    given = tokenizer(TEXTS, return_tensors="pt", padding=True)
    ids, mask = given["input_ids"], given["attention_mask"]
    said = model(ids, mask)

    def write(directory: Path) -> None:
        save_classifier(model, directory)
        tokenizer.save_pretrained(directory)
        (directory / "README.md").write_text("card")

    manifest = Manifest(
        task="text-classification",
        base="base",
        labels=("a", "b", "c"),
        max_length=64,
        languages=(),
        method=method,
        adapter_only=True,
        base_digest=digest,
        options={"efficient": record | {"base_path": f"../{tiny_base.name}"}},
    )
    shutil.copytree(tiny_base, tmp_path / tiny_base.name)
    artifact = write_artifact(tmp_path / "artifact", manifest, write)
    loaded = load_classifier(artifact)
    assert torch.allclose(loaded(ids, mask), said, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_at_most_three_percent_of_the_packaged_base(method: str, tmp_path: Path) -> None:
    encoder, _ = load_encoder("packaged")
    model = TextClassifier(encoder, 77)
    record = record_of(method)
    attach(model, encoder, record)
    fill(model)
    note(model, Attachment(method, record, True, "0"))
    save_weights(model, tmp_path / "model.safetensors")
    whole = Path(resolve_base("packaged")) / "model.safetensors"
    share = (tmp_path / "model.safetensors").stat().st_size / whole.stat().st_size
    assert share <= 0.03


def fill(model: torch.nn.Module) -> None:
    """Random trained weights; of AdaLoRA's directions a third is dropped, as at the end of a training."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.2)
            if "lora_E" in name:
                parameter[::3] = 0


def test_what_adalora_dropped_is_not_written(tiny_base: Path, tmp_path: Path) -> None:
    encoder, _ = load_encoder(tiny_base)
    model = TextClassifier(encoder, 3)
    record = record_of("adalora")
    attach(model, encoder, record)
    fill(model)
    note(model, Attachment("adalora", record, True, "0"))
    save_weights(model, tmp_path / "model.safetensors")
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        if "lora_E" in name:
            values = model.get_parameter(name)
            assert torch.equal(tensor, values[values[:, 0] != 0])
            assert len(tensor) == len(values) - len(values[::3])


def record_of(method: str) -> dict[str, Any]:
    """The record of a method with the default options."""
    values = TrainConfig(train=Path("t"), out=Path("o"), method=method)
    return Efficient(values)._record(values)


def test_the_command_line_evaluates_and_predicts(
    trained: dict[str, Artifact], test_csv: Path
) -> None:
    artifact = trained["adapter"]
    result = run_cli("evaluate", artifact.path, "--data", test_csv, "--device", "cpu")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout.splitlines()[-1])
    assert report["accuracy"] == pytest.approx(evaluate(artifact, test_csv).accuracy)
    result = run_cli("predict", artifact.path, "--data", test_csv, "--device", "cpu")
    assert len(result.stdout.splitlines()) == 90


def test_merged_weights_are_whole(tiny_options: Options, own_base: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    options = config(
        tiny_options, base=str(own_base), method="lora", merge_adapter=True, out=tmp_path / "whole"
    )
    artifact = train(options)
    assert artifact.manifest.method == "lora"
    assert not artifact.manifest.adapter_only
    assert artifact.manifest.options["efficient"]["merged"]
    names = load_file(artifact.path / "model.safetensors")
    assert not any("lora" in name for name in names)
    encoder = AutoModel.from_pretrained(artifact.path)
    base = AutoModel.from_pretrained(own_base)
    assert not torch.equal(
        encoder.encoder.layer[0].output.dense.weight, base.encoder.layer[0].output.dense.weight
    )
    assert torch.equal(
        encoder.embeddings.word_embeddings.weight, base.embeddings.word_embeddings.weight
    )
    # It is a base to go on from; an artefact of trained weights only is none.
    again = config(tiny_options, base=str(artifact.path), out=tmp_path / "again")
    assert train(again).manifest.parent == artifact.digest


def test_only_what_was_trained_is_no_base(
    trained: dict[str, Artifact], tiny_options: Options, tmp_path: Path
) -> None:
    options = config(tiny_options, base=str(trained["lora"].path), out=tmp_path / "a")
    with pytest.raises(BaseModelError, match=r"holds what lora trained.*merge_adapter"):
        train(options)


def test_the_base_is_found_again_or_missed(
    trained: dict[str, Artifact],
    own_base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ROOTSTOCK_BASES", raising=False)
    moved = Path(shutil.copytree(trained["lora"].path, tmp_path / "models" / "lora"))
    with pytest.raises(ArtifactError, match=r"'tiny-bert'.*looked at.*ROOTSTOCK_BASES"):
        Predictor.load(moved, device="cpu")
    shutil.copytree(own_base, tmp_path / "bases" / "tiny-bert")
    monkeypatch.setenv("ROOTSTOCK_BASES", f"/nowhere:{tmp_path / 'bases'}")
    expected = Predictor.load(trained["lora"], device="cpu").probabilities(TEXTS)
    assert (Predictor.load(moved, device="cpu").probabilities(TEXTS) == expected).all()
    monkeypatch.delenv("ROOTSTOCK_BASES")
    shutil.copytree(own_base, tmp_path / "models" / "tiny-bert")
    assert (Predictor.load(moved, device="cpu").probabilities(TEXTS) == expected).all()


def test_a_base_that_has_changed_is_refused(
    trained: dict[str, Artifact], own_base: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(trained["prefix"].path, tmp_path / "models" / "prefix"))
    other = Path(shutil.copytree(own_base, tmp_path / "models" / "tiny-bert"))
    weights = load_file(other / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1e-6}, other / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"tiny-bert \(other weights: SHA-256"):
        Predictor.load(moved, device="cpu")


def test_fresh_weights_are_written_whole(tiny_options: Options, tmp_path: Path) -> None:
    """Nobody has the random base again."""
    artifact = train(config(tiny_options, weights="random", method="prompt", out=tmp_path / "a"))
    assert not artifact.manifest.adapter_only
    assert "bert.embeddings.word_embeddings.weight" in load_file(
        artifact.path / "model.safetensors"
    )
    assert Predictor.load(artifact, device="cpu").probabilities(TEXTS).shape == (3, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "prompt", "merge_adapter": True}, "merge_adapter: is for lora and adalora"),
        ({"method": "full", "merge_adapter": True}, "merge_adapter: is for lora and adalora"),
        ({"method": "lora", "target_modules": ("q_proj",)}, "target_modules: .*'q_proj'"),
        ({"method": "prompt", "prompt_length": 65}, "prompt_length: 65 and max_length 64"),
        ({"method": "adalora", "epochs": 1, "batch_size": 128}, "adalora needs at least"),
        ({"method": "lorax"}, "method: must be one of full, lora"),
    ],
)
def test_options_that_cannot_be(
    tiny_options: Options, tmp_path: Path, changes: Options, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(config(tiny_options, out=tmp_path / "a", **changes))


def test_each_method_has_a_default_rate_of_its_own(tiny_options: Options, tmp_path: Path) -> None:
    factors = {
        method: Efficient(config(tiny_options, out=tmp_path, method=method)).learning_rate_factor()
        for method in METHODS
    }
    assert factors["lora"] == pytest.approx(15)
    assert min(factors.values()) > 1
    assert factors["prompt"] > factors["lora"]


@pytest.mark.parametrize("method", ["full", "lora", "prefix"])
@pytest.mark.parametrize("kind", ["gpt2", "t5"])
def test_language_models_with_tied_weights_come_back(
    tmp_path: Path, kind: str, method: str
) -> None:
    """Such a model is itself what is trained, and its head is its word embeddings."""
    from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

    from ml_core.models.weights_io import load_weights
    from ml_core.registry.artifact import Manifest

    def fresh() -> Any:
        if kind == "gpt2":
            return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4))
        sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
        return T5ForConditionalGeneration(
            T5Config(vocab_size=50, decoder_start_token_id=0, **sizes)
        )

    torch.manual_seed(0)
    base = tmp_path / "base"
    fresh().eval().save_pretrained(base)
    model = fresh().from_pretrained(base).eval()
    options: dict[str, Any] = {}
    if method != "full":
        record = record_of(method) | {"base_path": "../base"}
        attach(model, model, record)
        note(model, Attachment(method, record, True, base_digest(base)))
        options = {"efficient": record}
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.eval()
    manifest = Manifest(
        task="text-generation",
        base="base",
        labels=(),
        max_length=16,
        languages=(),
        method=method,
        adapter_only=method != "full",
        base_digest=base_digest(base) if method != "full" else None,
        options=options,
    )
    (tmp_path / "artifact").mkdir()
    save_weights(model, tmp_path / "artifact" / "model.safetensors")
    loaded = fresh().eval()
    load_weights(loaded, Artifact(tmp_path / "artifact", manifest))
    ids = torch.randint(3, 50, (2, 7))
    given = {"input_ids": ids} | ({"decoder_input_ids": ids} if kind == "t5" else {})
    assert torch.allclose(loaded(**given).logits, model(**given).logits, atol=1e-4)


def test_what_is_to_be_a_base_is_whole(tiny_options: Options, tmp_path: Path) -> None:
    options = tiny_options | {"task": "masked-language-model", "method": "adapter"}
    with pytest.raises(ConfigError, match="its weights must be whole"):
        Efficient.wanted(TrainConfig(**(options | {"out": tmp_path / "a"})))


def test_a_cancelled_adalora_run_goes_on(tiny_options: Options, tmp_path: Path) -> None:
    common = {
        "method": "adalora",
        "epochs": 3,
        "early_stopping_patience": 0,
        "checkpoint_minutes": 0,
    }
    whole = train(config(tiny_options, **common, out=tmp_path / "whole"))
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 25

    kept = {**common, "checkpoints": tmp_path / "checkpoints", "out": tmp_path / "resumed"}
    with pytest.raises(TrainingCancelled):
        train(config(tiny_options, **kept), should_stop=stop)
    resumed = train(config(tiny_options, **kept))
    first, second = (load_file(a.path / "model.safetensors") for a in (whole, resumed))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
