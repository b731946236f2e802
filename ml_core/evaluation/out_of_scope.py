"""Is a text one that the model was made for? Scores of being in scope, and a threshold for them.

The definitions are those of Larson et al. 2019, "An Evaluation Dataset for Intent Classification
and Out-of-Scope Prediction" (CLINC150):

- *in-scope accuracy*: the share of in-scope texts that are given their right label. One that is
  taken for out of scope counts as wrong.
- *out-of-scope recall*: the share of out-of-scope texts that are taken for out of scope.

Both depend on the threshold, so a recall means something only together with the accuracy; "recall
at in-scope accuracy of at least x" fixes that. AUROC and FPR@95TPR look at the scores alone.

A score is always higher for what is more in scope:

max_probability
    The highest probability (Hendrycks and Gimpel 2017).
margin
    Highest minus second highest probability.
entropy
    Minus the entropy of the probabilities, in nats.
energy
    log Σ exp(logit) (Liu et al. 2020).
mahalanobis
    Of embeddings: minus the squared distance to the nearest label's mean, in the covariance that
    the labels share (Lee et al. 2018).
knn
    Of embeddings: cosine to the k-th nearest training embedding (Sun et al. 2022).
combined
    Weighted sum of all of these that can be had, each scaled to mean 0 and deviation 1 on the
    in-scope validation rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ml_core.evaluation.calibration import softmax
from ml_core.evaluation.curves import auroc, average_precision, fpr_at_tpr
from ml_core.evaluation.intervals import Interval, bootstrap_mean, bootstrap_weighted

LOGIT_SCORES = ("max_probability", "margin", "entropy", "energy")
EMBEDDING_SCORES = ("mahalanobis", "knn")
SCORES = (*LOGIT_SCORES, *EMBEDDING_SCORES, "combined")
_BANK_ROWS = 20_000
_QUERIES_AT_ONCE = 1024
_RESAMPLES = 500


def logit_score(name: str, logits: np.ndarray) -> np.ndarray:
    """One of `LOGIT_SCORES` for each row of logits (examples, labels): shape (examples,).

    Raises ValueError for another name.
    """
    logits = np.asarray(logits, dtype=np.float64)
    probabilities = softmax(logits)
    scores: np.ndarray
    match name:
        case "max_probability":
            scores = probabilities.max(1)
        case "margin":
            top = np.sort(probabilities, 1)
            scores = top[:, -1] - top[:, -2] if top.shape[1] > 1 else top[:, -1]
        case "entropy":
            scores = (probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(1)
        case "energy":
            highest = logits.max(1)
            scores = highest + np.log(np.exp(logits - highest[:, None]).sum(1))
        case _:
            raise ValueError(f"{name!r} is not a score of logits: {', '.join(LOGIT_SCORES)}")
    return scores


@dataclass(frozen=True)
class OutOfScopeDetector:
    """A fitted score and its threshold: a text that scores below ``threshold`` is out of scope.

    ``to_dict`` is what a manifest keeps under ``calibration["out_of_scope"]``; ``arrays`` (none for
    a score of logits alone) is to be stored beside it, e.g. as safetensors: "means" (labels, d) and
    "bank" (rows, d) in the space where the labels' shared covariance is the identity, "bank" of
    norm 1; "whitening" (d, d).
    """

    score: str
    threshold: float
    neighbours: int = 1
    weights: dict[str, float] = field(default_factory=dict)
    centres: dict[str, float] = field(default_factory=dict)
    spreads: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def scores(self, logits: np.ndarray, embeddings: np.ndarray | None = None) -> np.ndarray:
        """The score of each text from its logits (texts, labels) and, where the score needs them,
        its embedding (texts, d): shape (texts,).

        Raises ValueError when embeddings are needed and missing.
        """
        if self.score != "combined":
            return self._single(self.score, logits, embeddings)
        total = np.zeros(len(logits))
        for name, weight in self.weights.items():
            scaled = self._single(name, logits, embeddings) - self.centres[name]
            total += weight * scaled / self.spreads[name]
        return total

    def in_scope(self, logits: np.ndarray, embeddings: np.ndarray | None = None) -> np.ndarray:
        """Whether each text is in scope, booleans of shape (texts,)."""
        accepted: np.ndarray = self.scores(logits, embeddings) >= self.threshold
        return accepted

    def to_dict(self) -> dict[str, Any]:
        """Everything but the arrays, as a JSON value."""
        return {
            "score": self.score,
            "threshold": self.threshold,
            "neighbours": self.neighbours,
            "weights": dict(self.weights),
            "centres": dict(self.centres),
            "spreads": dict(self.spreads),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any], arrays: dict[str, np.ndarray] | None = None) -> Self:
        """The detector that `to_dict` and ``arrays`` came from."""
        return cls(**values, arrays=arrays or {})

    def _single(self, name: str, logits: np.ndarray, embeddings: np.ndarray | None) -> np.ndarray:
        if name in LOGIT_SCORES:
            return logit_score(name, logits)
        if embeddings is None or not self.arrays:
            raise ValueError(f"the score {name!r} needs embeddings")
        if name == "knn":
            return _knn(embeddings, self.arrays["bank"], self.neighbours)
        return _mahalanobis(embeddings, self.arrays["means"], self.arrays["whitening"])


@dataclass(frozen=True)
class OutOfScopeScores:
    """How well a score parts in-scope from out-of-scope texts.

    ``auroc``: the chance that an in-scope text scores above an out-of-scope one;
    ``fpr_at_95_tpr``: share of out-of-scope texts accepted when 95 % of the in-scope ones are;
    ``average_precision``: of finding the out-of-scope ones. At ``threshold``: ``in_scope_accuracy``
    and ``out_of_scope_recall`` as the module says, ``out_of_scope_precision``, and ``accuracy``
    over all texts with out of scope as one more label. ``recall_at_accuracy``: the best recall of
    any threshold with an in-scope accuracy of at least ``wanted_accuracy``, chosen on these very
    texts; NaN when even accepting all does not reach it.
    """

    in_scope: int
    out_of_scope: int
    auroc: float
    fpr_at_95_tpr: float
    average_precision: float
    threshold: float
    in_scope_accuracy: float
    out_of_scope_recall: float
    out_of_scope_precision: float
    accuracy: float
    wanted_accuracy: float
    recall_at_accuracy: float
    intervals: dict[str, Interval]


def fit_out_of_scope(
    logits: np.ndarray,
    truth: np.ndarray,
    *,
    score: str = "max_probability",
    in_scope_accuracy: float | None = None,
    in_scope_recall: float | None = None,
    embeddings: np.ndarray | None = None,
    train_embeddings: np.ndarray | None = None,
    train_truth: np.ndarray | None = None,
    out_logits: np.ndarray | None = None,
    out_embeddings: np.ndarray | None = None,
    neighbours: int = 5,
) -> OutOfScopeDetector:
    """Fit a score and choose its threshold on validation rows.

    ``logits`` (examples, labels) and ``truth`` (label indices) are of in-scope validation rows;
    ``embeddings`` (examples, d) are theirs, ``train_embeddings`` and ``train_truth`` those of the
    training rows, which the scores of embeddings are fitted on. ``out_logits`` and
    ``out_embeddings`` are of out-of-scope validation rows, where there are any.

    ``score`` is one of `SCORES`, or "best": the one with the highest AUROC (needs out-of-scope
    rows). "combined" weighs its parts by a logistic regression when there are out-of-scope rows,
    else alike.

    The threshold is the highest one with which the share of in-scope rows that are accepted *and*
    labelled rightly is at least ``in_scope_accuracy``, or the share accepted at least
    ``in_scope_recall`` (0.95 when nothing is given and there are no out-of-scope rows). When neither
    is given and there are, it is the one with the highest accuracy over all rows with out of scope
    as one more label (Larson et al. 2019).

    Raises ValueError for an unknown score, for embeddings or out-of-scope rows that are needed and
    missing, for both shares given, or for an in-scope accuracy that the model does not reach even
    when it accepts everything.
    """
    if score not in (*SCORES, "best"):
        raise ValueError(f"score: {score!r} is not one of {', '.join(SCORES)}, best")
    if in_scope_accuracy is not None and in_scope_recall is not None:
        raise ValueError("in_scope_accuracy and in_scope_recall exclude each other")
    if score == "best" and (out_logits is None or min(len(out_logits), len(logits)) < 4):
        raise ValueError("score: best needs at least four out-of-scope rows to choose by")
    logits, truth = np.asarray(logits, dtype=np.float64), np.asarray(truth)
    if not len(truth) or len(truth) != len(logits):
        raise ValueError(f"{len(logits)} rows of logits for {len(truth)} labels")
    arrays: dict[str, np.ndarray] = {}
    if train_embeddings is not None and train_truth is not None:
        neighbours = max(1, min(neighbours, len(train_embeddings)))
        arrays = _fit_embeddings(np.asarray(train_embeddings), np.asarray(train_truth))
    elif score in EMBEDDING_SCORES:
        raise ValueError(f"score: {score} needs train_embeddings and train_truth")
    inside = _Rows(logits, embeddings)
    outside = None if out_logits is None else _Rows(np.asarray(out_logits), out_embeddings)
    if score == "best" and outside is not None:
        names = SCORES if arrays else (*LOGIT_SCORES, "combined")
        score = max(
            names, key=lambda name: _held_out_auroc(name, inside, outside, arrays, neighbours)
        )
    detector = _fit_score(score, inside, outside, arrays, neighbours)
    scores = inside.scores(detector)
    right = logits.argmax(1) == truth
    if in_scope_accuracy is not None:
        threshold = _threshold_for(scores, right, in_scope_accuracy)
    elif in_scope_recall is not None or outside is None:
        wanted = 0.95 if in_scope_recall is None else in_scope_recall
        threshold = _threshold_for(scores, np.ones(len(scores), dtype=bool), wanted)
    else:
        threshold = _most_accurate(scores, right, outside.scores(detector))
    return replace(detector, threshold=threshold)


def out_of_scope_scores(
    in_scores: np.ndarray,
    right: np.ndarray,
    out_scores: np.ndarray,
    *,
    threshold: float,
    wanted_accuracy: float = 0.95,
) -> OutOfScopeScores:
    """Judge a score on test texts.

    ``in_scores`` and ``right`` (whether the label was right) of the in-scope texts, ``out_scores``
    of the out-of-scope ones, each of shape (texts,). Raises ValueError when either kind is missing.
    """
    inside, outside = np.asarray(in_scores, dtype=float), np.asarray(out_scores, dtype=float)
    right = np.asarray(right, dtype=bool)
    if not len(inside) or not len(outside) or len(right) != len(inside):
        raise ValueError(
            f"{len(inside)} in-scope scores ({len(right)} answers) and {len(outside)} out-of-scope"
        )
    both = np.concatenate([inside, outside])
    is_in = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    accepted_right = (inside >= threshold) & right
    refused_in, refused_out = inside < threshold, outside < threshold
    refused = int(refused_in.sum() + refused_out.sum())
    # What counts of "accepting all reaches it" must not hang on rounding.
    reachable = right.mean() >= wanted_accuracy - 1e-12
    best = _threshold_for(inside, right, wanted_accuracy) if reachable else np.nan
    return OutOfScopeScores(
        in_scope=len(inside),
        out_of_scope=len(outside),
        auroc=_auroc(inside, outside),
        fpr_at_95_tpr=fpr_at_tpr(both, is_in),
        average_precision=float(average_precision(-both, 1 - is_in)),
        threshold=float(threshold),
        in_scope_accuracy=float(accepted_right.mean()),
        out_of_scope_recall=float(refused_out.mean()),
        out_of_scope_precision=float(refused_out.sum() / refused) if refused else 0.0,
        accuracy=float((accepted_right.sum() + refused_out.sum()) / len(both)),
        wanted_accuracy=wanted_accuracy,
        recall_at_accuracy=float((outside < best).mean()) if reachable else float("nan"),
        intervals={
            "auroc": bootstrap_weighted(
                lambda weights: auroc(both, is_in, weights), len(both), resamples=_RESAMPLES
            ),
            "in_scope_accuracy": bootstrap_mean(accepted_right.astype(float)),
            "out_of_scope_recall": bootstrap_mean(refused_out.astype(float)),
        },
    )


def _auroc(inside: np.ndarray, outside: np.ndarray) -> float:
    scores = np.concatenate([inside, outside])
    return float(auroc(scores, np.arange(len(scores)) < len(inside)))


def _threshold_for(scores: np.ndarray, good: np.ndarray, wanted: float) -> float:
    """The highest threshold with which the accepted good rows are at least ``wanted`` of all."""
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(good[order]) >= wanted * len(scores) - 1e-9
    if not reached.any():
        raise ValueError(
            f"only {good.mean():.1%} of the in-scope rows are right even when all are accepted, "
            f"so an in-scope accuracy of {wanted:.1%} cannot be had"
        )
    return float(scores[order][int(np.argmax(reached))])


def _most_accurate(inside: np.ndarray, right: np.ndarray, outside: np.ndarray) -> float:
    """The threshold with the most right answers over all rows, out of scope being one of them."""
    scores = np.concatenate([inside, outside])
    gains = np.concatenate([right.astype(float), -np.ones(len(outside))])
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    answers = len(outside) + np.cumsum(gains[order])[ends]
    best = int(np.argmax(answers))
    if answers[best] < len(outside):  # accepting nothing at all is better
        return float(np.nextafter(scores.max(), np.inf))
    last = ends[best]
    following = scores[order][last + 1] if last + 1 < len(scores) else scores[order][last]
    return float((scores[order][last] + following) / 2)


@dataclass(frozen=True)
class _Rows:
    """Logits of some texts, and their embeddings where they are known."""

    logits: np.ndarray
    embeddings: np.ndarray | None

    def scores(self, detector: OutOfScopeDetector) -> np.ndarray:
        return detector.scores(self.logits, self.embeddings)

    def half(self, start: int) -> _Rows:
        """Every second row."""
        rest = None if self.embeddings is None else self.embeddings[start::2]
        return _Rows(self.logits[start::2], rest)


def _held_out_auroc(
    name: str, inside: _Rows, outside: _Rows, arrays: dict[str, np.ndarray], neighbours: int
) -> float:
    """Mean AUROC on each half of the rows of what was fitted on the other: weights that were
    learned from rows would win on these same rows."""
    found = []
    for half in (0, 1):
        detector = _fit_score(name, inside.half(half), outside.half(half), arrays, neighbours)
        scores = [rows.half(1 - half).scores(detector) for rows in (inside, outside)]
        found.append(_auroc(scores[0], scores[1]))
    return float(np.mean(found))


def _fit_score(
    name: str,
    inside: _Rows,
    outside: _Rows | None,
    arrays: dict[str, np.ndarray],
    neighbours: int,
) -> OutOfScopeDetector:
    """A detector without a threshold yet."""
    needed = {"mahalanobis": ("means", "whitening"), "knn": ("bank",), "combined": tuple(arrays)}
    blank = OutOfScopeDetector(
        name,
        -np.inf,
        neighbours=neighbours,
        arrays={key: arrays[key] for key in needed.get(name, ())},
    )
    if name != "combined":
        return blank
    parts = (*LOGIT_SCORES, *(EMBEDDING_SCORES if arrays else ()))
    single = {part: inside.scores(replace(blank, score=part)) for part in parts}
    centres = {part: float(values.mean()) for part, values in single.items()}
    spreads = {part: float(values.std()) or 1.0 for part, values in single.items()}
    scaled = [(single[part] - centres[part]) / spreads[part] for part in parts]
    weights = [1 / len(parts)] * len(parts)
    if outside is not None:
        far = [
            (outside.scores(replace(blank, score=part)) - centres[part]) / spreads[part]
            for part in parts
        ]
        weights = _regression(np.column_stack(scaled), np.column_stack(far))
    return replace(
        blank,
        weights=dict(zip(parts, weights, strict=True)),
        centres=centres,
        spreads=spreads,
    )


def _regression(inside: np.ndarray, outside: np.ndarray) -> list[float]:
    """The weights of a logistic regression that tells the two apart, both kinds counting alike."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    rows = np.vstack([inside, outside])
    model.fit(rows, np.arange(len(rows)) < len(inside))
    weights: list[float] = model.coef_[0].tolist()
    return weights


