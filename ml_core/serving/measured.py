"""The backend of an encoder as an engine takes it: where it is to be chosen, that is measured in another process.

Measuring loads every backend and exports the encoder; done here it would leave torch and half a gigabyte in a process
that may need neither, and stop the callers of other models meanwhile.
"""

from __future__ import annotations

import logging
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ml_core.serving import backends
from ml_core.serving.backends import AUTO, TORCH, Backend, BackendError, EncoderSource

logger = logging.getLogger(__name__)


def open_backend(
    source: EncoderSource, *, kind: str, device: str, threads: int, exports: Path | None
) -> tuple[Backend, dict[str, Any] | None]:
    """The backend of ``source``, and what was measured when it was chosen (None where ``kind`` names it, or nothing is
    kept in ``exports``). See `ml_core.serving.backends.load_backend`.

    Where measuring ends without a result it is torch, and the next load measures again. Raises BackendError.
    """
    calibration = None
    if kind == AUTO and exports is not None:
        calibration = _calibration(source, device, threads, exports)
        kind = TORCH if calibration is None else calibration["chosen"]
    backend = backends.load_backend(
        source, kind=kind, device=device, threads=threads, cache=exports
    )
    return backend, calibration


def _calibration(
    source: EncoderSource, device: str, threads: int, exports: Path
) -> dict[str, Any] | None:
    from ml_core.serving.backends.calibrate import RECORD, Calibration, recorded
    from ml_core.serving.backends.export import export_directory

    found = Calibration.read(export_directory(source, exports) / RECORD)
    if found is not None and found.holds(device=device, threads=threads):
        return found.to_dict()
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            asked = pool.submit(recorded, source, device=device, threads=threads, cache=exports)
            return asked.result().to_dict()
    except (BrokenProcessPool, BackendError, OSError) as error:
        logger.warning("%s: the backends could not be measured: %s", source.directory, error)
        return None
