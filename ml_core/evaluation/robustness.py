"""How much a classifier loses on texts that say the same in a slightly different form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ml_core.data.errors import DataError
from ml_core.data.examples import read_examples
from ml_core.evaluation.intervals import Interval, bootstrap_mean
from ml_core.evaluation.perturbations import PERTURBATIONS, perturb
from ml_core.evaluation.reports.common import Report, aligned, shown

PARAPHRASE = "paraphrase"
_MOST_FLIPS = 5

Predict = Callable[[list[str]], Sequence[str]]
"""The label of each text, in order."""


@dataclass(frozen=True)
class Flip:
    """A text that was rightly labelled and no longer is after the change."""

    text: str
    changed: str
    label: str
    predicted: str


@dataclass(frozen=True)
class PerturbationScores:
    """One perturbation. ``changed``: how many texts it changed; all else is over these:
    ``accuracy_before`` and ``accuracy``, ``drop`` = before - after with its 95 % interval (paired,
    by text), and ``flip_rate``: the share whose label changed, rightly or wrongly."""

    changed: int
    accuracy_before: float
    accuracy: float
    drop: float
    drop_interval: Interval
    flip_rate: float
    flips: tuple[Flip, ...]


@dataclass(frozen=True, kw_only=True)
class RobustnessReport(Report):
    """A classifier under perturbations; the headline is the mean accuracy over the perturbations,
    each counting alike. ``accuracy`` is that on the texts as they are; ``worst`` names the
    perturbation with the largest drop. Perturbations that changed no text are left out."""

    kind: ClassVar[str] = "robustness"

    accuracy: float
    perturbed_accuracy: float
    mean_drop: float
    mean_flip_rate: float
    worst: str
    perturbations: dict[str, PerturbationScores]


def robustness_report(
    predict: Predict,
    texts: Sequence[str],
    truth: Sequence[str],
    *,
    perturbations: Sequence[str] | None = None,
    rate: float = 0.1,
    seed: int = 13,
    paraphrases: Mapping[str, Sequence[str]] | None = None,
    paraphrase: Callable[[list[str]], Sequence[str]] | None = None,
) -> RobustnessReport:
    """Predict the texts as they are and after each perturbation (default: all of `PERTURBATIONS`).

    ``paraphrases`` has other wordings by text (see `read_paraphrases`; texts without one are left
    out), ``paraphrase`` makes one for each text, e.g. with a language model; either adds a
    perturbation called "paraphrase".

    Raises ValueError for no texts, lengths that differ, an unknown perturbation, both kinds of
    paraphrases, or when nothing could be changed.
    """
    aligned(len(texts), truth=truth)
    if paraphrases is not None and paraphrase is not None:
        raise ValueError("paraphrases and paraphrase exclude each other")
    texts = list(texts)
    before = _checked(predict, texts)
    tables: dict[str, list[tuple[int, str]]] = {}
    for name in PERTURBATIONS if perturbations is None else perturbations:
        changed = perturb(texts, name, rate=rate, seed=seed)
        tables[name] = [(at, new) for at, new in enumerate(changed) if new != texts[at]]
    if paraphrases is not None:
        tables[PARAPHRASE] = [
            (at, new) for at, text in enumerate(texts) for new in paraphrases.get(text, ())
        ]
    elif paraphrase is not None:
        written = paraphrase(texts)
        aligned(len(texts), paraphrases=written)
        tables[PARAPHRASE] = [(at, new) for at, new in enumerate(written) if new != texts[at]]
    scores = {
        name: _scores(predict, texts, truth, before, changes)
        for name, changes in tables.items()
        if changes
    }
    if not scores:
        raise ValueError("none of the perturbations changes any of the texts")
    right = np.array([a == b for a, b in zip(before, truth, strict=True)], dtype=float)
    means = {
        key: float(np.mean([getattr(each, key) for each in scores.values()]))
        for key in ("accuracy", "drop", "flip_rate")
    }
    return RobustnessReport(
        headline="perturbed_accuracy",
        count=len(texts),
        intervals={"accuracy": bootstrap_mean(right)},
        accuracy=float(right.mean()),
        perturbed_accuracy=means["accuracy"],
        mean_drop=means["drop"],
        mean_flip_rate=means["flip_rate"],
        worst=max(scores, key=lambda name: scores[name].drop),
        perturbations=scores,
    )


def read_paraphrases(
    path: Path | str, *, text: str = "text", paraphrase: str = "paraphrase"
) -> dict[str, list[str]]:
    """The other wordings of each text from a CSV, JSONL or Parquet file with a text and one
    paraphrase a row.

    Raises DataError (file, line, what is wrong) as `ml_core.data.read_examples` does, and where a
    text is its own paraphrase.
    """
    found: dict[str, list[str]] = {}
    for row in read_examples(path, text=text, label=paraphrase):
        if row.text.strip() == row.label:
            raise DataError("the paraphrase is the text itself", path=path, line=row.line)
        found.setdefault(row.text, []).append(row.label)
    return found


def _checked(predict: Predict, texts: list[str]) -> list[str]:
    labels = list(predict(texts))
    if len(labels) != len(texts):
        raise ValueError(f"{len(labels)} labels were predicted for {len(texts)} texts")
    return labels


def _scores(
    predict: Predict,
    texts: list[str],
    truth: Sequence[str],
    before: Sequence[str],
    changes: list[tuple[int, str]],
) -> PerturbationScores:
    after = _checked(predict, [new for _, new in changes])
    was = np.array([before[at] == truth[at] for at, _ in changes], dtype=float)
    now = np.array(
        [label == truth[at] for label, (at, _) in zip(after, changes, strict=True)], dtype=float
    )
    moved = [label != before[at] for label, (at, _) in zip(after, changes, strict=True)]
    flips = [
        Flip(text=shown(texts[at]), changed=shown(new), label=truth[at], predicted=after[row])
        for row, (at, new) in enumerate(changes)
        if was[row] > now[row]
    ]
    return PerturbationScores(
        changed=len(changes),
        accuracy_before=float(was.mean()),
        accuracy=float(now.mean()),
        drop=float((was - now).mean()),
        drop_interval=bootstrap_mean(was - now),
        flip_rate=float(np.mean(moved)),
        flips=tuple(flips[:_MOST_FLIPS]),
    )
