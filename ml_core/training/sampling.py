"""Batches of like length for training, the same for a seed and epoch wherever the run was taken up."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from torch.utils.data import Sampler

from ml_core.data.batches import bucketed_batches

# An exchange that none of so many batches can make costs more time than the repeated row costs quality.
_TRIED_BATCHES = 10


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


class DistinctBatches(LengthBuckets):
    """Length buckets without two rows of one key in a batch, as far as an exchange with another batch can bring it
    about. ``keys`` has any number of keys for each row. The number and sizes of the batches stay the same."""

    def __init__(
        self,
        lengths: Sequence[int],
        keys: Sequence[Collection[int]],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(lengths, batch_size=batch_size, seed=seed)
        self._keys = keys

    def __iter__(self) -> Iterator[list[int]]:
        batches = list(super().__iter__())
        counts = [Counter(key for row in batch for key in self._keys[row]) for batch in batches]
        for number, batch in enumerate(batches):
            for place, row in enumerate(batch):
                if any(counts[number][key] > 1 for key in self._keys[row]):
                    self._exchange(batches, counts, number, place)
        return iter(batches)

    def _exchange(
        self, batches: list[list[int]], counts: list[Counter[int]], number: int, place: int
    ) -> None:
        """Change a row with one of another batch when neither then meets a key of its own."""
        row = batches[number][place]
        rest = counts[number] - Counter(self._keys[row])
        for other in range(1, min(len(batches), _TRIED_BATCHES)):
            there = (number + other) % len(batches)
            if any(counts[there][key] for key in self._keys[row]):
                continue
            for seat, candidate in enumerate(batches[there]):
                if not any(rest[key] for key in self._keys[candidate]):
                    batches[number][place], batches[there][seat] = candidate, row
                    moved, taken = Counter(self._keys[row]), Counter(self._keys[candidate])
                    for batch, gone, come in ((number, moved, taken), (there, taken, moved)):
                        counts[batch].subtract(gone)
                        counts[batch].update(come)
                    return
