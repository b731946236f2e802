"""Encoders on a GPU: tokens a second and how much of the measured matrix product peak that is."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Progress, Row
from bench.serving.systems import SENTENCE_TRANSFORMERS
from ml_core.models import resolve_base
from ml_core.models.bases import PACKAGED

MODELS = ("MiniLM", "BERT-base size")
_TURNS = 5
_PEAK_SIZE = 8192
# A published figure: BERT-base size at 50 tokens on an H200, the engine with tokenising.
_AIMS = {("BERT-base size", 50): "≥ 1.4M tokens/s (Arctic Inference, H200)"}
_AIM_512 = "≥ 40 % of the peak"


def here() -> str:
    """The GPU's name; empty without one."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""


def encoders(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Our backend and sentence-transformers, both in bfloat16, on the same token ids at one length. Without a GPU the
    row says that nothing was measured."""
    model, length = configuration["model"], configuration["tokens"]
    what = f"{model}, {length} tokens, bf16"
    if not configuration["gpu"]:
        return [{"what": what, "system": "GPU", "note": "not measured: no GPU here"}]
    with tempfile.TemporaryDirectory(prefix="rootstock-serving-") as folder:
        return measured(
            model,
            length,
            _directory(model, Path(folder)),
            device="cuda",
            count=configuration["texts"],
            progress=progress,
        )


def measured(
    model: str, length: int, directory: Path, *, device: str, count: int, progress: Progress
) -> list[Row]:
    """The two systems take turns; the median counts."""
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(directory)
    rng = np.random.default_rng(0)
    ids = rng.integers(1000, config.vocab_size, (count, length)).tolist()
    peak = peak_flops(device, _PEAK_SIZE if device == "cuda" else 256)
    systems = {
        SENTENCE_TRANSFORMERS.replace("fp32", "bf16"): _theirs(directory, device, ids),
        "Rootstock": _ours(directory, device, ids),
    }
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for turn in range(_TURNS + 1):
        progress(f"{model}, {length} tokens: turn {turn} of {_TURNS}")
        for name, run in systems.items():
            started = time.perf_counter()
            run()
            if device == "cuda":
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    rates = {name: count * length / statistics.median(taken) for name, taken in seconds.items()}
    theirs = rates[SENTENCE_TRANSFORMERS.replace("fp32", "bf16")]
    return [
        {
            "what": f"{model}, {length} tokens, bf16",
            "system": name,
            "rate": rate / length,
            "tokens_rate": rate,
            "times_st": rate / theirs,
            "utilisation": rate * flops_per_token(config, length) / peak,
            "aim": (_AIMS.get((model, length)) or (_AIM_512 if length == 512 else None))
            if name == "Rootstock"
            else None,
            "note": f"{rate * flops_per_token(config, length) / peak:.0%} of {peak / 1e12:.0f} TFLOP/s",
        }
        for name, rate in rates.items()
    ]


def flops_per_token(config: Any, length: int) -> float:
    """Of a forward pass: two for each weight of the layers' matrices, and four times the hidden size for each token
    that attention looks at."""
    hidden, inner = config.hidden_size, config.intermediate_size
    matrices = 2.0 * (4 * hidden * hidden + 2 * hidden * inner)
    return float(config.num_hidden_layers * (matrices + 4.0 * length * hidden))


def peak_flops(device: str, size: int) -> float:
    """The most floating point operations a second that a bfloat16 product of two square matrices reaches here."""
    import torch

    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for _ in range(20):
        started = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2.0 * size**3 / (time.perf_counter() - started))
    return best


def _ours(directory: Path, device: str, ids: list[list[int]]) -> Callable[[], object]:
    from ml_core.serving.backends import TORCH, EncoderBatch, EncoderSource, load_backend

    backend = load_backend(EncoderSource(directory, "bench"), kind=TORCH, device=device)
    size = max(1, backend.token_budget // len(ids[0]))

    def run() -> None:
        for at in range(0, len(ids), size):
            backend.pooled(EncoderBatch(ids[at : at + size]))

    return run


def _theirs(directory: Path, device: str, ids: list[list[int]]) -> Callable[[], object]:
    """The model and pooling of sentence-transformers on batches of its default size; the ids are made already, as
    ours are."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    word = Transformer(str(directory), model_kwargs={"dtype": torch.bfloat16})
    pooling = Pooling(word.get_embedding_dimension())
    model = SentenceTransformer(modules=[word, pooling], device=device).eval()

    def run() -> None:
        with torch.inference_mode():
            for at in range(0, len(ids), 32):
                given = torch.tensor(ids[at : at + 32], device=device)
                features = {"input_ids": given, "attention_mask": torch.ones_like(given)}
                model(features)["sentence_embedding"].float().cpu()

    return run


def _directory(model: str, folder: Path) -> Path:
    base = Path(resolve_base(PACKAGED))
    if model == MODELS[0]:
        return base
    from transformers import AutoTokenizer, BertConfig, BertModel

    # The weights are drawn by chance: how fast they are does not depend on them.
    BertModel(BertConfig()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder
