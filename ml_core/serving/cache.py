"""Answers that were given before."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

# What an entry takes beside its JSON: its key, the digest's reference, its place in the table.
_ENTRY_BYTES = 300


class ResultCache:
    """Outputs by the digest of the model and the hash of the input; when they take more than ``limit_bytes`` the least
    recently used go first. With a limit of 0 nothing is kept."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._entries: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self.bytes = 0

    def get(self, digest: str, key: bytes) -> dict[str, Any] | None:
        """What the model said to this input, or None."""
        kept = self._entries.get((digest, key))
        if kept is None:
            return None
        self._entries.move_to_end((digest, key))
        output: dict[str, Any] = json.loads(kept)
        return output

    def put(self, digest: str, key: bytes, output: Mapping[str, Any]) -> None:
        """Keep an output; one that is larger than the cache is not kept."""
        if not self._limit:
            return
        kept = json.dumps(output, ensure_ascii=False, separators=(",", ":")).encode()
        if len(kept) + _ENTRY_BYTES > self._limit:
            return
        replaced = self._entries.pop((digest, key), None)
        if replaced is not None:
            self.bytes -= len(replaced) + _ENTRY_BYTES
        self._entries[digest, key] = kept
        self.bytes += len(kept) + _ENTRY_BYTES
        while self.bytes > self._limit:
            _, oldest = self._entries.popitem(last=False)
            self.bytes -= len(oldest) + _ENTRY_BYTES


def input_key(given: str | Mapping[str, Any]) -> bytes:
    """The hash of an input, 16 bytes."""
    text = isinstance(given, str)
    content = (given if isinstance(given, str) else json.dumps(given, sort_keys=True)).encode()
    # A text is never taken for an object that is written like it.
    return hashlib.blake2b(content, digest_size=16, person=b"text" if text else b"object").digest()
