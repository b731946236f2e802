"""Which of two models is better, on the same examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_core.evaluation import metrics
from ml_core.evaluation.intervals import RESAMPLES, Difference, paired_bootstrap


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
