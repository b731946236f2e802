"""Encoders in ONNX Runtime compute what torch computes, are kept, and are made again where they were damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_helpers import as_source, eager_states, small_encoder, token_batch

from ml_core.serving.backends import (
    ONNX,
    ONNX_INT8,
    BackendError,
    EncoderBatch,
    EncoderSource,
    load_backend,
)
from ml_core.serving.backends import export as exporting
from ml_core.serving.backends.export import RECORD, export, export_directory, mean_cosine

FUSED = ["bert", "roberta", "xlm-roberta", "electra", "distilbert"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, EncoderSource]]:
    found = {}
    for kind in [*FUSED, "modernbert"]:
        encoder = small_encoder(kind)
        found[kind] = (encoder, as_source(encoder, tmp_path_factory.mktemp(kind)))
    return found


@pytest.mark.parametrize("kind", [*FUSED, "modernbert"])
def test_exported_states_are_those_of_torch(models, cache, kind):
    encoder, source = models[kind]
    backend = load_backend(source, kind=ONNX, cache=cache)
    batch = token_batch(encoder, lengths=(5, 17, 1, 9))
    expected = eager_states(encoder, batch)
    for states, right in zip(backend.states(batch), expected, strict=True):
        np.testing.assert_allclose(states, right, atol=2e-5)
    means = np.stack([each.mean(axis=0) for each in expected])
    np.testing.assert_allclose(backend.pooled(batch), means, atol=2e-5)
    assert (backend.hidden, backend.pad_id) == (32, encoder.config.pad_token_id)


@pytest.mark.parametrize("kind", [*FUSED, "modernbert"])
def test_int8_vectors_are_near_those_of_torch(models, cache, kind):
    encoder, source = models[kind]
    backend = load_backend(source, kind=ONNX_INT8, cache=cache)
    batch = token_batch(encoder, lengths=(5, 17, 3, 9, 30))
    means = np.stack([each.mean(axis=0) for each in eager_states(encoder, batch)])
    assert mean_cosine(backend.pooled(batch), means) > 0.99


def test_types_of_pairs_are_read(models, cache):
    encoder, source = models["bert"]
    backend = load_backend(source, kind=ONNX, cache=cache)
    plain = token_batch(encoder, lengths=(6, 8))
    pairs = EncoderBatch(plain.token_ids, [[0, 0, 0, 1, 1, 1], [0] * 3 + [1] * 5])
    for states, right in zip(backend.states(pairs), eager_states(encoder, pairs), strict=True):
        np.testing.assert_allclose(states, right, atol=2e-5)
    assert np.abs(backend.pooled(pairs) - backend.pooled(plain)).max() > 1e-3


def test_a_pruned_layer_keeps_its_own_number_of_heads_and_neurons(tmp_path, cache):
    import torch
    from torch import nn

    from ml_core.serving.backends.bert_graph import FloatProducts, bert_inputs, build_bert
    from ml_core.serving.backends.bert_weights import read_bert
    from ml_core.serving.backends.flat import FlatBatch
    from ml_core.serving.backends.session import session_options

    encoder = small_encoder("bert")
    layer: Any = encoder.encoder.layer[0]
    attention = layer.attention.self
    with torch.no_grad():
        for name in ("query", "key", "value"):
            old = getattr(attention, name)
            new = nn.Linear(32, 16)
            new.weight.copy_(old.weight[:16])
            new.bias.copy_(old.bias[:16])
            setattr(attention, name, new)
        out = nn.Linear(16, 32)
        out.weight.copy_(layer.attention.output.dense.weight[:, :16])
        layer.attention.output.dense = out
    attention.num_attention_heads, attention.all_head_size = 2, 16
    weights = read_bert(encoder)
    assert weights is not None
    assert [each.heads for each in weights.layers] == [2, 4]
    import onnxruntime

    model = build_bert(weights, FloatProducts()).SerializeToString()
    session = onnxruntime.InferenceSession(model, session_options(1))
    batch = token_batch(encoder, lengths=(5, 7))
    (states,) = session.run(None, bert_inputs(FlatBatch.of(batch), weights.places))
    np.testing.assert_allclose(states, np.concatenate(eager_states(encoder, batch)), atol=2e-5)


def test_a_second_load_makes_no_second_export(models, cache, monkeypatch):
    encoder, source = models["bert"]
    batch = token_batch(encoder, lengths=(4, 11))
    first = load_backend(source, kind=ONNX_INT8, cache=cache).pooled(batch)
    monkeypatch.setattr(exporting, "_make", lambda *_, **__: pytest.fail("exported again"))
    again = load_backend(source, kind=ONNX_INT8, cache=cache).pooled(batch)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("damage", ["weights", "model", "record", "half"])
def test_a_damaged_export_is_made_again(models, tmp_path, damage, caplog):
    encoder, source = models["bert"]
    made = export(source, tmp_path).directory
    batch = token_batch(encoder, lengths=(4, 11))
    if damage == "weights":
        content = bytearray((made / "weights.bin").read_bytes())
        content[100] ^= 255
        (made / "weights.bin").write_bytes(content)
    elif damage == "model":
        (made / "model.onnx").write_bytes(b"nonsense")
    elif damage == "record":
        (made / RECORD).write_text("{", encoding="utf-8")
    else:
        (made / "model.onnx").unlink()
    backend = load_backend(source, kind=ONNX, cache=tmp_path)
    right = np.stack([each.mean(axis=0) for each in eager_states(encoder, batch)])
    np.testing.assert_allclose(backend.pooled(batch), right, atol=2e-5)
    assert [path.name for path in export_directory(source, tmp_path).iterdir()] == ["float32"]


def test_an_export_that_differs_from_torch_is_not_kept(models, tmp_path, monkeypatch):
    from ml_core.serving.backends import bert_graph

    _, source = models["bert"]
    monkeypatch.setitem(bert_graph.ACTIVATIONS, "gelu", ("Relu", {}))
    with pytest.raises(BackendError, match="differs from torch"):
        export(source, tmp_path)
    assert list(export_directory(source, tmp_path).iterdir()) == []


def test_int8_that_is_far_from_torch_is_not_kept(models, tmp_path, monkeypatch):
    _, source = models["bert"]
    monkeypatch.setattr(exporting, "LEAST_COSINE", 1.1)
    with pytest.raises(BackendError, match="int8 changes the vectors too much"):
        export(source, tmp_path, int8=True)
    assert list(export_directory(source, tmp_path).iterdir()) == []


def test_the_export_says_how_true_it_is(models, cache):
    _, source = models["bert"]
    made = export(source, cache, int8=True)
    values = json.loads((made.directory / RECORD).read_text(encoding="utf-8"))
    assert 0.99 < values["cosine"] <= 1.0001
    assert values["layout"] == "flat"
    assert set(values["files"]) == {"model.onnx", "weights.bin"}


def test_int8_takes_less_memory(models, cache):
    _, source = models["bert"]
    whole, small = (load_backend(source, kind=kind, cache=cache) for kind in (ONNX, ONNX_INT8))
    assert small.memory_bytes < whole.memory_bytes


def test_clear_errors(models, cache, tmp_path):
    encoder, source = models["bert"]
    backend = load_backend(source, kind=ONNX, cache=cache)
    with pytest.raises(BackendError, match="65 tokens; the encoder takes 64"):
        backend.pooled(token_batch(encoder, lengths=(3, 65)))
    with pytest.raises(BackendError, match="without tokens"):
        backend.pooled(EncoderBatch([[3, 4], []]))
    with pytest.raises(BackendError, match="2 token types"):
        backend.pooled(EncoderBatch([[3, 4]], [[0, 2]]))
    with pytest.raises(BackendError, match="slot 3"):
        backend.pooled(EncoderBatch([[3, 4]], adapters=[3]))
    with pytest.raises(BackendError, match="CPU only"):
        load_backend(source, kind=ONNX_INT8, device="cuda", cache=cache)
    with pytest.raises(ValueError, match="unknown"):
        load_backend(source, kind=ONNX, device="tpu", cache=cache)
    with pytest.raises(BackendError, match="no backend 'tensorrt'"):
        load_backend(source, kind="tensorrt")
    with pytest.raises(BackendError, match="cannot be loaded"):
        load_backend(EncoderSource(tmp_path, "0" * 64), kind=ONNX, cache=cache)
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.pooled(EncoderBatch([[3, 4]]))


def test_weights_that_are_not_finite_or_missing_are_refused(tmp_path, cache):
    import torch

    encoder = small_encoder("bert")
    with torch.no_grad():
        encoder.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    with pytest.raises(BackendError, match="not finite"):
        load_backend(as_source(encoder, tmp_path / "nan"), kind=ONNX, cache=cache)
    encoder = small_encoder("bert")
    del encoder.encoder.layer[1]
    source = as_source(encoder, tmp_path / "short")
    config = json.loads((source.directory / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"] = 2
    (source.directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(BackendError, match="do not fit"):
        load_backend(source, kind=ONNX, cache=cache)


def test_without_a_cache_nothing_is_left_behind(models, tmp_path, monkeypatch):
    import tempfile

    encoder, source = models["bert"]
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    backend = load_backend(source, kind=ONNX)
    assert backend.pooled(token_batch(encoder, lengths=(4,))).shape == (1, 32)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("threads", [2, 3, 16])
def test_several_threads_give_what_one_gives(models, cache, threads):
    encoder, source = models["bert"]
    plain = token_batch(encoder, lengths=(40, 3, 60, 12, 31, 55, 2))
    batch = EncoderBatch(plain.token_ids, [[0] * (len(ids) - 1) + [1] for ids in plain.token_ids])
    one = load_backend(source, kind=ONNX_INT8, cache=cache)
    several = load_backend(source, kind=ONNX_INT8, threads=threads, cache=cache)
    np.testing.assert_allclose(several.pooled(batch), one.pooled(batch), atol=1e-6)
    for found, right in zip(several.states(batch), one.states(batch), strict=True):
        np.testing.assert_allclose(found, right, atol=1e-6)
    assert several.token_budget == threads * one.token_budget


def test_what_a_killed_process_left_is_removed(models, tmp_path):
    import os

    _, source = models["bert"]
    home = export_directory(source, tmp_path)
    left, fresh = home / ".float32-left", home / ".float32-fresh"
    for path in (left, fresh):
        path.mkdir(parents=True)
        (path / "model.onnx").write_bytes(b"half")
    os.utime(left, (0, 0))
    export(source, tmp_path)
    assert sorted(path.name for path in home.iterdir()) == [".float32-fresh", "float32"]


def _adapter(layers: dict[str, tuple[int, int]], rank: int, seed: int) -> tuple[Any, Any]:
    """A LoRA adapter of these layers (features in and out), far from none."""
    generator = np.random.default_rng(seed)
    tensors = {}
    for name, (inputs, outputs) in layers.items():
        down, up = generator.normal(size=(rank, inputs)), generator.normal(size=(outputs, rank))
        tensors[f"bert.{name}.lora_A"] = down.astype(np.float32) * 0.2
        tensors[f"bert.{name}.lora_B"] = up.astype(np.float32) * 0.2
    return tensors, {"method": "lora", "alpha": 2 * rank, "rank_stabilised": False}


ADAPTERS = [
    _adapter({"encoder.layer.0.attention.self.query": (32, 32)}, 4, 1),
    _adapter(
        {
            "encoder.layer.0.attention.self.value": (32, 32),
            "encoder.layer.1.attention.output.dense": (32, 32),
            "encoder.layer.1.intermediate.dense": (32, 64),
            "encoder.layer.1.output.dense": (64, 32),
        },
        9,
        2,
    ),
]


def _merged(adapter: tuple[Any, Any]) -> Any:
    """The encoder with the adapter added to its matrices."""
    import torch

    encoder = small_encoder("bert")
    tensors, record = adapter
    with torch.no_grad():
        for name in {name.rpartition(".")[0] for name in tensors}:
            up, down = tensors[f"{name}.lora_B"], tensors[f"{name}.lora_A"]
            change = up @ down * record["alpha"] / len(down)
            encoder.get_submodule(name.removeprefix("bert.")).weight += torch.from_numpy(change)
    return encoder


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", [ONNX, ONNX_INT8])
def test_adapters_mixed_in_a_batch_equal_each_merged(models, cache, kind, threads):
    encoder, source = models["bert"]
    backend = load_backend(source, kind=kind, threads=threads, cache=cache)
    slots = [backend.add_adapter(*adapter) for adapter in ADAPTERS]
    encoders = {0: encoder} | dict(zip(slots, map(_merged, ADAPTERS), strict=True))
    plain = token_batch(encoder, lengths=(40, 9, 33, 12, 31, 5))
    chosen = [0, *slots, *reversed(slots), 0]
    mixed = backend.pooled(EncoderBatch(plain.token_ids, adapters=chosen))
    for place, slot in enumerate(chosen):
        alone = EncoderBatch([plain.token_ids[place]], adapters=[slot])
        right = eager_states(encoders[slot], alone)[0].mean(axis=0)
        np.testing.assert_allclose(mixed[place], backend.pooled(alone)[0], atol=1e-4)
        if kind == ONNX:
            np.testing.assert_allclose(mixed[place], right, atol=1e-4)
        else:
            assert mean_cosine(mixed[place][None], right[None]) > 0.98
    untouched = backend.pooled(plain)
    np.testing.assert_allclose(untouched[0], mixed[0], atol=1e-4)


def test_an_adapter_that_was_removed_is_refused(models, cache):
    _, source = models["bert"]
    backend = load_backend(source, kind=ONNX, cache=cache)
    before = backend.memory_bytes
    slot = backend.add_adapter(*ADAPTERS[1])
    assert backend.memory_bytes > before
    backend.remove_adapter(slot)
    with pytest.raises(BackendError, match=f"slot {slot}"):
        backend.pooled(EncoderBatch([[3, 4]], adapters=[slot]))
    with pytest.raises(BackendError, match=f"slot {slot}"):
        backend.remove_adapter(slot)


def test_an_encoder_without_a_graph_of_ours_mixes_no_adapters(models, cache):
    _, source = models["modernbert"]
    backend = load_backend(source, kind=ONNX, cache=cache)
    with pytest.raises(BackendError, match="mixes no adapters"):
        backend.add_adapter(*ADAPTERS[0])
