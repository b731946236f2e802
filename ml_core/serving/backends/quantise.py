"""Int8 matrix products: of BERT and its kin with scales of their own, of any other graph by ONNX Runtime's quantiser.

Weights are int8 with a scale for each output (one for all costs .05 of the cosine). What the products read:

* Layer-normalised states are alike for all texts but for a few channels that are many times as large as the rest. They
  get one fixed scale, measured once on `probes`, after the large channels were made smaller at the cost of the weights
  that read them (SmoothQuant, Xiao et al. 2023, https://arxiv.org/abs/2211.10438).
* What attention and the activation function give differs widely from token to token: each token has its own scale.

So a text's vector does not depend on the other texts of its batch, as it does with ONNX Runtime's dynamic quantisation
(one scale for all tokens of a batch), and is nearer to the float32 one: on MiniLM a cosine of .999 against .993.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from ml_core.serving.backends.base import EncoderBatch
from ml_core.serving.backends.bert_graph import FloatProducts, Graph, bert_inputs, build_bert
from ml_core.serving.backends.bert_weights import BertWeights, Linear
from ml_core.serving.backends.flat import FlatBatch
from ml_core.serving.backends.session import session_options

# How much of a channel's size goes over to the weights; .5 is SmoothQuant's, .3 and .7 gave .9982 and .9992 on MiniLM.
_SMOOTHING = 0.6
# Other texts than the probes may have larger states; what is beyond is cut off.
_MARGIN = 1.1
# The place of 0 among the 256 steps for states that go down to GELU's minimum at most.
_ZERO_OF_GELU = 32
_MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Range:
    """The smallest and largest value of each channel, (width,)."""

    low: np.ndarray
    high: np.ndarray


class Int8Products:
    """`bert_graph.Products` in int8. ``ranges`` are those of what each product reads, by its name (see `measure`).

    With ``reduced`` the weights have 7 bits: the int8 instructions of CPUs before VNNI add two products in 16 bits,
    which overflows with 8 (`saturates`).
    """

    def __init__(self, ranges: Mapping[str, Range], *, reduced: bool) -> None:
        self._ranges = ranges
        self._limit = 63 if reduced else 127

    def words(self, graph: Graph, table: np.ndarray) -> str:
        scales = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127
        steps = np.rint(table / scales).astype(np.int8)
        read = graph.add("Gather", "words.steps", graph.constant("words.table", steps), "ids")
        sized = graph.add("Gather", "words.size", graph.constant("words.scales", scales), "ids")
        cast = graph.add("Cast", "words.cast", read, to=TensorProto.FLOAT)
        return graph.add("Mul", "words", cast, sized)

    def after_norm(self, graph: Graph, name: str, states: str, linear: Linear) -> str:
        reach = self._ranges[name]
        smoothing = _smoothing(reach, linear.weight)
        low = min(float((reach.low / smoothing).min()) * _MARGIN, 0.0)
        high = max(float((reach.high / smoothing).max()) * _MARGIN, 0.0)
        step = max(high - low, 1e-8) / 255
        scale = graph.constant(f"{name}.scale", np.array(step, np.float32))
        zero = graph.constant(f"{name}.zero", np.array(round(-low / step), np.uint8))
        divided = graph.constant(f"{name}.smoothing", (1 / smoothing).astype(np.float32))
        smooth = graph.add("Mul", f"{name}.smooth", states, divided)
        steps = graph.add("QuantizeLinear", f"{name}.steps", smooth, scale, zero)
        weight, scales = self._weight(graph, name, linear.weight * smoothing[:, None])
        bias = graph.constant(f"{name}.bias", linear.bias)
        return graph.add(
            "MatMulIntegerToFloat",
            name,
            steps,
            weight,
            scale,
            scales,
            zero,
            "",
            bias,
            domain=_MICROSOFT,
        )

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
        place = 128 if least is None else _ZERO_OF_GELU if least < 0 else 0
        size = _token_size(graph, name, inner, least)
        above = graph.constant(f"above.{place}", np.array(255 - place, np.float32))
        scale = graph.add("Div", f"{name}.scale", size, above)  # (N,)
        steps = graph.add(
            "QuantizeLinear", f"{name}.steps", inner, scale, _zeros(graph, place), axis=0
        )
        constant, scales = self._weight(graph, name, weight)
        one = graph.constant("one", np.array(1, np.float32))
        zero = graph.constant(f"zero.{place}", np.array(place, np.uint8))
        product = graph.add(
            "MatMulIntegerToFloat",
            f"{name}.product",
            steps,
            constant,
            one,
            scales,
            zero,
            domain=_MICROSOFT,
        )
        axis = graph.constant("axis.1", np.array([1]))
        column = graph.add("Unsqueeze", f"{name}.column", scale, axis)
        scaled = graph.add("Mul", f"{name}.scaled", product, column)
        return graph.add("Add", name, scaled, states)

    def _weight(self, graph: Graph, name: str, weight: np.ndarray) -> tuple[str, str]:
        """The int8 weight (in, out) and its scales (out,)."""
        scales = np.maximum(np.abs(weight).max(axis=0), 1e-12) / self._limit
        steps = np.rint(weight / scales).astype(np.int8)
        return (
            graph.constant(f"{name}.weight", steps),
            graph.constant(f"{name}.scales", scales.astype(np.float32)),
        )


def _smoothing(reach: Range, weight: np.ndarray) -> np.ndarray:
    """What each channel (in,) is divided by: its size, and the inverse of its weights', to powers that add up to 1."""
    size = np.maximum(np.maximum(np.abs(reach.low), np.abs(reach.high)), 1e-4)
    weights = np.maximum(np.abs(weight).max(axis=1), 1e-5)
    found: np.ndarray = size**_SMOOTHING / weights ** (1 - _SMOOTHING)
    return found


