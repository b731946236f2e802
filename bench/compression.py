"""How small and fast a classifier can be made, and what that costs: `ml_core compress` on BANKING77 and PhraseBank.

One model of each data set is fine-tuned and kept; every chain begins with it. Quality is that on the test part, which
nothing was chosen by. Times are those of `Predictor` on the test's texts, tokenizer included, with two threads, one
model after the other in one process. The peer is what ONNX Runtime's own tools make of the same model: exported,
quantised with dynamic scales, texts in batches of 32 as they come.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Column, Progress, Row, Section, commit
from bench.training import data, recipes
from bench.training.runs import evaluate, run, train
from ml_core.compression import measure_speed, serving_bytes
from ml_core.registry import Artifact
from rootstock.config.embedded import var_directory

THREADS = 2
# What is done, and what is asked of it.
CHAINS: dict[str, tuple[tuple[str, ...], str]] = {
    "int8": (("vocabulary", "fp16", "int8"), "≥ 4x smaller, ≥ 5x faster, ≤ 1 point"),
    "half": (
        ("vocabulary", "heads:0.75", "neurons:0.5", "distil:8", "fp16", "int8"),
        "≥ 4x smaller, ≥ 5x faster, ≤ 1 point",
    ),
    "quarter": (
        ("vocabulary", "layers:4", "heads:0.5", "neurons:0.25", "distil:12", "fp16", "int8"),
        "≥ 12x faster, loss stated",
    ),
    "eighth": (
        ("vocabulary", "layers:3", "heads:0.34", "neurons:0.17", "distil:16", "fp16", "int8"),
        "≥ 12x faster, loss stated",
    ),
}
PEER = "ONNX Runtime, dynamic int8, 32 at a time"
_DATA: dict[str, tuple[Callable[[], data.Split], dict[str, Any]]] = {
    "BANKING77": (lambda: data.banking77(validation=0.1), recipes.BANKING_FAST),
    "PhraseBank": (data.phrasebank, recipes.PHRASEBANK | {"ensemble": 1}),
}
_TEXTS = 512
_BATCH = 32
_SECONDS = 5.0


def configurations() -> list[dict[str, Any]]:
    """A chain each, the model itself and the peer before them."""
    return [
        {"data": name, "chain": chain, "steps": list(CHAINS.get(chain, ((), ""))[0])}
        for name in _DATA
        for chain in ("original", PEER, *CHAINS)
    ]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """One model: made, tested, timed beside the original."""
    import torch

    torch.set_num_threads(THREADS)
    name, chain = configuration["data"], configuration["chain"]
    home = var_directory() / "bench" / "compression-models" / name
    original = _original(name, home, progress)
    texts = [row["text"] for row in _rows(home / "test.jsonl")][:_TEXTS]
    row: Row = {"data": name, "chain": chain, "steps": " ".join(configuration["steps"])}
    row["aim"] = CHAINS[chain][1] if chain in CHAINS else ""
    before = _figures(original, home, texts)
    seconds = 0.0
    with tempfile.TemporaryDirectory(prefix="rootstock-bench-") as folder:
        if chain == "original":
            found = before
        elif chain == PEER:
            found = _peer(original, home, texts, Path(folder))
        else:
            progress(f"{name}: {' '.join(configuration['steps'])}")
            begun = time.monotonic()
            small = _compress(original, home, configuration["steps"], Path(folder))
            seconds = time.monotonic() - begun
            found = _figures(small, home, texts)
    return [
        row
        | found
        | {
            "commit": commit(),
            "seconds": seconds or None,
            "loss": (before["accuracy"] - found["accuracy"]) * 100,
            "smaller": before["megabytes"] / found["megabytes"],
            "faster": before["milliseconds"] / found["milliseconds"],
            "throughput": found["per_second"] / before["per_second"],
        }
    ]


def _original(name: str, home: Path, progress: Progress) -> Artifact:
    """The fine-tuned model; trained once and kept with its rows."""
    split, options = _DATA[name]
    if not (home / "model" / "manifest.json").is_file():
        home.mkdir(parents=True, exist_ok=True)
        data.write(split(), home)
        train({**options, "overwrite": True}, home, progress)
    return Artifact.open(home / "model")


def _compress(original: Artifact, home: Path, steps: Sequence[str], folder: Path) -> Artifact:
    run(
        [
            "compress", str(original.path), "--data", str(home / "train.jsonl"),
            "--validation", str(home / "validation.jsonl"), "--steps", ",".join(steps),
            "--out", str(folder / "small"),
        ]
    )  # fmt: skip
    return Artifact.open(folder / "small")


def _figures(artifact: Artifact, home: Path, texts: Sequence[str]) -> Row:
    report = evaluate(artifact.path, home / "test.jsonl")
    speed = measure_speed(artifact, [{"text": text} for text in texts])
    worst = report.get("worst_slice") or {}
    return {
        "accuracy": report["accuracy"],
        "macro_f1": report["macro_f1"],
        "ece": report["ece"],
        "worst": worst.get("score"),
        "megabytes": serving_bytes(artifact) / 1e6,
        "milliseconds": speed.milliseconds,
        "per_second": speed.per_second,
    }


def _peer(original: Artifact, home: Path, texts: Sequence[str], folder: Path) -> Row:
    """What anybody would do first: `torch.onnx.export`, `quantize_dynamic`, batches in the order of arrival."""
    import onnx
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from tokenizers import Tokenizer

    from ml_core.evaluation import build_classification_report
    from ml_core.models.classifier import load_classifier

    model = load_classifier(original)
    ids, mask = torch.ones(2, 16, dtype=torch.long), torch.ones(2, 16, dtype=torch.long)
    mask[0, 9:] = 0
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=512)
    path = folder / "plain.onnx"
    torch.onnx.export(
        model, (ids, mask), path, dynamo=True, input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}), verbose=False, external_data=False,
    )  # fmt: skip
    graph = onnx.load(path)
    graph.graph.ClearField("value_info")
    quantised = folder / "int8.onnx"
    quantize_dynamic(graph, quantised, weight_type=QuantType.QInt8, per_channel=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(quantised, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(original.path / "tokenizer.json"))
    tokenizer.enable_truncation(original.manifest.max_length)
    tokenizer.enable_padding()

    def logits(some: Sequence[str]) -> np.ndarray:
        read = tokenizer.encode_batch(list(some))
        feeds = {
            "input_ids": np.array([each.ids for each in read]),
            "attention_mask": np.array([each.attention_mask for each in read]),
        }
        found: np.ndarray = session.run(None, feeds)[0]
        return found

    def all_logits(some: Sequence[str]) -> np.ndarray:
        parts = [logits(some[place : place + _BATCH]) for place in range(0, len(some), _BATCH)]
        return np.concatenate(parts)

    rows = _rows(home / "test.jsonl")
    found = torch.from_numpy(all_logits([row["text"] for row in rows]))
    temperature = float(original.manifest.calibration.get("temperature", 1.0))
    report = build_classification_report(
        [row["label"] for row in rows],
        (found / temperature).softmax(-1).numpy(),
        original.manifest.labels,
    )
    single = _repeat(lambda place: logits([texts[place % len(texts)]]))
    many = _repeat(lambda _: all_logits(texts))
    return {
        "accuracy": report.accuracy,
        "macro_f1": report.macro_f1,
        "ece": report.ece,
        "worst": None,
        "megabytes": (quantised.stat().st_size + (original.path / "tokenizer.json").stat().st_size)
        / 1e6,
        "milliseconds": statistics.median(single) * 1000,
        "per_second": len(texts) / statistics.median(many),
    }


def _repeat(call: Callable[[int], Any]) -> list[float]:
    for place in range(3):
        call(place)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begun < _SECONDS:
        before = time.perf_counter()
        call(len(times))
        times.append(time.perf_counter() - before)
    return times


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


SECTION = Section(
    name="compression",
    title="Smaller models: size, speed and what they lose",
    columns=(
        Column("data", "data"),
        Column("chain", "chain"),
        Column("accuracy", "accuracy", ".4f"),
        Column("loss", "points lost", ".2f"),
        Column("ece", "ECE", ".4f"),
        Column("worst", "worst slice", ".4f"),
        Column("megabytes", "MB to serve", ".2f"),
        Column("smaller", "x smaller", ".1f"),
        Column("milliseconds", "ms a text", ".2f"),
        Column("faster", "x faster", ".1f"),
        Column("per_second", "texts/s", ".0f"),
        Column("throughput", "x texts/s", ".1f"),
        Column("seconds", "s to make", ".0f"),
        Column("aim", "aim"),
    ),
    configurations=configurations,
    measure=measure,
    sources=("ml_core/compression", "ml_core/models/pruned.py", "ml_core/serving/backends"),
    packages=("torch", "transformers", "onnxruntime", "onnx"),
    notes=(
        "MB to serve: without int8 all files but the card; with int8 the ONNX file, tokenizer, settings and the head, "
        "not the float16 weights, which stay for explanations and further training.",
        "Published, other tasks: CoFi keeps 80.6 of 84.8 on MNLI at 12x, TinyBERT4 96.8 % of GLUE at 9.4x.",
    ),
)
