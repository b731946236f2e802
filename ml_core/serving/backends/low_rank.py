"""What LoRA and AdaLoRA artefacts change, as two small matrices for each linear layer. Free of torch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_core.models.efficient.ranks import first_rank
from ml_core.serving.backends.base import BackendError

_MARK = ".lora_"
# First row of a table, and number of rows.
Span = tuple[int, int]
NO_ROWS: Span = (0, 1)


@dataclass(frozen=True)
class LowRank:
    """The change of one layer: y + (x · downᵀ) · up, with ``down`` (rank, in) and ``up`` (rank, out), float32; every
    factor of the method is in ``up``."""

    down: np.ndarray
    up: np.ndarray

    @property
    def rank(self) -> int:
        return int(self.up.shape[0])


def low_rank_changes(
    tensors: Mapping[str, np.ndarray],
    record: Mapping[str, Any],
    layers: Mapping[str, tuple[int, int]],
) -> dict[str, LowRank]:
    """The change of each layer that an adapter has one for.

    ``tensors`` and ``record`` are an artefact's, see `Backend.add_adapter`; ``layers`` are the encoder's linear layers
    by name, each with its features (in, out). LoRA: alpha / r · B A (Hu et al. 2022), alpha / √r · B A when the record
    says ``rank_stabilised`` (Kalajdzievski 2023). AdaLoRA: alpha / r · P Λ Q (Zhang et al. 2023); directions whose
    singular value it has dropped are left out, so layers have ranks of their own.

    Raises BackendError when it is of another method, is incomplete, or does not fit the encoder.
    """
    method = record.get("method")
    if method not in {"lora", "adalora"}:
        raise BackendError(f"adapters of lora and adalora can be mixed, not of {method!r}")
    parts: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for name, tensor in tensors.items():
        layer, mark, rest = name.partition(_MARK)
        if not mark:
            raise BackendError(f"{name!r} is no tensor of {method}")
        # Files name tensors with the encoder's prefix ("bert.…"), layers of the encoder itself have none.
        own = layer if layer in layers else layer.partition(".")[2]
        if own not in layers:
            raise BackendError(
                f"the encoder has no linear layer {layer!r}, which the adapter changes"
            )
        parts[own][rest.partition(".")[0]] = np.asarray(tensor, dtype=np.float32)
    if not parts:
        raise BackendError("the adapter changes nothing")
    try:
        return {name: _change(name, found, record, layers[name]) for name, found in parts.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"the adapter cannot be rebuilt: {error}") from error


def _change(
    name: str, found: Mapping[str, np.ndarray], record: Mapping[str, Any], size: tuple[int, int]
) -> LowRank:
    a, b = found["A"], found["B"]
    rank = a.shape[0]
    if a.shape != (rank, size[0]) or b.shape != (size[1], rank):
        raise BackendError(
            f"the adapter's matrices {b.shape} · {a.shape} do not fit layer {name!r} of {size[0]} to {size[1]} features"
        )
    if not np.isfinite(a).all() or not np.isfinite(b).all():
        raise BackendError(f"the adapter of layer {name!r} is not finite (NaN or infinity)")
    alpha = float(record["alpha"])
    if record["method"] == "lora":
        scale = alpha / (math.sqrt(rank) if record["rank_stabilised"] else rank)
        return LowRank(a, np.ascontiguousarray(b.T) * np.float32(scale))
    values = found["E"].reshape(-1)
    kept = np.flatnonzero(values)
    # peft divides by the rank at the start + 1e-5; what was dropped since is not in the file.
    weights = values[kept] * np.float32(alpha / (first_rank(int(record["rank"])) + 1e-5))
    return LowRank(a[kept], np.ascontiguousarray(b[:, kept].T) * weights[:, None])


class Rows:
    """Which rows of a growing table are whose: a span is (first row, number of rows). Row 0 is nobody's."""

    def __init__(self) -> None:
        self.count = 1
        self._free: list[Span] = []

    def take(self, count: int) -> Span:
        """A free span; one that begins at the old `count` is new at the table's end. No room is kept ahead, so that
        adapters take just the memory of their matrices."""
        span = next((each for each in self._free if each[1] == count), None)
        if span is not None:
            self._free.remove(span)
            return span
        self.count += count
        return self.count - count, count

    def give_back(self, span: Span) -> None:
        """Let others have the span."""
        self._free.append(span)


def padded_places(spans: Sequence[Span], *, step: int = 1) -> list[list[int]]:
    """The rows of each span, padded with row 0 to the longest and to a multiple of ``step``."""
    rank = -(-max(count for _, count in spans) // step) * step
    return [[*range(first, first + count), *[0] * (rank - count)] for first, count in spans]
