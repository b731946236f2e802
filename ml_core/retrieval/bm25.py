"""BM25 from statistics that somebody else keeps: the formula without the index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bm25:
    """score(d, q) = Σ idf(t) · f / (f + k1 · (1 − b + b · |d| / mean |d|)), over the terms t of q, f being how often t
    is in d; idf(t) = ln(1 + (N − n + ½) / (n + ½)), n of N documents having t.

    ``k1``: how soon a term that is repeated says nothing more; ``b``: how much length counts.

    Source: Robertson and Zaragoza 2009, The Probabilistic Relevance Framework; the form is Lucene's, which is that of
    `bm25s` by default.
    """

    k1: float = 1.2
    b: float = 0.75

    def rarity(self, documents: int, having: npt.ArrayLike) -> Numbers:
        """idf of terms that so many of the ``documents`` have."""
        n = np.asarray(having, np.float64)
        found: Numbers = np.log1p((np.maximum(documents, n) - n + 0.5) / (n + 0.5))
        return found

    def bound(self, documents: int, having: npt.ArrayLike) -> float:
        """What no text can exceed: the sum of the terms' rarities."""
        return float(self.rarity(documents, having).sum())

    def scores(
        self,
        counts: npt.ArrayLike,
        lengths: npt.ArrayLike,
        *,
        having: npt.ArrayLike,
        documents: int,
        mean_length: float,
    ) -> Numbers:
        """Scores, (documents,), of those with ``counts``, (documents, terms), and ``lengths``, (documents,); the terms
        are distinct, ``having`` of all ``documents`` have each, and the mean length is theirs."""
        parts = self.parts(
            counts, lengths, having=having, documents=documents, mean_length=mean_length
        )
        found: Numbers = parts.sum(1)
        return found

    def parts(
        self,
        counts: npt.ArrayLike,
        lengths: npt.ArrayLike,
        *,
        having: npt.ArrayLike,
        documents: int,
        mean_length: float,
    ) -> Numbers:
        """What each term adds to each score: (documents, terms)."""
        often = np.asarray(counts, np.float64)
        long = np.asarray(lengths, np.float64)[:, None] / max(mean_length, 1e-9)
        found: Numbers = (
            self.rarity(documents, having)
            * often
            / (often + self.k1 * (1 - self.b + self.b * long))
        )
        return found
