"""Which backend is the fastest on this machine for an encoder, of those that are true to torch: measured once, kept.

The record lies beside the encoder's exports and holds for the machine it was made on: another CPU, other instruction
sets, other numbers of cores or threads, another device, or other versions of the libraries, and it is measured anew.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self

import numpy as np

from ml_core.serving.backends.base import (
    KINDS,
    ONNX,
    TORCH,
    Backend,
    BackendError,
    EncoderBatch,
    EncoderSource,
)
from ml_core.serving.backends.export import LEAST_COSINE, export_directory, mean_cosine
from ml_core.serving.backends.host import fingerprint, gpus
from ml_core.serving.backends.probes import probe_ids

logger = logging.getLogger(__name__)

RECORD = "calibration.json"
_FORMAT = 1
# The backends take turns, so that what else runs on the machine slows all of them alike; a round is a second or so.
_ROUNDS = 5


@dataclass(frozen=True)
class Measured:
    """How one backend did: texts and tokens a second (the median of its rounds) and the mean cosine of its vectors to
    torch's; or the ``problem`` for which it is not to be had."""

    kind: str
    texts_per_second: float = 0.0
    tokens_per_second: float = 0.0
    cosine: float = 0.0
    memory_bytes: int = 0
    problem: str = ""

    @property
    def usable(self) -> bool:
        return not self.problem and self.cosine >= LEAST_COSINE


@dataclass(frozen=True)
class Calibration:
    """What was measured of an encoder on a machine, which backend was chosen, and why."""

    chosen: str
    why: str
    measured: tuple[Measured, ...]
    device: str
    threads: int
    host: dict[str, Any]
    format: int = _FORMAT

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The record at ``path``; None where there is none that can be read."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values["measured"] = tuple(Measured(**each) for each in values["measured"])
            return cls(**values)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s: the calibration cannot be read: %s", path, error)
            return None

    def write(self, path: Path) -> None:
        """Write the record, at once or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(self.to_dict(), file, indent=2)
            file.write("\n")
        Path(name).replace(path)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def holds(self, *, device: str, threads: int) -> bool:
        """Whether it was measured on a machine like this one, for this device and as many threads."""
        asked = (_FORMAT, device, threads, fingerprint())
        return (self.format, self.device, self.threads, self.host) == asked


def record_path(source: EncoderSource, cache: Path) -> Path:
    """Where below ``cache`` the calibration of ``source`` is."""
    return export_directory(source, cache) / RECORD


def choose(
    source: EncoderSource, *, device: str = "auto", threads: int = 1, cache: Path | None = None
) -> str:
    """The fastest of `KINDS` for ``source``; see `calibrate`, which is asked where there is no record that holds."""
    return recorded(source, device=device, threads=threads, cache=cache).chosen


def recorded(
    source: EncoderSource, *, device: str = "auto", threads: int = 1, cache: Path | None = None
) -> Calibration:
    """The calibration of ``source`` on this machine, read from ``cache`` or made and kept there.

    Raises BackendError where no backend can be had.
    """
    path = None if cache is None else record_path(source, cache)
    found = None if path is None else Calibration.read(path)
    if found is None or not found.holds(device=device, threads=threads):
        found = calibrate(source, device=device, threads=threads, cache=cache)
        if path is not None:
            found.write(path)
        logger.info("%s: backend %s (%s)", source.directory, found.chosen, found.why)
    return found


def calibrate(
    source: EncoderSource, *, device: str = "auto", threads: int = 1, cache: Path | None = None
) -> Calibration:
    """Measure every backend on the texts of `probes`, and choose.

    On a GPU it is torch, whose attention needs no padding there; nothing is measured then. Raises BackendError where no
    backend can be had.
    """

    def result(chosen: str, why: str, measured: Sequence[Measured] = ()) -> Calibration:
        return Calibration(chosen, why, tuple(measured), device, threads, fingerprint())

    if device not in {"auto", "cpu"} or (device == "auto" and gpus()):
        return result(TORCH, "a GPU is used")
    texts = probe_ids(source)
    measured = _measure(source, texts, threads=threads, cache=cache)
    usable = [each for each in measured if each.usable]
    if not usable:
        problems = "; ".join(f"{each.kind}: {each.problem or 'untrue'}" for each in measured)
        raise BackendError(f"{source.directory}: no backend can be used ({problems})")
    best = max(usable, key=lambda each: each.texts_per_second)
    why = f"the fastest of {len(usable)} with a cosine of at least {LEAST_COSINE} to torch"
    return result(best.kind, why, measured)


def _measure(
    source: EncoderSource, texts: list[list[int]], *, threads: int, cache: Path | None
) -> list[Measured]:
    from ml_core.serving.backends import load_backend

    loaded: dict[str, Backend] = {}
    found: dict[str, Measured] = {}
    for kind in KINDS:
        try:
            loaded[kind] = load_backend(
                source, kind=kind, device="cpu", threads=threads, cache=cache
            )
        except BackendError as error:
            found[kind] = Measured(kind, problem=str(error))
    seconds: dict[str, list[float]] = {kind: [] for kind in loaded}
    vectors: dict[str, np.ndarray] = {}
    for _ in range(_ROUNDS):
        for kind, backend in loaded.items():
            started = time.perf_counter()
            vectors[kind] = _embed(backend, texts)
            seconds[kind].append(time.perf_counter() - started)
    reference = vectors.get(TORCH, vectors.get(ONNX))
    for kind, backend in loaded.items():
        # The first round warms up.
        typical = median(seconds[kind][1:])
        cosine = 0.0 if reference is None else mean_cosine(vectors[kind], reference)
        found[kind] = Measured(
            kind,
            texts_per_second=round(len(texts) / typical, 1),
            tokens_per_second=round(sum(map(len, texts)) / typical, 1),
            cosine=round(cosine, 6),
            memory_bytes=backend.memory_bytes,
        )
        backend.close()
    return [found[kind] for kind in KINDS]


def _embed(backend: Backend, texts: list[list[int]]) -> np.ndarray:
    """The vectors of ``texts``, computed as the engine does: like lengths together, as many as the budget takes."""
    from ml_core.data.batches import padding_budget_batches

    found = np.empty((len(texts), backend.hidden), np.float32)
    lengths = [len(ids) for ids in texts]
    for batch in padding_budget_batches(lengths, budget=backend.token_budget):
        found[batch] = backend.pooled(EncoderBatch([texts[place] for place in batch]))
    return found
