"""What computes an encoder for serving: torch, ONNX Runtime in float32, ONNX Runtime with int8 matrix products."""

from __future__ import annotations

from pathlib import Path

from ml_core.serving.backends.base import (
    AUTO,
    KINDS,
    ONNX,
    ONNX_INT8,
    TORCH,
    TORCH_COMPILED,
    Backend,
    BackendError,
    EncoderBatch,
    EncoderSource,
)

__all__ = [
    "AUTO",
    "KINDS",
    "ONNX",
    "ONNX_INT8",
    "TORCH",
    "TORCH_COMPILED",
    "Backend",
    "BackendError",
    "EncoderBatch",
    "EncoderSource",
    "load_backend",
]


def load_backend(
    source: EncoderSource,
    *,
    kind: str = AUTO,
    device: str = "auto",
    threads: int = 1,
    cache: Path | None = None,
) -> Backend:
    """Load an encoder into the backend ``kind``: one of `KINDS`, "torch-compiled", or "auto", which is the fastest of
    `KINDS` that is true to torch on this host (measured once and remembered, see `calibrate.choose`).

    ``threads`` are those of one forward pass; ``cache`` is the directory of exports (None: exports are made anew in
    a temporary directory). Nothing of torch or ONNX Runtime is imported before it is needed.

    Raises BackendError, ValueError for a device this machine has not.
    """
    if kind == AUTO:
        from ml_core.serving.backends.calibrate import choose

        kind = choose(source, device=device, threads=threads, cache=cache)
    if kind in {TORCH, TORCH_COMPILED}:
        from ml_core.serving.backends.torch import TorchBackend

        compiled = kind == TORCH_COMPILED
        return TorchBackend.load(source, device=device, threads=threads, compiled=compiled)
    if kind in {ONNX, ONNX_INT8}:
        from ml_core.serving.backends.onnx import OnnxBackend

        return OnnxBackend.load(
            source, int8=kind == ONNX_INT8, device=device, threads=threads, cache=cache
        )
    raise BackendError(
        f"there is no backend {kind!r}; there are {', '.join((*KINDS, TORCH_COMPILED, AUTO))}"
    )
