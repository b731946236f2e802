"""How fast models are served on two cores, beside sentence-transformers, ONNX Runtime, LitServe and Ray Serve.

Every system runs on the same two cores with as many threads, warm, on the same texts, its cache of results off; the
load generators run on them as well. A row is measured again when the engine changes.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bench.harness import Column, Progress, Row, Section, commit

_AIMS = {
    ("vectors, realistic", "Rootstock, in process"): "≥ 4 × st, ≥ 1.3 × plain, cosine ≥ .99",
    ("vectors, realistic", "Rootstock, through the socket"): "≥ 4 × st, ≥ 1.3 × plain",
    ("1 client, 20 tokens", "Rootstock"): "p50 ≤ 8 ms",
    ("three heads, one encoder", "Rootstock, auto"): "≤ 1.15 × one head",
    ("50 LoRA classifiers mixed", "Rootstock, auto"): "≥ 50 %, memory ≤ adapter each, ≤ 1e-4",
}

# (module, function) of each line. They are imported when they measure: the peers' processes, which import this package,
# must not carry our libraries.
_LINES = {
    "throughput": ("bulk", "throughput"),
    "task loss": ("bulk", "task_loss"),
    "server": ("under_load", "server"),
    "heads": ("many", "heads"),
    "adapters": ("many", "adapters"),
    "swap": ("many", "swap"),
    "gpu": ("gpu", "encoders"),
}
_WORKLOADS = ("realistic", "short queries")
_HOSTS = ("Rootstock", "LitServe", "Ray Serve")


def configurations() -> list[dict[str, Any]]:
    """Cheap lines first; counts are so that a median of the turns is steady to a few per cent on a quiet machine."""
    from bench.serving import gpu

    found: list[dict[str, Any]] = [
        {"line": "throughput", "workload": workload, "texts": 1000, "turns": 5}
        for workload in _WORKLOADS
    ]
    found += [{"line": "server", "system": name, "seconds": 10, "repeats": 3} for name in _HOSTS]
    for backend in ("torch", "auto"):
        found += [
            {"line": "heads", "backend": backend, "texts": 500, "turns": 5},
            {"line": "adapters", "backend": backend, "texts": 500, "turns": 5, "models": 50},
            {"line": "swap", "backend": backend, "seconds": 15},
        ]
    found += [
        {"line": "gpu", "model": model, "tokens": tokens, "texts": 4096, "gpu": gpu.here()}
        for model in gpu.MODELS
        for tokens in (50, 128, 512)
    ]
    found += [{"line": "task loss", "data": data} for data in ("banking77", "phrasebank")]
    return found


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """The rows of one line."""
    module, function = _LINES[configuration["line"]]
    rows = getattr(import_module(f"bench.serving.{module}"), function)(configuration, progress)
    return [
        {"commit": commit(), "aim": _AIMS.get((row["what"], row["system"])), **row} for row in rows
    ]


SECTION = Section(
    name="serving",
    title="Serving the packaged base on two cores",
    columns=(
        Column("what", "what"),
        Column("system", "system"),
        Column("rate", "texts/s", ".1f"),
        Column("tokens_rate", "tokens/s", ".0f"),
        Column("times_st", "× st", ".2f"),
        Column("times_plain", "× plain", ".2f"),
        Column("padding", "padded ÷ real", ".2f"),
        Column("cosine", "cosine", ".4f"),
        Column("accuracy", "accuracy %", ".2f"),
        Column("loss", "loss", ".2f"),
        Column("p50", "p50 ms", ".1f"),
        Column("p99", "p99 ms", ".1f"),
        Column("memory", "memory MB", ".0f"),
        Column("start", "start s", ".1f"),
        Column("recovery", "normal after s", ".1f"),
        Column("statuses", "answers"),
        Column("aim", "aim"),
        Column("note", "note"),
        Column("commit", "commit"),
    ),
    configurations=configurations,
    measure=measure,
    sources=("bench/serving", "ml_core/serving", "ml_core/models"),
    notes=(
        "× st, × plain: beside sentence-transformers and plain ONNX Runtime int8 in the same turns.",
        "Memory: proportional set size of all processes of the server. Times run from when a request was due.",
    ),
    packages=("torch", "onnxruntime", "transformers", "sentence-transformers", "litserve", "ray"),
)
