"""LoRA adapters of many models on one ONNX graph, mixed in one batch.

The graph of `bert_graph` gets, beside each matrix product, a second way of small rank: tokens are gathered into tiles
of one adapter each, go through its two matrices in one batched product, and are added to what the layer gave. The
matrices are inputs of the graph, so adapters come and go without a new session, and take no more memory than their
own; int8 graphs mix them too, in float32. A batch without adapters pays for one addition of a single row per product.

Further inputs of the graph, with G tiles of T tokens:
    adapter.rows (G, T) int32   place of each tile's tokens in the N; anything below N where there is none
    adapter.cells.P (N, P)      int32, (tile · P + part) · T + place: where the token's change of each of P layers is
                                that one product computes (queries, keys and values); (1, P) for all tokens alike
    NAME.down (rows, in), NAME.up (rows, out / P) float32: of each product the matrices of all adapters, a rank a row
    NAME.ranks (G, P · rank)    int32, the rows of each tile; row 0 is zero
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from ml_core.serving.backends.base import BackendError
from ml_core.serving.backends.bert_graph import Graph, Products, build_bert
from ml_core.serving.backends.bert_weights import BertWeights, Linear
from ml_core.serving.backends.low_rank import (
    NO_ROWS,
    LowRank,
    Rows,
    Span,
    low_rank_changes,
    padded_places,
)

_ROWS, _CELLS = "adapter.rows", "adapter.cells.{}"
_LAYERS = "adapted_layers"
_MICROSOFT = "com.microsoft"
# How many linear layers of the encoder one product computes.
_PARTS = {"qkv": 3, "out": 1, "up": 1, "down": 1}
_DOWN, _UP, _RANKS = ".down", ".up", ".ranks"
_TILES = (8, 16, 32, 64, 128, 256, 512)
# transformers' names of a layer's products: queries, keys and values, attention's output, both of the feed-forward.
_BERT = (
    "encoder.layer.{}.",
    ("attention.self.query", "attention.self.key", "attention.self.value"),
    ("attention.output.dense", "intermediate.dense", "output.dense"),
)
_DISTILBERT = (
    "transformer.layer.{}.",
    ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    ("attention.out_lin", "ffn.lin1", "ffn.lin2"),
)


@dataclass(frozen=True)
class Part:
    """Where a linear layer of the encoder is in the graph: part ``number`` of a product."""

    product: str
    number: int


def build_adapted(weights: BertWeights, products: Products, *, model_type: str) -> onnx.ModelProto:
    """The graph of ``weights`` with ways for adapters; ``model_type`` is the configuration's."""
    adapted = _AdaptedProducts(products, weights)
    model = build_bert(weights, adapted)
    inputs = [helper.make_tensor_value_info(_ROWS, TensorProto.INT32, ["G", "T"])]
    for parts in sorted(set(_PARTS.values())):
        cells = helper.make_tensor_value_info(_CELLS.format(parts), TensorProto.INT32, ["C", parts])
        inputs.append(cells)
    for name, (size, width) in adapted.sizes.items():
        for end, columns in ((_DOWN, size), (_UP, width)):
            shape: list[str | int | None] = [f"{name}.rows", columns]
            inputs.append(helper.make_tensor_value_info(name + end, TensorProto.FLOAT, shape))
        ranks = helper.make_tensor_value_info(
            name + _RANKS, TensorProto.INT32, ["G", f"{name}.rank"]
        )
        inputs.append(ranks)
    model.graph.input.extend(inputs)
    layers = _layers(weights, _DISTILBERT if model_type == "distilbert" else _BERT)
    values = {name: [part.product, part.number] for name, part in layers.items()}
    helper.set_model_props(model, {_LAYERS: json.dumps(values)})
    return model


class _Table:
    """The matrices of all adapters for one product, a rank a row: ``down`` (rows, in) and ``up`` (rows, out of one
    part). Row 0 is zero; ``spans`` has the rows of each (slot, part)."""

    def __init__(self, down: int, up: int) -> None:
        self.down = np.zeros((1, down), np.float32)
        self.up = np.zeros((1, up), np.float32)
        self.spans: dict[tuple[int, int], Span] = {}
        self._rows = Rows()

    @property
    def size(self) -> tuple[int, int]:
        return self.down.shape[1], self.up.shape[1]

    def add(self, slot: int, part: int, change: LowRank) -> None:
        span = self.spans[slot, part] = self._rows.take(change.rank)
        if span[0] == len(self.down):
            self.down = np.concatenate([self.down, change.down])
            self.up = np.concatenate([self.up, change.up])
        else:
            rows = slice(span[0], span[0] + span[1])
            self.down[rows], self.up[rows] = change.down, change.up

    def remove(self, slot: int) -> None:
        for key in [key for key in self.spans if key[0] == slot]:
            self._rows.give_back(self.spans.pop(key))
        if not self.spans:
            self.down, self.up, self._rows = self.down[:1].copy(), self.up[:1].copy(), Rows()

    def ranks(self, slots: Sequence[int], parts: int) -> np.ndarray:
        """The rows of each slot's parts, (slots, parts · rank)."""
        spans = [self.spans.get((slot, part), NO_ROWS) for slot in slots for part in range(parts)]
        return np.array(padded_places(spans), np.int32).reshape(len(slots), -1)


