"""Groups of texts that must not be parted: equal ones, similar ones, those of one person or document."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ml_core.text import minhash_signature

_PERMUTATIONS = 64
_BANDS = 16
_EMPTY = np.uint32(0xFFFFFFFF)
_BLOCK = 4096


class Groups:
    """Union-find over places 0, 1, 2, …; with path halving, joined by the smaller place."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._first: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._parent)

    def add(self, place: int) -> None:
        """A new place, alone. Places come in order."""
        if place != len(self._parent):
            raise ValueError(f"place {place} comes after {len(self._parent) - 1}")
        self._parent.append(place)

    def find(self, place: int) -> int:
        """The place that stands for the group."""
        parent = self._parent
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    def join(self, first: int, second: int) -> None:
        """Make two groups one."""
        one, other = sorted((self.find(first), self.find(second)))
        self._parent[other] = one

    def join_key(self, place: int, key: bytes) -> None:
        """Join a place with all others of the same key."""
        self.join(self._first.setdefault(key, place), place)


def join_near_duplicates(groups: Groups, texts: Iterable[str], *, threshold: float) -> None:
    """Join the places of texts whose estimated Jaccard similarity is at least `threshold`.

    `texts` are read once, in the order of the places, which may be added while they are read. Candidates share a band
    of their MinHash (locality-sensitive hashing: Leskovec, Rajaraman and Ullman, chapter 3). Memory: 64 numbers of 4
    bytes a text. Within a band texts are compared with the first of their bucket and with the one before them.
    """
    signatures = _signatures(texts)
    rows = _PERMUTATIONS // _BANDS
    full = np.flatnonzero((signatures != _EMPTY).any(axis=1))
    for band in range(_BANDS):
        keys = np.ascontiguousarray(signatures[full, band * rows : (band + 1) * rows])
        order = np.lexsort(keys.T[::-1])
        ordered = keys[order]
        same = np.concatenate([[False], (ordered[1:] == ordered[:-1]).all(axis=1)])
        first = 0
        for at in np.flatnonzero(same):
            if not same[at - 1]:
                first = int(at) - 1
            place = int(full[order[at]])
            for other in {int(full[order[first]]), int(full[order[at - 1]])}:
                if groups.find(place) == groups.find(other):
                    continue
                if (signatures[place] == signatures[other]).mean() >= threshold:
                    groups.join(place, other)


def _signatures(texts: Iterable[str]) -> npt.NDArray[np.uint32]:
    """MinHash signatures, shape (texts, 64), grown in blocks: the number of texts is not known before."""
    blocks: list[npt.NDArray[np.uint32]] = []
    block = np.empty((_BLOCK, _PERMUTATIONS), dtype=np.uint32)
    used = 0
    for text in texts:
        if used == _BLOCK:
            blocks.append(block)
            block, used = np.empty_like(block), 0
        block[used] = minhash_signature(text, permutations=_PERMUTATIONS)
        used += 1
    return np.concatenate([*blocks, block[:used]])
