"""How alike questions are, by their words and by their meaning, in one vector of each.

A text's words (and the pieces of four characters of them, which meet where a word is misspelt or bent) are weighed by
how rare they are among the questions at hand and hashed into a fixed number of dimensions. Beside them stands the
embedding, where a model reads the language. The product of two such vectors is then a weighted mean of two cosines,
and that of two means of vectors the mean likeness of all pairs: what average linkage asks for.

Source: feature hashing with signs, Weinberger et al. 2009; rarity as in `Bm25`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_core.retrieval import Bm25, content_terms

Vectors = npt.NDArray[np.float32]

# Hashed words of a text.
DIMENSIONS: Final = 2048
# Share of meaning against words, and from which likeness on two questions ask the same: with a model, and without.
# Chosen on half of the intents of the benchmark (bench/customer/clusters.py), reported on the other half.
MEANING: Final = 0.7
ALIKE: Final = 0.42
ALIKE_BY_WORDS: Final = 0.43
_PIECE: Final = 4
# Among a handful of questions on one thing its words are not rare, and yet they are what the questions share.
_OTHERS: Final = 100


def word_weights(texts: Sequence[str]) -> dict[str, float]:
    """How rare each word and piece is among these texts and `_OTHERS` that have none of them: what it counts."""
    having = Counter(term for text in texts for term in _bag(text))
    rarity = Bm25().rarity(len(texts) + _OTHERS, list(having.values()))
    return dict(zip(having, map(float, rarity), strict=True))


def word_vectors(texts: Sequence[str], weights: Mapping[str, float]) -> Vectors:
    """Of each text its hashed words, (texts, DIMENSIONS), of norm 1; words without a weight count nothing."""
    found = np.zeros((len(texts), DIMENSIONS), np.float32)
    for row, text in zip(found, texts, strict=True):
        for term in _bag(text):
            place, sign = _hashed(term)
            row[place] += sign * weights.get(term, 0.0)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    found /= np.maximum(norms, np.finfo(np.float32).tiny)
    return found


def likeness_vectors(words: Vectors, meanings: Vectors | None) -> Vectors:
    """Words beside meaning, each with its share: (texts, dimensions). `meanings` are of norm 1, or means of such."""
    if meanings is None:
        return words
    return np.hstack([np.sqrt(MEANING) * meanings, np.sqrt(1 - MEANING) * words]).astype(np.float32)


def _bag(text: str) -> dict[str, None]:
    """The distinct words of a text and the pieces of them; 轉帳 and 转账 give the same."""
    terms = content_terms(text)
    line = f" {' '.join(terms)} "
    pieces = (line[at : at + _PIECE] for at in range(len(line) - _PIECE + 1))
    return dict.fromkeys([*terms, *pieces])


@lru_cache(maxsize=100_000)
def _hashed(term: str) -> tuple[int, int]:
    number = int.from_bytes(hashlib.blake2b(term.encode(), digest_size=8).digest(), "big")
    return number % DIMENSIONS, 1 if number >> 63 else -1
