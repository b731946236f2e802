"""The texts that servers are asked: real English, with lengths as they come in practice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from bench.training.data import load
from ml_core.models import resolve_base
from ml_core.models.bases import PACKAGED

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Log-normal with a median of e^3.4 = 30 tokens: the mean is 43, one in a hundred has over 190.
_MU, _SIGMA, _SHORTEST, _LONGEST = 3.4, 0.8, 6, 256


@cache
def tokenizer() -> Tokenizer:
    """The packaged base's, without truncation and padding."""
    from tokenizers import Tokenizer

    found: Tokenizer = Tokenizer.from_file(str(Path(resolve_base(PACKAGED)) / "tokenizer.json"))
    found.no_padding()
    found.no_truncation()
    return found


def realistic(count: int, seed: int = 0) -> list[str]:
    """Passages of BBC and Reuters news whose lengths in tokens are log-normal with a mean of 43, in an order by chance;
    no passage twice. Raises ValueError when the news have not so many words."""
    rng = random.Random(seed)
    passages = _Passages(seed)
    return [
        passages.take(min(max(round(rng.lognormvariate(_MU, _SIGMA)) + 2, _SHORTEST), _LONGEST))
        for _ in range(count)
    ]


def short_queries(count: int, seed: int = 0) -> list[str]:
    """Questions of bank customers (BANKING77), in an order by chance, no text twice."""
    whole = load("banking77")
    found = sorted({row["text"].strip() for row in [*whole.train, *whole.test]})
    random.Random(seed).shuffle(found)
    if len(found) < count:
        raise ValueError(f"BANKING77 has {len(found):,} different texts, not {count:,}")
    return found[:count]


def of_length(count: int, tokens: int, seed: int = 0) -> list[str]:
    """Passages of news of ``tokens`` tokens, special tokens included, at most, and few less."""
    passages = _Passages(seed)
    return [passages.take(tokens) for _ in range(count)]


def mean_tokens(texts: list[str]) -> float:
    """Tokens of a text on average, special ones included."""
    return sum(len(each.ids) for each in tokenizer().encode_batch(texts)) / len(texts)


WORKLOADS = {"realistic": realistic, "short queries": short_queries}


class _Passages:
    """Runs of words of the news, one after the other, so that none is given twice."""

    def __init__(self, seed: int) -> None:
        self._words = _words(seed)

    def take(self, tokens: int) -> str:
        """The next words that make at most ``tokens`` tokens with the two special ones."""
        taken: list[str] = []
        left = tokens - 2
        while left > 0:
            word, size = next(self._words, ("", 0))
            if not word:
                raise ValueError("the news have not so many words")
            if size > left and taken:
                break
            taken.append(word)
            left -= size
        return " ".join(taken)


def _words(seed: int) -> Iterator[tuple[str, int]]:
    """(word, its tokens) of the articles, which come in an order by chance."""
    articles = [row["text"] for name in ("bbc", "reuters") for row in load(name).train]
    random.Random(seed).shuffle(articles)
    for article in articles:
        words = article.split()
        for word, encoding in zip(
            words, tokenizer().encode_batch(words, add_special_tokens=False), strict=True
        ):
            yield word, len(encoding.ids)