def _token_size(graph: Graph, name: str, inner: str, least: float | None) -> str:
    """What the steps above 0 must reach for each token, (N,)."""
    axis = graph.constant("axis.1", np.array([1]))
    high = graph.add("ReduceMax", f"{name}.high", inner, axis, keepdims=0)
    if least is not None:
        # As many steps as there are below 0 must reach down to ``least``.
        floor = max(1e-8, -least * (255 - _ZERO_OF_GELU) / _ZERO_OF_GELU)
        return graph.add(
            "Max",
            f"{name}.size",
            high,
            graph.constant(f"floor.{floor:g}", np.array(floor, np.float32)),
        )
    low = graph.add("ReduceMin", f"{name}.low", inner, axis, keepdims=0)
    below = graph.add("Neg", f"{name}.below", low)
    tiny = graph.constant("tiny", np.array(1e-8, np.float32))
    return graph.add("Max", f"{name}.size", high, below, tiny)


def _zeros(graph: Graph, place: int) -> str:
    """``place`` for each token, (N,) uint8."""
    name = f"zeros.{place}"
    if name not in graph:
        count = graph.add("Shape", f"{name}.count", "ids")
        value = helper.make_tensor(f"{name}.value", TensorProto.UINT8, [1], [place])
        graph.add("ConstantOfShape", name, count, value=value)
    return name


class _Watched(FloatProducts):
    """float32, remembering what the products of normalised states read."""

    def __init__(self) -> None:
        self.reads: dict[str, str] = {}

    def after_norm(self, graph: Graph, name: str, states: str, linear: Linear) -> str:
        self.reads[name] = states
        return super().after_norm(graph, name, states, linear)


def measure(weights: BertWeights, probes: EncoderBatch) -> dict[str, Range]:
    """The range of what each product of normalised states reads when the graph reads ``probes``."""
    watched = _Watched()
    model = build_bert(weights, watched)
    names = sorted(set(watched.reads.values()))
    for name in names:
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), session_options(1))
    found = session.run(names, bert_inputs(FlatBatch.of(probes), weights.places))
    ranges = {
        name: Range(states.min(axis=0), states.max(axis=0))
        for name, states in zip(names, found, strict=True)
    }
    return {product: ranges[states] for product, states in watched.reads.items()}


def quantise_exported(path: Path, target: Path, *, reduced: bool) -> None:
    """Write the graph at ``path`` with int8 weights and dynamic scales, for encoders that have no graph of ours."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(path)
    # The dynamo exporter's shapes contradict those that the quantiser infers (ShapeInferenceError).
    model.graph.ClearField("value_info")
    quantize_dynamic(
        model,
        target,
        op_types_to_quantize=["MatMul", "Gemm"],
        per_channel=True,
        reduce_range=reduced,
        weight_type=QuantType.QInt8,
        use_external_data_format=True,
    )


def saturates(flags: Collection[str]) -> bool:
    """Whether a CPU with these ``flags`` adds int8 products in 16 bits: an x86 without VNNI."""
    x86 = "sse2" in flags
    return x86 and not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(flags)
