"""The torch backend: packed, padded, alone or on two devices, a text has the same states."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    PretrainedConfig,
    RobertaConfig,
)

from ml_core.models.pruned import pruned_classes, register
from ml_core.serving.backends import BackendError, EncoderBatch, EncoderSource
from ml_core.serving.backends.torch import TorchBackend

WORDS = 60
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 80,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
MODERN = {"cls_token_id": 2, "sep_token_id": 3, "local_attention": 8}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
register()
PRUNED = pruned_classes("roberta")[0](**SIZES, layer_heads=[1, 3], layer_neurons=[8, 48])
CONFIGS: dict[str, tuple[PretrainedConfig, bool]] = {
    "bert": (BertConfig(**SIZES), True),
    "pruned": (PRUNED, True),
    "roberta": (RobertaConfig(**SIZES), True),
    "modernbert": (ModernBertConfig(**(SIZES | MODERN)), True),
    "electra": (ElectraConfig(**SIZES, embedding_size=16), True),
    "albert": (AlbertConfig(**SIZES, embedding_size=16), True),
    "distilbert": (DistilBertConfig(**(SIZES | DISTIL)), True),
    "mpnet": (MPNetConfig(**SIZES), False),
    "deberta": (DebertaV2Config(**SIZES, relative_attention=True, pos_att_type=["p2c"]), False),
}


def encoder_of(config: PretrainedConfig) -> Any:
    torch.manual_seed(0)
    encoder = AutoModel.from_config(deepcopy(config)).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return encoder


def some_texts(lengths: Sequence[int], seed: int = 0) -> list[list[int]]:
    generator = np.random.default_rng(seed)
    return [generator.integers(4, WORDS, length).tolist() for length in lengths]


TEXTS = some_texts([3, 40, 7, 3, 1, 40, 19])


def alone(encoder: Any, text: list[int], types: list[int] | None = None) -> np.ndarray:
    """The states of one text, as the library has them."""
    more = {} if types is None else {"token_type_ids": torch.tensor([types])}
    with torch.inference_mode():
        found = encoder(input_ids=torch.tensor([text]), **more).last_hidden_state[0]
    return np.asarray(found.float())


def backend_of(encoder: Any, devices: int = 1, **options: Any) -> TorchBackend:
    return TorchBackend(encoder, devices=[torch.device("cpu")] * devices, **options)


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_batch_has_the_states_of_each_text_alone(kind: str) -> None:
    config, packed = CONFIGS[kind]
    encoder = encoder_of(config)
    expected = [alone(encoder, text) for text in TEXTS]
    backend = backend_of(encoder)
    assert backend.packed == packed
    found = backend.states(EncoderBatch(TEXTS))
    for own, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, other, atol=2e-5)
    pooled = backend.pooled(EncoderBatch(TEXTS))
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, [each.mean(0) for each in expected], atol=2e-5)


def test_a_padding_token_inside_a_text_is_a_token_like_others() -> None:
    backend = backend_of(encoder_of(CONFIGS["bert"][0]))
    text = [5, 1, 6]
    first = backend.pooled(EncoderBatch([text]))
    again = backend.pooled(EncoderBatch([text, *TEXTS]))
    np.testing.assert_allclose(again[:1], first, atol=2e-5)


def test_pairs_say_which_text_a_token_is_of() -> None:
    encoder = encoder_of(CONFIGS["bert"][0])
    types = [[int(place > len(text) // 2) for place in range(len(text))] for text in TEXTS]
    expected = [alone(encoder, *pair).mean(0) for pair in zip(TEXTS, types, strict=True)]
    backend = backend_of(encoder)
    found = backend.pooled(EncoderBatch(TEXTS, type_ids=types))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(found - backend.pooled(EncoderBatch(TEXTS))).max() > 1e-3


@pytest.mark.parametrize("kind", ["bert", "mpnet"])
def test_two_devices_share_a_batch(kind: str) -> None:
    encoder = encoder_of(CONFIGS[kind][0])
    one = backend_of(encoder)
    expected, memory = one.pooled(EncoderBatch(TEXTS)), one.memory_bytes
    two = backend_of(encoder_of(CONFIGS[kind][0]), devices=2)
    assert two.token_budget == 2 * one.token_budget
    assert two.memory_bytes == 2 * memory
    np.testing.assert_allclose(two.pooled(EncoderBatch(TEXTS)), expected, atol=2e-5)
    first = two.states(EncoderBatch(TEXTS[:1]))
    np.testing.assert_allclose(first[0].mean(0), expected[0], atol=2e-5)
    two.close()


@pytest.mark.parametrize("kind", ["bert", "modernbert", "deberta"])
def test_half_precision_stays_close(kind: str) -> None:
    encoder = encoder_of(CONFIGS[kind][0])
    expected = np.stack([alone(encoder, text).mean(0) for text in TEXTS])
    backend = backend_of(encoder, dtype=torch.bfloat16)
    assert backend.packed == CONFIGS[kind][1]
    found = backend.pooled(EncoderBatch(TEXTS))
    assert found.dtype == np.float32
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(1) / norms).min() > 0.99


def test_no_texts_and_texts_without_tokens() -> None:
    backend = backend_of(encoder_of(CONFIGS["bert"][0]))
    assert backend.pooled(EncoderBatch([])).shape == (0, 32)
    assert backend.states(EncoderBatch([])) == []
    found = backend.pooled(EncoderBatch([[], *TEXTS]))
    assert not found[0].any()
    np.testing.assert_allclose(found[1:], backend.pooled(EncoderBatch(TEXTS)), atol=2e-5)
    assert backend.states(EncoderBatch([TEXTS[0], []]))[1].shape == (0, 32)


def test_equal_lengths_in_any_order() -> None:
    """Every way in which runs of one length can fall."""
    backend = backend_of(encoder_of(CONFIGS["bert"][0]))
    texts = some_texts([4, 4, 9, 2])
    expected = backend.pooled(EncoderBatch(texts))
    for order in itertools.permutations(range(4)):
        found = backend.pooled(EncoderBatch([texts[place] for place in order]))
        np.testing.assert_allclose(found, expected[list(order)], atol=2e-5)


def test_loaded_from_a_directory(tmp_path: Path) -> None:
    encoder = encoder_of(CONFIGS["bert"][0])
    encoder.save_pretrained(tmp_path)
    source = EncoderSource(tmp_path, "digest")
    backend = TorchBackend.load(source, device="cpu", threads=1)
    expected = [alone(encoder, text).mean(0) for text in TEXTS]
    np.testing.assert_allclose(backend.pooled(EncoderBatch(TEXTS)), expected, atol=2e-5)
    weights = sum(each.nbytes for each in backend_of(encoder)._replicas[0].encoder.parameters())
    assert backend.memory_bytes <= weights
    with pytest.raises(ValueError, match=r"no usable GPU|unknown"):
        TorchBackend.load(source, device="cuda" if not torch.cuda.is_available() else "quantum")


def test_a_model_without_padding_token_is_refused() -> None:
    config = BertConfig(**(SIZES | {"pad_token_id": None}))
    with pytest.raises(BackendError, match="pad_token_id"):
        backend_of(encoder_of(config))


def test_a_token_out_of_the_vocabulary_is_an_error_of_the_batch_only() -> None:
    backend = backend_of(encoder_of(CONFIGS["mpnet"][0]))
    expected = backend.pooled(EncoderBatch(TEXTS))
    with pytest.raises(BackendError, match="failed"):
        backend.pooled(EncoderBatch([[WORDS + 5]]))
    assert (backend.pooled(EncoderBatch(TEXTS)) == expected).all()


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_attention_on_a_gpu_is_asked_for_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FlashAttention is not on CPUs; a stand-in that keeps its contract gives the same states."""
    from torch.nn.attention import varlen

    from ml_core.serving.backends import packing

    calls: list[tuple[int, int]] = []

    def attend(
        *given: Any, scale: float, window_size: tuple[int, int], enable_gqa: bool
    ) -> torch.Tensor:
        query, key, value, starts, _, longest, longest_k = given
        assert (query.ndim, starts.dtype, enable_gqa) == (3, torch.int32, False)
        assert query.is_contiguous()
        calls.append(window_size)
        places = starts.tolist()
        assert longest == longest_k == max(b - a for a, b in itertools.pairwise(places))
        result = torch.empty_like(query)
        for start, end in itertools.pairwise(places):
            q, k, v = (each[start:end].transpose(0, 1) for each in (query, key, value))
            scores = (q @ k.transpose(1, 2)) * scale
            away = torch.arange(end - start)[:, None] - torch.arange(end - start)
            for reach, side in zip(window_size, (away, -away), strict=True):
                if reach >= 0:
                    scores = scores.masked_fill(side > reach, -torch.inf)
            result[start:end] = (scores.softmax(-1) @ v).transpose(0, 1)
        return result

    def on_gpu(module: Any, query: Any, key: Any, value: Any, mask: None, **given: Any) -> Any:
        window = given.get("sliding_window")
        found = packing._varlen(
            query,
            key,
            value,
            starts=given["cu_seq_lens_q"],
            longest=given["max_length_q"],
            scale=given["scaling"],
            window=(-1, -1) if window is None else (window - 1, window - 1),
            grouped=False,
        )
        return found, None

    encoder = encoder_of(CONFIGS[kind][0])
    expected = [alone(encoder, text).mean(0) for text in TEXTS]
    monkeypatch.setattr(varlen, "varlen_attn", attend)
    packing.AttentionInterface.register(packing.PACKED, on_gpu)
    try:
        backend = backend_of(encoder)
        found = backend.pooled(EncoderBatch(TEXTS))
    finally:
        packing.AttentionInterface.register(packing.PACKED, packing.packed_attention)
    assert backend.packed
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert {(-1, -1)} <= set(calls)
    assert (kind == "modernbert") == any(window != (-1, -1) for window in calls)


