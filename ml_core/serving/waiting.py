"""The texts that wait for one model, and which of them make up the next batch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np

# How many of the oldest texts a batch is chosen from.
_WINDOW = 256


class Answer:
    """The rows of probabilities that one request is waiting for; ``future`` is done when all are
    there.

    Cancelling the future (deadline passed, caller gone) makes its texts unwanted.
    """

    def __init__(self, text_count: int, label_count: int) -> None:
        self.rows = np.empty((text_count, label_count), dtype=np.float32)
        self.future: asyncio.Future[np.ndarray] = asyncio.get_running_loop().create_future()
        self._missing = text_count

    def deliver(self, place: int, row: np.ndarray) -> None:
        self.rows[place] = row
        self._missing -= 1
        if not self._missing and not self.future.done():
            self.future.set_result(self.rows)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(eq=False)
class WaitingText:
    """An encoded text in the queue. ``arrival`` counts up over all models, ``place`` is its row
    in ``answer``."""

    token_ids: list[int]
    arrival: int
    place: int
    answer: Answer

    @property
    def length(self) -> int:
        return len(self.token_ids)

    @property
    def wanted(self) -> bool:
        return not self.answer.future.done()


class WaitingLine:
    """Texts in order of arrival. `draw` is fair and wastes little: the oldest text is in every
    batch, so none waits for more batches than there are older texts; its companions are those of
    the oldest 256 that are nearest to it in length.
    """

    def __init__(self) -> None:
        # A dict keeps the order of arrival and removes from its middle in constant time.
        self._texts: dict[WaitingText, None] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, text: WaitingText) -> None:
        self._texts[text] = None

    def oldest_arrival(self) -> int:
        """Arrival number of the oldest text; the line must not be empty."""
        return next(iter(self._texts)).arrival

    def draw(self, budget: int) -> list[WaitingText]:
        """Take a batch of at most ``budget`` tokens, padding included, around the oldest wanted
        text (which may be longer than the budget by itself). Empty when nothing waits that is
        still wanted."""
        window = self._oldest_wanted()
        if not window:
            return []
        oldest = window[0]
        window.sort(key=lambda text: text.length)
        low = high = window.index(oldest)
        while True:
            size = high - low + 2
            below = window[low - 1] if low > 0 else None
            above = window[high + 1] if high + 1 < len(window) else None
            if below is not None and window[high].length * size > budget:
                below = None
            if above is not None and above.length * size > budget:
                above = None
            if below is None and above is None:
                break
            if above is None or (
                below is not None and oldest.length - below.length <= above.length - oldest.length
            ):
                low -= 1
            else:
                high += 1
        batch = window[low : high + 1]
        for text in batch:
            del self._texts[text]
        return batch

    def _oldest_wanted(self) -> list[WaitingText]:
        """The oldest texts that somebody still waits for, in order of arrival; unwanted ones on
        the way are dropped."""
        window: list[WaitingText] = []
        for text in tuple(self._texts):
            if not text.wanted:
                del self._texts[text]
                continue
            window.append(text)
            if len(window) == _WINDOW:
                break
        return window
