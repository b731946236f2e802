"""Exact and near-duplicates in a stream, with a memory that does not grow with it.

Fingerprints and MinHash signatures of the last ``capacity`` texts are kept in arrays; the oldest make room. What is
looked up is a direct-mapped table from a band of the signature to the text that had it last (`lsh_bands`), and its
signature is compared: a table that is too small forgets copies, it never invents one.

The tables follow from the texts in their order alone, and the texts are kept in a log, so that a run that goes on has
the same tables again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_core.text.duplicates import BANDS, PERMUTATIONS, Signature, lsh_bands

# Table slots a text: at 2 a lookup meets a later text's entry in 40 % of single bands; of 16 bands some are left.
_SLOTS = 2
_RECORD = np.dtype([("fingerprint", "<u8"), ("signature", "<u4", (PERMUTATIONS,))])
RECORD_BYTES = _RECORD.itemsize


class SeenTexts:
    """Which texts came before. ``similarity`` 0 leaves near-duplicates alone."""

    def __init__(self, capacity: int, similarity: float, log: Path) -> None:
        self._capacity = capacity
        self._similarity = similarity
        self._slots = _SLOTS * capacity
        # Pages of zeros take no memory until they are written to, so a small corpus costs little.
        self._exact = np.zeros(self._slots, dtype=np.uint64)
        self._signatures = np.zeros((capacity, PERMUTATIONS), dtype=np.uint32)
        # Number of the text + 1; 0 is none. Numbers of forgotten texts are told by their age.
        self._bands = np.zeros((BANDS, self._slots), dtype=np.uint32)
        self._count = 0
        self._log = log
        self._unwritten: list[tuple[int, Signature]] = []

    def __len__(self) -> int:
        return self._count

    def add(self, fingerprint: bytes, signature: Signature) -> str | None:
        """Remember a text, unless it is there already: then the rule that drops it."""
        number = int.from_bytes(fingerprint[:8], "little") or 1
        if int(self._exact[number % self._slots]) == number:
            return "duplicate"
        bands = self._band_slots(signature)
        if self._similarity and self._similar(bands, signature):
            return "near_duplicate"
        self._remember(number, signature, bands)
        self._unwritten.append((number, signature))
        return None

    def save(self) -> int:
        """Write what was added to the log; the number of texts in it."""
        records = np.zeros(len(self._unwritten), dtype=_RECORD)
        for place, (number, signature) in enumerate(self._unwritten):
            records[place] = (number, signature)
        with self._log.open("ab") as file:
            file.write(records.tobytes())
        self._unwritten = []
        return self._count

    def restore(self, count: int) -> None:
        """Go on behind the first ``count`` texts of the log; what is behind them is cut off."""
        with self._log.open("ab") as file:
            file.truncate(count * RECORD_BYTES)
        with self._log.open("rb") as file:
            while content := file.read(RECORD_BYTES * 4096):
                records: Any = np.frombuffer(content, dtype=_RECORD)
                for record in records:
                    signature = record["signature"].astype(np.uint32)
                    self._remember(
                        int(record["fingerprint"]), signature, self._band_slots(signature)
                    )

    def _band_slots(self, signature: Signature) -> npt.NDArray[np.int64]:
        """Empty for a text without letters, which is similar to nothing."""
        if not self._similarity:
            return np.zeros(0, dtype=np.int64)
        return np.array([band % self._slots for band in lsh_bands(signature)], dtype=np.int64)

    def _similar(self, slots: npt.NDArray[np.int64], signature: Signature) -> bool:
        if not len(slots):
            return False
        numbers = self._bands[np.arange(BANDS), slots].astype(np.int64) - 1
        numbers = np.unique(numbers[(numbers >= 0) & (numbers >= self._count - self._capacity)])
        if not len(numbers):
            return False
        others = self._signatures[numbers % self._capacity]
        return bool(((others == signature).mean(axis=1) >= self._similarity).any())

    def _remember(self, number: int, signature: Signature, slots: npt.NDArray[np.int64]) -> None:
        self._exact[number % self._slots] = number
        self._signatures[self._count % self._capacity] = signature
        if len(slots):
            self._bands[np.arange(BANDS), slots] = self._count + 1
        self._count += 1
