"""Rows as gzipped JSON lines, in shards, the same bytes for the same rows."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

TRAIN_SHARD = "train-{:05d}.jsonl.gz"
TRAIN_SHARDS = "train-*.jsonl.gz"
VALIDATION = "validation.jsonl.gz"


class _Lines:
    """A gzip stream at the end of a file; without the time, which gzip would write into it."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")
        # Level 6 of zlib is half as fast as reading and judging; 4 loses 3 % of size.
        self._gzip = gzip.GzipFile(
            filename="", mode="wb", fileobj=self._file, mtime=0, compresslevel=4
        )
        self._text = io.TextIOWrapper(self._gzip, encoding="utf-8", newline="\n")

    def write(self, row: Mapping[str, Any]) -> None:
        self._text.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._text.close()
        self._file.close()


def cut_back(directory: Path, *, next_shard: int, validation_bytes: int) -> None:
    """Take away the shards from number ``next_shard`` on, and what is behind ``validation_bytes``."""
    for path in directory.glob(TRAIN_SHARDS):
        if int(path.name[6:11]) >= next_shard:
            path.unlink()
    with (directory / VALIDATION).open("ab") as file:
        file.truncate(validation_bytes)


class ShardWriter:
    """The rows of one source: shards of its own from number ``first_shard`` on, and the end of the validation file."""

    def __init__(self, directory: Path, *, first_shard: int, shard_characters: int) -> None:
        self._directory = directory
        self._shard_characters = shard_characters
        self._characters = 0
        self.next_shard = first_shard
        self._shard: _Lines | None = None
        self._validation: _Lines | None = None
        self._validation_path = directory / VALIDATION

    def train(self, row: Mapping[str, Any], characters: int) -> None:
        if self._shard is not None and self._characters + characters > self._shard_characters:
            self._shard.close()
            self._shard = None
        if self._shard is None:
            self._shard = _Lines(self._directory / TRAIN_SHARD.format(self.next_shard))
            self.next_shard += 1
            self._characters = 0
        self._shard.write(row)
        self._characters += characters

    def validate(self, row: Mapping[str, Any]) -> None:
        if self._validation is None:
            self._validation = _Lines(self._validation_path)
        self._validation.write(row)

    def close(self) -> int:
        """Finish the files; the bytes of the validation file."""
        for each in (self._shard, self._validation):
            if each is not None:
                each.close()
        self._shard = self._validation = None
        return self._validation_path.stat().st_size
