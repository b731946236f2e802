"""End the process when it holds more memory than it was given.

torch reserves far more address space than it uses, so a resource limit on that would stop every run; the memory that
is really held is watched instead, ten times a second.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import psutil

_MEBIBYTE = 1024 * 1024
_INTERVAL_SECONDS = 0.1


def limit_memory(limit_mb: int, say: Callable[[str], int]) -> None:
    """Watch this process from a thread; above ``limit_mb`` MiB ``say`` is told why, and what it returns is the exit
    code. The end is immediate: nothing that is not on disk yet is saved."""
    process = psutil.Process()

    def watch() -> None:
        while True:
            held = process.memory_info().rss // _MEBIBYTE
            if held > limit_mb:
                code = say(
                    f"memory limit: the run holds {held:,} MiB, {limit_mb:,} MiB are allowed; use a smaller "
                    "batch_size (with gradient_accumulation) or max_length, or allow more"
                )
                os._exit(code)
            time.sleep(_INTERVAL_SECONDS)

    threading.Thread(target=watch, name="memory limit", daemon=True).start()
