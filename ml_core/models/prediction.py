"""What a classifier says about one text. Free of torch: the serving client uses it too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The most probable label, and the probability of every label (they sum to 1).

    From a model that can tell what it was made for, ``in_scope`` says whether the text is that, and ``score`` is what
    it goes by: the higher, the more in scope. None from other models.
    """

    label: str
    probabilities: dict[str, float]
    in_scope: bool | None = None
    score: float | None = None

    @property
    def confidence(self) -> float:
        return self.probabilities[self.label]
