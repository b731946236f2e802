"""Another model reads a collection while it is searched and written: what do people notice?

An installation's own PostgreSQL, a worker process that does what a Celery worker would, and threads that search and
write through the services. Every answer is checked: it has all its hits, and the score of each is that of the one
model that the answer names. The vectors are real (the packaged model's of English sentences), made once and looked up
afterwards, so what is timed is the database and the platform; asking a model comes on top of a search and of each text.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Column, Progress, Row, Section
from bench.installation import servers
from bench.training.data import data_directory
from rootstock.config.embedded import var_directory

QUERIES = 500
# Texts that are written meanwhile, as a share of those that are there.
WRITTEN = 0.1
# Texts whose vectors are kept together.
PART = 1000
# Numbers of the second model's vectors.
SECOND_DIMENSIONS = 256
_SENTENCE = re.compile(r"(?<=[.!?]) +")


def configurations() -> list[dict[str, Any]]:
    """A small collection, and the one that the figures are about."""
    return [{"vectors": size, "searchers": 4, "k": 10, "seconds": 20} for size in (1_000, 100_000)]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """Fill a collection, have another model read it under load, and time searches before, meanwhile and after."""
    texts, vectors = sentences(configuration["vectors"], progress)
    with tempfile.TemporaryDirectory(prefix="rootstock-vectors-") as folder:
        # PostgreSQL runs as another user where we are root.
        Path(folder).chmod(0o755)
        Path(folder, "texts.json").write_text(json.dumps(texts), encoding="utf-8")
        np.save(Path(folder, "first.npy"), vectors)
        np.save(Path(folder, "second.npy"), second_model(vectors))
        with servers(Path(folder) / "var", progress, ROOTSTOCK_LOG_LEVEL="ERROR") as running:
            progress("database ready")
            lines = running.run("-m", "bench.vectors.load", folder, json.dumps(configuration))
    return [{**configuration, **row} for row in json.loads(lines.splitlines()[-1])]


def sentences(size: int, progress: Progress) -> tuple[list[str], np.ndarray]:
    """Sentences of Wikipedia without copies, for the collection, the queries and what is written meanwhile, and the
    packaged model's vectors of them, (texts, 384); kept in var/bench, a thousand a file."""
    count = round(size * (1 + WRITTEN)) + QUERIES
    texts = list(islice(dict.fromkeys(islice(_sentences(), 2 * count)), count))
    if len(texts) < count:
        raise ValueError(f"there are only {len(texts)} sentences, not {count}")
    folder = var_directory() / "bench" / "vectors"
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, count, PART):
        part = texts[start : start + PART]
        key = hashlib.sha256("\n".join(part).encode()).hexdigest()[:16]
        kept = folder / f"packaged-{key}.npy"
        if not kept.exists():
            progress(f"the packaged model reads sentences, {start:,d} of {count:,d}; once only")
            new = kept.with_suffix(".new.npy")
            np.save(new, _packaged().embed(part))
            new.replace(kept)
        parts.append(np.load(kept))
    return texts, np.concatenate(parts)


@cache
def _packaged() -> Any:
    from ml_core.models.embedding import EmbeddingPredictor

    return EmbeddingPredictor.from_base("packaged", device="cpu")


def second_model(vectors: np.ndarray) -> np.ndarray:
    """The vectors of another model: a random projection of the first's onto fewer dimensions, of norm 1."""
    generator = np.random.default_rng(3)
    square, _ = np.linalg.qr(generator.normal(size=(vectors.shape[1],) * 2))
    projected = vectors @ square[:, :SECOND_DIMENSIONS].astype(np.float32)
    return np.asarray(projected / np.linalg.norm(projected, axis=1, keepdims=True), np.float32)


def _sentences() -> Iterator[str]:
    path = data_directory() / "enwiki_part" / "wiki_AA.tar.xz"
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            for line in file or ():
                text = line.decode().strip()
                if not text.startswith("<"):
                    yield from (s for s in _SENTENCE.split(text) if 40 <= len(s) <= 200)


SECTION = Section(
    name="vectors",
    title="Search while another model reads the collection",
    columns=(
        Column("vectors", "vectors", ",d"),
        Column("phase", "phase"),
        Column("seconds", "s", ".1f"),
        Column("searches", "searches", ",d"),
        Column("failed", "failed", "d"),
        Column("short", "short of k", "d"),
        Column("mixed", "mixed", "d"),
        Column("p50", "p50 ms", ".1f"),
        Column("p95", "p95 ms", ".1f"),
        Column("p99", "p99 ms", ".1f"),
        Column("longest", "longest ms", ".0f"),
        Column("rate", "vectors/s", ".0f"),
        Column("written", "texts written", "d"),
        Column("recall", "recall@k", ".3f"),
    ),
    configurations=configurations,
    measure=measure,
    sources=("bench/vectors", "platform/rootstock/vectors"),
    notes=(
        "failed, short of k (an answer with fewer hits than asked for, empty ones among them) and mixed (a score that "
        "is not of the model that the answer names) should be 0; each answer of every search is checked.",
        "vectors/s: how fast the worker fills the second space, the model's own time not counted.",
        "Simulated: both models answer at once from stored vectors (the first's are the packaged model's, the second's "
        "a random projection of them); the worker is a process that does the outbox' messages, without Celery.",
        "recall@k: share of the k nearest, by comparing every vector, that the index finds.",
    ),
)