def _fit_embeddings(embeddings: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Label means and shared covariance (shrunk by Ledoit and Wolf 2004, so that it can be
    inverted with fewer rows than dimensions), and the bank of neighbours."""
    from sklearn.covariance import ledoit_wolf

    embeddings = np.asarray(embeddings, dtype=np.float64)
    if len(embeddings) != len(truth) or not len(truth):
        raise ValueError(f"{len(embeddings)} training embeddings for {len(truth)} labels")
    names, places = np.unique(truth, return_inverse=True)
    means = np.stack([embeddings[places == at].mean(0) for at in range(len(names))])
    covariance, _ = ledoit_wolf(embeddings - means[places], assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    whitening = vectors / np.sqrt(np.maximum(values, values.max(initial=0.0) * 1e-9 + 1e-12))
    bank = embeddings
    if len(bank) > _BANK_ROWS:
        bank = bank[np.random.default_rng(0).choice(len(bank), _BANK_ROWS, replace=False)]
    return {
        "means": (means @ whitening).astype(np.float32),
        "whitening": whitening.astype(np.float32),
        "bank": _unit(bank).astype(np.float32),
    }


def _mahalanobis(embeddings: np.ndarray, means: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    white = np.asarray(embeddings, dtype=np.float64) @ whitening
    squares = (white**2).sum(1)[:, None] - 2 * white @ means.T + (means.astype(float) ** 2).sum(1)
    nearest: np.ndarray = -squares.min(1)
    return nearest


def _knn(embeddings: np.ndarray, bank: np.ndarray, neighbours: int) -> np.ndarray:
    queries = _unit(np.asarray(embeddings, dtype=np.float32))
    scores = np.empty(len(queries))
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        cosines = queries[start : start + _QUERIES_AT_ONCE] @ bank.T
        place = cosines.shape[1] - neighbours
        scores[start : start + _QUERIES_AT_ONCE] = np.partition(cosines, place, 1)[:, place]
    return scores


def _unit(rows: np.ndarray) -> np.ndarray:
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit
