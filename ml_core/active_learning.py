"""Which unlabelled rows to have labelled next: uncertainty, diversity, and both together.

All strategies are functions of arrays. ``select`` names them; the scores can be used alone, for
instance to order an annotation queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

STRATEGIES = (
    "random",
    "entropy",
    "margin",
    "least-confidence",
    "bald",
    "core-set",
    "badge",
    "cluster-margin",
)
NEEDS_EMBEDDINGS = frozenset({"core-set", "badge", "cluster-margin"})

_TINY = 1e-12
# Cluster-margin looks for diversity among this many times k of the most uncertain rows (the paper's
# k_m / k_t); hierarchical clustering of more rows than the limit takes too long.
_CANDIDATES_PER_PICK = 10
_MAX_CLUSTERED = 4000


def select(
    probabilities: np.ndarray,
    embeddings: np.ndarray | None,
    k: int,
    *,
    strategy: str = "badge",
    seed: int = 13,
    labelled_embeddings: np.ndarray | None = None,
    multi_label: bool = False,
) -> np.ndarray:
    """Indices of the ``k`` rows to label next (all rows when there are fewer), the first the most
    wanted; shape (k,), no index twice.

    ``probabilities`` has the shape (rows, classes), or (passes, rows, classes) from several passes
    with dropout on, which "bald" needs and of which the others use the mean. ``embeddings`` has the
    shape (rows, width); "core-set", "badge" and "cluster-margin" need it. "core-set" keeps away
    from ``labelled_embeddings`` too. With ``multi_label`` each column is a yes or no of its own:
    entropies are summed over the labels, margins are those of the least certain label.

    - "random": the baseline to beat.
    - "entropy", "margin", "least-confidence": the most uncertain rows (Settles 2009).
    - "bald": the rows on which the passes disagree (Houlsby et al. 2011, Gal et al. 2017).
    - "core-set": the rows farthest from all chosen ones (greedy k-centre, Sener and Savarese 2018).
    - "badge": k-means++ on gradient embeddings, so uncertain and diverse (Ash et al. 2020).
    - "cluster-margin": small margins, one cluster after the other (Citovsky et al. 2021).

    Raises ValueError for shapes that do not fit, an unknown strategy or a missing argument.
    """
    mean = _mean_probabilities(probabilities)
    _check(probabilities, mean, embeddings, k, strategy)
    generator = np.random.default_rng(seed)
    k = min(k, len(mean))
    if strategy == "random":
        return generator.permutation(len(mean))[:k]
    if strategy in _SCORES:
        scored = probabilities if strategy == "bald" else mean
        if multi_label:
            # (…, labels, 2), and the labels in front of the rows, so that each is scored alone.
            scored = np.moveaxis(np.stack([scored, 1 - scored], -1), -2, 0)
            values = np.array([_SCORES[strategy](one) for one in scored])
            total = strategy in {"entropy", "bald"}
            return _top(values.sum(0) if total else values.max(0), k)
        return _top(_SCORES[strategy](scored), k)
    vectors = np.asarray(embeddings, dtype=np.float64)
    if strategy == "core-set":
        return k_centres(vectors, k, chosen=labelled_embeddings, generator=generator)
    if strategy == "badge":
        return k_means_seeds(_output_errors(mean, multi_label), vectors, k, generator=generator)
    uncertainty = np.abs(2 * mean - 1).min(1) if multi_label else margin(mean)
    return cluster_margin(uncertainty, vectors, k)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """-Σ p·log p of each row in nats; shape (rows,)."""
    clipped = np.clip(probabilities, _TINY, 1.0)
    values: np.ndarray = -(probabilities * np.log(clipped)).sum(-1)
    return values


def margin(probabilities: np.ndarray) -> np.ndarray:
    """The most probable label's probability less the second's; shape (rows,), small is uncertain."""
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    values: np.ndarray = two[:, 1] - two[:, 0]
    return values


def bald(passes: np.ndarray) -> np.ndarray:
    """Entropy of the mean less the mean entropy, of shape (rows,): what the label would tell about
    the model. ``passes`` has the shape (passes, rows, classes)."""
    values: np.ndarray = entropy(passes.mean(0)) - entropy(passes).mean(0)
    return values


def k_centres(
    embeddings: np.ndarray,
    k: int,
    *,
    chosen: np.ndarray | None = None,
    generator: np.random.Generator,
) -> np.ndarray:
    """Greedy k-centre: each pick is the row farthest from ``chosen`` and all picks before it."""
    lengths = (embeddings**2).sum(1)

    def squared_distances(centre: np.ndarray) -> np.ndarray:
        distances: np.ndarray = lengths + centre @ centre - 2 * embeddings @ centre
        return distances

    picks: list[int] = []
    nearest = np.full(len(embeddings), np.inf)
    if chosen is None or not len(chosen):
        picks.append(int(generator.integers(len(embeddings))))
        nearest = squared_distances(embeddings[picks[0]])
    else:
        for centre in np.asarray(chosen, dtype=np.float64):
            nearest = np.minimum(nearest, squared_distances(centre))
    while len(picks) < k:
        # Rounding can leave a pick, or a copy of one, a little apart from itself.
        nearest[picks] = -np.inf
        pick = int(nearest.argmax())
        picks.append(pick)
        nearest = np.minimum(nearest, squared_distances(embeddings[pick]))
    return np.array(picks[:k], dtype=np.int64)


def k_means_seeds(
    errors: np.ndarray, embeddings: np.ndarray, k: int, *, generator: np.random.Generator
) -> np.ndarray:
    """k-means++ seeding on gradients of the last layer, ``errors`` ⊗ ``embeddings`` row by row.

    The gradients (rows, classes · width) are never built: the inner product of two is the product
    of the inner products of their factors.
    """
    lengths = (errors**2).sum(1) * (embeddings**2).sum(1)

    def squared_distances(pick: int) -> np.ndarray:
        inner = (errors @ errors[pick]) * (embeddings @ embeddings[pick])
        distances: np.ndarray = np.maximum(lengths + lengths[pick] - 2 * inner, 0.0)
        return distances

    picks = [int(lengths.argmax())]
    nearest = squared_distances(picks[0])
    while len(picks) < k:
        nearest[picks] = 0.0
        total = nearest.sum()
        if total > _TINY:
            pick = int(generator.choice(len(nearest), p=nearest / total))
        else:
            # All that is left equals a pick; take the rest in order.
            free = np.setdiff1d(np.arange(len(nearest)), picks)
            pick = int(free[0])
        picks.append(pick)
        nearest = np.minimum(nearest, squared_distances(pick))
    return np.array(picks, dtype=np.int64)


def cluster_margin(margins: np.ndarray, embeddings: np.ndarray, k: int) -> np.ndarray:
    """The rows of smallest margin, taken in turn from clusters of them, small clusters first.

    The paper clusters the whole pool once; here only the candidates are, by average linkage into k
    clusters, which needs no distance threshold.
    """
    from sklearn.cluster import AgglomerativeClustering

    count = min(len(margins), max(k, min(k * _CANDIDATES_PER_PICK, _MAX_CLUSTERED)))
    candidates = _top(-margins, count)
    if k >= count:
        return candidates
    clusters = AgglomerativeClustering(n_clusters=k, linkage="average")
    of_cluster: dict[int, deque[int]] = {}
    # Candidates come with the smallest margin first, and stay so inside each cluster.
    for candidate, cluster in zip(
        candidates, clusters.fit_predict(embeddings[candidates]), strict=True
    ):
        of_cluster.setdefault(int(cluster), deque()).append(int(candidate))
    queues = sorted(of_cluster.values(), key=len)
    picks: list[int] = []
    while len(picks) < k:
        picks.extend(queue.popleft() for queue in queues if queue)
    return np.array(picks[:k], dtype=np.int64)


def _output_errors(probabilities: np.ndarray, multi_label: bool) -> np.ndarray:
    """The loss gradient by the logits, if the model's own answer were the label."""
    answers = np.zeros(probabilities.shape)
    if multi_label:
        answers[probabilities > 0.5] = 1.0
    else:
        answers[np.arange(len(answers)), probabilities.argmax(1)] = 1.0
    errors: np.ndarray = probabilities.astype(np.float64) - answers
    return errors


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    order: np.ndarray = np.argsort(-scores, kind="stable")[:k]
    return order


