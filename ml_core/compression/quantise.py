"""An encoder in int8: the graph that serving computes int8 with, its scales measured on the model's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import helper

from ml_core.models.onnx_encoder import PLACES, REDUCED
from ml_core.serving.backends.base import EncoderBatch
from ml_core.serving.backends.bert_graph import build_bert
from ml_core.serving.backends.bert_weights import read_bert
from ml_core.serving.backends.host import cpu
from ml_core.serving.backends.quantise import Int8Products, measure, saturates
from ml_core.training.options import ConfigError


def int8_encoder(encoder: Any, probes: Sequence[Sequence[int]]) -> bytes:
    """``encoder`` as an ONNX model with int8 weights (embeddings too) and products; ``probes`` are token numbers of the
    texts on which the scales are measured.

    Made for the machine it is made on: one whose int8 products would overflow has 7 bits a weight, and a file with 8
    is not used there, see `OnnxEncoder.usable`.

    Raises ConfigError for an architecture that has no such graph.
    """
    weights = read_bert(encoder.cpu())
    if weights is None:
        raise ConfigError(
            f"steps: int8 is for BERT-like encoders, and this is a {type(encoder).__name__}"
        )
    reduced = saturates(cpu()[1])
    ranges = measure(weights, EncoderBatch(token_ids=probes))
    model = build_bert(weights, Int8Products(ranges, reduced=reduced))
    helper.set_model_props(model, {PLACES: str(weights.places), REDUCED: str(int(reduced))})
    found: bytes = model.SerializeToString()
    return found
