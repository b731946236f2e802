"""Starts the reader of a file in a process of its own, follows it, and says in words how it ended."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext_noop

from apps.customer_service.services.reading.document import Reading, Unreadable

logger = logging.getLogger(__name__)

SECONDS = 120.0
POLL_SECONDS = 0.2
_PROGRAM = "apps.customer_service.services.reading.program"


def file_read(
    path: Path,
    *,
    name: str,
    content_type: str = "",
    check: Callable[[], None] = lambda: None,
    seconds: float = SECONDS,
    rows: bool = False,
) -> Reading:
    """What is in a file. `check` is called several times a second; what it raises ends the reading. `rows`: read a
    table as it stands, see `rows.rows_of`.

    Raises:
        Unreadable: nothing could be read, with the reason; also when the reader crashed, or took too long or too much.
    """
    with tempfile.TemporaryDirectory(prefix="reading-") as directory:
        output = Path(directory) / "output.json"
        command = [sys.executable, "-P", "-m", _PROGRAM, str(path), str(output)]
        log = Path(directory) / "log.txt"
        with log.open("wb") as errors:
            process = subprocess.Popen(  # noqa: S603 - our own program; names are arguments, no shell sees them
                [*command, name or "-", content_type, *(["rows"] if rows else [])],
                cwd=directory,
                # It needs neither the database nor any secret.
                env={"PATH": os.defpath, "PYTHONPATH": str(settings.ROOT), "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        returncode = _wait(process, check, seconds)
        if returncode != 0:
            text = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            logger.warning("reading %s ended with %s: %s", path.name, returncode, text)
            raise _explained(returncode, text)
        result = json.loads(output.read_text(encoding="utf-8"))
    if "unreadable" in result:
        text, values = result["unreadable"]
        raise Unreadable(text, **values)
    return Reading.from_json(result["reading"])


def _wait(process: subprocess.Popen[bytes], check: Callable[[], None], seconds: float) -> int:
    deadline = time.monotonic() + seconds
    try:
        while True:
            check()
            try:
                return process.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                if time.monotonic() > deadline:
                    raise _too_long() from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _explained(returncode: int, log: str) -> Unreadable:
    if returncode in {-signal.SIGXCPU, -signal.SIGKILL}:
        return _too_long()
    if "MemoryError" in log or returncode == -signal.SIGXFSZ:
        return Unreadable(gettext_noop("It needs too much memory to be read."))
    return Unreadable(
        gettext_noop(
            "Its reader failed: the file is damaged, or made in an unusual way. Save it anew, or as PDF."
        )
    )


def _too_long() -> Unreadable:
    return Unreadable(gettext_noop("Reading took too long. Split it into smaller files."))
