"""Progress of a start, phase by phase: shown on the terminal and kept in a file for the benchmark.

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

NAME_WIDTH = 34
# Into a file or a pipe goes a line of progress only now and then (seconds).
PLAIN_EVERY = 10.0


class Phase:
    """One step of a start; `note` says what it is doing right now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started = time.monotonic()
        self.result = ""
        self._text = ""
        self._shown = ""
        self._written = self.started

    def note(self, text: str, fraction: float | None = None) -> None:
        """Show `text` on the line of the phase, with a bar when `fraction` (0 to 1) is known."""
        if fraction is not None:
            filled = round(20 * min(max(fraction, 0.0), 1.0))
            text = f"[{'#' * filled}{'.' * (20 - filled)}] {text}"
        self._text = text
        self.tick()

    def tick(self) -> None:
        """Show that time passes."""
        now = time.monotonic()
        line = f"{self._text}  {now - self.started:.0f} s"
        if sys.stdout.isatty():
            if line != self._shown:
                width = os.get_terminal_size().columns - NAME_WIDTH - 5
                write(f"\r\033[K  … {self.name:<{NAME_WIDTH}}{line[: max(width, 10)]}", end="")
                self._shown = line
        elif now - self._written > PLAIN_EVERY:
            write(f"    {self.name}: {line}")
            self._written = now

    def lines(self, output: IO[bytes]) -> Iterator[str]:
        """The lines of a child's output as they come, ticking while it is silent."""
        rest = b""
        while True:
            if not select.select([output], [], [], 1.0)[0]:
                self.tick()
                continue
            chunk = os.read(output.fileno(), 65536)
            *complete, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
            if not chunk and rest:
                complete.append(rest)
            yield from (line.decode(errors="replace") for line in complete if line)
            if not chunk:
                return


class Phases:
    """The phases of one start; `path` collects them across the processes it goes through."""

    def __init__(self, path: Path, *, new: bool = False) -> None:
        self.path = path
        if new:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._store({"started": time.time(), "phases": {}})

    @contextmanager
    def phase(self, name: str) -> Iterator[Phase]:
        """Time a step; prints one line when it is done, and which one failed."""
        phase = Phase(name)
        phase.note("")
        try:
            yield phase
        except BaseException:
            self._finish(phase, mark("✗", "failed"))
            raise
        self._finish(phase, mark("✓", "ok"))
        stored = self._load()
        stored["phases"][name] = round(time.monotonic() - phase.started, 2)
        self._store(stored)

    def total(self) -> float:
        """Seconds since the start began."""
        return time.time() - float(self._load()["started"])

    def finish(self) -> None:
        """Note the whole time, once everything is up."""
        self._store(self._load() | {"total": round(self.total(), 2)})

    def _finish(self, phase: Phase, symbol: str) -> None:
        if sys.stdout.isatty():
            write("\r\033[K", end="")
        seconds = time.monotonic() - phase.started
        write(f"  {symbol} {phase.name:<{NAME_WIDTH}}{seconds:6.1f} s  {phase.result}".rstrip())

    def _load(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.path.read_text()))
        except FileNotFoundError:
            return {"started": time.time(), "phases": {}}

    def _store(self, values: dict[str, Any]) -> None:
        self.path.write_text(json.dumps(values))


def mark(symbol: str, plain: str) -> str:
    """A symbol, or its plain word where the terminal cannot show it."""
    try:
        symbol.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return plain
    return symbol


def write(text: str, end: str = "\n") -> None:
    """Write at once; letters that the terminal does not know are replaced, never an error."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding) + end)
    sys.stdout.flush()
