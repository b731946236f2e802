"""What of the machine decides which backend is fast, and which int8 is right."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_CPU = Path("/proc/cpuinfo")
_LIBRARIES = ("onnxruntime", "onnx", "torch", "transformers", "numpy")


@cache
def cpu() -> tuple[str, frozenset[str]]:
    """The CPU's name and its instruction sets, as Linux names them; none where the system does not tell."""
    name, flags = platform.processor() or platform.machine(), frozenset[str]()
    if _CPU.is_file():
        for line in _CPU.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in {"flags", "Features"}:
                return name, frozenset(value.split())
    return name, flags


def gpus() -> list[str]:
    """The GPUs of which the system has a device file."""
    return sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))


def versions() -> dict[str, str]:
    """The libraries that compute encoders, those that are installed."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def fingerprint() -> dict[str, Any]:
    """What a measurement on this machine holds for."""
    name, flags = cpu()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": name,
        "flags": sorted(flags),
        "cores": usable,
        "gpus": gpus(),
        "versions": versions(),
    }
