"""Converts the StockNet tweets (Xu and Cohen, ACL 2018) to documents as the REST interface takes them.

``script/convert-stocknet SRC OUT.jsonl``; SRC is a tar archive (compressed or not) that holds
``tweet/preprocessed/TICKER/DATE`` files of JSON lines with ``text`` (tokens) and ``created_at``.

* ``external_id`` is ``stocknet-TICKER-DATE-LINE`` with the line's number in its file, from 1: unique,
  equal on every run. It names the message as filed under a ticker: a tweet about two tickers is in
  the set twice and stays two documents (of one story), as do the set's own repeated lines.
* ``language`` is left out, for the receiver to detect: about 2.6 % of the messages are not English.
* The author's id is left out: it is personal data that nothing here needs.
* The documents are in order of ``published_at``, ready for a replay in event time.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

_MEMBER = re.compile(r"(?:^|/)tweet/preprocessed/([^/]+)/(\d{4}-\d\d-\d\d)$")
# The set's tokeniser split cash tags ("$ aapl") and hash tags; they are one word in a headline.
_SPLIT_TAG = re.compile(r"([$#]) (?=[a-z])")
_SPLIT_POINT = re.compile(r" (?=[.,:;!?%)](?:\s|$))")
_CREATED = "%a %b %d %H:%M:%S %z %Y"


def to_document(ticker: str, date: str, line_number: int, line: bytes) -> dict[str, Any]:
    """One line of the set as a REST document. Raises ValueError that says what is wrong with it."""
    try:
        message = json.loads(line)
        text = " ".join(message["text"])
        created = datetime.strptime(message["created_at"], _CREATED).astimezone(UTC)
    except (KeyError, TypeError) as error:
        raise ValueError(f"no usable text and created_at ({error!r})") from error
    title = _SPLIT_POINT.sub("", _SPLIT_TAG.sub(r"\1", text)).strip()
    if not title:
        raise ValueError("empty text")
    return {
        "external_id": f"stocknet-{ticker}-{date}-{line_number:03d}",
        "source": f"StockNet {ticker}",
        "title": title,
        "published_at": created.isoformat(),
    }


def _lines(source: Path) -> Iterator[tuple[str, str, int, bytes]]:
    """``(ticker, date, line number, line)`` of every message, with a progress bar on stderr."""
    with (
        source.open("rb") as raw,
        tarfile.open(fileobj=raw, mode="r|*") as archive,
        tqdm(total=source.stat().st_size, unit="B", unit_scale=True, desc=source.name) as bar,
    ):
        for member in archive:
            bar.update(raw.tell() - bar.n)
            place = _MEMBER.search(member.name)
            handle = archive.extractfile(member) if place else None
            if place and handle:
                for number, line in enumerate(handle, start=1):
                    if line.strip():
                        yield place[1], place[2], number, line


def convert(source: Path, target: Path) -> tuple[int, int]:
    """Write the messages of the archive ``source`` to ``target`` as JSON lines.

    Returns how many were written and how many could not be read; the latter are named on stderr.
    ``target`` appears only when it is complete. Memory holds one line and the order of the lines.
    Raises ValueError when ``source`` holds no messages and OSError or tarfile.TarError when it
    cannot be read.
    """
    order: list[tuple[str, str, int]] = []
    unreadable = 0
    with tempfile.TemporaryFile() as spool:
        for ticker, date, number, line in _lines(source):
            try:
                document = to_document(ticker, date, number, line)
            except ValueError as error:
                unreadable += 1
                tqdm.write(f"{ticker}/{date} line {number}: {error}", file=sys.stderr)
                continue
            order.append((document["published_at"], document["external_id"], spool.tell()))
            spool.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")
        if not order:
            raise ValueError(f"{source} holds no tweet/preprocessed/TICKER/DATE messages")
        order.sort()
        part = target.with_name(f"{target.name}.part")
        with part.open("wb") as out:
            _copy_in_order(spool, [offset for _, _, offset in order], out)
        part.replace(target)
    return len(order), unreadable


def _copy_in_order(spool: IO[bytes], offsets: list[int], out: IO[bytes]) -> None:
    for offset in offsets:
        spool.seek(offset)
        out.write(spool.readline())


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="convert-stocknet", description="StockNet tweets to JSON lines of REST documents."
    )
    parser.add_argument("source", type=Path, help="stocknet_preprocessed.tar.xz")
    parser.add_argument("target", type=Path, help="the .jsonl file to write")
    options = parser.parse_args(arguments)
    try:
        written, unreadable = convert(options.source, options.target)
    except (OSError, tarfile.TarError, ValueError) as error:
        sys.stderr.write(f"convert-stocknet: {error}\n")
        return 1
    sys.stdout.write(f"{written} documents in {options.target}, {unreadable} lines unreadable\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