def test_where_the_device_cannot_pack_it_pads(monkeypatch: pytest.MonkeyPatch) -> None:
    from ml_core.serving.backends.packing import Packing

    encoder = encoder_of(CONFIGS["roberta"][0])
    expected = np.stack([alone(encoder, text).mean(0) for text in TEXTS])
    monkeypatch.setattr("ml_core.serving.backends.packing._LEAST_COSINE_HALF", 2.0)
    backend = backend_of(encoder, dtype=torch.bfloat16)
    assert not backend.packed
    found = backend.pooled(EncoderBatch(TEXTS))
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    assert ((found * expected).sum(1) / norms).min() > 0.99
    assert Packing.of(encoder_of(CONFIGS["roberta"][0])) is not None


def test_compiled_it_is_the_same_encoder() -> None:
    """What the compiler makes of it takes a minute; here only that it is asked."""
    encoder = encoder_of(CONFIGS["bert"][0])
    expected = [alone(encoder, text).mean(0) for text in TEXTS]
    backend = backend_of(encoder, compiled=True)
    with torch.compiler.set_stance("force_eager"):
        found = backend.pooled(EncoderBatch(TEXTS))
    np.testing.assert_allclose(found, expected, atol=2e-5)
    with pytest.raises(BackendError, match="mixes no adapters"):
        backend.add_adapter({}, {"method": "lora"})
