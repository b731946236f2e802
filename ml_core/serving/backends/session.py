"""How ONNX Runtime is set up."""

from __future__ import annotations

import onnxruntime as ort

# Fusions that are slower on a CPU than what they replace, see `bert_graph`.
SLOW_FUSIONS = ["SkipLayerNormFusion", "BiasGeluFusion"]
_ERRORS_ONLY = 3


def session_options(threads: int, *, fused: bool = True) -> ort.SessionOptions:
    """Options of a CPU session with ``threads``; of a graph that is ``fused`` by hand nothing more is fused.

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
