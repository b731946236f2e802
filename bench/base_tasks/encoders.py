"""The encoders that are measured side by side, and their vectors, computed once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ml_core.models.bases import PACKAGED, ROOTSTOCK_MINI, BaseModelError, resolve_base
from ml_core.models.found_bases import BASES_VARIABLE, base_digest
from rootstock.config.embedded import var_directory

if TYPE_CHECKING:
    from ml_core.models.embedding import EmbeddingPredictor

# As the floors were tried: a longer answer says little that its first 256 tokens do not.
MAX_LENGTH = 256


@dataclass(frozen=True)
class Encoder:
    """A base by the name that the table shows, what `resolve_base` takes for it, and what its weights and vocabulary
    hash to."""

    name: str
    base: str
    digest: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of norm 1, shape (texts, hidden); kept on disk."""
        key = _hash(str(MAX_LENGTH), *texts)
        return self.kept(key, lambda: _predictor(self.base, self.digest).embed(texts))

    def kept(self, key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
        """The array of that key of this encoder, made if it was not made before."""
        path = var_directory() / "bench" / "base-vectors" / self.digest / f"{key}.npy"
        if not path.exists():
            made = make()
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(f".{os.getpid()}.npy")
            np.save(new, made)
            new.replace(path)
        found: np.ndarray = np.load(path)
        return found


def encoders() -> list[Encoder]:
    """The packaged one, rootstock-mini when its weights are here, and the model directories that ROOTSTOCK_BASES names
    or holds. Raises BaseModelError for one that cannot be used."""
    found = [_encoder(PACKAGED, PACKAGED)]
    try:
        resolve_base(ROOTSTOCK_MINI)
    except BaseModelError:
        pass  # this copy came without; the others are measured all the same
    else:
        found.append(_encoder(ROOTSTOCK_MINI, ROOTSTOCK_MINI))
    for folder in os.environ.get(BASES_VARIABLE, "").split(os.pathsep):
        if folder:
            found += [_encoder(path.name, str(path)) for path in _models(Path(folder).resolve())]
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise BaseModelError(f"{BASES_VARIABLE}: two models are called {name}; rename one")
    return found


def by_name(name: str) -> Encoder:
    """The encoder called ``name``."""
    return next(each for each in encoders() if each.name == name)


def _models(folder: Path) -> list[Path]:
    if (folder / "config.json").is_file():
        return [folder]
    below = sorted(path.parent for path in folder.glob("*/config.json"))
    if not below:
        raise BaseModelError(f"{folder}: neither a model directory nor a folder of such")
    return below


def _encoder(name: str, base: str) -> Encoder:
    directory = resolve_base(base)
    if not isinstance(directory, Path):
        raise BaseModelError(f"{base}: is on the hub; download it and name its directory")
    tokenizer = directory / "tokenizer.json"
    if not tokenizer.is_file():
        raise BaseModelError(f"{directory}: there is no tokenizer.json")
    vocabulary = hashlib.sha256(tokenizer.read_bytes()).hexdigest()
    return Encoder(name, base, _hash(base_digest(directory), vocabulary)[:20])


@cache
def _predictor(base: str, digest: str) -> EmbeddingPredictor:
    from ml_core.models.embedding import EmbeddingPredictor

    return EmbeddingPredictor.from_base(base, max_length=MAX_LENGTH)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
