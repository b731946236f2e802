"""How long a hybrid search takes while visitors ask, in a collection of the size of a large company's knowledge."""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench.harness import Progress, Row
from bench.installation import servers
from bench.training.data import data_directory

VISITORS = 20
SECONDS_BETWEEN = 10.0
# Sentences of a passage, and sizes of the collections.
_SENTENCES = 2
_SIZES = (20_000, 100_000)
_END = {"en": re.compile(r"(?<=[.!?]) +"), "zh": re.compile(r"(?<=[。！？])")}


def configurations() -> list[dict[str, Any]]:
    """A collection of middle size, and the one that the aim is about."""
    return [{"part": "latency", "passages": size, "seconds": 60} for size in _SIZES]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Fill a collection of an installation of its own, and let visitors ask."""
    size = configuration["passages"]
    half = size // 2
    texts = [*islice(passages("zh"), half), *islice(passages("en"), size - half)]
    if len(texts) < size:
        raise ValueError(f"there are only {len(texts)} passages, not {size}")
    with tempfile.TemporaryDirectory(prefix="rootstock-customer-") as folder:
        # PostgreSQL runs as another user where we are root.
        Path(folder).chmod(0o755)
        Path(folder, "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        with servers(Path(folder) / "var", progress, ROOTSTOCK_LOG_LEVEL="ERROR") as running:
            progress(f"database ready for {size:,d} passages")
            lines = running.run("-m", "bench.customer.load", folder, json.dumps(configuration))
    return list(json.loads(lines.splitlines()[-1]))


def passages(language: str) -> Iterator[str]:
    """Some sentences of Wikipedia at a time."""
    folder = data_directory() / f"{language}wiki_part"
    for path in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                for line in file or ():
                    said = [each for each in _END[language].split(line.decode().strip()) if each]
                    for start in range(0, len(said) - _SENTENCES, _SENTENCES):
                        text = " ".join(said[start : start + _SENTENCES])
                        if not text.startswith("<") and 60 <= len(text) <= 2000:
                            yield text
