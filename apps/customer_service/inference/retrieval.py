"""Fusing words and meaning, and choosing the share of each by questions whose answers are known."""

from __future__ import annotations

from collections.abc import Sequence

from ml_core.retrieval import (
    WEIGHT,
    Judged,
    fuse,
    paired_bootstrap,
    quality,
    ranking_scores,
    tune_weight,
)

__all__ = ["WEIGHT", "Judged", "fused", "gained", "judged", "ranking_figures", "tune_weight"]


def fused(
    cosines: Sequence[float], bm25s: Sequence[float], weight: float, *, bound: float
) -> list[float]:
    """The mixed scores, 0 to 1; see `ml_core.retrieval.fuse`."""
    return [float(score) for score in fuse(cosines, bm25s, weight, bound=bound)]


def judged(
    cosines: Sequence[float | None],
    bm25s: Sequence[float],
    *,
    bound: float,
    right: Sequence[bool],
    by_meaning: bool,
) -> Judged:
    """A question's candidates for `tune_weight`. Where no model compared meanings, the ranking is that by words
    whatever the weight, as the search has it."""
    near = (
        [each or 0.0 for each in cosines] if by_meaning else fused(bm25s, bm25s, 0.0, bound=bound)
    )
    return Judged(near, list(bm25s), bound, list(right))


def ranking_figures(ranks: Sequence[int]) -> dict[str, float]:
    """The means of Recall@1, Recall@5 and MRR@10 of questions whose right source has these ranks (0: none), and the
    mean of the three."""
    found = {name: float(values.mean()) for name, values in ranking_scores(ranks).items()}
    return {**found, "mean": float(quality(ranks).mean())}


def gained(before: Sequence[int], after: Sequence[int]) -> tuple[float, float, float]:
    """By how much the mean of the three is better on the same questions, and the 95 % interval of that."""
    apart = paired_bootstrap(quality(before), quality(after))
    return apart.difference, apart.interval.low, apart.interval.high
