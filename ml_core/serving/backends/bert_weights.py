"""The weights of BERT and its kin (RoBERTa, XLM-R, CamemBERT, ELECTRA, DistilBERT) under one set of names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# transformers' name of an activation → ONNX operator and its attributes.
ACTIVATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
    "relu": ("Relu", {}),
}
# Position embeddings of these begin after the padding token's number.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert"}
_BERTS = {"bert", "electra", *_OFFSET_POSITIONS}


@dataclass(frozen=True)
class Linear:
    """y = x · weight + bias; weight is (in, out), bias (out,), both float32."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Norm:
    """Layer normalisation's gain and bias, (hidden,), and its epsilon."""

    gain: np.ndarray
    bias: np.ndarray
    epsilon: float


@dataclass(frozen=True)
class Layer:
    """A post-norm transformer layer; ``qkv`` gives queries, keys and values side by side, ``heads`` of each."""

    qkv: Linear
    heads: int
    out: Linear
    attention_norm: Norm
    up: Linear
    down: Linear
    output_norm: Norm


@dataclass(frozen=True)
class BertWeights:
    """``words`` is (vocabulary, width). ``positions`` is (types · places, width): the row ``type · places + place`` is
    the sum of both embeddings. ``projection`` widens ELECTRA's embeddings after their norm."""

    words: np.ndarray
    positions: np.ndarray
    types: int
    norm: Norm
    projection: Linear | None
    layers: tuple[Layer, ...]
    activation: str

    @property
    def places(self) -> int:
        """Tokens of the longest text."""
        return len(self.positions) // self.types

    @property
    def hidden(self) -> int:
        return int(self.layers[-1].down.weight.shape[1])


def read_bert(encoder: Any) -> BertWeights | None:
    """The weights of a transformers encoder as they are; None where it is of another kind.

    Layers may have fewer heads or neurons than the configuration says (a pruned model).
    """
    config = encoder.config
    # Layers of different sizes (`ml_core.models.pruned`) are read as they are.
    kind = config.model_type.removeprefix("pruned-")
    if getattr(config, "is_decoder", False) or not getattr(config, "num_hidden_layers", 0):
        return None
    if kind == "distilbert":
        activation, layers, read = config.activation, encoder.transformer.layer, _distilbert_layer
    elif kind in _BERTS:
        activation, layers, read = config.hidden_act, encoder.encoder.layer, _bert_layer
    else:
        return None
    if activation not in ACTIVATIONS:
        return None
    embeddings = encoder.embeddings
    places = _array(embeddings.position_embeddings.weight)
    if kind in _OFFSET_POSITIONS:
        places = places[config.pad_token_id + 1 :]
    types = getattr(embeddings, "token_type_embeddings", None)
    kinds = (
        _array(types.weight) if types is not None else np.zeros((1, places.shape[1]), np.float32)
    )
    projection = getattr(encoder, "embeddings_project", None)
    return BertWeights(
        words=_array(embeddings.word_embeddings.weight),
        positions=(kinds[:, None] + places[None]).reshape(-1, places.shape[1]),
        types=len(kinds),
        norm=_norm(embeddings.LayerNorm),
        projection=None if projection is None else _linear(projection),
        layers=tuple(read(layer) for layer in layers),
        activation=activation,
    )


def _bert_layer(layer: Any) -> Layer:
    attention = layer.attention
    return _layer(
        qkv=(attention.self.query, attention.self.key, attention.self.value),
        head_size=attention.self.attention_head_size,
        out=attention.output.dense,
        norms=(attention.output.LayerNorm, layer.output.LayerNorm),
        up=layer.intermediate.dense,
        down=layer.output.dense,
    )


def _distilbert_layer(layer: Any) -> Layer:
    attention = layer.attention
    return _layer(
        qkv=(attention.q_lin, attention.k_lin, attention.v_lin),
        head_size=attention.attention_head_size,
        out=attention.out_lin,
        norms=(layer.sa_layer_norm, layer.output_layer_norm),
        up=layer.ffn.lin1,
        down=layer.ffn.lin2,
    )


def _layer(
    *,
    qkv: tuple[Any, Any, Any],
    head_size: int,
    out: Any,
    norms: tuple[Any, Any],
    up: Any,
    down: Any,
) -> Layer:
    parts = [_linear(each) for each in qkv]
    return Layer(
        qkv=Linear(
            np.concatenate([part.weight for part in parts], axis=1),
            np.concatenate([part.bias for part in parts]),
        ),
        heads=parts[0].weight.shape[1] // head_size,
        out=_linear(out),
        attention_norm=_norm(norms[0]),
        up=_linear(up),
        down=_linear(down),
        output_norm=_norm(norms[1]),
    )


def _linear(module: Any) -> Linear:
    weight = np.ascontiguousarray(_array(module.weight).T)
    bias = module.bias
    return Linear(weight, np.zeros(weight.shape[1], np.float32) if bias is None else _array(bias))


def _norm(module: Any) -> Norm:
    return Norm(_array(module.weight), _array(module.bias), float(module.eps))


def _array(tensor: Any) -> np.ndarray:
    found: np.ndarray = tensor.detach().float().numpy().copy()
    return found
