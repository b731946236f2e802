"""The one normal form that every other text function starts from."""

from __future__ import annotations

import re
import unicodedata

# Code points that take no part in reading a text: controls (Cc), format characters (Cf: zero-width
# spaces and joiners, soft hyphen, bidirectional marks, byte order mark), lone surrogates (Cs) and
# the private use area. White space is folded first, so tab and newline never get here.
INVISIBLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\ue000-\uf8ff"
    "\U000e0000-\U000e01ef\U000f0000-\U0010ffff]"
)


def normalise(text: str) -> str:
    """NFKC, without invisible characters, every run of white space one space, ends trimmed.

    Idempotent: ``normalise(normalise(t)) == normalise(t)``. Full-width letters and digits become
    their ordinary forms, so ``"Ａ股 １２％"`` and ``"A股 12%"`` are the same text.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    folded = " ".join(unicodedata.normalize("NFKC", text).split())
    cleaned = INVISIBLE.sub("", folded)
    if cleaned != folded:
        # What was hidden may have kept characters apart that now compose or spaces that now meet.
        cleaned = " ".join(unicodedata.normalize("NFKC", cleaned).split())
    return cleaned
