"""Batches of like length for training, the same for a seed and epoch wherever the run was taken up."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from ml_core.data.batches import bucketed_batches


class LengthBuckets(Sampler[list[int]]):
    """A batch sampler over rows of ``lengths``: see `ml_core.data.batches.bucketed_batches`."""

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self.batch_size = batch_size
        self.drop_last = False
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The trainer calls it at the beginning of each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = random.Random(f"{self._seed}:{self._epoch}")
        return iter(
            bucketed_batches(self._lengths, batch_size=self.batch_size, generator=generator)
        )
