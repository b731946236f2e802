"""What a classifier says about one text. Free of torch: the serving client uses it too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The most probable label, and the probability of every label (they sum to 1)."""

    label: str
    probabilities: dict[str, float]

    @property
    def confidence(self) -> float:
        return self.probabilities[self.label]
