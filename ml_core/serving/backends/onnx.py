"""Encoders in ONNX Runtime, float32 or with int8 products."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from ml_core.data.batches import padding_budget_batches
from ml_core.serving.backends.base import (
    ONNX,
    ONNX_INT8,
    BackendError,
    EncoderBatch,
    EncoderSource,
)
from ml_core.serving.backends.export import Export, export
from ml_core.serving.backends.flat import FlatBatch
from ml_core.serving.backends.onnx_lora import OnnxAdapters
from ml_core.serving.backends.session import CPU_PROVIDERS, EncoderSession

_CUDA = "CUDAExecutionProvider"
# Padded tokens of a batch. A CPU's thread should find what it just wrote in its own cache; a GPU is idle with less.
_CPU_BUDGET, _GPU_BUDGET = 384, 16384
# Padded tokens below which another thread is not worth waking.
_LEAST_SHARE = 64


class OnnxBackend:
    """See `Backend`. The first adapter exchanges the graph for one that mixes them, which costs each batch a little.

    A batch is computed in parts of like length, which several threads share out, each with the whole graph for its own:
    the weights are there once, nobody waits for another, and a text's vector does not depend on how many there are.
    """

    def __init__(
        self,
        source: EncoderSource,
        *,
        int8: bool,
        threads: int,
        cache: Path | None,
        providers: tuple[str, ...] = CPU_PROVIDERS,
    ) -> None:
        self.name = ONNX_INT8 if int8 else ONNX
        self._source, self._int8, self._cache = source, int8, cache
        self._threads, self._providers = threads, providers
        self.token_budget = _GPU_BUDGET if providers[0] == _CUDA else _CPU_BUDGET * threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encoder")
        made, session = self._open(adapters=False)
        self.hidden, self.pad_id = made.hidden, made.pad_id
        self._weights_bytes = made.memory_bytes
        # Exchanged as one, because texts may be computed while an adapter is added.
        self._current: tuple[EncoderSession, OnnxAdapters | None] | None = (session, None)

    @classmethod
    def load(
        cls,
        source: EncoderSource,
        *,
        int8: bool,
        device: str = "auto",
        threads: int = 1,
        cache: Path | None = None,
    ) -> Self:
        """Export ``source`` or open what ``cache`` has of it. "auto" is the CPU.

        Raises BackendError, also where ``device`` is a GPU and this ONNX Runtime has no CUDA; ValueError for a device
        it does not know.
        """
        providers = _providers(device, int8=int8)
        return cls(source, int8=int8, threads=threads, cache=cache, providers=providers)

    @property
    def memory_bytes(self) -> int:
        adapters = self._current[1] if self._current is not None else None
        return self._weights_bytes + (adapters.memory_bytes if adapters is not None else 0)

    def pooled(self, batch: EncoderBatch) -> np.ndarray:
        found = np.empty((len(batch.token_ids), self.hidden), np.float32)
        for places, flat, states in self._compute(batch):
            found[places] = flat.pool(states)
        return found

    def states(self, batch: EncoderBatch) -> list[np.ndarray]:
        found: dict[int, np.ndarray] = {}
        for places, flat, states in self._compute(batch):
            found.update(zip(places, flat.split(states), strict=True))
        return [found[place] for place in range(len(batch.token_ids))]

    def add_adapter(self, tensors: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> int:
        session, adapters = self._loaded()
        if adapters is None:
            _, session = self._open(adapters=True)
            adapters = OnnxAdapters(session.session)
        slot = adapters.add(tensors, record)
        self._current = (session, adapters)
        return slot

    def remove_adapter(self, slot: int) -> None:
        _, adapters = self._loaded()
        if adapters is None:
            raise BackendError(f"there is no adapter in slot {slot}")
        adapters.remove(slot)

    def close(self) -> None:
        self._current = None
        self._pool.shutdown(wait=False)

    def _compute(self, batch: EncoderBatch) -> Iterable[tuple[list[int], FlatBatch, np.ndarray]]:
        """The states of the texts in parts of like length: which texts, how they lie, and the states."""
        session, adapters = self._loaded()

        def states(places: list[int]) -> tuple[list[int], FlatBatch, np.ndarray]:
            part = _part(batch, places)
            return places, *session.states(part, _adapter_inputs(adapters, part))

        lengths = [len(ids) for ids in batch.token_ids]
        if not lengths or not min(lengths):
            raise BackendError("a batch without texts, or a text without tokens")
        share = max(_LEAST_SHARE, -(-sum(lengths) // self._threads))
        most = self.token_budget // self._threads
        parts = list(padding_budget_batches(lengths, budget=min(share, most)))
        return self._pool.map(states, parts) if self._threads > 1 else map(states, parts)

    def _open(self, *, adapters: bool) -> tuple[Export, EncoderSession]:
        if self._cache is not None:
            made = export(self._source, self._cache, int8=self._int8, adapters=adapters)
            return made, made.session(1, providers=self._providers)
        with tempfile.TemporaryDirectory(prefix="rootstock-onnx-") as directory:
            made = export(self._source, Path(directory), int8=self._int8, adapters=adapters)
            session = made.session(1, providers=self._providers)
            return made, session

    def _loaded(self) -> tuple[EncoderSession, OnnxAdapters | None]:
        if self._current is None:
            raise BackendError("the backend is closed")
        return self._current


def _part(batch: EncoderBatch, places: list[int]) -> EncoderBatch:
    types, adapters = batch.type_ids, batch.adapters
    return EncoderBatch(
        [batch.token_ids[place] for place in places],
        None if types is None else [types[place] for place in places],
        None if adapters is None else [adapters[place] for place in places],
    )


def _adapter_inputs(
    adapters: OnnxAdapters | None, batch: EncoderBatch
) -> dict[str, np.ndarray] | None:
    if adapters is not None:
        return adapters.inputs(batch.adapters, [len(ids) for ids in batch.token_ids])
    for slot in batch.adapters or ():
        if slot:
            raise BackendError(f"there is no adapter in slot {slot}")
    return None


def _providers(device: str, *, int8: bool) -> tuple[str, ...]:
    if device in {"auto", "cpu"}:
        return CPU_PROVIDERS
    if device != "cuda":
        raise ValueError(f"device {device!r} is unknown to ONNX Runtime; use auto, cpu or cuda")
    import onnxruntime as ort

    if int8:
        raise BackendError("int8 products are computed on the CPU only; use torch on a GPU")
    if _CUDA not in ort.get_available_providers():
        raise BackendError(
            "the installed ONNX Runtime cannot use a GPU (install onnxruntime-gpu); use torch, or device cpu"
        )
    return (_CUDA, *CPU_PROVIDERS)
