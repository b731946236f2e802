"""Which of two models is better, on the same examples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml_core.evaluation import generation, metrics
from ml_core.evaluation.answers import Answers
from ml_core.evaluation.intervals import (
    RESAMPLES,
    Difference,
    Statistic,
    mean_of_sums,
    paired_bootstrap,
)

# Of answers that are better or worse, not right or wrong: closer than this they are equally good.
_TIE = 1e-4


@dataclass(frozen=True)
class PairedTest:
    """Two models on the same rows. ``figure`` is the headline's name, ``difference`` the second's minus the first's;
    ``won`` rows are those that the second answers better. ``mcnemar_p`` is for answers that are right or wrong: the
    p-value of "both are right equally often", None for other answers.
    """

    figure: str
    difference: Difference
    rows: int
    won: int
    lost: int
    tied: int
    mcnemar_p: float | None


def compare_answers(first: Answers, second: Answers, *, seed: int = 0) -> PairedTest:
    """How sure it is that the second model is better or worse than the first on the same rows.

    The difference of the headline and its 95 % interval are those of the paired bootstrap: rows are drawn with
    replacement, 2,000 times, both models' answers to a row together, so that what makes a row hard for both cancels
    out. The interval is narrower than two intervals side by side tell, often by far.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile interval); Koehn 2004
    for pairs of systems; McNemar 1947 for the rows that only one of them has right.

    Raises ValueError when they did not answer the same rows for the same figure, or none.
    """
    if first.headline != second.headline:
        raise ValueError(f"{first.headline} and {second.headline} are not the same figure")
    if list(first.lines) != list(second.lines) or list(first.true) != list(second.true):
        raise ValueError("the two models have not answered the same rows")
    one, two, statistic = _rows(first, second)
    difference = paired_bootstrap(one, two, statistic, resamples=2 * RESAMPLES, seed=seed)
    apart = second.scores - first.scores
    won, lost = int((apart > _TIE).sum()), int((apart < -_TIE).sum())
    p_value = None
    if first.judged and second.judged:
        right = (first.scores >= 1, second.scores >= 1)
        p_value = mcnemar(int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum()))
    count = len(first)
    return PairedTest(first.headline, difference, count, won, lost, count - won - lost, p_value)


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value that two models are right equally often, from the numbers of rows that only one of
    them has right: of these each would be either's with probability one half.

    p = min(1, 2 · P(X <= min(only_first, only_second))), X ~ Binomial(only_first + only_second, 1/2).

    Source: McNemar 1947, Note on the sampling error of the difference between correlated proportions or percentages;
    the exact form is the sign test.
    """
    trials = only_first + only_second
    logs = [
        math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
        for k in range(min(only_first, only_second) + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(log - trials * math.log(2)) for log in logs))


def _rows(first: Answers, second: Answers) -> tuple[np.ndarray, np.ndarray, Statistic]:
    """What the headline is a function of, for both, of shape (rows, columns), and that function."""
    if first.sums is not None and second.sums is not None:
        statistic = (
            generation.chrf_of_sums if first.headline == "chrf" else metrics.micro_f1_of_sums
        )
        return first.sums, second.sums, statistic
    if len(first.true):
        labels = np.array([*first.true, *first.said, *second.said])
        names, places = np.unique(labels, return_inverse=True)
        true, one, two = np.split(places, 3)
        counts = [metrics.label_counts(true, said, len(names)) for said in (one, two)]
        return counts[0], counts[1], metrics.macro_f1_of_sums
    ones = np.ones(len(first))
    means = [np.column_stack([each.scores, ones]) for each in (first, second)]
    return means[0], means[1], mean_of_sums


def compare_labels(
    truth: Sequence[str], first: Sequence[str], second: Sequence[str], *, seed: int = 0
) -> dict[str, Difference]:
    """How the second model's labels differ from the first's in ``accuracy`` and ``macro_f1``.

    All three have one label per example, in the same order. A difference whose interval holds 0 may
    be chance. Raises ValueError for no examples or different lengths.
    """
    if not (len(truth) == len(first) == len(second)):
        raise ValueError(f"{len(truth)} labels against {len(first)} and {len(second)} predictions")
    names, places = np.unique(np.array([*truth, *first, *second]), return_inverse=True)
    true, one, two = np.split(places, 3)
    rows = [metrics.label_counts(true, predicted, len(names)) for predicted in (one, two)]
    statistics = {"accuracy": metrics.accuracy_of_sums, "macro_f1": metrics.macro_f1_of_sums}
    return {
        name: paired_bootstrap(rows[0], rows[1], statistic, resamples=2 * RESAMPLES, seed=seed)
        for name, statistic in statistics.items()
    }