class OnnxAdapters:
    """The adapters of one session of a graph that `build_adapted` made; not to be changed while `inputs` are in use."""

    def __init__(self, session: ort.InferenceSession) -> None:
        found = json.loads(session.get_modelmeta().custom_metadata_map[_LAYERS])
        self._parts = {name: Part(*values) for name, values in found.items()}
        columns = {each.name: each.shape[1] for each in session.get_inputs() if each.shape[1:]}
        self._tables = {
            part.product: _Table(columns[part.product + _DOWN], columns[part.product + _UP])
            for part in self._parts.values()
        }
        self._slots: dict[int, int] = {}

    @property
    def memory_bytes(self) -> int:
        return sum(table.down.nbytes + table.up.nbytes for table in self._tables.values())

    def add(self, tensors: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> int:
        """See `Backend.add_adapter`."""
        layers = {name: self._tables[part.product].size for name, part in self._parts.items()}
        changes = low_rank_changes(tensors, record, layers)
        slot = next(n for n in range(1, len(self._slots) + 2) if n not in self._slots)
        self._slots[slot] = max(change.rank for change in changes.values())
        for name, change in changes.items():
            part = self._parts[name]
            if change.rank:
                self._tables[part.product].add(slot, part.number, change)
        return slot

    def remove(self, slot: int) -> None:
        """Raises BackendError for a slot that no adapter has."""
        self._check([slot])
        del self._slots[slot]
        for table in self._tables.values():
            table.remove(slot)

    def inputs(self, slots: Sequence[int] | None, lengths: Sequence[int]) -> dict[str, np.ndarray]:
        """The further inputs for texts with adapters ``slots`` (None: nobody has one), of ``lengths`` tokens, that lie
        one after another. Raises BackendError for a slot that no adapter has."""
        owners = np.repeat(np.asarray(slots or [0] * len(lengths)), lengths)
        used = np.unique(owners[owners > 0]).tolist()
        self._check(used)
        tiles = _tiles(owners, used, max((self._slots[slot] for slot in used), default=1))
        found = {_ROWS: tiles.rows}
        for parts in sorted(set(_PARTS.values())):
            found[_CELLS.format(parts)] = tiles.cells_of(parts)
        own = sorted(set(tiles.slots))
        places = np.searchsorted(own, tiles.slots)
        for name, table in self._tables.items():
            found[name + _DOWN], found[name + _UP] = table.down, table.up
            found[name + _RANKS] = table.ranks(own, _parts(name))[places]
        return found

    def _check(self, slots: Sequence[int]) -> None:
        for slot in slots:
            if slot not in self._slots:
                raise BackendError(f"there is no adapter in slot {slot}")


class _AdaptedProducts:
    """Products with a way of small rank beside each; ``sizes`` has the (in, out of one part) of each by name."""

    def __init__(self, products: Products, weights: BertWeights) -> None:
        self._products = products
        self.sizes: dict[str, tuple[int, int]] = {}
        # What `bert_graph` has added to the states that a product reads.
        self._ahead: dict[str, np.ndarray] = {}
        for number, layer in enumerate(weights.layers):
            self._ahead[f"layer.{number}.qkv"] = layer.out.bias
            self._ahead[f"layer.{number}.up"] = layer.down.bias

    def words(self, graph: Graph, table: np.ndarray) -> str:
        return self._products.words(graph, table)

    def after_norm(self, graph: Graph, name: str, states: str, linear: Linear) -> str:
        found = self._products.after_norm(graph, name, states, linear)
        return self._adapt(graph, name, states, linear.weight, found)

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
        found = self._products.onto(graph, name, inner, weight, states, least=least)
        return self._adapt(graph, name, inner, weight, found)

    def _adapt(self, graph: Graph, name: str, read: str, weight: np.ndarray, found: str) -> str:
        """``found`` + the tokens of ``read`` (N, in) through their adapters."""
        parts = _parts(name)
        size, width = self.sizes[name] = (weight.shape[0], weight.shape[1] // parts)
        tiles = graph.add("Gather", f"{name}.tiles", read, _ROWS)  # (G, T, in)
        down = graph.add("Gather", f"{name}.downs", name + _DOWN, name + _RANKS)
        up = graph.add("Gather", f"{name}.ups", name + _UP, name + _RANKS)  # (G, P · rank, out / P)
        narrow = _times_transposed(graph, f"{name}.narrow", tiles, down)  # (G, T, P · rank)
        ahead = self._ahead.get(name)
        if ahead is not None:
            constant = graph.constant(f"{name}.ahead", ahead.reshape(1, 1, size))
            extra = _times_transposed(graph, f"{name}.extra", constant, down)
            narrow = graph.add("Sub", f"{name}.own", narrow, extra)
        if parts > 1:
            apart = graph.constant(f"shape.parts.{parts}", np.array([0, 0, parts, -1]))
            narrow = graph.add("Reshape", f"{name}.apart", narrow, apart)
            narrow = graph.add("Transpose", f"{name}.turned", narrow, perm=[0, 2, 1, 3])
            each = graph.constant(f"shape.parts.{parts}.{width}", np.array([0, parts, -1, width]))
            up = graph.add("Reshape", f"{name}.ups_apart", up, each)
        wide = graph.add("MatMul", f"{name}.wide", narrow, up)  # (G, [P,] T, out / P)
        row = graph.constant(f"shape.{width}", np.array([-1, width]))
        flat = graph.add("Reshape", f"{name}.flat_tiles", wide, row)
        change = graph.add("Gather", f"{name}.change", flat, _CELLS.format(parts))
        whole = graph.constant(f"shape.{parts * width}", np.array([-1, parts * width]))
        joined = graph.add("Reshape", f"{name}.joined", change, whole)  # (N, out) or (1, out)
        return graph.add("Add", f"{name}.adapted", found, joined)


def _times_transposed(graph: Graph, name: str, left: str, right: str) -> str:
    return graph.add("FusedMatMul", name, left, right, domain=_MICROSOFT, transB=1)


@dataclass(frozen=True)
class _Tiles:
    """``slots`` of the tiles (G,), the tokens ``rows`` (G, T) in them, and where each token is in these: ``cells``."""

    slots: list[int]
    rows: np.ndarray
    cells: np.ndarray

    def cells_of(self, parts: int) -> np.ndarray:
        """The graph's input of that name, (tokens, parts)."""
        size = self.rows.shape[1]
        first = self.cells // size * (parts * size) + self.cells % size
        found: np.ndarray = first[:, None] + np.arange(0, parts * size, size)
        return found.astype(np.int32)


def _tiles(owners: np.ndarray, used: Sequence[int], rank: int) -> _Tiles:
    """Share out tokens with the slots ``owners`` (N,) among tiles of one slot each, of the size with which the fewest
    numbers are moved."""
    if not used:
        return _Tiles([0], np.zeros((1, 1), np.int32), np.zeros(1, np.int32))
    counts = [int((owners == slot).sum()) for slot in used]

    def moved(size: int) -> int:
        return sum(-(-count // size) for count in counts) * (size + rank)

    size = min(_TILES, key=moved)
    slots: list[int] = []
    cells = np.empty(len(owners), np.int32)
    for slot, count in zip(used, counts, strict=True):
        cells[owners == slot] = len(slots) * size + np.arange(count)
        slots += [slot] * -(-count // size)
    if 0 in owners:
        # A tile of zeros, in which all tokens without adapter are.
        cells[owners == 0] = len(slots) * size
        slots.append(0)
    rows = np.zeros(len(slots) * size, np.int32)
    rows[cells] = np.arange(len(owners))
    return _Tiles(slots, rows.reshape(-1, size), cells)


def _layers(
    weights: BertWeights, names: tuple[str, Sequence[str], Sequence[str]]
) -> dict[str, Part]:
    """Where each linear layer of the encoder is in the graph, by transformers' name."""
    prefix, inner, others = names
    found: dict[str, Part] = {}
    for number in range(len(weights.layers)):
        start = prefix.format(number)
        for place, name in enumerate(inner):
            found[start + name] = Part(f"layer.{number}.qkv", place)
        for name, product in zip(others, ("out", "up", "down"), strict=True):
            found[start + name] = Part(f"layer.{number}.{product}", 0)
    return found


def _parts(product: str) -> int:
    return _PARTS[product.rpartition(".")[2]]
