"""Labels for unlabelled texts out of the votes of rules.

The independent label model of data programming (Ratner et al. 2016, "Data Programming: Creating
Large Training Sets, Quickly"), with the accuracies counted on labelled texts rather than inferred
from how the rules agree. A rule votes for its one label or abstains, so its accuracy is the share of
texts it fires on that have that label.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ml_core.knowledge.rules import Rule, RuleError, RuleMatcher, suggestion
from ml_core.pseudo_labels import PseudoLabels

# Each rule starts as knowing nothing, and that counts as so many labelled texts.
_PRIOR_TEXTS = 2.0
_MAX_ACCURACY = 0.99
# A labelled text that rules confirm counts up to twice, one that they contradict down to half.
_MAX_FACTOR = 2.0


class LabelModel:
    """P(label | votes) ∝ P(label) · Π over voting rules of P(label | rule fires) / P(label)."""

    def __init__(
        self, rules: Sequence[Rule], labels: Sequence[str], texts: Sequence[str], truth: np.ndarray
    ) -> None:
        """Measure the accuracy of each rule on labelled texts; ``truth`` (texts,) holds indices
        into ``labels``. Raises RuleError for a rule of another label, ValueError without texts."""
        if not len(texts) or len(texts) != len(truth):
            raise ValueError(f"{len(texts)} texts and {len(truth)} labels to measure rules on")
        for rule in rules:
            if rule.label not in labels:
                problem = f"label {rule.label!r} is unknown; {suggestion(rule.label, labels)}"
                raise RuleError(f"rule {rule.name!r}: {problem}")
        self.rules = tuple(rules)
        self.labels = tuple(labels)
        self._matcher = RuleMatcher(self.rules)
        counts = np.bincount(truth, minlength=len(labels)) + 1.0
        self.prior: np.ndarray = counts / counts.sum()
        self._columns = np.array([self.labels.index(rule.label) for rule in rules], dtype=int)
        fires = self._matcher.fires(texts)
        right = (fires & (truth[:, None] == self._columns[None, :])).sum(0)
        base = self.prior[self._columns]
        accuracies = (right + _PRIOR_TEXTS * base) / (fires.sum(0) + _PRIOR_TEXTS)
        # A rule that is worse than not looking says nothing, rather than the contrary.
        self.accuracies: np.ndarray = np.clip(accuracies, base, np.maximum(base, _MAX_ACCURACY))

    def posterior(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(probabilities of shape (texts, labels), how many rules voted on each text)."""
        fires = self._matcher.fires(texts)
        log_prior = np.log(self.prior)
        scores = np.tile(log_prior, (len(texts), 1))
        for number, column in enumerate(self._columns):
            accuracy, share = self.accuracies[number], self.prior[column]
            # What is left of the probability goes to the other labels as they share it without
            # the rule. With two labels or more there is always something left.
            factors = np.full(len(self.labels), np.log((1 - accuracy) / max(1 - share, 1e-12)))
            factors[column] = np.log(accuracy / share)
            scores[fires[:, number]] += factors
        scores -= scores.max(1, keepdims=True)
        likely = np.exp(scores)
        return likely / likely.sum(1, keepdims=True), fires.sum(1)

    def label(self, texts: Sequence[str], *, minimum: float = 0.8) -> PseudoLabels:
        """The texts that the rules label with at least the probability ``minimum``, which is also
        their weight."""
        probabilities, votes = self.posterior(texts)
        confidence = probabilities.max(1)
        rows = np.flatnonzero((votes > 0) & (confidence >= minimum))
        return PseudoLabels(
            rows=rows,
            labels=probabilities[rows].argmax(1),
            weights=confidence[rows],
            thresholds=np.full(len(self.labels), minimum),
        )

    def row_weights(self, texts: Sequence[str], truth: np.ndarray) -> np.ndarray:
        """Training weights (texts,) of labelled texts: 1 where no rule fires, up to 2 where rules
        confirm the label, down to 0.5 where they contradict it."""
        probabilities, votes = self.posterior(texts)
        rows = np.arange(len(texts))
        factors = np.clip(
            probabilities[rows, truth] / self.prior[truth], 1 / _MAX_FACTOR, _MAX_FACTOR
        )
        weights: np.ndarray = np.where(votes > 0, factors, 1.0)
        return weights


def majority_vote(rules: Sequence[Rule], labels: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """The label index that most of the rules that fire are for; -1 where none fires or two labels
    have as many. The baseline for `LabelModel`; shape (texts,)."""
    fires = RuleMatcher(rules).fires(texts)
    columns = np.array([list(labels).index(rule.label) for rule in rules], dtype=int)
    votes = np.zeros((len(texts), len(labels)), dtype=int)
    for number, column in enumerate(columns):
        votes[:, column] += fires[:, number]
    most = votes.max(1)
    clear = (most > 0) & ((votes == most[:, None]).sum(1) == 1)
    return np.where(clear, votes.argmax(1), -1)
