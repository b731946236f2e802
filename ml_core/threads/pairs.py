"""How probable it is that two reports tell of the same event: a logistic regression on seven figures of the pair.

    P(same) = 1 / (1 + exp(-(bias + Σ weight · feature)))

The seven, chosen on the training half of hand-labelled pairs (`script/bench finance --only stories` has them, fits the
model anew and shows what it is worth on the held-out half):

* cosine: of the two vectors;
* words: shared shingles of the titles over those of the shorter (Szymkiewicz-Simpson), 0 across languages;
* names: Σ of the rarity of shared names, where rarity = log(titles / titles with the name);
* days: between the two;
* languages: 1 across languages, where vectors of the same event are less alike;
* source: 1 when the same source published both: it seldom tells of one event twice in different words;
* dated: 1 when both titles carry a date, as the editions of a series do.

Shared figures were tried and made it worse: "3 %" is in every market report, and two accounts of one event round
differently.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ml_core.threads.reports import Report

FEATURES = ("cosine", "words", "names", "days", "languages", "source", "dated")
# Beyond this more shared names say nothing new.
_MOST_NAMES = 12.0
_SHIPPED = Path(__file__).with_name("pair_model.json")
# Of the standardised weights, as in scikit-learn's `C`.
_REGULARISATION = 0.3
_NEWTON_STEPS = 50


@dataclass(frozen=True, slots=True)
class PairModel:
    """Weights of the seven features, and how rare names are."""

    weights: Mapping[str, float]
    bias: float
    rarity: Mapping[str, float]
    unknown_rarity: float
    """Of a name that the table has not, such as an application's own entity."""

    def features(self, first: Report, second: Report) -> list[float]:
        """The seven figures of a pair, in the order of `FEATURES`; the order of the two does not matter."""
        across = first.chinese != second.chinese
        shared = first.names & second.names
        apart = abs((first.published_at - second.published_at).total_seconds())
        return [
            float(first.vector @ second.vector),
            0.0 if across else _overlap(first.shingles, second.shingles),
            min(_MOST_NAMES, sum(self.rarity.get(name, self.unknown_rarity) for name in shared)),
            apart / 86_400,
            float(across),
            float(first.source == second.source != ""),
            float(first.dated and second.dated),
        ]

    def probability(self, first: Report, second: Report) -> float:
        """That both tell of the same event, between 0 and 1."""
        score = self.bias + sum(
            self.weights[name] * value
            for name, value in zip(FEATURES, self.features(first, second), strict=True)
        )
        # beyond this the exponential overflows, and the answer is 0 or 1 anyway
        return 1.0 / (1.0 + math.exp(-max(-50.0, min(50.0, score))))

    def to_json(self) -> dict[str, Any]:
        """A dictionary of JSON types."""
        return {
            "weights": {name: round(value, 4) for name, value in self.weights.items()},
            "bias": round(self.bias, 4),
            "unknown_rarity": round(self.unknown_rarity, 3),
            "rarity": {name: round(value, 3) for name, value in sorted(self.rarity.items())},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of `to_json`. Raises ValueError that says what is wrong."""
        try:
            weights = {name: float(data["weights"][name]) for name in FEATURES}
            rarity = {str(name): float(value) for name, value in data["rarity"].items()}
            return cls(weights, float(data["bias"]), rarity, float(data["unknown_rarity"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no pair model: {error!r}") from error


@cache
def shipped_model() -> PairModel:
    """The model that comes with the package."""
    return PairModel.from_json(json.loads(_SHIPPED.read_text(encoding="utf-8")))


def name_rarity(titles: Iterable[frozenset[str]]) -> tuple[dict[str, float], float]:
    """The rarity of each name in titles, given as their names, and that of a name seen in none.

    Raises:
        ValueError: there is no title.
    """
    counts: Counter[str] = Counter()
    total = 0
    for names in titles:
        counts.update(names)
        total += 1
    if not total:
        raise ValueError("rarity is counted in titles; there is none")
    # Two more, so that a name seen once is not taken for the rarest there can be.
    return {
        name: max(0.0, math.log(total / (count + 2))) for name, count in counts.items()
    }, math.log(max(1.0, total / 3))


def fit_pairs(
    pairs: Sequence[tuple[Report, Report, bool]],
    *,
    rarity: Mapping[str, float],
    unknown_rarity: float,
) -> PairModel:
    """Weights by Newton's method on the penalised likelihood of labelled pairs; the same for the same pairs.

    Raises:
        ValueError: the labels are not of both kinds.
    """
    if len({same for _first, _second, same in pairs}) < 2:
        raise ValueError("pairs of both labels are needed")
    blank = PairModel(dict.fromkeys(FEATURES, 0.0), 0.0, rarity, unknown_rarity)
    values = np.array([blank.features(first, second) for first, second, _same in pairs])
    labels = np.array([float(same) for _first, _second, same in pairs])
    mean, spread = values.mean(0), values.std(0)
    spread[spread == 0] = 1.0
    solved = _newton((values - mean) / spread, labels)
    weights = solved[1:] / spread
    return PairModel(
        dict(zip(FEATURES, map(float, weights), strict=True)),
        float(solved[0] - weights @ mean),
        rarity,
        unknown_rarity,
    )


def _newton(
    values: npt.NDArray[np.float64], labels: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Bias and weights of a logistic regression; the bias is not penalised."""
    rows = np.column_stack([np.ones(len(values)), values])
    penalty = np.full(rows.shape[1], 1.0 / _REGULARISATION)
    penalty[0] = 0.0
    weights = np.zeros(rows.shape[1])
    for _step in range(_NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-rows @ weights))
        slope = rows.T @ (chance - labels) + penalty * weights
        curve = (rows * (chance * (1.0 - chance))[:, None]).T @ rows + np.diag(penalty)
        change = np.linalg.solve(curve, slope)
        weights -= change
        if np.abs(change).max() < 1e-9:
            break
    return weights


def _overlap(first: frozenset[str], second: frozenset[str]) -> float:
    shorter = min(len(first), len(second))
    return len(first & second) / shorter if shorter else 0.0
