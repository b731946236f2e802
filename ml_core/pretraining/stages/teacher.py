"""A teacher's sentence embeddings: computed once for each set of texts, kept in a file and read from there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from ml_core.models.bases import resolve_base
from ml_core.models.embedding import EmbeddingPredictor
from ml_core.registry.artifact import TOKENIZER, WEIGHTS, sha256_file
from ml_core.training.distributed import is_first, wait_for_all
from ml_core.training.progress import Reporter

# Texts of a part are sorted by length; after each part a run that was stopped can go on.
_TEXTS_AT_ONCE = 8192


class Vectors:
    """Embeddings in one or more tables (texts, d) that stay on the disk; places count through all of them."""

    def __init__(self, tables: Sequence[np.ndarray]) -> None:
        self._tables = tables
        self._begins = [0, *accumulate(len(table) for table in tables)]

    def __len__(self) -> int:
        return self._begins[-1]

    @property
    def width(self) -> int:
        return int(self._tables[0].shape[1])

    def gather(self, places: np.ndarray) -> np.ndarray:
        """The embeddings (places, d) at ``places``, float32."""
        found = np.empty((len(places), self.width), dtype=np.float32)
        for table, begin in zip(self._tables, self._begins, strict=False):
            inside = (places >= begin) & (places < begin + len(table))
            found[inside] = table[places[inside] - begin]
        return found


class Teacher:
    """A base as the one to learn from. Its network is loaded only when there is something to compute."""

    def __init__(self, name: str, *, max_length: int, device: str, cache: Path) -> None:
        self.name = name
        self.identity = _identity(name, max_length)
        self._max_length = max_length
        self._device = device
        self._cache = cache
        self._embed: Callable[..., np.ndarray] | None = None

    def vectors(self, parts: Sequence[Sequence[str]], reporter: Reporter) -> Vectors:
        """The embeddings of every part's texts, each part a file of the cache of its own."""
        total, done = sum(map(len, parts)), 0
        tables = []
        for texts in parts:
            before = done

            def tell(count: int, before: int = before) -> None:
                step = before + count
                reporter.report("pretrain", step=step, total_steps=total, epoch=step / total)

            tables.append(self._table(texts, tell))
            done += len(texts)
        return Vectors(tables)

    def _table(self, texts: Sequence[str], tell: Callable[[int], None]) -> np.ndarray:
        digest = hashlib.sha256(self.identity.encode())
        for text in texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        path = self._cache / f"{digest.hexdigest()[:32]}.npy"
        if is_first() and not path.is_file():
            self._cache.mkdir(parents=True, exist_ok=True)
            self._compute(texts, path, tell)
        wait_for_all()
        table: np.ndarray = np.load(path, mmap_mode="r")
        return table

    def _compute(self, texts: Sequence[str], path: Path, tell: Callable[[int], None]) -> None:
        half, note = path.with_suffix(".half"), path.with_suffix(".json")
        done, table = 0, None
        if half.is_file() and note.is_file():
            done = int(json.loads(note.read_text(encoding="utf-8"))["done"])
            table = np.lib.format.open_memmap(half, mode="r+")
        while done < len(texts) or table is None:
            part = texts[done : done + _TEXTS_AT_ONCE]
            found = self._embedder()(part, after_batch=partial(tell, done))
            if table is None:
                # Halves are enough: their error moves a cosine by less than a millionth.
                shape = (len(texts), found.shape[1])
                table = np.lib.format.open_memmap(half, mode="w+", dtype=np.float16, shape=shape)
            table[done : done + len(part)] = found
            table.flush()
            done += len(part)
            note.write_text(json.dumps({"done": done}), encoding="utf-8")
            tell(done)
        half.rename(path)
        note.unlink(missing_ok=True)

    def _embedder(self) -> Callable[..., np.ndarray]:
        if self._embed is None:
            predictor = EmbeddingPredictor.from_base(
                self.name, max_length=self._max_length, device=self._device
            )
            self._embed = predictor.embed
        return self._embed


def _identity(name: str, max_length: int) -> str:
    """What decides the embeddings: weights, tokenizer and length. Raises BaseModelError."""
    source = resolve_base(name)
    known: dict[str, Any] = {"max_length": max_length}
    if isinstance(source, Path):
        files = [source / each for each in (WEIGHTS, TOKENIZER) if (source / each).is_file()]
        known["files"] = [sha256_file(file) for file in files]
    if not known.get("files"):
        known["name"] = str(source)
    return json.dumps(known, sort_keys=True)
