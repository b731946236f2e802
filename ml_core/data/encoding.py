"""Decode UTF-8, and when it is not UTF-8, say what it looks like and where it breaks."""

from __future__ import annotations

import codecs
from itertools import pairwise
from pathlib import Path

from ml_core.data.errors import DataError

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_SAMPLE_BYTES = 4096
_WINDOW_BYTES = 200


def decode_utf8(raw: bytes, path: Path) -> str:
    """Return the text of ``raw`` (a byte-order mark is dropped).

    Raises DataError naming the likely encoding, or the line of the first NUL byte.
    """
    for mark, name in _MARKS:
        if raw.startswith(mark):
            raise DataError(f"the file is {name}, not UTF-8; save it as UTF-8", path=path)
    sample = raw[:_SAMPLE_BYTES]
    if sample.count(0) > len(sample) // 4:
        raise DataError("the file looks like UTF-16, not UTF-8; save it as UTF-8", path=path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        guess = _likely_encoding(raw[error.start : error.start + _WINDOW_BYTES])
        raise DataError(
            f"not UTF-8 (byte 0x{raw[error.start]:02x}); it looks like {guess}; save it as UTF-8",
            path=path,
            line=line,
        ) from None
    nul = text.find("\0")
    if nul >= 0:
        raise DataError("a NUL byte", path=path, line=text.count("\n", 0, nul) + 1)
    return text


def _likely_encoding(window: bytes) -> str:
    """Chinese in GBK comes in pairs of high bytes that decode to common ideographs; accented
    Latin letters stand alone between ASCII ones."""
    text = window.decode("gb18030", errors="replace")
    ideographs = sum("\u4e00" <= character <= "\u9fff" for character in text)
    high_bytes = sum(byte >= 0x80 for byte in window)
    pairs = sum(a >= 0x81 and b >= 0xA1 for a, b in pairwise(window))
    if ideographs and pairs * 2 >= high_bytes:
        return "GBK (GB18030)"
    return "Latin-1 (Windows-1252)"
