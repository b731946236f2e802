"""Sentences that come as words: from raw text to words, from words to the windows an encoder reads."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

from tokenizers import Tokenizer, pre_tokenizers

from ml_core.knowledge.phrases import is_east_asian

# Only the first pieces of a word tell what it is; a word of a megabyte would cost seconds.
_WORD_CHARACTERS = 200
# Stands for a word of which the tokenizer's normalisation leaves nothing, as of a lone variation selector.
_NOTHING = "?"
_SHARED = 4

# Written as in the treebanks that tagged corpora come from, and as in tagged tweets: addresses, @names and #topics are
# one word, the clitics of "it's" and "don't" are words of their own, inner full stops, hyphens and commas in numbers
# do not part a word.
_WORD = re.compile(
    r"""
    https?://\S+ | www\.\S+ | [\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+
    | [@\#$][^\W\d_]\w*
    | (?:[^\W\d_]\.){2,}
    | ['’](?:s|m|d|re|ve|ll)\b
    | n['’]t\b
    | [^\W_](?:(?!n['’]t\b)\w | [.,:](?=\d) | [-&/.](?=\w))*
    | \S
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Word(NamedTuple):
    """``text[start:end]``."""

    text: str
    start: int
    end: int


def split_words(text: str, *, by_character: bool = False) -> list[Word]:
    """The words of a text with their places; every character but white space is in exactly one.

    Each East Asian character is a word of its own, as in the tagged corpora of these languages; ``by_character`` makes
    one of every character.
    """
    if by_character:
        return [Word(each, at, at + 1) for at, each in enumerate(text) if not each.isspace()]
    words = []
    for match in _WORD.finditer(text):
        start = match.start()
        for part in _east_asian_apart(match.group()):
            words.append(Word(part, start, start + len(part)))
            start += len(part)
    return words


def _east_asian_apart(word: str) -> list[str]:
    if not any(map(is_east_asian, word)):
        return [word]
    parts = [""]
    for character in word:
        if is_east_asian(character):
            parts += [character, ""]
        else:
            parts[-1] += character
    return [part for part in parts if part]


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a sentence that the encoder reads at once.

    ``ids`` are its pieces with the special tokens around them and ``pieces`` the word that each belongs to (-1: a
    special token). It speaks for ``words``; ``positions`` are the places of their first pieces. The other words are
    there to be seen.
    """

    ids: list[int]
    pieces: list[int]
    words: range
    positions: list[int]


class WordEncoder:
    """Cuts sentences of words into windows of at most ``max_length`` pieces, special tokens included.

    A sentence that is longer than a window is read through several that share about a quarter of their pieces; each
    word is spoken for by exactly one of them, in which it is not at the edge. Of a single word longer than a window
    its first pieces are read. Thread-safe.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_length: int) -> None:
        # A copy: the settings of the one that is handed in belong to others.
        own: Tokenizer = Tokenizer.from_str(tokenizer.to_str())
        own.no_padding()
        own.no_truncation()
        if isinstance(own.pre_tokenizer, pre_tokenizers.ByteLevel):
            # Byte-level vocabularies know most words by the blank before them.
            own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        self._tokenizer = own
        framed = own.encode([_NOTHING], is_pretokenized=True)
        inner = [place for place, special in enumerate(framed.special_tokens_mask) if not special]
        if not inner:
            raise ValueError(f"the tokenizer has no piece for {_NOTHING!r}")
        self._before: list[int] = framed.ids[: inner[0]]
        self._after: list[int] = framed.ids[inner[-1] + 1 :]
        self._nothing: list[int] = framed.ids[inner[0] : inner[-1] + 1]
        self._room = max_length - len(self._before) - len(self._after)

    @classmethod
    def from_file(cls, path: Path, *, max_length: int) -> Self:
        return cls(Tokenizer.from_file(str(path)), max_length=max_length)

    @property
    def keeps_case(self) -> bool:
        """Whether "US" and "us" differ."""
        upper, lower = (
            self._tokenizer.encode(sample, add_special_tokens=False).ids
            for sample in ("US Apple", "us apple")
        )
        return bool(upper != lower)

    def __call__(self, sentences: Sequence[Sequence[str]]) -> list[list[Window]]:
        """The windows of each sentence, in order; no words give no window."""
        cut = [[word[:_WORD_CHARACTERS] for word in words] for words in sentences]
        found = self._tokenizer.encode_batch(cut, is_pretokenized=True, add_special_tokens=False)
        result = []
        for words, encoding in zip(sentences, found, strict=True):
            pieces: list[list[int]] = [[] for _ in words]
            for piece, word in zip(encoding.ids, encoding.word_ids, strict=True):
                if word is not None:
                    pieces[word].append(piece)
            whole = [(each or self._nothing)[: self._room] for each in pieces]
            result.append([self._window(whole, *span) for span in self._spans(whole)])
        return result

    def _window(self, pieces: list[list[int]], seen: range, spoken_for: range) -> Window:
        ids = [*self._before]
        owners = [-1] * len(ids)
        positions = []
        for word in seen:
            if word in spoken_for:
                positions.append(len(ids))
            ids += pieces[word]
            owners += [word] * len(pieces[word])
        ids += self._after
        owners += [-1] * len(self._after)
        return Window(ids, owners, spoken_for, positions)

    def _spans(self, pieces: list[list[int]]) -> list[tuple[range, range]]:
        """The words that each window sees, and those it speaks for: up to the middle of what two windows share."""
        seen: list[range] = []
        start, count = 0, len(pieces)
        while start < count:
            end, room = start, self._room
            while end < count and len(pieces[end]) <= room:
                room -= len(pieces[end])
                end += 1
            seen.append(range(start, end))
            if end == count:
                break
            start, shared = end, self._room // _SHARED
            while start - 1 > seen[-1].start and len(pieces[start - 1]) <= shared:
                start -= 1
                shared -= len(pieces[start])
        borders = [
            0,
            *((a.stop + b.start) // 2 for a, b in itertools.pairwise(seen)),
            count,
        ]
        return [(each, range(borders[k], borders[k + 1])) for k, each in enumerate(seen)]
