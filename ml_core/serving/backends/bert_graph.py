"""BERT and its kin as an ONNX graph without padding: every matrix product reads the real tokens only.

The tokens of a batch lie one after another; only attention sees the texts side by side, gathered straight into the
(texts, heads, tokens, size) that its operator wants, with the number of keys of each text instead of a mask. On a CPU
with one thread and texts of like length this takes three quarters of the time of the exported graph with ONNX Runtime's
own fusions: its ``SkipLayerNormalization`` is 7 times as slow as ``Add`` and ``LayerNormalization``, its ``BiasGelu``
twice as slow as ``Gelu``, and ``MultiHeadAttention`` copies the states it is given (docs/serving_backends.md).

The biases before a residual sum cost no pass over the states: they are added to the bias of the layer norm whose output
the sum takes, and taken out of the bias of the product that also reads it.

Inputs, with N the tokens of all texts together, B texts of at most S tokens:
    ids       (N,) int32    token
    positions (N,) int32    type · places + place, see `BertWeights.positions`
    rows      (B, S) int32  place of each text's tokens in the N; anything below N where there is none
    lengths   (B,) int64    tokens of each text
    cells     (N,) int32    text · S + place: where the token is in ``rows``
Output: states (N, hidden) float32.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ml_core.serving.backends.bert_weights import ACTIVATIONS, BertWeights, Layer, Linear, Norm
from ml_core.serving.backends.flat import FlatBatch

# 24 is the first whose Attention takes the number of keys of each text.
OPSET = 24
_IR_VERSION = 11
# Just below the minimum of GELU, -0.16997.
GELU_LEAST = -0.17


def bert_inputs(batch: FlatBatch, places: int) -> dict[str, np.ndarray]:
    """The graph's inputs; ``places`` are those of `BertWeights`. Types that the weights do not have are the caller's
    to leave out."""
    types = 0 if batch.types is None else batch.types * places
    return {
        "ids": batch.ids.astype(np.int32),
        "positions": (batch.places + types).astype(np.int32),
        "rows": batch.rows.astype(np.int32),
        "lengths": batch.lengths,
        "cells": batch.cells.astype(np.int32),
    }


class Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._names: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether there is a node of that name."""
        return name in self._names

    def add(
        self, operator: str, name: str, *inputs: str, domain: str = "", **attributes: Any
    ) -> str:
        """Add a node with one output, called ``name``; returns it."""
        self._nodes.append(
            helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes)
        )
        self._names.add(name)
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        """Add a constant; the same name twice is the same constant."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def model(self, output: str) -> onnx.ModelProto:
        """The whole model, whose ``states`` are ``output``."""
        self.add("Identity", "states", output)
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [
                helper.make_tensor_value_info("ids", TensorProto.INT32, ["N"]),
                helper.make_tensor_value_info("positions", TensorProto.INT32, ["N"]),
                helper.make_tensor_value_info("rows", TensorProto.INT32, ["B", "S"]),
                helper.make_tensor_value_info("lengths", TensorProto.INT64, ["B"]),
                helper.make_tensor_value_info("cells", TensorProto.INT32, ["N"]),
            ],
            [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["N", "hidden"])],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


class Products(Protocol):
    """How the graph computes its matrix products and looks words up: in float32 (below) or in int8 (`quantise`)."""

    def words(self, graph: Graph, table: np.ndarray) -> str:
        """The embeddings (N, width) of ``ids``."""
        ...

    def after_norm(self, graph: Graph, name: str, states: str, linear: Linear) -> str:
        """``linear`` of layer-normalised ``states``."""
        ...

    def onto(
        self,
        graph: Graph,
        name: str,
        inner: str,
        weight: np.ndarray,
        states: str,
        *,
        least: float | None,
    ) -> str:
        """``states`` + ``inner`` · weight; ``inner`` is nowhere below ``least`` (None: not known)."""
        ...


class FloatProducts:
    """float32 throughout."""

    def words(self, graph: Graph, table: np.ndarray) -> str:
        return graph.add("Gather", "words", graph.constant("words.table", table), "ids")

    def after_norm(self, graph: Graph, name: str, states: str, linear: Linear) -> str:
        weight = graph.constant(f"{name}.weight", linear.weight)
        bias = graph.constant(f"{name}.bias", linear.bias)
        return graph.add("Gemm", name, states, weight, bias)

    def onto(
        self,
        graph: Graph,
        name: str,
        inner: str,
        weight: np.ndarray,
        states: str,
        *,
        least: float | None,
    ) -> str:
        return graph.add("Gemm", name, inner, graph.constant(f"{name}.weight", weight), states)


def build_bert(weights: BertWeights, products: Products) -> onnx.ModelProto:
    """The graph of ``weights``."""
    graph = Graph()
    _shared_indices(graph)
    states = _embed(graph, weights, products)
    for number in range(len(weights.layers)):
        states = _layer(graph, weights, number, states, products)
    return graph.model(states)


def _embed(graph: Graph, weights: BertWeights, products: Products) -> str:
    """The first layer's input, which holds the bias of that layer's attention output already."""
    ahead = weights.layers[0].out.bias
    words = products.words(graph, weights.words)
    table = graph.constant("positions.table", weights.positions)
    places = graph.add("Gather", "places", table, "positions")
    summed = graph.add("Add", "embedded", words, places)
    if weights.projection is None:
        return _norm(graph, "embedded.norm", summed, weights.norm, ahead)
    normed = _norm(graph, "embedded.norm", summed, weights.norm, None)
    weight = graph.constant("embedded.wide.weight", weights.projection.weight)
    bias = graph.constant("embedded.wide.bias", weights.projection.bias + ahead)
    return graph.add("Gemm", "embedded.wide", normed, weight, bias)


def _layer(graph: Graph, weights: BertWeights, number: int, states: str, products: Products) -> str:
    """The layer ``number`` of ``states``, which hold the bias of its ``out``; what is returned holds the next one's."""
    name, layer = f"layer.{number}", weights.layers[number]
    last = number + 1 == len(weights.layers)
    after = None if last else weights.layers[number + 1].out.bias
    qkv = products.after_norm(graph, f"{name}.qkv", states, _without(layer.qkv, layer.out.bias))
    context = _attention(graph, f"{name}.attention", qkv, layer)
    mixed = products.onto(graph, f"{name}.out", context, layer.out.weight, states, least=None)
    states = _norm(graph, f"{name}.attention_norm", mixed, layer.attention_norm, layer.down.bias)
    up = products.after_norm(graph, f"{name}.up", states, _without(layer.up, layer.down.bias))
    operator, attributes = ACTIVATIONS[weights.activation]
    active = graph.add(operator, f"{name}.active", up, **attributes)
    least = GELU_LEAST if operator == "Gelu" else 0.0
    mixed = products.onto(graph, f"{name}.down", active, layer.down.weight, states, least=least)
    return _norm(graph, f"{name}.output_norm", mixed, layer.output_norm, after)


