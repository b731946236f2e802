"""Run an exported encoder in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from ml_core.serving.backends.base import BackendError, EncoderBatch
from ml_core.serving.backends.bert_graph import bert_inputs
from ml_core.serving.backends.flat import FlatBatch

# Layouts of an exported graph: tokens one after another (`bert_graph`), or texts padded to one length.
FLAT, PADDED = "flat", "padded"
CPU_PROVIDERS = ("CPUExecutionProvider",)
# Fusions that are slower on a CPU than what they replace, see `bert_graph`.
_SLOW_FUSIONS = ["SkipLayerNormFusion", "BiasGeluFusion"]
_ERRORS_ONLY = 3


def session_options(threads: int, *, fused: bool = True) -> ort.SessionOptions:
    """Options of a session with ``threads``; of a graph that is ``fused`` by hand nothing more is fused.

    Threads that wait do not spin: the cores are for whoever else is on the machine.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_BASIC if fused else level.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Batches differ in shape, so a plan of memory for one is of no use to the next.
    options.enable_mem_pattern = False
    return options


class EncoderSession:
    """An exported graph in memory: token ids in, the last layer's states out.

    ``layout`` is FLAT or PADDED, ``places`` the tokens of the longest text (None: no limit known), ``types`` how many
    types of tokens it tells apart. Raises BackendError for a graph that ONNX Runtime does not take.
    """

    def __init__(
        self,
        path: Path,
        *,
        layout: str,
        places: int | None,
        types: int,
        threads: int,
        providers: Sequence[str] = CPU_PROVIDERS,
    ) -> None:
        self._layout, self._places, self._types = layout, places, types
        try:
            self.session = ort.InferenceSession(
                path,
                session_options(threads, fused=layout == FLAT),
                providers=list(providers),
                disabled_optimizers=_SLOW_FUSIONS,
            )
        except Exception as error:  # the classes of ONNX Runtime have no other base
            raise BackendError(f"{path}: ONNX Runtime cannot load it: {error}") from error
        self._inputs = {each.name for each in self.session.get_inputs()}

    def states(
        self, batch: EncoderBatch, more: Mapping[str, np.ndarray] | None = None
    ) -> tuple[FlatBatch, np.ndarray]:
        """The batch laid out, and the states (N, hidden) float32 of its N tokens; ``more`` are further inputs.

        Raises BackendError for a text that is too long, types that the encoder has not, or a failure of the session.
        """
        flat = FlatBatch.of(batch)
        self._check(flat)
        if self._layout == FLAT:
            inputs = bert_inputs(flat, self._places or 0) | dict(more or {})
        else:
            inputs = _padded_inputs(flat)
        given = {name: value for name, value in inputs.items() if name in self._inputs}
        try:
            (found,) = self.session.run(["states"], given)
        except Exception as error:  # the classes of ONNX Runtime have no other base
            raise BackendError(f"ONNX Runtime failed: {error}") from error
        if self._layout == PADDED:
            found = found.reshape(-1, found.shape[-1])[flat.cells]
        states: np.ndarray = found
        return flat, states

    def _check(self, flat: FlatBatch) -> None:
        longest = int(flat.lengths.max())
        if self._places is not None and longest > self._places:
            raise BackendError(f"a text of {longest} tokens; the encoder takes {self._places}")
        if flat.types is not None and int(flat.types.max()) >= self._types:
            raise BackendError(f"the encoder has {self._types} token types")


def _padded_inputs(flat: FlatBatch) -> dict[str, Any]:
    """Inputs (texts, tokens) int64 by the names that transformers gives them."""
    shape = flat.rows.shape
    mask = np.zeros(shape, np.int64)
    mask.reshape(-1)[flat.cells] = 1
    types = np.zeros(shape, np.int64)
    if flat.types is not None:
        types.reshape(-1)[flat.cells] = flat.types
    # Where there is no token, the first of all stands; nothing reads it.
    ids = np.where(mask == 1, flat.ids[flat.rows], flat.ids[0])
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
