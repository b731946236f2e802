"""Words and vectors together: scores on comparable scales, mixed by a weight that one's own questions choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_core.evaluation.intervals import Difference, mean_of_sums
from ml_core.evaluation.intervals import paired_bootstrap as bootstrap_sums

Scores = npt.NDArray[np.float64]

# The share of vectors where no questions have chosen one, for a model that reads the language.
WEIGHT = 0.6
_WEIGHTS = np.linspace(0, 1, 21)


def fuse(
    cosines: npt.ArrayLike, bm25s: npt.ArrayLike, weight: float, *, bound: npt.ArrayLike
) -> Scores:
    """weight · vectors + (1 − weight) · words, each from 0 to 1, of the same shape as ``cosines`` and ``bm25s``.

    words is s / (s + bound / 3): s a BM25 score, ``bound`` what no text could exceed (`Bm25.bound`), so that a text
    with a third of the question's rarity is half way. vectors is the cosine, 0 where it is negative. Neither depends on
    the other texts that were found: a score means the same for every question and every number of hits, and ``weight``
    1 and 0 give each ranking alone.

    Source: convex combination after Bruch, Gai and Ingber 2023, An Analysis of Fusion Functions for Hybrid Retrieval,
    which found it better than reciprocal ranks; so did the benchmark (docs/retrieval.md).

    Raises ValueError for a weight outside 0 to 1.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f"weight={weight}")
    said = np.maximum(np.asarray(bm25s, np.float64), 0)
    words = said / (said + np.maximum(np.asarray(bound, np.float64), 1e-9) / 3)
    found: Scores = weight * np.clip(cosines, 0, 1) + (1 - weight) * words
    return found


@dataclass(frozen=True)
class Judged:
    """A question's candidates: a score each by vectors and by words, the most that words could give, and which of them
    answer it; all of shape (candidates,). ``right`` may be false everywhere: the answer was not among them."""

    cosines: npt.ArrayLike
    bm25s: npt.ArrayLike
    bound: float
    right: npt.ArrayLike

    def rank(self, weight: float) -> int:
        """The place, from 1, of the best right candidate under a weight; those that score the same count as before it.
        0 when there is none."""
        right = np.asarray(self.right, bool)
        if not right.any():
            return 0
        scores = fuse(self.cosines, self.bm25s, weight, bound=self.bound)
        return int((scores >= scores[right].max())[~right].sum()) + 1


def tune_weight(questions: Sequence[Judged]) -> float:
    """The weight that ranks the right candidates of the questions best, by the mean of Recall@1, Recall@5 and MRR@10.

    Never worse on these questions than the better of vectors and words alone. A mixture is chosen only where it beats
    that one by more than the standard error of the difference, so that a few lucky questions do not decide; of
    mixtures that are equally good, the middle one.

    Raises ValueError without a question.
    """
    if not questions:
        raise ValueError("there is no question to tune by")
    gains = np.array(
        [quality([each.rank(float(weight)) for each in questions]) for weight in _WEIGHTS]
    )
    means = gains.mean(1)
    alone = 0 if means[0] >= means[-1] else len(_WEIGHTS) - 1
    best = np.flatnonzero(means >= means.max() - 1e-9)
    chosen = int(best[len(best) // 2])
    apart = gains[chosen] - gains[alone]
    error = apart.std() / np.sqrt(len(questions))
    return float(_WEIGHTS[chosen if apart.mean() > error else alone])


def quality(ranks: npt.ArrayLike) -> Scores:
    """The mean of Recall@1, Recall@5 and MRR@10 of each question, whose right answer has that rank (0: none)."""
    scores = ranking_scores(ranks)
    found: Scores = (scores["recall@1"] + scores["recall@5"] + scores["mrr@10"]) / 3
    return found


def ranking_scores(ranks: npt.ArrayLike) -> dict[str, Scores]:
    """``recall@1``, ``recall@5`` and ``mrr@10`` of each question, (questions,): the mean of each is the figure.

    ``ranks``: the place of the first right answer, from 1; 0 where none was found.
    """
    places = np.asarray(ranks, np.float64)
    found = places > 0
    return {
        "recall@1": (places == 1).astype(np.float64),
        "recall@5": (found & (places <= 5)).astype(np.float64),
        "mrr@10": np.where(found & (places <= 10), 1 / np.maximum(places, 1), 0.0),
    }


def paired_bootstrap(first: npt.ArrayLike, second: npt.ArrayLike) -> Difference:
    """How sure it is that the second ranking's score differs from the first's on the same questions, (questions,) each.

    See `ml_core.evaluation.paired_bootstrap`, of whose statistics this is the mean. Raises ValueError for different
    shapes or no questions.
    """
    rows = [np.column_stack([each, np.ones(len(np.asarray(each)))]) for each in (first, second)]
    return bootstrap_sums(rows[0], rows[1], mean_of_sums)
