"""What must hold for every kind of encoder in every backend that has it: a text's vectors depend on the text alone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backend_helpers import as_source, eager_states, small_encoder, token_batch

from ml_core.serving.backends import KINDS, ONNX_INT8, Backend, EncoderBatch, load_backend
from ml_core.serving.backends.export import mean_cosine

ENCODERS = ["bert", "xlm-roberta", "distilbert", "modernbert"]
LENGTHS = (7, 23, 2, 12, 30)
# What two ways of adding up the same numbers may differ. Int8 of an encoder without a graph of ours has one scale for
# all tokens of a batch, so there a text's vector moves with its neighbours, within the steps.
EXACT, STEPS = 3e-5, 0.08


@pytest.fixture(scope="module", params=list(itertools.product(ENCODERS, KINDS)), ids="-".join)
def loaded(
    request: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any, Backend, Path]:
    architecture, kind = request.param
    directory = tmp_path_factory.mktemp(f"{architecture}-{kind}")
    encoder = small_encoder(architecture)
    source = as_source(encoder, directory / "encoder")
    backend = load_backend(source, kind=kind, device="cpu", cache=directory / "cache")
    return architecture, encoder, backend, directory


def _tolerance(architecture: str, backend: Backend) -> float:
    return STEPS if backend.name == ONNX_INT8 and architecture == "modernbert" else EXACT


def test_served_equals_eager(loaded):
    _, encoder, backend, _ = loaded
    batch = token_batch(encoder, lengths=LENGTHS)
    expected = eager_states(encoder, batch)
    means = np.stack([each.mean(axis=0) for each in expected])
    pooled, states = backend.pooled(batch), backend.states(batch)
    assert pooled.dtype == np.float32
    assert [each.shape for each in states] == [(length, 32) for length in LENGTHS]
    if backend.name == ONNX_INT8:
        assert mean_cosine(pooled, means) > 0.99
    else:
        np.testing.assert_allclose(pooled, means, atol=EXACT)
        for found, right in zip(states, expected, strict=True):
            np.testing.assert_allclose(found, right, atol=EXACT)


def test_pooled_is_the_mean_of_the_states(loaded):
    _, encoder, backend, _ = loaded
    batch = token_batch(encoder, lengths=LENGTHS)
    means = np.stack([each.mean(axis=0) for each in backend.states(batch)])
    np.testing.assert_allclose(backend.pooled(batch), means, atol=EXACT)


def test_a_batch_equals_each_text_alone(loaded):
    architecture, encoder, backend, _ = loaded
    batch = token_batch(encoder, lengths=LENGTHS)
    alone = np.concatenate([backend.pooled(EncoderBatch([ids])) for ids in batch.token_ids])
    np.testing.assert_allclose(backend.pooled(batch), alone, atol=_tolerance(architecture, backend))


def test_padding_changes_nothing(loaded):
    """A text beside a much longer one equals the same text beside one as short."""
    architecture, encoder, backend, _ = loaded
    text, short, long = token_batch(encoder, lengths=(5, 5, 60)).token_ids
    beside_short = backend.states(EncoderBatch([text, short]))[0]
    beside_long = backend.states(EncoderBatch([text, long]))[0]
    tolerance = _tolerance(architecture, backend)
    np.testing.assert_allclose(
        beside_long, beside_short, atol=tolerance * (5 if tolerance == STEPS else 1)
    )


def test_the_order_of_a_batch_changes_nothing(loaded):
    architecture, encoder, backend, _ = loaded
    batch = token_batch(encoder, lengths=LENGTHS)
    turned = backend.pooled(EncoderBatch(list(reversed(batch.token_ids))))
    np.testing.assert_allclose(
        backend.pooled(batch), turned[::-1], atol=_tolerance(architecture, backend)
    )


def test_reloaded_equals_saved(loaded):
    _, encoder, backend, directory = loaded
    batch = token_batch(encoder, lengths=LENGTHS)
    digest = as_source(encoder, directory / "again").digest
    from ml_core.serving.backends import EncoderSource

    source = EncoderSource(directory / "encoder", digest)
    again = load_backend(source, kind=backend.name, device="cpu", cache=directory / "cache")
    np.testing.assert_array_equal(again.pooled(batch), backend.pooled(batch))
