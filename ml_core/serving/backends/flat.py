"""Texts of a batch one after another, without padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ml_core.serving.backends.base import BackendError, EncoderBatch


@dataclass(frozen=True)
class FlatBatch:
    """``ids`` and ``types`` (N,) of all texts' tokens, ``lengths`` (B,), ``starts`` (B,): where each text begins.

    ``rows`` is (B, longest), the place of each text's tokens in the N, 0 where there is none; ``cells`` (N,) is where
    each token is in the flattened ``rows``.
    """

    ids: np.ndarray
    types: np.ndarray | None
    lengths: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    cells: np.ndarray

    @classmethod
    def of(cls, batch: EncoderBatch) -> Self:
        """Raises BackendError for a text without tokens, or types that do not fit the tokens."""
        lengths = np.array([len(ids) for ids in batch.token_ids], dtype=np.int64)
        if not len(lengths) or not lengths.min():
            raise BackendError("a batch without texts, or a text without tokens")
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        places = np.arange(lengths.max())
        real = places < lengths[:, None]
        types = None
        if batch.type_ids is not None:
            if [len(each) for each in batch.type_ids] != lengths.tolist():
                raise BackendError("the type ids do not fit the token ids")
            types = np.concatenate([np.asarray(each, dtype=np.int64) for each in batch.type_ids])
        return cls(
            ids=np.concatenate([np.asarray(each, dtype=np.int64) for each in batch.token_ids]),
            types=types,
            lengths=lengths,
            starts=starts,
            rows=np.where(real, starts[:, None] + places, 0),
            cells=np.flatnonzero(real),
        )

    @property
    def places(self) -> np.ndarray:
        """Each token's place in its text, (N,)."""
        found: np.ndarray = self.cells % self.rows.shape[1]
        return found

    def pool(self, states: np.ndarray) -> np.ndarray:
        """The mean of each text's ``states`` (N, hidden): (B, hidden) float32."""
        means: np.ndarray = np.add.reduceat(states, self.starts, axis=0)
        means /= self.lengths[:, None].astype(np.float32)
        return means

    def split(self, states: np.ndarray) -> list[np.ndarray]:
        """Each text's part of ``states`` (N, hidden)."""
        return np.split(states, self.starts[1:])