_SCORES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "entropy": entropy,
    "margin": lambda probabilities: -margin(probabilities),
    "least-confidence": lambda probabilities: 1 - probabilities.max(1),
    "bald": bald,
}


def _mean_probabilities(probabilities: np.ndarray) -> np.ndarray:
    if probabilities.ndim not in {2, 3}:
        raise ValueError(
            f"probabilities have the shape {probabilities.shape}; (rows, classes) or (passes, rows, "
            "classes) is needed"
        )
    mean: np.ndarray = probabilities.mean(0) if probabilities.ndim == 3 else probabilities
    return mean


def _check(
    probabilities: np.ndarray,
    mean: np.ndarray,
    embeddings: np.ndarray | None,
    k: int,
    strategy: str,
) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy {strategy!r} is unknown; use {', '.join(STRATEGIES)}")
    if k < 1 or not len(mean):
        raise ValueError(f"cannot choose {k} of {len(mean)} rows")
    if strategy == "bald" and (probabilities.ndim != 3 or len(probabilities) < 2):
        raise ValueError('"bald" needs probabilities of several passes: (passes, rows, classes)')
    if strategy in NEEDS_EMBEDDINGS and (embeddings is None or len(embeddings) != len(mean)):
        found = "none" if embeddings is None else f"{len(embeddings)}"
        raise ValueError(
            f"{strategy!r} needs an embedding for each of {len(mean)} rows, got {found}"
        )
    if not np.isfinite(mean).all():
        raise ValueError("probabilities are not all finite")
