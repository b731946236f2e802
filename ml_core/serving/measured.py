"""The backend of an encoder as an engine takes it: where it is to be chosen, that is measured in another process.

Measuring loads every backend and exports the encoder; done here it would leave torch and half a gigabyte in a process
that may need neither, and stop the callers of other models meanwhile.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ml_core.serving import backends
from ml_core.serving.backends import AUTO, TORCH, Backend, BackendError, EncoderSource

logger = logging.getLogger(__name__)

# Whoever asks the engine comes first.
_NICE = 5


def open_backend(
    source: EncoderSource, *, kind: str, device: str, threads: int, exports: Path | None
) -> tuple[Backend, dict[str, Any] | None]:
    """The backend of ``source``, and what was measured when it was chosen (None where ``kind`` names it). See
    `ml_core.serving.backends.load_backend`.

    Where one is to be chosen and nothing was measured yet it is torch, which needs no export. Raises BackendError.
    """
    calibration = None
    if kind == AUTO and exports is not None:
        calibration = _recorded(source, device, threads, exports)
        kind = TORCH if calibration is None else calibration["chosen"]
    backend = backends.load_backend(
        source, kind=kind, device=device, threads=threads, cache=exports
    )
    return backend, calibration


class Measuring:
    """Measures the backends of encoders, one after the other, each in a process of its own."""

    def __init__(self, *, device: str, threads: int, exports: Path) -> None:
        self._device, self._threads, self._exports = device, threads, exports
        self._one_at_a_time = threading.Lock()
        self._process: BaseProcess | None = None
        self._closed = False

    def measure(self, source: EncoderSource) -> dict[str, Any] | None:
        """What was found, None where measuring ended without a result. Takes a minute or so: for another thread."""
        with self._one_at_a_time:
            found = _recorded(source, self._device, self._threads, self._exports)
            if found is not None or self._closed:
                return found
            # As a daemon it ends with this process, however that ends in Python.
            process = get_context("spawn").Process(
                target=_measure,
                args=(source, self._device, self._threads, self._exports),
                daemon=True,
            )
            try:
                process.start()
            except OSError as error:
                logger.warning("%s: nothing can be measured: %s", source.directory, error)
                return None
            self._process = process
            process.join()
            found = _recorded(source, self._device, self._threads, self._exports)
            if found is None and not self._closed:
                logger.warning("%s: the backends could not be measured", source.directory)
            return found

    def close(self) -> None:
        """End what is being measured."""
        self._closed = True
        if self._process is not None and self._process.is_alive():
            self._process.terminate()


def _measure(source: EncoderSource, device: str, threads: int, exports: Path) -> None:
    from ml_core.serving.backends.calibrate import recorded

    os.nice(_NICE)
    # Ctrl-C reaches the whole group; whoever started this ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        recorded(source, device=device, threads=threads, cache=exports)
    except (BackendError, OSError) as error:
        logger.warning("%s: %s", source.directory, error)


def _recorded(
    source: EncoderSource, device: str, threads: int, exports: Path
) -> dict[str, Any] | None:
    from ml_core.serving.backends.calibrate import RECORD, Calibration
    from ml_core.serving.backends.export import export_directory

    found = Calibration.read(export_directory(source, exports) / RECORD)
    if found is None or not found.holds(device=device, threads=threads):
        return None
    return found.to_dict()
