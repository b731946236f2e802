"""Labels spread from few labelled rows to many unlabelled ones over a graph of nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

# Part of a row's label that comes from its neighbours at each turn; the rest is what it began with.
_FROM_NEIGHBOURS = 0.8
_TURNS = 30
# An edge of cosine c weighs exp(_SHARPNESS · (c − 1)).
_SHARPNESS = 10.0
_ROWS_AT_A_TIME = 1024


def propagate_labels(
    states: np.ndarray,
    start: np.ndarray,
    *,
    neighbours: int = 10,
    after_rows: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Shares of the labels for each row, (rows, labels), each row's sum 1.

    ``states`` (rows, hidden) are embeddings, ``start`` (rows, labels) what is thought of each row before: one-hot where
    the label is known, a classifier's probabilities elsewhere. On the graph that joins each row to its ``neighbours``
    nearest ones by cosine, Y ← 0.8 · D^−½ W D^−½ Y + 0.2 · start is repeated until it hardly moves (local and global
    consistency: Zhou et al. 2004; for embeddings: Iscen et al. 2019). Takes rows² · hidden multiplications and, at a
    time, memory for 1,024 · rows cosines; ``after_rows`` is called between them. Raises ValueError for shapes that do
    not fit, and fewer than two rows.
    """
    if states.ndim != 2 or start.ndim != 2 or len(states) != len(start):
        raise ValueError(f"states {states.shape} and start {start.shape} do not fit together")
    if len(states) < 2:
        raise ValueError("labels cannot spread among fewer than two rows")
    graph = _neighbour_graph(states, min(neighbours, len(states) - 1), after_rows)
    shares = start.astype(np.float64)
    for _ in range(_TURNS):
        shares = _FROM_NEIGHBOURS * (graph @ shares) + (1 - _FROM_NEIGHBOURS) * start
    found: np.ndarray = shares / shares.sum(axis=1, keepdims=True)
    return found


def _neighbour_graph(
    states: np.ndarray, neighbours: int, after_rows: Callable[[], None]
) -> sparse.csr_matrix:
    """The symmetric graph with each edge divided by the root of both its ends' degrees."""
    unit = states / np.linalg.norm(states, axis=1, keepdims=True).clip(min=1e-12)
    count = len(unit)
    columns = np.empty((count, neighbours), dtype=np.int64)
    weights = np.empty((count, neighbours))
    for first in range(0, count, _ROWS_AT_A_TIME):
        cosines = unit[first : first + _ROWS_AT_A_TIME] @ unit.T
        rows = np.arange(len(cosines))
        cosines[rows, first + rows] = -np.inf
        nearest = np.argpartition(-cosines, neighbours - 1, axis=1)[:, :neighbours]
        columns[first : first + len(rows)] = nearest
        near = np.take_along_axis(cosines, nearest, axis=1)
        weights[first : first + len(rows)] = np.exp(_SHARPNESS * (near - 1))
        after_rows()
    rows = np.repeat(np.arange(count), neighbours)
    graph = sparse.csr_matrix((weights.ravel(), (rows, columns.ravel())), shape=(count, count))
    graph = (graph + graph.T) / 2
    scale = sparse.diags(np.asarray(graph.sum(axis=1)).ravel() ** -0.5)
    return sparse.csr_matrix(scale @ graph @ scale)
