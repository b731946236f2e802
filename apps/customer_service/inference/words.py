"""Which words a text holds, for the search in the inbox."""

from __future__ import annotations

import re

from ml_core.retrieval import fold_traditional
from ml_core.text import normalise

# More than this of one message is not searched.
MOST = 400
LONGEST = 100
_WORD = re.compile(r"[^\W_]+")
_CHINESE = re.compile(r"[\u3400-\u9fff]+")


def words_of(text: str) -> list[str]:
    """The distinct words of a text, normalised; of Chinese, in Simplified characters, each and each pair of neighbours.

    Pairs instead of a dictionary's words: a part of a word is found as well, and the web process loads no dictionary.
    """
    found: dict[str, None] = {}
    for word in _WORD.findall(fold_traditional(normalise(text).casefold())):
        rest = _CHINESE.sub(" ", word).split()
        pieces = [part[:LONGEST] for part in rest]
        for run in _CHINESE.findall(word):
            pieces += list(run) + [run[at : at + 2] for at in range(len(run) - 1)]
        found.update(dict.fromkeys(pieces))
    return list(found)[:MOST]
