"""Reads one file and writes what is in it, as a process of its own.

    python -m apps.customer_service.services.reading.program FILE OUTPUT NAME CONTENT_TYPE [rows]

OUTPUT becomes {"reading": …} or {"unreadable": [text, values]}. The process takes no more memory and time than it says
below, and ends when its parent does.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_noop

MEMORY_BYTES = 2**30
CPU_SECONDS = 90
OUTPUT_BYTES = 64 * 2**20
NICE = 5
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Read the file of the arguments; 0 unless the process itself fails."""
    parent = os.getppid()
    path, output, name, content_type, *as_rows = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Words are marked for translation here and translated where they are shown.
    settings.configure(USE_I18N=False)
    from apps.customer_service.services.reading.document import Unreadable
    from apps.customer_service.services.reading.kinds import read
    from apps.customer_service.services.reading.rows import read_rows

    try:
        reader = read_rows if as_rows else read
        reading = reader(Path(path).read_bytes(), name=name, content_type=content_type)
        result: dict[str, Any] = {"reading": reading.as_json()}
    except Unreadable as error:
        result = {"unreadable": [error.text, error.values]}
    except MemoryError:
        result = {"unreadable": [gettext_noop("It needs too much memory to be read."), {}]}
    Path(output).write_text(json.dumps(result), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