def _without(linear: Linear, ahead: np.ndarray) -> Linear:
    """``linear`` of an input that holds ``ahead`` too much."""
    taken = linear.bias.astype(np.float64) - ahead.astype(np.float64) @ linear.weight
    return Linear(linear.weight, taken.astype(np.float32))


def _norm(graph: Graph, name: str, states: str, norm: Norm, ahead: np.ndarray | None) -> str:
    gain = graph.constant(f"{name}.gain", norm.gain)
    bias = graph.constant(f"{name}.bias", norm.bias if ahead is None else norm.bias + ahead)
    return graph.add("LayerNormalization", name, states, gain, bias, axis=-1, epsilon=norm.epsilon)


def _shared_indices(graph: Graph) -> None:
    """What the attention of all layers needs: ``rows`` and ``cells`` with an axis for heads, and the longest length."""
    axis = graph.constant("axis.1", np.array([1]))
    graph.add("Unsqueeze", "rows.heads", "rows", axis)  # (B, 1, S)
    graph.add("Shape", "longest64", "rows", start=1, end=2)
    graph.add("Cast", "longest", "longest64", to=TensorProto.INT32)
    graph.add("Unsqueeze", "cells.heads", "cells", axis)  # (N, 1)
    graph.add("Div", "cells.text", "cells.heads", "longest")
    graph.add("Mod", "cells.place", "cells.heads", "longest")


def _head_indices(graph: Graph, heads: int) -> tuple[str, str, str, str]:
    """Where queries, keys and values of each (text, head, place) are among a layer's vectors, three (B, heads, S); and
    where that of each (token, head) is among the mixed ones: (N, heads)."""
    name = f"heads.{heads}"
    names = (f"{name}.q", f"{name}.k", f"{name}.v", f"{name}.back")
    if names[0] in graph:
        return names
    number = np.arange(heads, dtype=np.int32)
    stride = graph.constant(f"{name}.stride", np.array(3 * heads, np.int32))
    first = graph.add("Mul", f"{name}.first", "rows.heads", stride)
    for part, target in enumerate(names[:3]):
        offset = graph.constant(f"{target}.offset", (number + part * heads)[:, None])
        graph.add("Add", target, first, offset)
    count = graph.constant(f"{name}.count", np.array(heads, np.int32))
    texts = graph.add("Mul", f"{name}.texts", "cells.text", count)
    rows = graph.add("Add", f"{name}.rows", texts, graph.constant(f"{name}.number", number))
    starts = graph.add("Mul", f"{name}.starts", rows, "longest")
    graph.add("Add", names[3], starts, "cells.place")
    return names


def _attention(graph: Graph, name: str, qkv: str, layer: Layer) -> str:
    """softmax(q · kᵀ / √size) · v of each text's heads: (N, heads · size)."""
    width = layer.qkv.weight.shape[1] // 3
    size = width // layer.heads
    *parts, back = _head_indices(graph, layer.heads)
    flat = graph.constant(f"shape.{size}", np.array([-1, size]))
    vectors = graph.add("Reshape", f"{name}.vectors", qkv, flat)  # (N · 3 · heads, size)
    read = [graph.add("Gather", f"{name}.{part[-1]}", vectors, part) for part in parts]
    mixed = graph.add("Attention", f"{name}.mixed", *read, "", "", "", "lengths", scale=size**-0.5)
    flattened = graph.add("Reshape", f"{name}.flat", mixed, flat)  # (B · heads · S, size)
    found = graph.add("Gather", f"{name}.found", flattened, back)  # (N, heads, size)
    shape = graph.constant(f"shape.{width}", np.array([-1, width]))
    return graph.add("Reshape", name, found, shape)
