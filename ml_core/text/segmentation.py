"""Words for lexical search and word counts."""

from __future__ import annotations

import functools
import logging
import re
import threading
from typing import Any

from ml_core.text.normal import normalise

# Inner apostrophes, full stops and hyphens keep a word together: don't, 3.5, U.S, year-end.
_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")
_LOAD = threading.Lock()


@functools.cache
def _jieba() -> Any:
    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    # initialize() would read its dictionary back with marshal from a fixed name in the shared
    # temporary directory, where anyone can plant a file; building it takes about a second instead.
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def segment(text: str, language: str, *, guess: bool = True) -> list[str]:
    """Casefolded words of ``text`` in order, without punctuation.

    ``"zh"`` uses jieba's search mode, which gives a long word and the words inside it
    (``"人工智能"`` -> ``["人工", "智能", "人工智能"]``); every other language splits at what is
    not a letter or digit. Without ``guess``, Chinese that jieba's dictionary does not have is given
    character by character, not as the words that its hidden Markov model sees there. The first
    Chinese call builds the dictionary (about one second).
    """
    folded = normalise(text).casefold()
    if language != "zh":
        return _WORD.findall(folded)
    with _LOAD:
        tokenizer = _jieba()
    words = (word.strip() for word in tokenizer.cut_for_search(folded, HMM=guess))
    return [word for word in words if any(character.isalnum() for character in word)]


def cut_chinese(text: str) -> list[str]:
    """Words, white space and punctuation of ``text`` as it is written: joined, they are it again."""
    with _LOAD:
        tokenizer = _jieba()
    return list(tokenizer.cut(text))


def chinese_word_counts() -> dict[str, int]:
    """How often each word of the segmenter's dictionary occurs in the corpus it was made from."""
    with _LOAD:
        tokenizer = _jieba()
    # The dictionary holds the beginnings of its words too, with the count 0.
    return {word: count for word, count in tokenizer.FREQ.items() if count}
