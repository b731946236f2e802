"""Rules that guide the predictions of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from ml_core.knowledge.bias import Biases, fit_weights
from ml_core.knowledge.rules import Rule, RuleError, RuleMatcher, suggestion

# What a hard rule puts between its label and the next: e^12 : 1.
HARD_MARGIN = 12.0


@dataclass(frozen=True)
class RuleReport:
    """What one rule does on a labelled part.

    ``fired`` texts of it match, ``coverage`` is their share, ``accuracy`` how many of them have the
    rule's label (None where it never fired). ``changed`` predictions are others than they would be
    without this rule: ``mended`` of them are right now, ``broken`` were right without it.
    """

    name: str
    label: str
    strength: str
    weight: float | None
    fired: int
    coverage: float
    accuracy: float | None
    changed: int
    mended: int
    broken: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class RuleGuide:
    """Rules over the labels of one model, with what each soft rule is worth.

    ``labels`` are in the order of the model's logits. Soft rules are worth nothing until `fit`.
    Where hard rules disagree the first one decides; with ``multi_label`` each decides its own
    label. Raises RuleError for a rule whose label the model does not have.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        labels: Sequence[str],
        *,
        multi_label: bool = False,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.rules = tuple(rules)
        self.labels = tuple(labels)
        self.multi_label = multi_label
        for rule in self.rules:
            if rule.label not in self.labels:
                raise RuleError(
                    f"rule {rule.name!r}: label {rule.label!r} is unknown to the model; "
                    f"{suggestion(rule.label, self.labels)}"
                )
        self.weights = np.array([0.0] * len(self.rules) if weights is None else weights)
        if self.weights.shape != (len(self.rules),):
            raise ValueError(f"{len(self.rules)} rules but {len(self.weights)} weights")
        self._matcher = RuleMatcher(self.rules)
        self._columns = np.array([self.labels.index(rule.label) for rule in self.rules], dtype=int)
        self._hard = np.array([rule.strength == "hard" for rule in self.rules], dtype=bool)

    def fit(self, texts: Sequence[str], truth: np.ndarray, logits: np.ndarray) -> Self:
        """Find the weights of the soft rules on a labelled part that was not trained on.

        ``truth`` holds label indices (texts,), or 0 and 1 (texts, labels) with ``multi_label``;
        ``logits`` has the shape (texts, labels) (log-probabilities do too). Texts that a hard rule
        decides do not count. A rule that adds nothing to the model gets the weight 0. Returns self.
        """
        fires = self._matcher.fires(texts)
        self._check(logits, fires)
        decided: np.ndarray = np.any(fires[:, self._hard], axis=1, keepdims=True)
        soft = fires & ~self._hard[None, :] & ~decided
        self.weights = fit_weights(
            logits, truth, self._biases(soft), count=len(self.rules), multi_label=self.multi_label
        )
        return self

    def adjust(self, logits: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        """``logits`` (texts, labels) as the rules would have them; float64, the input unchanged."""
        fires = self._matcher.fires(texts)
        self._check(logits, fires)
        return self._apply(logits, fires)

    def matching(self, text: str) -> list[Rule]:
        """The rules that fire on ``text`` and count: hard ones, and soft ones with a weight."""
        fires = self._matcher.fires([text])[0] & (self._hard | (self.weights > 0))
        return [self.rules[number] for number in np.flatnonzero(fires)]

    def report(
        self, texts: Sequence[str], truth: np.ndarray, logits: np.ndarray
    ) -> list[RuleReport]:
        """What each rule does on a labelled part, in the order of the rules."""
        fires = self._matcher.fires(texts)
        self._check(logits, fires)
        answers = self._answers(self._apply(logits, fires))
        reports = []
        for number, rule in enumerate(self.rules):
            own = np.flatnonzero(fires[:, number])
            without = fires[own].copy()
            without[:, number] = False
            before = self._answers(self._apply(logits[own], without))
            right_after = _right(answers[own], truth[own])
            right_before = _right(before, truth[own])
            differs = ~_right(answers[own], before)
            fired = len(own)
            hits = self._has_label(truth[own], number)
            reports.append(
                RuleReport(
                    name=rule.name,
                    label=rule.label,
                    strength=rule.strength,
                    weight=None if self._hard[number] else float(self.weights[number]),
                    fired=fired,
                    coverage=fired / max(1, len(texts)),
                    accuracy=float(hits.mean()) if fired else None,
                    changed=int(differs.sum()),
                    mended=int((right_after & ~right_before).sum()),
                    broken=int((right_before & ~right_after).sum()),
                )
            )
        return reports

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON, to be kept with the model."""
        return {
            "rules": [rule.to_dict() for rule in self.rules],
            "labels": list(self.labels),
            "multi_label": self.multi_label,
            "weights": [float(weight) for weight in self.weights],
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        rules = [Rule.from_dict(rule) for rule in values["rules"]]
        return cls(
            rules,
            values["labels"],
            multi_label=values["multi_label"],
            weights=values["weights"],
        )

    def _check(self, logits: np.ndarray, fires: np.ndarray) -> None:
        if logits.shape != (len(fires), len(self.labels)):
            raise ValueError(
                f"logits have the shape {logits.shape}; {len(fires)} texts and {len(self.labels)} "
                "labels are given"
            )

    def _biases(self, fires: np.ndarray) -> Biases:
        rows, parameters = np.nonzero(fires)
        return Biases(rows, self._columns[parameters], parameters)

    def _apply(self, logits: np.ndarray, fires: np.ndarray) -> np.ndarray:
        adjusted = self._biases(fires & ~self._hard[None, :]).add(logits, self.weights)
        # From the last rule to the first, so that the first one has the last word.
        for number in reversed(np.flatnonzero(self._hard)):
            rows = np.flatnonzero(fires[:, number])
            column = self._columns[number]
            if self.multi_label:
                adjusted[rows, column] = HARD_MARGIN
            else:
                adjusted[rows, column] = adjusted[rows].max(1, initial=0.0) + HARD_MARGIN
        return adjusted

    def _answers(self, logits: np.ndarray) -> np.ndarray:
        answers: np.ndarray = (logits > 0).astype(int) if self.multi_label else logits.argmax(1)
        return answers

    def _has_label(self, truth: np.ndarray, number: int) -> np.ndarray:
        column = self._columns[number]
        has: np.ndarray = truth[:, column] > 0 if self.multi_label else np.equal(truth, column)
        return has


def _right(answers: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Which rows are the same, all labels of them where there are several."""
    same: np.ndarray = np.equal(answers, truth)
    if same.ndim == 1:
        return same
    rows: np.ndarray = np.all(same, axis=1)
    return rows
