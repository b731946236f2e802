"""Encoders of transformers in torch: float32 on a CPU, bfloat16 on GPUs, without padding where the model allows it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ml_core.models.classifier import pad_batch, select_device
from ml_core.models.predictor import token_budget
from ml_core.serving.backends.base import (
    TORCH,
    TORCH_COMPILED,
    BackendError,
    EncoderBatch,
    EncoderSource,
)
from ml_core.serving.backends.encoder import load_encoder
from ml_core.serving.backends.lora import AdapterPool, Segments
from ml_core.serving.backends.low_rank import low_rank_changes
from ml_core.serving.backends.packing import Packing


@dataclass(frozen=True)
class _States:
    """States (tokens, hidden) of the texts at ``places`` of the batch, one after the other, of ``lengths``."""

    rows: Tensor
    places: list[int]
    lengths: list[int]


class _Replica:
    """The encoder on one device."""

    def __init__(
        self, encoder: Any, device: torch.device, dtype: torch.dtype, compiled: bool
    ) -> None:
        packing = Packing.of(encoder)
        self.encoder = encoder.to(device=device, dtype=dtype)
        self.adapters = AdapterPool(encoder)
        moved = (device.type, dtype) != ("cpu", torch.float32)
        self.packing = packing if packing is None or not moved or packing.holds() else None
        self.device = device
        self._pad_id = int(encoder.config.pad_token_id)
        self._reads_types = getattr(encoder.config, "type_vocab_size", 0) > 1
        if compiled:
            self.encoder.compile(dynamic=True)

    @property
    def memory_bytes(self) -> int:
        weights = sum(each.nbytes for each in self.encoder.parameters())
        return int(weights) + self.adapters.memory_bytes

    def forward(self, batch: EncoderBatch, chosen: Sequence[int]) -> _States:
        """The states of the ``chosen`` texts of a batch."""
        slots = batch.adapters or [0] * len(batch.token_ids)
        lengths = [len(ids) for ids in batch.token_ids]
        # One adapter's texts side by side, those without last; then those of one length, for attention.
        places = sorted(chosen, key=lambda place: (not slots[place], slots[place], lengths[place]))
        ids = [batch.token_ids[place] for place in places]
        types = None
        if batch.type_ids is not None and self._reads_types:
            types = [batch.type_ids[place] for place in places]
        own = [lengths[place] for place in places]
        rows = own if self.packing else [max(own)] * len(own)
        self.adapters.use(Segments.of([slots[place] for place in places], rows, self.device))
        with torch.inference_mode():
            states = self.packing.forward(ids, types) if self.packing else self._padded(ids, types)
        return _States(states, places, own)

    def _padded(
        self, ids: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None
    ) -> Tensor:
        inputs, mask = pad_batch(ids, pad_id=self._pad_id, device=self.device)
        more = {}
        if types is not None:
            more["token_type_ids"], _ = pad_batch(types, pad_id=0, device=self.device)
        found = self.encoder(input_ids=inputs, attention_mask=mask, **more)
        states: Tensor = found.last_hidden_state
        return states[mask.bool()]


class TorchBackend:
    """One encoder on one or several devices, see `Backend`. Texts of a batch are shared out among the devices by their
    tokens; adapters can be added and removed from any thread, between two batches."""

    def __init__(
        self,
        encoder: Any,
        *,
        devices: Sequence[torch.device],
        dtype: torch.dtype | None = None,
        threads: int = 1,
        compiled: bool = False,
    ) -> None:
        pad_id = getattr(encoder.config, "pad_token_id", None)
        if not isinstance(pad_id, int):
            raise BackendError("the encoder's configuration has no pad_token_id")
        self.name = TORCH_COMPILED if compiled else TORCH
        kind = devices[0].type
        if dtype is None:
            dtype = torch.bfloat16 if kind == "cuda" else torch.float32
        self.hidden = int(encoder.config.hidden_size)
        self.pad_id = pad_id
        self.token_budget = token_budget(kind) * len(devices)
        self._threads = threads if kind == "cpu" else None
        self._slots: set[int] = set()
        self._lock = threading.Lock()
        copies = [encoder, *(deepcopy(encoder) for _ in devices[1:])]
        self._replicas = [
            _Replica(copy, device, dtype, compiled)
            for copy, device in zip(copies, devices, strict=True)
        ]
        self._pool = ThreadPoolExecutor(len(devices), "replica") if len(devices) > 1 else None

    @classmethod
    def load(
        cls,
        source: EncoderSource,
        *,
        device: str = "auto",
        threads: int = 1,
        compiled: bool = False,
    ) -> Self:
        """Load an encoder; "auto" and "cuda" take every GPU of the machine, "cuda:1" one.

        ``compiled``: through ``torch.compile``, which takes minutes at the first batches and pays on GPUs only.
        Raises BackendError, ValueError for a device this machine has not.
        """
        first = select_device(device)
        devices = [first]
        if first.type == "cuda" and first.index is None:
            devices = [torch.device("cuda", place) for place in range(torch.cuda.device_count())]
        encoder = load_encoder(source)
        try:
            return cls(encoder, devices=devices, threads=threads, compiled=compiled)
        except RuntimeError as error:
            raise BackendError(f"the encoder does not fit on {first}: {error}") from error

    @property
    def packed(self) -> bool:
        """Whether batches are computed without padding."""
        return self._replicas[0].packing is not None

    @property
    def memory_bytes(self) -> int:
        return sum(replica.memory_bytes for replica in self._replicas)

    def pooled(self, batch: EncoderBatch) -> np.ndarray:
        """See `Backend.pooled`."""
        result = np.zeros((len(batch.token_ids), self.hidden), dtype=np.float32)
        for places, rows in self._compute(batch, _means):
            result[places] = rows
        return result

    def states(self, batch: EncoderBatch) -> list[np.ndarray]:
        """See `Backend.states`."""
        result: list[np.ndarray] = [np.empty((0, self.hidden), np.float32)] * len(batch.token_ids)
        for places, rows in self._compute(batch, _parts):
            for place, own in zip(places, rows, strict=True):
                result[place] = own
        return result

    def add_adapter(self, tensors: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> int:
        """See `Backend.add_adapter`; it is in every replica."""
        if self.name == TORCH_COMPILED:
            # The compiler does not notice hooks that come later: the adapter would change nothing.
            raise BackendError("a compiled encoder mixes no adapters; use torch")
        changes = low_rank_changes(tensors, record, self._replicas[0].adapters.sizes)
        with self._lock:
            slot = next(
                number for number in range(1, len(self._slots) + 2) if number not in self._slots
            )
            for replica in self._replicas:
                replica.adapters.add(slot, changes)
            self._slots.add(slot)
        return slot

    def remove_adapter(self, slot: int) -> None:
        """See `Backend.remove_adapter`. Raises BackendError for a slot that no adapter has."""
        with self._lock:
            self._check_slots([slot])
            for replica in self._replicas:
                replica.adapters.remove(slot)
            self._slots.remove(slot)

    def close(self) -> None:
        """See `Backend.close`."""
        if self._pool is not None:
            self._pool.shutdown()
        self._replicas.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _compute(
        self, batch: EncoderBatch, read: Callable[[_States], Any]
    ) -> list[tuple[list[int], Any]]:
        """What ``read`` makes of each replica's states, with the places of their texts."""
        if not batch.token_ids:
            return []
        # OpenMP keeps the number for each calling thread.
        if self._threads is not None and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        shares = _shares([len(ids) for ids in batch.token_ids], len(self._replicas))
        work = list(zip(self._replicas, shares, strict=False))

        def one(pair: tuple[_Replica, list[int]]) -> tuple[list[int], Any]:
            states = pair[0].forward(batch, pair[1])
            return states.places, read(states)

        with self._lock:
            self._check_slots(each for each in batch.adapters or () if each)
            try:
                if self._pool is None:
                    return [one(pair) for pair in work]
                return list(self._pool.map(one, work))
            except (RuntimeError, IndexError) as error:
                raise BackendError(f"the encoder failed: {error}") from error

    def _check_slots(self, slots: Any) -> None:
        unknown = set(slots) - self._slots
        if unknown:
            raise BackendError(f"there is no adapter in slot {min(unknown)}")


def _means(states: _States) -> np.ndarray:
    """The mean state of each text, (texts, hidden) float32; 0 for one without tokens."""
    rows = states.rows.float()
    lengths = torch.tensor(states.lengths, device=rows.device)
    means: np.ndarray = torch.segment_reduce(rows, "mean", lengths=lengths, initial=0).cpu().numpy()
    return means


def _parts(states: _States) -> list[np.ndarray]:
    """The states of each text, float32."""
    rows: np.ndarray = states.rows.float().cpu().numpy()
    return np.split(rows, np.cumsum(states.lengths)[:-1])


def _shares(lengths: Sequence[int], count: int) -> list[list[int]]:
    """Places of texts for each of ``count`` devices, as even in tokens as long texts first makes them; none empty."""
    shares: list[list[int]] = [[] for _ in range(count)]
    tokens = [0] * count
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        least = tokens.index(min(tokens))
        shares[least].append(place)
        tokens[least] += lengths[place] + 1
    return [share for share in shares if share]
