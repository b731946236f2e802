"""What each step of an answer found, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Trace:
    """The steps in the order in which they were taken."""

    def __init__(self) -> None:
        self._steps: list[dict[str, Any]] = []
        self._started = time.perf_counter()

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, Any]]:
        """Record a step: what is put into the yielded object is its result. A failure is recorded as well."""
        result: dict[str, Any] = {}
        started = time.perf_counter()
        try:
            yield result
        except Exception as error:
            result["error"] = f"{type(error).__name__}: {error}"[:300]
            raise
        finally:
            seconds = round(time.perf_counter() - started, 4)
            self._steps.append({"step": name, "seconds": seconds, **result})

    def as_json(self) -> dict[str, Any]:
        """{"seconds": of all, "steps": [{"step", "seconds", …}]}"""
        return {
            "seconds": round(time.perf_counter() - self._started, 4),
            "steps": list(self._steps),
        }
